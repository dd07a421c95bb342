// The innermost loop of everything: a small tile of C in registers.
namespace aq::AQ_ISA {

constexpr int tile_columns = tile_vectors * lanes;

// c[i][j] (+)= sum_k a[i][k] b[k][j] for the first `vectors` vectors of a tile's columns: rows of a are `lda` floats
// apart, b is a panel. Each value of a is broadcast, so rows need no packing beyond lying close together.
template <int vectors = tile_vectors>
static inline void multiply_tile(int64_t depth, const float *a, int64_t lda, const float *b, float *c, int64_t ldc,
                                 bool add) {
    vf sum[tile_rows][vectors];
    AQ_UNROLL
    for (int i = 0; i < tile_rows; i++) {
        AQ_UNROLL
        for (int j = 0; j < vectors; j++) sum[i][j] = set1(0.0f);
    }
    // Three rows of a share a pointer, so that addresses fit into registers.
    const float *third[(tile_rows + 2) / 3];
    for (int i = 0; i < tile_rows; i += 3) third[i / 3] = a + i * lda;
    for (int64_t k = 0; k < depth; k++, b += tile_columns) {
        vf column[vectors];
        AQ_UNROLL
        for (int j = 0; j < vectors; j++) column[j] = load(b + j * lanes);
        AQ_UNROLL
        for (int i = 0; i < tile_rows; i++) {
            const vf row = set1(third[i / 3][i % 3 * lda]);
            AQ_UNROLL
            for (int j = 0; j < vectors; j++) sum[i][j] = fma(row, column[j], sum[i][j]);
        }
        AQ_UNROLL
        for (int i = 0; i < tile_rows; i += 3) third[i / 3]++;
    }
    AQ_UNROLL
    for (int i = 0; i < tile_rows; i++) {
        AQ_UNROLL
        for (int j = 0; j < vectors; j++) {
            float *to = c + i * ldc + j * lanes;
            store(to, add ? load(to) + sum[i][j] : sum[i][j]);
        }
    }
}

// The same for the upper left rows x columns part of a tile; `spare` holds one whole tile.
static inline void multiply_tile_part(int64_t depth, const float *a, int64_t lda, const float *b, float *c, int64_t ldc,
                                      bool add, int64_t rows, int64_t columns, float *spare) {
    multiply_tile(depth, a, lda, b, spare, tile_columns, false);
    for (int64_t i = 0; i < rows; i++) {
        for (int64_t j = 0; j < columns; j++) {
            const float x = spare[i * tile_columns + j];
            c[i * ldc + j] = add ? c[i * ldc + j] + x : x;
        }
    }
}

}  // namespace aq::AQ_ISA
