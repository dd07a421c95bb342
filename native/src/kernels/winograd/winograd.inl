// Convolutions of 3 x 3 taps and stride 1 by two-dimensional Winograd transforms, F(m x m, r x r): tiles of the input
// and filters go to (m + r - 1)^2 points, at each point a matrix product sums over channels, and products come back as
// tiles of m x m outputs. An upsampling convolution is four convolutions of 2 x 2 taps, one for each parity of row and
// column, and never sees the upsampled image.
//
// Each thread owns tiles and outputs of its own and takes tiles in strips whose transforms fit the cache. Filters are
// transformed for a group of outputs at a time, just before use: transformed filters of a whole layer would be many
// times the size of the stored ones, and reading them back slower than making them again. Only those of narrow layers
// are kept from strip to strip.
namespace aq::AQ_ISA {

constexpr int64_t winograd_channels = 160;                      // of the largest block of the sum
constexpr int64_t winograd_outputs = 32;                        // of a group
constexpr int64_t longest_strip = 132 / tile_rows * tile_rows;  // tiles
constexpr int64_t strip_floats = 3 * 1024 * 1024;               // of a strip's transformed input
constexpr int64_t most_kept_floats = 9 * 256 * 1024;            // of transformed filters
constexpr int64_t filter_channels = 16;                         // transformed at once, if no block holds more
static_assert(winograd_outputs % lanes == 0, "groups are whole vectors");

// One plain convolution: the whole, or one parity of an upsampling one.
struct winograd_part {
    int64_t out_h, out_w;            // its outputs
    int64_t first_y, first_x, step;  // its output (i, j) is the layer's (first_y + i * step, first_x + j * step)
    int64_t pad_top, pad_left;
};

template <class F> struct winograd_plan {
    static constexpr int64_t m = F::outputs, size = F::points, points = size * size;

    int64_t channels;  // of a block of the sum
    int64_t pixel;     // floats from pixel to pixel of the patch
    int64_t tiles_down, tiles_across, tiles, strip, blocks, lda, ldm, points_a, points_u, points_m;
    bool keeps_filters;    // `u` has room for those of all groups; else for one group and block
    float *patch;          // [size][pixels of a row of tiles][pixel]
    float *a;              // [blocks][points][strip][lda]: transformed input
    float *filters;        // [channels * 9][tile_columns]: some filters of a panel before the transform
    float *u;              // [groups][blocks][points][panels][channels][tile_columns]: transformed filters
    float *products;       // [points][strip][ldm]
    gemm_buffers weights;  // for expanding
    int64_t floats;

    winograd_plan(const gemm_args &g, const winograd_part &part, float *scratch) {
        tiles_down = (part.out_h + m - 1) / m;
        tiles_across = (part.out_w + m - 1) / m;
        tiles = g.rows / ((int64_t)g.view.out_h * g.view.out_w) * tiles_down * tiles_across;
        channels = equal_blocks(g.channels, winograd_channels);
        blocks = (g.channels + channels - 1) / channels;
        // Odd numbers of cache lines between rows and between points keep them off the same cache sets.
        pixel = round_up(channels, lanes);
        lda = pixel + 16;
        ldm = round_up(winograd_outputs, tile_columns);
        const int64_t fits = strip_floats / (points * lda * blocks) / tile_rows * tile_rows;
        strip = fits < 2 * tile_rows ? 2 * tile_rows : smaller(fits, longest_strip);
        strip = smaller(strip, round_up(tiles, tile_rows));
        points_a = strip * lda + 16;
        points_u = ldm * channels + 16;
        points_m = strip * ldm + 16;

        scratch_space space = {scratch, 0};
        patch = space.take(size * ((tiles_across - 1) * m + size) * pixel);
        a = space.take(blocks * points * points_a);
        filters = space.take(channels * 9 * tile_columns);
        const int64_t all = (g.weights.rows + winograd_outputs - 1) / winograd_outputs * blocks * points * points_u;
        keeps_filters = tiles > strip && all <= most_kept_floats;
        u = space.take(keeps_filters ? all : points * points_u);
        products = space.take(points * points_m);
        weights = {};
        // By half a page from row to row they would fall on few cache sets.
        weights.ldrow = (g.weights.block > 1 ? channels * 9 + 2 * longest_block : filter_channels * 9) + 16;
        weights.row = space.take(tile_columns * weights.ldrow);
        weights.zeros = space.take(channels * 9);
        floats = space.used;
    }
};

// The part of the input that tiles `first` to `last` - 1 of one row of tiles see, with zeros around the image.
template <class F>
static void fill_patch(const gemm_args &g, const winograd_part &part, const winograd_plan<F> &plan, int64_t image,
                       int64_t tile_y, int64_t first, int64_t last, int64_t channel, int64_t channels) {
    const int64_t width = (last - first - 1) * F::outputs + F::points;
    const int64_t top = tile_y * F::outputs - part.pad_top, left = first * F::outputs - part.pad_left;
    float *to = plan.patch;
    for (int64_t y = top; y < top + F::points; y++) {
        for (int64_t x = left; x < left + width; x++, to += plan.pixel) {
            if (y < 0 || y >= g.view.in_h || x < 0 || x >= g.view.in_w) {
                memset(to, 0, (size_t)channels * sizeof(float));
            } else {
                read_pixel(g, image, y * g.view.in_w + x, channel, channels, to);
            }
        }
    }
}

// Transforms tiles first to last - 1 of the layer into rows of `plan.a`.
template <class F>
static void transform_input(const gemm_args &g, const winograd_part &part, const winograd_plan<F> &plan, int64_t first,
                            int64_t last) {
    constexpr int size = F::points;
    // Copies: what is stored might change those of the plan, for all that a compiler knows.
    const int64_t points_a = plan.points_a, pixel = plan.pixel;
    for (int64_t tile = first; tile < last;) {
        const int64_t row = tile / plan.tiles_across, x = tile % plan.tiles_across;
        const int64_t end = smaller(plan.tiles_across, x + last - tile), width = (end - x - 1) * F::outputs + size;
        for (int64_t block = 0; block < plan.blocks; block++) {
            const int64_t channel = block * plan.channels;
            const int64_t channels = smaller(plan.channels, g.channels - channel);
            fill_patch<F>(g, part, plan, row / plan.tiles_down, row % plan.tiles_down, x, end, channel, channels);
            for (int64_t i = 0; i < end - x; i++) {
                const float *from = plan.patch + i * F::outputs * plan.pixel;
                float *to = plan.a + block * plan.points * plan.points_a + (tile - first + i) * plan.lda;
                for (int64_t c = 0; c < channels; c += lanes) {
                    vf d[size * size], t[size * size];
                    AQ_UNROLL
                    for (int y = 0; y < size; y++) {
                        AQ_UNROLL
                        for (int k = 0; k < size; k++) d[y * size + k] = load(from + (y * width + k) * pixel + c);
                    }
                    AQ_UNROLL
                    for (int y = 0; y < size; y++) F::input(d + y * size, 1, t + y * size);
                    AQ_UNROLL
                    for (int k = 0; k < size; k++) F::input(t + k, size, d + k);
                    float *point = to + c;
                    AQ_UNROLL
                    for (int p = 0; p < size * size; p++, point += points_a) store(point, d[p]);
                }
            }
        }
        tile += end - x;
    }
}

// The taps that one parity of an upsampling convolution applies to two neighbouring pixels: the pixel before it is seen
// by the first tap of even outputs and the first two of odd ones, the one behind by the others.
static inline void taps_of_parity(const vf *taps, int step, bool odd, vf *pair, int pair_step) {
    pair[0] = odd ? taps[0] + taps[step] : taps[0];
    pair[pair_step] = odd ? taps[2 * step] : taps[step] + taps[2 * step];
}

// Transforms the filters of `outputs` outputs from `output` for one block of channels into panels of each point, a few
// channels at a time (or as many as whole quantised blocks hold), so that what lies between stays in the first cache.
template <class F>
static void transform_filters(const gemm_args &g, const winograd_part &part, const winograd_plan<F> &plan,
                              int64_t output, int64_t outputs, int64_t channel, int64_t channels, float *panels) {
    constexpr int size = F::points, r = F::taps;
    const int64_t points_u = plan.points_u,
                  piece = g.weights.block > filter_channels ? g.weights.block : filter_channels;
    for (int64_t n = 0; n < outputs; n += tile_columns) {
        for (int64_t first = 0; first < channels; first += piece) {
            const int64_t last = smaller(first + piece, channels), values = (last - first) * 9;
            pack_panel(g.weights, plan.weights, output + n, outputs - n, (channel + first) * 9, values, plan.filters);
            for (int64_t c = first; c < last; c++) {
                for (int v = 0; v < tile_vectors; v++) {
                    const float *from = plan.filters + (c - first) * 9 * tile_columns + v * lanes;
                    float *to = panels + n * plan.channels + c * tile_columns + v * lanes;
                    vf taps[9], filter[r * r], t[r * size], u[size * size];
                    AQ_UNROLL
                    for (int k = 0; k < 9; k++) taps[k] = load(from + k * tile_columns);
                    if constexpr (r == 2) {
                        vf pairs[6];
                        AQ_UNROLL
                        for (int y = 0; y < 3; y++)
                            taps_of_parity(taps + 3 * y, 1, part.first_x == 1, pairs + 2 * y, 1);
                        AQ_UNROLL
                        for (int x = 0; x < 2; x++) taps_of_parity(pairs + x, 2, part.first_y == 1, filter + x, 2);
                    } else {
                        AQ_UNROLL
                        for (int k = 0; k < 9; k++) filter[k] = taps[k];
                    }
                    AQ_UNROLL
                    for (int y = 0; y < r; y++) F::filter(filter + y * r, 1, t + y * size, 1);
                    AQ_UNROLL
                    for (int x = 0; x < size; x++) F::filter(t + x, size, u + x, size);
                    AQ_UNROLL
                    for (int p = 0; p < size * size; p++, to += points_u) store(to, u[p]);
                }
            }
        }
    }
}

// Turns the products of tiles first to last - 1 and a group of outputs into pixels.
template <class F>
static void transform_output(const gemm_args &g, const winograd_part &part, const winograd_plan<F> &plan, int64_t first,
                             int64_t last, int64_t output, int64_t outputs) {
    constexpr int size = F::points, m = F::outputs;
    const int64_t points_m = plan.points_m;
    for (int64_t tile = first; tile < last; tile++) {
        const int64_t row = tile / plan.tiles_across, image = row / plan.tiles_down;
        const int64_t top = row % plan.tiles_down * m, left = tile % plan.tiles_across * m;
        const int64_t height = smaller(m, part.out_h - top), width = smaller(m, part.out_w - left);
        for (int64_t n = 0; n < outputs; n += lanes) {
            const float *from = plan.products + (tile - first) * plan.ldm + n;
            vf p[size * size], t[m * size], y[m * m];
            AQ_UNROLL
            for (int k = 0; k < size * size; k++, from += points_m) p[k] = load(from);
            AQ_UNROLL
            for (int k = 0; k < size; k++) F::output(p + k, size, t + k, size);
            AQ_UNROLL
            for (int i = 0; i < m; i++) F::output(t + i * size, 1, y + i * m, 1);

            const int64_t column = output + n, count = smaller(lanes, outputs - n);
            for (int64_t i = 0; i < height; i++) {
                const int64_t out_y = part.first_y + (top + i) * part.step;
                for (int64_t j = 0; j < width; j++) {
                    const int64_t out_x = part.first_x + (left + j) * part.step;
                    const int64_t pixel = (image * g.view.out_h + out_y) * g.view.out_w + out_x;
                    const int64_t next = pixel + m * part.step;  // the same place of the tile to the right
                    prefetch(g.c + next * g.ldc + column);
                    if (g.residual) prefetch(g.residual + next * g.ldr + column);
                    finish_vector(g, pixel, image, column, count, y[i * m + j]);
                }
            }
        }
    }
}

template <class F> static void winograd_part_of(const gemm_args &g, const winograd_part &part, const worker &w) {
    const winograd_plan<F> plan(g, part, w.scratch);
    // In multiply-add vectors for each channel: the products, tiles transformed once, filters once for each strip.
    const rectangle own =
        own_part(plan.tiles, tile_rows, g.weights.rows, tile_columns, w, [&plan](double tiles, double outputs) {
            const double strips = tiles > (double)plan.strip ? tiles / (double)plan.strip : 1;
            return plan.points * (tiles * outputs / lanes + 12 * tiles / lanes + 6 * outputs * strips / lanes);
        });
    if (own.row == own.row_end || own.column == own.column_end) return;
    memset(plan.weights.zeros, 0, (size_t)plan.channels * 9 * sizeof(float));

    // In strips of equal size: filters are transformed anew for each, unless they are kept.
    const int64_t tiles = own.row_end - own.row, strips = (tiles + plan.strip - 1) / plan.strip;
    const bool keeps_filters = plan.keeps_filters && strips > 1;
    for (int64_t strip = 0; strip < strips; strip++) {
        const int64_t first = own.row + tiles * strip / strips, last = own.row + tiles * (strip + 1) / strips;
        const int64_t rows = last - first;
        if (w.cancel && *w.cancel) return;
        transform_input<F>(g, part, plan, first, last);
        for (int64_t output = own.column; output < own.column_end; output += winograd_outputs) {
            if (w.cancel && *w.cancel) return;
            const int64_t outputs = smaller(winograd_outputs, own.column_end - output);
            for (int64_t block = 0; block < plan.blocks; block++) {
                const int64_t channel = block * plan.channels;
                const int64_t channels = smaller(plan.channels, g.channels - channel);
                const int64_t kept = (output - own.column) / winograd_outputs * plan.blocks + block;
                float *filters = plan.u + (keeps_filters ? kept * plan.points * plan.points_u : 0);
                if (strip == 0 || !keeps_filters) {
                    transform_filters<F>(g, part, plan, output, outputs, channel, channels, filters);
                }
                for (int64_t p = 0; p < plan.points; p++) {
                    const float *a = plan.a + (block * plan.points + p) * plan.points_a;
                    for (int64_t n = 0; n < outputs; n += tile_columns) {
                        const float *u = filters + p * plan.points_u + n * plan.channels;
                        float *to = plan.products + p * plan.points_m + n;
                        for (int64_t i = 0, height, left = tiles_of(rows); left > 0; i += height, left--) {
                            height = (rows - i) / left;
                            // The same tiles at the next point are asked for meanwhile.
                            const float *row = a + i * plan.lda;
                            multiply_low_tile(height, channels, row, plan.lda, u, to + i * plan.ldm, plan.ldm,
                                              block > 0, as_it_is_looking_ahead{{}, row + plan.points_a});
                        }
                    }
                }
            }
            transform_output<F>(g, part, plan, first, last, output, outputs);
        }
    }
}

static winograd_part whole_part(const gemm_args &g) {
    return {g.view.out_h, g.view.out_w, 0, 0, 1, g.view.pad_top, g.view.pad_left};
}

static winograd_part parity_part(const gemm_args &g, int y, int x) {
    return {g.view.out_h / 2, g.view.out_w / 2, y, x, 2, 1 - y, 1 - x};
}

static void winograd(const gemm_args &g, int outputs, const worker &w) {
    if (g.view.upsample == 2) {
        for (int y = 0; y < 2; y++) {
            for (int x = 0; x < 2; x++) winograd_part_of<winograd_f4k2>(g, parity_part(g, y, x), w);
        }
    } else if (outputs == 2) {
        winograd_part_of<winograd_f2k3>(g, whole_part(g), w);
    } else if (outputs == 4) {
        winograd_part_of<winograd_f4k3>(g, whole_part(g), w);
    } else {
        winograd_part_of<winograd_f6k3>(g, whole_part(g), w);
    }
}

static int64_t winograd_scratch(const gemm_args &g, int outputs) {
    if (g.view.upsample == 2) return winograd_plan<winograd_f4k2>(g, parity_part(g, 0, 0), nullptr).floats;
    if (outputs == 2) return winograd_plan<winograd_f2k3>(g, whole_part(g), nullptr).floats;
    if (outputs == 4) return winograd_plan<winograd_f4k3>(g, whole_part(g), nullptr).floats;
    return winograd_plan<winograd_f6k3>(g, whole_part(g), nullptr).floats;
}

}  // namespace aq::AQ_ISA
