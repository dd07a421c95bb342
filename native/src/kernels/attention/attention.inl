namespace aq::AQ_ISA {

constexpr int64_t fewest_queries = 192, most_queries = 384;  // of a block
constexpr int64_t key_block = 256 / tile_columns * tile_columns;
constexpr int64_t score_stride = key_block + 16;  // so that rows do not fall on the same cache sets
constexpr int64_t block_floats = 160 * 1024;      // of a block's queries, scores and sums
static_assert(fewest_queries % tile_rows == 0 && most_queries % tile_rows == 0, "query blocks are whole tiles");

struct attention_buffers {
    int64_t block;           // queries that are computed at once: keys and values are packed anew for each block
    float *queries;          // [block][lda], scaled by log2(e) / sqrt(head_width)
    float *keys;             // panels [key_block / tile_columns][head_width][tile_columns]
    float *values;           // panels [padded width / tile_columns][key_block][tile_columns]
    float *scores;           // [block][score_stride], then the softmax numerators
    float *sums;             // [block][padded width], numerators times values
    float *highest, *total;  // [block]: running maximum and denominator
    float *zeros;            // [head_width]
    int64_t lda, padded, size;
};

static attention_buffers attention_layout(const attention_args &t, float *scratch) {
    attention_buffers s = {};
    scratch_space space = {scratch, 0};
    s.padded = round_up(t.head_width, lanes);
    if (s.padded % tile_columns > lanes) s.padded = round_up(s.padded, tile_columns);
    s.lda = round_up(t.head_width, lanes) + 16;
    const int64_t fit = block_floats / (s.lda + score_stride + s.padded) / tile_rows * tile_rows;
    s.block = fit < fewest_queries ? fewest_queries : smaller(fit, most_queries);
    s.queries = space.take(s.block * s.lda);
    s.keys = space.take(key_block * t.head_width);
    s.values = space.take(key_block * round_up(s.padded, tile_columns));
    s.scores = space.take(s.block * score_stride);
    s.sums = space.take(s.block * s.padded);
    s.highest = space.take(s.block);
    s.total = space.take(s.block);
    s.zeros = space.take(t.head_width);
    s.size = space.used;
    return s;
}

static int64_t attention_scratch(const attention_args &t) { return attention_layout(t, nullptr).size; }

constexpr float minus_infinity = -1e30f;  // finite, so that differences of masked scores stay numbers

// Rows of numerators times values, a tile of channels at a time; the last tile may be narrower.
static inline void add_values(const attention_buffers &s, int64_t row, int64_t keys) {
    for (int64_t c = 0; c < s.padded; c += tile_columns) {
        const float *numerators = s.scores + row * score_stride, *values = s.values + c * key_block;
        float *sums = s.sums + row * s.padded + c;
        if (s.padded - c >= tile_columns) multiply_tile(keys, numerators, score_stride, values, sums, s.padded, true);
        else multiply_tile<1>(keys, numerators, score_stride, values, sums, s.padded, true);
    }
}

// One row of scores, which are base 2 logarithms, becomes 2^(score - highest); sums so far are rescaled when the
// maximum rises.
static void softmax_row(const attention_buffers &s, int64_t row, int64_t keys, int64_t visible) {
    float *score = s.scores + row * score_stride;
    for (int64_t j = visible < 0 ? 0 : visible; j < keys; j++) score[j] = minus_infinity;
    vf most = set1(minus_infinity);
    int64_t j = 0;
    for (; j + lanes <= keys; j += lanes) most = max(most, load(score + j));
    float highest = horizontal_max(most);
    for (; j < keys; j++) highest = score[j] > highest ? score[j] : highest;
    if (highest < s.highest[row]) highest = s.highest[row];

    const vf base = set1(highest);
    vf sum = set1(0.0f);
    for (j = 0; j + lanes <= keys; j += lanes) {
        const vf x = exp2_of_negative(load(score + j) - base);
        store(score + j, x);
        sum = sum + x;
    }
    float total = horizontal_sum(sum);
    if (j < keys) {
        store_part(score + j, exp2_of_negative(load_part(score + j, keys - j) - base), keys - j);
        for (; j < keys; j++) total += score[j];
    }
    if (highest > s.highest[row]) {
        float factor[lanes];
        store(factor, exp2_of_negative(set1(s.highest[row]) - base));
        s.total[row] *= factor[0];
        float *sums = s.sums + row * s.padded;
        for (int64_t c = 0; c < s.padded; c += lanes) store(sums + c, load(sums + c) * set1(factor[0]));
        s.highest[row] = highest;
    }
    s.total[row] += total;
}

// The first `count` columns of a panel of `keys` rows; those behind stay as they are.
static void copy_columns(const float *from, int64_t stride, int64_t keys, int64_t count, float *panel) {
    constexpr int64_t piece = 4;
    for (int64_t j = 0; j < keys; j++, from += stride, panel += tile_columns) {
        int64_t c = 0;
        for (; c + piece <= count; c += piece) memcpy(panel + c, from + c, piece * sizeof(float));
        for (; c < count; c++) panel[c] = from[c];
    }
}

// One block of queries of one head against all its keys.
static void attend(const attention_args &t, const attention_buffers &s, const volatile int32_t *cancel, int64_t batch,
                   int64_t head, int64_t first_query, int64_t queries) {
    const int64_t width = t.head_width, stride = t.heads * width;
    const float *q = t.q + (batch * t.queries + first_query) * stride + head * width;
    const float *k = t.k + batch * t.keys * stride + head * width;
    const float *v = t.v + batch * t.keys * stride + head * width;
    float *out = t.out + (batch * t.queries + first_query) * stride + head * width;
    const auto row_or_zeros = [&](const float *base, int64_t row, int64_t rows) {
        return row < rows ? base + row * stride : s.zeros;
    };

    const vf scale = set1(1.44269504f / sqrtf((float)width));
    for (int64_t i = 0; i < round_up(queries, tile_rows); i++) {
        const float *from = row_or_zeros(q, i, queries);
        float *to = s.queries + i * s.lda;
        int64_t c = 0;
        for (; c + lanes <= width; c += lanes) store(to + c, load(from + c) * scale);
        if (c < width) store_part(to + c, load_part(from + c, width - c) * scale, width - c);
    }
    for (int64_t i = 0; i < queries; i++) {
        s.highest[i] = minus_infinity;
        s.total[i] = 0;
    }
    memset(s.sums, 0, (size_t)(s.block * s.padded) * sizeof(float));

    const int64_t last_key = t.causal ? smaller(t.keys, first_query + queries) : t.keys;
    for (int64_t first = 0; first < last_key; first += key_block) {
        if (cancel && *cancel) return;
        const int64_t keys = smaller(key_block, last_key - first);
        for (int64_t j = 0; j < keys; j += tile_columns) {
            const float *rows[tile_columns];
            for (int64_t n = 0; n < tile_columns; n++) rows[n] = row_or_zeros(k + first * stride, j + n, keys);
            pack_rows<tile_columns>(rows, width, s.keys + j * width);
        }
        for (int64_t c = 0; c < width; c += tile_columns) {
            copy_columns(v + first * stride + c, stride, keys, smaller(tile_columns, width - c),
                         s.values + c * key_block);
        }
        for (int64_t j = 0; j < keys; j += tile_columns) {
            for (int64_t i = 0; i < queries; i += tile_rows) {
                multiply_tile(width, s.queries + i * s.lda, s.lda, s.keys + j * width, s.scores + i * score_stride + j,
                              score_stride, false);
            }
        }
        for (int64_t i = 0; i < queries; i++) {
            softmax_row(s, i, keys, t.causal ? first_query + i + 1 - first : keys);
        }
        for (int64_t i = 0; i < queries; i += tile_rows) {
            add_values(s, i, keys);
        }
    }
    for (int64_t i = 0; i < queries; i++) {
        const float share = 1.0f / s.total[i];
        for (int64_t c = 0; c < width; c++) out[i * stride + c] = s.sums[i * s.padded + c] * share;
    }
}

static void attention(const attention_args &t, const worker &w) {
    const attention_buffers s = attention_layout(t, w.scratch);
    memset(s.zeros, 0, (size_t)t.head_width * sizeof(float));
    memset(s.values, 0, (size_t)(key_block * round_up(s.padded, tile_columns)) * sizeof(float));
    // Blocks of equal size, and enough of them to keep all threads busy.
    int64_t blocks = (t.queries + s.block - 1) / s.block;
    while (t.batch * t.heads * blocks < 3 * w.count && t.queries > blocks * fewest_queries / 2) blocks++;
    const int64_t items = t.batch * t.heads * blocks;
    for (int64_t item = items * w.index / w.count; item < items * (w.index + 1) / w.count; item++) {
        if (w.cancel && *w.cancel) return;
        const int64_t head = item / blocks, block = item % blocks;
        const int64_t first = t.queries * block / blocks, end = t.queries * (block + 1) / blocks;
        attend(t, s, w.cancel, head / t.heads, head % t.heads, first, end - first);
    }
}

}  // namespace aq::AQ_ISA
