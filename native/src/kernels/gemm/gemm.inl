// Packed, blocked matrix product after Goto and van de Geijn, "Anatomy of High-Performance Matrix Multiplication"
// (ACM TOMS 34, 2008), with two sources of rows: a matrix of pixels, or the windows of a convolution gathered while
// packing (so no im2col buffer). Weights are expanded while packing.
//
// Each thread owns a rectangle of C and packs what it needs itself; no thread waits for another.
namespace aq::AQ_ISA {

constexpr int64_t row_block = 192, column_block = 640;
constexpr int64_t longest_block = 256;  // of any quantised type
static_assert(row_block % tile_rows == 0, "row blocks are whole tiles");

static inline int64_t taps(const gemm_args &g) { return (int64_t)g.view.kernel_h * g.view.kernel_w; }

// Channels in one block of the sum: all taps of that many channels, about 256 products deep.
static inline int64_t block_channels(const gemm_args &g) {
    const int64_t fit = taps(g) == 1 ? 256 : 288 / taps(g) / 4 * 4;
    return smaller(fit < 4 ? 4 : fit, g.channels);
}

struct gemm_buffers {
    float *a, *b, *expanded, *row, *zeros, *spare;
    int64_t size;
};

static gemm_buffers gemm_layout(const gemm_args &g, float *scratch) {
    const int64_t depth = block_channels(g) * taps(g);
    gemm_buffers s = {};
    scratch_space space = {scratch, 0};
    s.a = space.take(row_block * depth);
    s.b = space.take(round_up(column_block, tile_columns) * depth);
    s.expanded = space.take(depth + 2 * longest_block);
    s.row = space.take(tile_columns * depth);
    s.zeros = space.take(depth);
    s.spare = space.take(tile_rows * tile_columns);
    s.size = space.used;
    return s;
}

static int64_t gemm_scratch(const gemm_args &g) { return gemm_layout(g, nullptr).size; }

struct rectangle {
    int64_t row, row_end, column, column_end;
};

// Divides C among threads: of all grids of threads the one with the least estimated time of its slowest thread, in
// units of one multiply-add vector: the products, packing rows once for each column block, expanding weights once.
static rectangle own_part(const gemm_args &g, const worker &w) {
    const int64_t row_tiles = (g.rows + tile_rows - 1) / tile_rows;
    const int64_t column_tiles = (g.weights.rows + tile_columns - 1) / tile_columns;
    double best = 0;
    int64_t best_down = 1;
    for (int64_t down = 1; down <= w.count; down++) {
        if (w.count % down != 0) continue;
        const int64_t across = w.count / down;
        const int64_t rows = (row_tiles + down - 1) / down * tile_rows;
        const int64_t columns = (column_tiles + across - 1) / across * tile_columns;
        const int64_t passes = (columns + column_block - 1) / column_block;
        const double time = (double)rows * (double)columns / lanes + (double)rows * (double)passes + 2.0 * (double)columns;
        if (down == 1 || time < best) {
            best = time;
            best_down = down;
        }
    }
    const int64_t across = w.count / best_down, i = w.index / across, j = w.index % across;
    const auto cut = [](int64_t tiles, int64_t part, int64_t parts, int64_t size, int64_t limit) {
        return smaller(tiles * part / parts * size, limit);
    };
    return {cut(row_tiles, i, best_down, tile_rows, g.rows), cut(row_tiles, i + 1, best_down, tile_rows, g.rows),
            cut(column_tiles, j, across, tile_columns, g.weights.rows),
            cut(column_tiles, j + 1, across, tile_columns, g.weights.rows)};
}

// Panels of weights for `columns` outputs and `channels` input channels, k running over (tap, channel).
static void pack_weights(const gemm_args &g, const gemm_buffers &s, int64_t column, int64_t columns, int64_t channel,
                         int64_t channels) {
    const int64_t t = taps(g), depth = channels * t;
    float *panel = s.b;
    for (int64_t j = 0; j < columns; j += tile_columns, panel += tile_columns * depth) {
        const float *rows[tile_columns];
        for (int64_t n = 0; n < tile_columns; n++) {
            if (j + n >= columns) {
                rows[n] = s.zeros;
                continue;
            }
            float *to = s.row + n * depth;
            const float *from = expand_range(g.weights, column + j + n, channel * t, depth, s.expanded);
            if (t == 1) {
                memcpy(to, from, (size_t)depth * sizeof(float));
            } else {
                for (int64_t tap = 0; tap < t; tap++) {
                    for (int64_t c = 0; c < channels; c++) to[tap * channels + c] = from[c * t + tap];
                }
            }
            rows[n] = to;
        }
        pack_rows<tile_columns>(rows, depth, panel);
    }
}

// Panels of `rows` windows for the same channels.
static void pack_windows(const gemm_args &g, const gemm_buffers &s, int64_t row, int64_t rows, int64_t channel,
                         int64_t channels) {
    const window &v = g.view;
    const int64_t t = taps(g), pixels = (int64_t)v.out_h * v.out_w;
    // An upsampled image may be one pixel short of twice its source in either direction.
    const int64_t bound_h = v.upsample == 2 ? v.out_h : v.in_h, bound_w = v.upsample == 2 ? v.out_w : v.in_w;
    const int shift = v.upsample == 2 ? 1 : 0;
    float *panel = s.a;
    for (int64_t i = 0; i < rows; i += tile_rows, panel += tile_rows * channels * t) {
        const float *image[tile_rows];
        int64_t top[tile_rows], left[tile_rows];
        for (int64_t r = 0; r < tile_rows; r++) {
            const int64_t at = row + i + r, pixel = at % pixels;
            image[r] = i + r < rows ? g.a + at / pixels * v.in_h * v.in_w * g.lda + channel : nullptr;
            top[r] = pixel / v.out_w * v.stride - v.pad_top;
            left[r] = pixel % v.out_w * v.stride - v.pad_left;
        }
        float *to = panel;
        for (int64_t ky = 0; ky < v.kernel_h; ky++) {
            for (int64_t kx = 0; kx < v.kernel_w; kx++, to += channels * tile_rows) {
                const float *from[tile_rows];
                for (int64_t r = 0; r < tile_rows; r++) {
                    const int64_t y = top[r] + ky, x = left[r] + kx;
                    const bool inside = image[r] != nullptr && y >= 0 && y < bound_h && x >= 0 && x < bound_w;
                    from[r] = inside ? image[r] + ((y >> shift) * v.in_w + (x >> shift)) * g.lda : s.zeros;
                }
                pack_rows<tile_rows>(from, channels, to);
            }
        }
    }
}

static inline vf activate(vf x, activation act) {
    switch (act) {
        case activation::silu: return silu(x);
        case activation::gelu: return gelu(x);
        case activation::quick_gelu: return quick_gelu(x);
        case activation::none: break;
    }
    return x;
}

// Bias, activation and residual on a finished part of C, while it is still in the cache.
static void finish(const gemm_args &g, int64_t row, int64_t rows, int64_t column, int64_t columns) {
    const int64_t pixels = (int64_t)g.view.out_h * g.view.out_w;
    for (int64_t r = row; r < row + rows; r++) {
        float *c = g.c + r * g.ldc + column;
        const float *bias = g.bias ? g.bias + column : nullptr;
        const float *image_bias = g.image_bias ? g.image_bias + r / pixels * g.weights.rows + column : nullptr;
        const float *residual = g.residual ? g.residual + r * g.ldr + column : nullptr;
        for (int64_t j = 0; j < columns; j += lanes) {
            const int64_t n = smaller(lanes, columns - j);
            const bool whole = n == lanes;
            const auto read = [&](const float *p) { return whole ? load(p + j) : load_part(p + j, n); };
            vf x = read(c);
            if (bias) x = x + read(bias);
            if (image_bias) x = x + read(image_bias);
            x = activate(x, g.act);
            if (residual) x = x + read(residual);
            if (whole) store(c + j, x);
            else store_part(c + j, x, n);
        }
    }
}

static void gemm(const gemm_args &g, const worker &w) {
    const rectangle own = own_part(g, w);
    if (own.row == own.row_end || own.column == own.column_end) return;
    const gemm_buffers s = gemm_layout(g, w.scratch);
    memset(s.zeros, 0, (size_t)(block_channels(g) * taps(g)) * sizeof(float));

    for (int64_t column = own.column; column < own.column_end; column += column_block) {
        const int64_t columns = smaller(column_block, own.column_end - column);
        for (int64_t channel = 0; channel < g.channels; channel += block_channels(g)) {
            const int64_t channels = smaller(block_channels(g), g.channels - channel), depth = channels * taps(g);
            const bool add = channel > 0, last = channel + channels == g.channels;
            pack_weights(g, s, column, columns, channel, channels);
            for (int64_t row = own.row; row < own.row_end; row += row_block) {
                if (w.cancel && *w.cancel) return;
                const int64_t rows = smaller(row_block, own.row_end - row);
                pack_windows(g, s, row, rows, channel, channels);
                for (int64_t j = 0; j < columns; j += tile_columns) {
                    const int64_t width = smaller(tile_columns, columns - j);
                    for (int64_t i = 0; i < rows; i += tile_rows) {
                        const int64_t height = smaller(tile_rows, rows - i);
                        const float *a = s.a + i * depth, *b = s.b + j * depth;
                        float *c = g.c + (row + i) * g.ldc + column + j;
                        if (height == tile_rows && width == tile_columns) multiply_tile(depth, a, b, c, g.ldc, add);
                        else multiply_tile_part(depth, a, b, c, g.ldc, add, height, width, s.spare);
                    }
                }
                if (last) finish(g, row, rows, column, columns);
            }
        }
    }
}

}  // namespace aq::AQ_ISA
