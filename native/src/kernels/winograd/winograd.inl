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

// The part of the input that tiles `first` to `last` - 1 of one row of tiles see, with zeros around the image.
template <class F>
static void fill_patch(const gemm_args &g, const winograd_part &part, const winograd_plan<F> &plan, int64_t image,
                       int64_t tile_y, int64_t first, int64_t last, int64_t channel, int64_t channels) {
    const int64_t width = (last - first - 1) * F::outputs + F::points;
    const int64_t top = tile_y * F::outputs - part.pad_top, left = first * F::outputs - part.pad_left;
    const int64_t begin = left < 0 ? 0 : left, end = smaller(left + width, g.view.in_w);  // inside the image
    const auto clear = [&](float *to, int64_t pixels) {
        if (pixels > 0) memset(to, 0, (size_t)(pixels * plan.pixel) * sizeof(float));
    };
    float *to = plan.patch;
    for (int64_t y = top; y < top + F::points; y++, to += width * plan.pixel) {
        if (y < 0 || y >= g.view.in_h || begin >= end) {
            clear(to, width);
            continue;
        }
        clear(to, begin - left);
        read_pixels(g, image, y * g.view.in_w + begin, end - begin, channel, channels, to + (begin - left) * plan.pixel,
                    plan.pixel);
        clear(to + (end - left) * plan.pixel, left + width - end);
    }
}

// Transforms tiles first to last - 1 of the layer into rows of `plan.a`.
template <class F>
static void transform_input(const gemm_args &g, const winograd_part &part, const winograd_plan<F> &plan, int64_t first,
                            int64_t last) {
    constexpr int size = F::points;
    // Copies: what is stored might change the originals, for all that a compiler knows.
    const int64_t point_a = plan.point_a, tile_a = plan.tile_a, pixel = plan.pixel;
    for (int64_t tile = first; tile < last;) {
        const int64_t row = tile / plan.tiles_across, x = tile % plan.tiles_across;
        const int64_t end = smaller(smaller(plan.tiles_across, x + patch_tiles), x + last - tile),
                      width = (end - x - 1) * F::outputs + size;
        for (int64_t block = 0; block < plan.blocks; block++) {
            const int64_t channel = block * plan.channels;
            const int64_t channels = smaller(plan.channels, g.channels - channel);
            fill_patch<F>(g, part, plan, row / plan.tiles_down, row % plan.tiles_down, x, end, channel, channels);
            for (int64_t i = 0; i < end - x; i++) {
                const float *from = plan.patch + i * F::outputs * plan.pixel;
                float *to = plan.a + block * plan.block_a + (tile - first + i) * plan.tile_a;
                for (int64_t c = 0; c < channels; c += lanes) {
                    // One column, then one row at a time, for the sake of processors with few registers.
                    vf d[size], t[size * size];
                    AQ_UNROLL
                    for (int j = 0; j < size; j++) {
                        const float *value = from + j * pixel + c;
                        AQ_UNROLL
                        for (int k = 0; k < size; k++, value += width * pixel) d[k] = load(value);
                        F::input(d, 1, t + j, size);
                    }
                    float *point = to + c;
                    AQ_UNROLL
                    for (int k = 0; k < size; k++) {
                        F::input(t + k * size, 1, d, 1);
                        AQ_UNROLL
                        for (int j = 0; j < size; j++, point += point_a) {
                            store(point, d[j]);
                            prefetch(point + tile_a);  // where the next tile goes, or any place
                        }
                    }
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

// Filters of a panel of outputs for some channels, expanded. Those of one parity of an upsampling convolution shrink to
// 2 x 2 taps.
template <class F>
static void expand_filters(const gemm_args &g, const winograd_part &part, const winograd_plan<F> &plan, int64_t output,
                           int64_t outputs, int64_t channel, int64_t channels, float *filters) {
    constexpr int r = F::taps;
    pack_panel(g.weights, plan.weights, output, outputs, channel * 9, channels * 9, filters);
    if constexpr (r == 2) {
        float *to = filters;
        for (int64_t c = 0; c < channels; c++, filters += 9 * tile_columns, to += r * r * tile_columns) {
            for (int v = 0; v < tile_vectors; v++) {
                vf taps[9], pairs[6], filter[r * r];
                AQ_UNROLL
                for (int k = 0; k < 9; k++) taps[k] = load(filters + k * tile_columns + v * lanes);
                AQ_UNROLL
                for (int y = 0; y < 3; y++) taps_of_parity(taps + 3 * y, 1, part.first_x == 1, pairs + 2 * y, 1);
                AQ_UNROLL
                for (int x = 0; x < 2; x++) taps_of_parity(pairs + x, 2, part.first_y == 1, filter + x, 2);
                AQ_UNROLL
                for (int k = 0; k < r * r; k++) store(to + k * tile_columns + v * lanes, filter[k]);
            }
        }
    }
}

// Takes filters of a panel to points, G g G^T, of rows `row` to `end` - 1, by the same operations however many rows
// there are: whether a few at a time are better depends on the number of images, but what comes out may not.
template <class F, int row, int end>
static void transform_filters(const winograd_plan<F> &plan, const float *filters, int64_t channels, float *to) {
    constexpr int size = F::points, r = F::taps;
    const int64_t point_u = plan.point_u;
    for (int64_t c = 0; c < channels; c++, filters += r * r * tile_columns, to += tile_columns) {
        for (int v = 0; v < tile_vectors; v++) {
            vf taps[r * r], t[size * r], u[size];
            AQ_UNROLL
            for (int k = 0; k < r * r; k++) taps[k] = load(filters + k * tile_columns + v * lanes);
            AQ_UNROLL
            for (int x = 0; x < r; x++) F::filter(taps + x, r, t + x, r);
            float *point = to + v * lanes;
            AQ_UNROLL
            for (int y = row; y < end; y++) {
                F::filter(t + y * r, 1, u, 1);
                AQ_UNROLL
                for (int x = 0; x < size; x++, point += point_u) store(point, u[x]);
            }
        }
    }
}

// Expands the filters of a group of outputs for one block of channels, a few channels at a time (or as many as whole
// quantised blocks hold), so that what lies between stays in the first cache; transforms them too, unless that is done
// row by row.
template <class F>
static void prepare_filters(const gemm_args &g, const winograd_part &part, const winograd_plan<F> &plan, int64_t output,
                            int64_t outputs, int64_t channel, int64_t channels, float *u) {
    const int64_t piece = grain(g.weights) > filter_channels ? grain(g.weights) : filter_channels;
    for (int64_t n = 0; n < outputs; n += tile_columns) {
        for (int64_t c = 0; c < channels; c += piece) {
            const int64_t count = smaller(piece, channels - c);
            float *filters = plan.filters;
            if (plan.row_by_row) filters += n * plan.channels * 9 + c * F::taps * F::taps * tile_columns;
            expand_filters<F>(g, part, plan, output + n, outputs - n, channel + c, count, filters);
            if (plan.row_by_row) continue;
            transform_filters<F, 0, F::points>(plan, filters, count, u + n * plan.channels + c * tile_columns);
        }
    }
}

// Adds the products of one point, for `tiles` tiles, a group of outputs and a block of channels.
template <class F>
static inline void multiply_point(const winograd_plan<F> &plan, int64_t point, int64_t tiles, int64_t outputs,
                                  int64_t block, int64_t channels, const float *u) {
    const float *a = plan.a + block * plan.block_a + point * plan.point_a;
    const bool add = block > 0;
    for (int64_t n = 0; n < outputs; n += tile_columns, u += plan.channels * tile_columns) {
        float *to = plan.products + point * plan.point_m + n;
        for (int64_t i = 0, height, left = tiles_of(tiles); left > 0; i += height, left--) {
            height = (tiles - i) / left;
            const float *tile = a + i * plan.tile_a;
            float *c = to + i * group_width;
            if (plan.tile_by_tile) {
                multiply_low_tile(height, channels, tile, plan.tile_a, u, c, group_width, add);
            } else {
                multiply_low_tile(height, channels, tile, plan.tile_a, u, c, group_width, add,
                                  as_it_is_looking_ahead{{}, tile + plan.point_a});
            }
        }
    }
}

// Multiplies a group of outputs and a block of channels at the points of a row and of those behind it. Of the rows that
// filters are taken to, those of points +-x come together: they share halves of their sums.
template <class F, int row = 0>
static void multiply_rows(const winograd_plan<F> &plan, int64_t tiles, int64_t outputs, int64_t block, int64_t channels,
                          float *u) {
    constexpr int size = F::points;
    if constexpr (row < size) {
        constexpr int end = row > 0 && row + most_rows < size ? row + most_rows : row + 1;
        for (int64_t n = 0; n < outputs && plan.row_by_row; n += tile_columns) {
            transform_filters<F, row, end>(plan, plan.filters + n * plan.channels * 9, channels, u + n * plan.channels);
        }
        for (int point = row * size; point < end * size; point++) {
            multiply_point(plan, point, tiles, outputs, block, channels,
                           u + (plan.row_by_row ? point - row * size : point) * plan.point_u);
        }
        multiply_rows<F, end>(plan, tiles, outputs, block, channels, u);
    }
}

// Turns the products of tiles first to last - 1 and a group of outputs into pixels, and leaves their sums.
template <class F>
static void transform_output(const gemm_args &args, const winograd_part &part, const winograd_plan<F> &plan,
                             int64_t first, int64_t last, int64_t output, int64_t outputs) {
    constexpr int size = F::points, m = F::outputs;
    // Copies: what is stored might change the originals, for all that a compiler knows.
    const gemm_args g = args;
    const int64_t point_m = plan.point_m, in_image = plan.tiles_down * plan.tiles_across;
    const int64_t right = part.step, down = part.step * (int64_t)g.view.out_w;  // pixels from one to the next
    const bool plain = g.act == activation::none && g.gain == 1 && outputs % lanes == 0;
    for (int64_t tile = first; tile < last; tile++) {
        const int64_t row = tile / plan.tiles_across, image = row / plan.tiles_down;
        const int64_t top = row % plan.tiles_down * m, left = tile % plan.tiles_across * m;
        const int64_t height = smaller(m, part.out_h - top), width = smaller(m, part.out_w - left);
        const int64_t corner =
            (image * g.view.out_h + part.first_y) * g.view.out_w + part.first_x + top * down + left * right;
        for (int64_t n = 0; n < outputs; n += lanes) {
            const float *from = plan.products + (tile - first) * group_width + n;
            vf p[size], t[size * m], y[m];
            AQ_UNROLL
            for (int i = 0; i < size; i++) {
                AQ_UNROLL
                for (int k = 0; k < size; k++, from += point_m) p[k] = load(from);
                F::output(p, 1, t + i * m, 1);
            }

            const int64_t column = output + n, count = smaller(lanes, outputs - n);
            vf bias = set1(0.0f);
            if (plain && g.bias != nullptr) bias = load(g.bias + column);
            if (plain && g.image_bias != nullptr) bias = bias + load(g.image_bias + image * g.weights.rows + column);
            run_sums sums = {};
            AQ_UNROLL
            for (int k = 0; k < m; k++) {
                F::output(t + k, m, y, 1);
                if (k >= width) break;
                AQ_UNROLL
                for (int i = 0; i < m; i++) {
                    if (i >= height) break;
                    const int64_t pixel = corner + i * down + k * right;
                    float *to = g.c + pixel * g.ldc + column;
                    prefetch(to + m * right * g.ldc);  // the same place of the tile to the right
                    vf written = y[i] + bias;
                    if (plain && g.residual != nullptr) {
                        const float *residual = g.residual + pixel * g.ldr + column;
                        prefetch(residual + m * right * g.ldr);
                        written = written + load(residual);
                    }
                    if (plain) store(to, written);
                    else written = finish_vector(args, pixel, image, column, count, y[i]);
                    if (g.sums == nullptr) continue;
                    if (i == 0 && k == 0) sums = start_run(written);
                    else add_to_run(sums, written);
                }
            }
            if (g.sums == nullptr) continue;
            const int64_t parity = (image * part.step + part.first_y) * part.step + part.first_x;  // of all images'
            double *sum = g.sums + (parity * in_image + tile % in_image) * 2 * g.weights.rows + column;
            double *square = sum + g.weights.rows;
            for (int64_t c = 0; c < count; c++) sum[c] = square[c] = 0;
            add_run(sums, height * width, count, sum, square);
        }
    }
}

template <class F> static void winograd_part_of(const gemm_args &g, const winograd_part &part, const worker &w) {
    const winograd_plan<F> plan(g, part, w.scratch);
    // In multiply-add vectors for each channel: the products, tiles transformed once, with the norm and SiLU
    // before it, filters once for each strip.
    const rectangle own =
        own_part(plan.tiles, tile_rows, g.weights.rows, tile_columns, w, [&plan](double tiles, double outputs) {
            const double strips = tiles > (double)plan.strip ? tiles / (double)plan.strip : 1;
            return plan.points * (tiles * outputs / lanes + 24 * tiles / lanes + 6 * outputs * strips / lanes);
        });
    if (own.row == own.row_end || own.column == own.column_end) return;
    memset(plan.weights.zeros, 0, (size_t)plan.channels * 9 * sizeof(float));

    // In strips of equal size: filters are transformed anew for each, unless they are kept.
    const int64_t tiles = own.row_end - own.row, strips = (tiles + plan.strip - 1) / plan.strip;
    const bool keeps_filters = plan.keeps_filters && strips > 1;
    for (int64_t strip = 0; strip < strips; strip++) {
        const int64_t first = own.row + tiles * strip / strips, last = own.row + tiles * (strip + 1) / strips;
        if (w.cancel && *w.cancel) return;
        transform_input<F>(g, part, plan, first, last);
        for (int64_t output = own.column; output < own.column_end; output += winograd_outputs) {
            if (w.cancel && *w.cancel) return;
            const int64_t outputs = smaller(winograd_outputs, own.column_end - output);
            for (int64_t block = 0; block < plan.blocks; block++) {
                const int64_t channel = block * plan.channels;
                const int64_t channels = smaller(plan.channels, g.channels - channel);
                const int64_t kept = (output - own.column) / winograd_outputs * plan.blocks + block;
                float *u = plan.u + (keeps_filters ? kept * plan.points * plan.point_u : 0);
                if (strip == 0 || !keeps_filters) {
                    prepare_filters<F>(g, part, plan, output, outputs, channel, channels, u);
                }
                multiply_rows<F>(plan, last - first, outputs, block, channels, u);
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

template <class F> static void winograd_parities(const gemm_args &g, const worker &w) {
    for (int y = 0; y < 2; y++) {
        for (int x = 0; x < 2; x++) winograd_part_of<F>(g, parity_part(g, y, x), w);
    }
}

static void winograd(const gemm_args &g, int outputs, const worker &w) {
    if (g.view.upsample == 2) {
        if (outputs == 6) winograd_parities<winograd_f6k2>(g, w);
        else winograd_parities<winograd_f4k2>(g, w);
    } else if (outputs == 2) {
        winograd_part_of<winograd_f2k3>(g, whole_part(g), w);
    } else if (outputs == 4) {
        winograd_part_of<winograd_f4k3>(g, whole_part(g), w);
    } else {
        winograd_part_of<winograd_f6k3>(g, whole_part(g), w);
    }
}

static int64_t winograd_scratch(const gemm_args &g, int outputs) {
    if (g.view.upsample == 2) {
        const winograd_part part = parity_part(g, 0, 0);
        if (outputs == 6) return winograd_plan<winograd_f6k2>(g, part, nullptr).floats;
        return winograd_plan<winograd_f4k2>(g, part, nullptr).floats;
    }
    if (outputs == 2) return winograd_plan<winograd_f2k3>(g, whole_part(g), nullptr).floats;
    if (outputs == 4) return winograd_plan<winograd_f4k3>(g, whole_part(g), nullptr).floats;
    return winograd_plan<winograd_f6k3>(g, whole_part(g), nullptr).floats;
}

}  // namespace aq::AQ_ISA
