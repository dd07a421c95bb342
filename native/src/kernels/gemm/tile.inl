// The innermost loop of everything: a small tile of C in registers.
namespace aq::AQ_ISA {

constexpr int tile_columns = tile_vectors * lanes;

// What a tile may do to its finished sums.
struct as_it_is {
    vf operator()(int, int, vf sum) const { return sum; }
};

struct as_it_is_looking_ahead : as_it_is {
    const float *ahead;
};

// How a tile reads its left side: each row's values side by side, or each k's.
enum class left { by_row, by_depth };

// c[i][j] (+)= sum_k a[i][k] b[k][j] for `rows` rows and all columns of a tile. Rows of a are `lda` floats apart or, by
// depth, next to each other with `lda` floats from k to k; b is a panel. Each value of a is broadcast, so a needs no
// packing beyond lying close together. What is stored is finish(i, j, sum) for each vector; where there is a
// finish.ahead, each k asks for one cache line of what is needed next, from there on.
template <int rows = tile_rows, left order = left::by_row, class Finish>
static inline void multiply_tile(int64_t depth, const float *a, int64_t lda, const float *b, float *c, int64_t ldc,
                                 bool add, const Finish &finish) {
    vf sum[rows][tile_vectors];
    AQ_UNROLL
    for (int i = 0; i < rows; i++) {
        AQ_UNROLL
        for (int j = 0; j < tile_vectors; j++) sum[i][j] = set1(0.0f);
    }
    // Three rows of a share a pointer, so that addresses fit into registers.
    const float *third[(rows + 2) / 3];
    for (int i = 0; i < rows; i += 3) third[i / 3] = a + i * lda;
    // So branch predictors know the end of short sums, and steps of few multiply-adds share the counting.
    AQ_UNROLL_STEPS
    for (int64_t k = 0; k < depth; k++, b += tile_columns) {
        vf column[tile_vectors];
        AQ_UNROLL
        for (int j = 0; j < tile_vectors; j++) column[j] = load(b + j * lanes);
        if constexpr (requires { finish.ahead; }) prefetch(finish.ahead + k * 16);
        AQ_UNROLL
        for (int i = 0; i < rows; i++) {
            const vf row = set1(order == left::by_row ? third[i / 3][i % 3 * lda] : a[i]);
            AQ_UNROLL
            for (int j = 0; j < tile_vectors; j++) sum[i][j] = fma(row, column[j], sum[i][j]);
        }
        if constexpr (order == left::by_row) {
            AQ_UNROLL
            for (int i = 0; i < rows; i += 3) third[i / 3]++;
        } else {
            a += lda;
        }
    }
    AQ_UNROLL
    for (int i = 0; i < rows; i++) {
        AQ_UNROLL
        for (int j = 0; j < tile_vectors; j++) {
            float *to = c + i * ldc + j * lanes;
            store(to, finish(i, j, add ? load(to) + sum[i][j] : sum[i][j]));
        }
    }
}

// The same for `height` rows, 1 to tile_rows. Not inlined: it holds a loop for each height.
template <left order = left::by_row, class Finish = as_it_is, int rows = tile_rows>
__attribute__((noinline)) static void multiply_low_tile(int64_t height, int64_t depth, const float *a, int64_t lda,
                                                        const float *b, float *c, int64_t ldc, bool add,
                                                        const Finish &finish = {}) {
    if constexpr (rows > 1) {
        if (height < rows) {
            return multiply_low_tile<order, Finish, rows - 1>(height, depth, a, lda, b, c, ldc, add, finish);
        }
    }
    multiply_tile<rows, order>(depth, a, lda, b, c, ldc, add, finish);
}

// As few tiles as hold `rows`. Each takes its share of the rows that are left, so that heights differ by one at most.
static inline int64_t tiles_of(int64_t rows) { return (rows + tile_rows - 1) / tile_rows; }

// The same for the upper left rows x columns part of a tile; `spare` holds one whole tile, and so many rows of a are
// read.
static inline void multiply_narrow_tile(int64_t depth, const float *a, int64_t lda, const float *b, float *c,
                                        int64_t ldc, bool add, int64_t rows, int64_t columns, float *spare) {
    multiply_tile(depth, a, lda, b, spare, tile_columns, false, as_it_is());
    for (int64_t i = 0; i < rows; i++) {
        for (int64_t j = 0; j < columns; j++) {
            const float x = spare[i * tile_columns + j];
            c[i * ldc + j] = add ? c[i * ldc + j] + x : x;
        }
    }
}

}  // namespace aq::AQ_ISA
