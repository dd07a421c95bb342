// Packed, blocked matrix product after Goto and van de Geijn, "Anatomy of High-Performance Matrix Multiplication"
// (ACM TOMS 34, 2008). Rows are the windows of a convolution, gathered block by block (so no im2col buffer); those of a
// linear layer are single pixels, read where they lie. Weights are expanded while packing.
//
// Terms beside the product continue its last block of the sum, as if [patch, a] were multiplied by [weights, scale *
// weights of the term]: so they cost their own multiply-adds and no further pass over C.
//
// Each thread owns a rectangle of C and packs what it needs itself; no thread waits for another.
namespace aq::AQ_ISA {

constexpr int64_t row_block = 192, column_block = 640, longest_sum = 384;
constexpr int64_t longest_block = 256;  // of any quantised type
static_assert(row_block % tile_rows == 0, "row blocks are whole tiles");

static inline int64_t taps(const gemm_args &g) { return (int64_t)g.view.kernel_h * g.view.kernel_w; }

// `total` in equal blocks of at most `most`, each a multiple of `step` but the last.
static inline int64_t equal_blocks(int64_t total, int64_t most, int64_t step) {
    const int64_t blocks = (total + most - 1) / most;
    return smaller(round_up((total + blocks - 1) / blocks, step), total);
}

// Channels in one block of the sum, with all their taps.
static inline int64_t block_channels(const gemm_args &g) {
    if (g.channels == 0 || g.act == activation::geglu) return g.channels;
    const int64_t most = longest_sum / taps(g);
    const int64_t step = g.weights.block > 1 ? 32 : 8;
    return equal_blocks(g.channels, most < step ? step : most / step * step, step);
}

// What the terms add to the last block.
static inline int64_t term_depth(const gemm_args &g) {
    int64_t depth = 0;
    for (int64_t i = 0; i < g.term_count; i++) depth += g.terms[i].weights.cols;
    return depth;
}

// Columns in one block of C; with geglu as many of each half, with the whole sum for each.
static inline int64_t block_columns(const gemm_args &g) {
    if (g.act != activation::geglu) return column_block;
    const int64_t depth = g.channels * taps(g) + term_depth(g);
    const int64_t fit = smaller(column_block * longest_sum / 2 / depth, column_block) / tile_columns * tile_columns;
    return fit < tile_columns ? tile_columns : fit;
}

// Whether tiles can read rows of A where they lie: windows of one pixel with nothing to be done to it. Narrow tiles
// read as many rows as a whole tile has, which need not be there.
static inline bool reads_in_place(const gemm_args &g) {
    const window &v = g.view;
    const bool same_pixels = v.in_h == v.out_h && v.in_w == v.out_w && v.pad_top == 0 && v.pad_left == 0;
    return taps(g) == 1 && v.stride == 1 && v.upsample == 1 && same_pixels && g.scale == nullptr && g.term_count == 0 &&
           g.weights.rows % tile_columns == 0;
}

struct gemm_buffers {
    float *a;      // [row_block][lda]: windows of a block of rows that are not read in place
    float *b;      // panels [columns / tile_columns][depth][tile_columns]
    float *row;    // [tile_columns][ldrow]: the rows of a panel before it is transposed
    float *piece;  // [depth][tile_columns]: some channels of a panel in the order in which they are stored
    float *zeros;  // [depth]
    float *spare;  // one tile
    float *sums;   // [row_block][2 * block of columns]: both halves of outputs before geglu
    int64_t lda, ldrow, size;
};

static gemm_buffers gemm_layout(const gemm_args &g, float *scratch) {
    const int64_t depth = block_channels(g) * taps(g) + term_depth(g);
    gemm_buffers s = {};
    scratch_space space = {scratch, 0};
    s.lda = depth + 16;  // so that rows do not fall on the same cache sets
    s.a = space.take(reads_in_place(g) ? 0 : row_block * s.lda);
    const int64_t columns = round_up(block_columns(g), tile_columns);
    const bool halves = g.act == activation::geglu;
    s.b = space.take((halves ? 2 : 1) * columns * depth);
    s.sums = space.take(halves ? row_block * 2 * columns : 0);
    s.ldrow = depth + 2 * longest_block + 16;
    s.row = space.take(tile_columns * s.ldrow);
    s.piece = space.take(taps(g) == 1 ? 0 : depth * tile_columns);
    s.zeros = space.take(depth);
    s.spare = space.take(tile_rows * tile_columns);
    s.size = space.used;
    return s;
}

struct rectangle {
    int64_t row, row_end, column, column_end;
};

// Divides rows x columns among threads in whole steps: of all grids of threads the one whose slowest thread takes least
// time, as `time(rows, columns)` estimates it.
template <class Time>
static rectangle own_part(int64_t rows, int64_t row_step, int64_t columns, int64_t column_step, const worker &w,
                          Time time) {
    const int64_t row_steps = (rows + row_step - 1) / row_step,
                  column_steps = (columns + column_step - 1) / column_step;
    double best = 0;
    int64_t best_down = 1;
    for (int64_t down = 1; down <= w.count; down++) {
        if (w.count % down != 0) continue;
        const int64_t across = w.count / down;
        const double estimate = time((double)((row_steps + down - 1) / down * row_step),
                                     (double)((column_steps + across - 1) / across * column_step));
        if (down == 1 || estimate < best) {
            best = estimate;
            best_down = down;
        }
    }
    const int64_t across = w.count / best_down, i = w.index / across, j = w.index % across;
    const auto cut = [](int64_t steps, int64_t part, int64_t parts, int64_t size, int64_t limit) {
        return smaller(steps * part / parts * size, limit);
    };
    return {cut(row_steps, i, best_down, row_step, rows), cut(row_steps, i + 1, best_down, row_step, rows),
            cut(column_steps, j, across, column_step, columns), cut(column_steps, j + 1, across, column_step, columns)};
}

// Columns first to first + count - 1 of `outputs` rows of weights as a panel, [k][tile_columns], with zeros for the
// rest of a panel.
static void pack_panel(const stored_matrix &m, const gemm_buffers &s, int64_t output, int64_t outputs, int64_t first,
                       int64_t count, float *panel) {
    const int64_t k = outputs >= tile_columns ? pack_transposed(m, output, first, count, panel) : 0;
    if (k == count) return;
    const float *rows[tile_columns];
    for (int64_t n = 0; n < tile_columns; n++) {
        rows[n] = n < outputs ? expand_range(m, output + n, first + k, count - k, s.row + n * s.ldrow) : s.zeros;
    }
    pack_rows<tile_columns>(rows, count - k, panel + k * tile_columns);
}

// Panels of weights for `columns` outputs and `channels` input channels, k running over (tap, channel), then over the
// first `terms` terms. A few channels at a time, so that what lies between stays in the first cache; of a linear
// layer's quantised rows all at once, as blocks would be expanded twice where pieces part them.
static void pack_weights(const gemm_args &g, const gemm_buffers &s, int64_t column, int64_t columns, int64_t channel,
                         int64_t channels, int64_t terms, float *panel) {
    const int64_t t = taps(g), depth = channels * t + (terms > 0 ? term_depth(g) : 0);
    const int64_t piece = t == 1 ? (g.weights.block > 1 ? channels : 160) : grain(g.weights) > 32 ? channels : 32;
    for (int64_t j = 0; j < columns; j += tile_columns, panel += tile_columns * depth) {
        const int64_t outputs = smaller(tile_columns, columns - j);
        for (int64_t first = 0; first < channels; first += piece) {
            const int64_t count = smaller(piece, channels - first);
            float *to = t == 1 ? panel + first * tile_columns : s.piece;
            pack_panel(g.weights, s, column + j, outputs, (channel + first) * t, count * t, to);
            for (int64_t c = 0; c < count && t > 1; c++) {
                for (int64_t tap = 0; tap < t; tap++) {
                    memcpy(panel + (tap * channels + first + c) * tile_columns, s.piece + (c * t + tap) * tile_columns,
                           tile_columns * sizeof(float));
                }
            }
        }
        float *to = panel + channels * t * tile_columns;
        for (int64_t i = 0; i < terms; i++) {
            const gemm_term &term = g.terms[i];
            pack_panel(term.weights, s, column + j, outputs, 0, term.weights.cols, to);
            for (const float *end = to + term.weights.cols * tile_columns; to < end; to++) *to *= term.scale;
        }
    }
}

// Some channels of pixels side by side in the input, as the product sees them, `step` floats from one to the next.
static inline void read_pixels(const gemm_args &g, int64_t image, int64_t pixel, int64_t pixels, int64_t channel,
                               int64_t channels, float *to, int64_t step) {
    const float *from = g.a + (image * g.view.in_h * g.view.in_w + pixel) * g.lda + channel;
    const int64_t first = image * g.channels + channel;
    // Copies: what is stored might change the originals, for all that a compiler knows.
    const bool plain = g.scale == nullptr, with_silu = g.silu;
    const float *scale = plain ? nullptr : g.scale + first, *offset = plain ? nullptr : g.offset + first;
    const int64_t stride = g.lda, whole = channels / lanes * lanes, rest = channels - whole;
    for (const float *end = from + pixels * stride; from < end; from += stride, to += step) {
        if (plain) {
            memcpy(to, from, (size_t)channels * sizeof(float));
            continue;
        }
        for (int64_t c = 0; c < whole; c += lanes) {
            prefetch(from + c + 4 * stride);
            const vf x = fma(load(from + c), load(scale + c), load(offset + c));
            store(to + c, with_silu ? silu(x) : x);
        }
        if (rest > 0) {
            const vf x =
                fma(load_part(from + whole, rest), load_part(scale + whole, rest), load_part(offset + whole, rest));
            store_part(to + whole, with_silu ? silu(x) : x, rest);
        }
    }
}

// `rows` windows for the same channels, one after the other, each continued by what the first `terms` terms multiply.
static void pack_windows(const gemm_args &g, const gemm_buffers &s, int64_t row, int64_t rows, int64_t channel,
                         int64_t channels, int64_t terms) {
    const window &v = g.view;
    const int64_t pixels = (int64_t)v.out_h * v.out_w;
    // An upsampled image may be one pixel short of twice its source in either direction.
    const int64_t bound_h = v.upsample == 2 ? v.out_h : v.in_h, bound_w = v.upsample == 2 ? v.out_w : v.in_w;
    const int shift = v.upsample == 2 ? 1 : 0;
    for (int64_t i = 0; i < rows; i++) {
        const int64_t image = (row + i) / pixels, pixel = (row + i) % pixels;
        const int64_t top = pixel / v.out_w * v.stride - v.pad_top, left = pixel % v.out_w * v.stride - v.pad_left;
        float *to = s.a + i * s.lda;
        for (int64_t y = top; y < top + v.kernel_h && channels > 0; y++) {
            for (int64_t x = left; x < left + v.kernel_w; x++, to += channels) {
                if (y < 0 || y >= bound_h || x < 0 || x >= bound_w) {
                    memset(to, 0, (size_t)channels * sizeof(float));
                } else {
                    read_pixels(g, image, (y >> shift) * v.in_w + (x >> shift), 1, channel, channels, to, channels);
                }
            }
        }
        for (int64_t j = 0; j < terms; j++) {
            const gemm_term &term = g.terms[j];
            memcpy(to, term.a + (row + i) * term.lda, (size_t)term.weights.cols * sizeof(float));
            to += term.weights.cols;
        }
    }
}

static inline vf activate(vf x, activation act) {
    switch (act) {
        case activation::silu: return silu(x);
        case activation::gelu: return gelu(x);
        case activation::quick_gelu: return quick_gelu(x);
        case activation::relu: return max(x, set1(0.0f));
        case activation::leaky_relu: return max(x * set1(0.2f), x);
        case activation::relu_of_sum:
        case activation::geglu:
        case activation::none: break;
    }
    return x;
}

// Bias, activation, gain and residual on up to one vector of finished sums, on their way to row `row` of C; returns
// what is written.
// Not inlined: where it matters, callers have a shorter path of their own.
__attribute__((noinline)) static vf finish_vector(const gemm_args &g, int64_t row, int64_t image, int64_t column,
                                                  int64_t count, vf sum) {
    const bool whole = count == lanes;
    const auto read = [&](const float *p) { return whole ? load(p) : load_part(p, count); };
    if (g.bias) sum = sum + read(g.bias + column);
    if (g.image_bias) sum = sum + read(g.image_bias + image * g.weights.rows + column);
    sum = activate(sum, g.act);
    if (g.gain != 1) sum = sum * set1(g.gain);
    if (g.residual) sum = sum + read(g.residual + row * g.ldr + column);
    if (g.act == activation::relu_of_sum) sum = max(sum, set1(0.0f));
    float *to = g.c + row * g.ldc + column;
    if (whole) store(to, sum);
    else store_part(to, sum, count);
    return sum;
}

// The same for a part of C whose sums already lie there, while it is still in the cache.
static void finish(const gemm_args &g, int64_t row, int64_t rows, int64_t column, int64_t columns) {
    const int64_t pixels = (int64_t)g.view.out_h * g.view.out_w;
    for (int64_t r = row; r < row + rows; r++) {
        const float *c = g.c + r * g.ldc + column;
        for (int64_t j = 0; j < columns; j += lanes) {
            const int64_t n = smaller(lanes, columns - j);
            finish_vector(g, r, r / pixels, column + j, n, n == lanes ? load(c + j) : load_part(c + j, n));
        }
    }
}

// Bias and residual on a whole tile of finished sums that are still in registers; nothing else may be asked for.
struct add_bias_and_residual {
    const float *bias;      // of the tile's first column, or NULL
    const float *residual;  // of its first row and column, or NULL
    int64_t ldr;

    vf operator()(int i, int j, vf sum) const {
        if (bias) sum = sum + load(bias + j * lanes);
        if (residual) sum = sum + load(residual + i * ldr + j * lanes);
        return sum;
    }
};

static inline add_bias_and_residual tile_terms(const gemm_args &g, int64_t row, int64_t column) {
    return {g.bias ? g.bias + column : nullptr, g.residual ? g.residual + row * g.ldr + column : nullptr, g.ldr};
}

// Of a product, in multiply-add vectors for each k: the products, rows packed once for each column block, weights
// expanded once.
static inline double product_time(double rows, double columns) {
    const double passes = columns > column_block ? columns / column_block : 1;
    return rows * columns / lanes + rows * passes + 2 * columns;
}

static void plain_gemm(const gemm_args &g, const worker &w) {
    const rectangle own = own_part(g.rows, tile_rows, g.weights.rows, tile_columns, w, product_time);
    if (own.row == own.row_end || own.column == own.column_end) return;
    const gemm_buffers s = gemm_layout(g, w.scratch);
    const bool in_place = reads_in_place(g);
    memset(s.zeros, 0, (size_t)(block_channels(g) * taps(g) + term_depth(g)) * sizeof(float));

    for (int64_t column = own.column; column < own.column_end; column += column_block) {
        const int64_t columns = smaller(column_block, own.column_end - column);
        bool last = false;
        for (int64_t channel = 0; !last; channel += block_channels(g)) {
            const int64_t channels = smaller(block_channels(g), g.channels - channel);
            last = channel + channels == g.channels;
            const bool add = channel > 0;
            const int64_t terms = last ? g.term_count : 0;
            const int64_t depth = channels * taps(g) + (last ? term_depth(g) : 0);
            const bool in_registers = last && g.act == activation::none && g.gain == 1 && g.image_bias == nullptr;
            pack_weights(g, s, column, columns, channel, channels, terms, s.b);
            for (int64_t row = own.row; row < own.row_end; row += row_block) {
                if (w.cancel && *w.cancel) return;
                const int64_t rows = smaller(row_block, own.row_end - row);
                if (!in_place) pack_windows(g, s, row, rows, channel, channels, terms);
                const float *from = in_place ? g.a + row * g.lda + channel : s.a;
                const int64_t lda = in_place ? g.lda : s.lda;
                for (int64_t i = 0, height, left = tiles_of(rows); left > 0; i += height, left--) {
                    height = (rows - i) / left;
                    for (int64_t j = 0; j < columns; j += tile_columns) {
                        const int64_t width = smaller(tile_columns, columns - j);
                        const float *a = from + i * lda, *b = s.b + j * depth;
                        float *c = g.c + (row + i) * g.ldc + column + j;
                        if (width < tile_columns) {
                            multiply_narrow_tile(depth, a, lda, b, c, g.ldc, add, height, width, s.spare);
                            if (in_registers) finish(g, row + i, height, column + j, width);
                        } else if (in_registers) {
                            multiply_low_tile(height, depth, a, lda, b, c, g.ldc, add,
                                              tile_terms(g, row + i, column + j));
                        } else {
                            multiply_low_tile(height, depth, a, lda, b, c, g.ldc, add);
                        }
                    }
                }
                if (last && !in_registers) finish(g, row, rows, column, columns);
            }
        }
    }
}

}  // namespace aq::AQ_ISA
