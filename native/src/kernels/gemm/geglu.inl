// A product whose outputs are values and their gates: both halves of a block of columns are multiplied one after the
// other, with the whole sum, and leave the cache only as values times gelu(gates).
namespace aq::AQ_ISA {

// Of `rows` rows of C from `row`, whose sums lie in `s.sums`, values before gates.
static void join_halves(const gemm_args &g, const gemm_buffers &s, int64_t row, int64_t rows, int64_t column,
                        int64_t columns) {
    const int64_t padded = round_up(columns, tile_columns), outputs = g.weights.rows / 2;
    for (int64_t i = 0; i < rows; i++) {
        const float *values = s.sums + i * 2 * padded, *gates = values + padded;
        float *to = g.c + (row + i) * g.ldc + column;
        for (int64_t c = 0; c < columns; c += lanes) {
            const int64_t n = smaller(lanes, columns - c);
            vf value = load(values + c), gate = load(gates + c);
            if (g.bias) {
                const float *bias = g.bias + column + c;
                value = value + (n == lanes ? load(bias) : load_part(bias, n));
                gate = gate + (n == lanes ? load(bias + outputs) : load_part(bias + outputs, n));
            }
            if (n == lanes) store(to + c, value * gelu(gate));
            else store_part(to + c, value * gelu(gate), n);
        }
    }
}

static void geglu_gemm(const gemm_args &g, const worker &w) {
    const int64_t outputs = g.weights.rows / 2;
    const rectangle own = own_part(g.rows, tile_rows, outputs, tile_columns, w, product_time);
    if (own.row == own.row_end || own.column == own.column_end) return;
    const gemm_buffers s = gemm_layout(g, w.scratch);
    const bool in_place = reads_in_place(g);
    const int64_t depth = g.channels * taps(g) + term_depth(g), block = block_columns(g);
    memset(s.zeros, 0, (size_t)depth * sizeof(float));

    for (int64_t column = own.column; column < own.column_end; column += block) {
        const int64_t columns = smaller(block, own.column_end - column), padded = round_up(columns, tile_columns);
        pack_weights(g, s, column, columns, 0, g.channels, g.term_count, s.b);
        pack_weights(g, s, outputs + column, columns, 0, g.channels, g.term_count, s.b + padded * depth);
        for (int64_t row = own.row; row < own.row_end; row += row_block) {
            if (w.cancel && *w.cancel) return;
            const int64_t rows = smaller(row_block, own.row_end - row);
            if (!in_place) pack_windows(g, s, row, rows, 0, g.channels, g.term_count);
            const float *from = in_place ? g.a + row * g.lda : s.a;
            const int64_t lda = in_place ? g.lda : s.lda;
            for (int64_t i = 0, height, left = tiles_of(rows); left > 0; i += height, left--) {
                height = (rows - i) / left;
                for (int64_t j = 0; j < 2 * padded; j += tile_columns) {
                    multiply_low_tile(height, depth, from + i * lda, lda, s.b + j * depth, s.sums + i * 2 * padded + j,
                                      2 * padded, false);
                }
            }
            join_halves(g, s, row, rows, column, columns);
        }
    }
}

static void gemm(const gemm_args &g, const worker &w) {
    if (g.act == activation::geglu) geglu_gemm(g, w);
    else plain_gemm(g, w);
}

static int64_t gemm_scratch(const gemm_args &g) { return gemm_layout(g, nullptr).size; }

}  // namespace aq::AQ_ISA
