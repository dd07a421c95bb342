// Attention with the scores lying on their side: queries of a panel run along the lanes, keys along the depth. So the
// softmax needs no sums across lanes, its numerators are at once the panel that the values multiply, neither keys nor
// values need a transpose, and heads of any width fill the tiles.
namespace aq::AQ_ISA {

constexpr int64_t fewest_queries = 384, most_queries = 4096, query_floats = 256 * 1024;  // of a block
constexpr int64_t most_keys = 256 / tile_rows * tile_rows, fewest_keys = 5 * tile_rows;  // of a block
constexpr int64_t key_floats = 128 * 1024;                                               // of a block

struct attention_buffers {
    int64_t query_block, key_block;
    float *keys;             // [key_block][width], copied so that they lie close together
    float *values;           // tiles of [key_block][a tile's share of the width]
    float *scores;           // [key_block][tile_columns], of one panel of queries; then the softmax numerators
    float *queries;          // panels [query_block / tile_columns][width][tile_columns], times log2(e) / sqrt(width)
    float *sums;             // the same shape: numerators times values
    float *highest, *total;  // [query_block]: running maximum and denominator
    float *zeros;            // [width]
    int64_t size;
};

static attention_buffers attention_layout(const attention_args &t, float *scratch) {
    attention_buffers s = {};
    scratch_space space = {scratch, 0};
    const int64_t fit = query_floats / t.head_width;
    s.query_block = (fit < fewest_queries ? fewest_queries : smaller(fit, most_queries)) / tile_columns * tile_columns;
    s.key_block = smaller(key_floats / t.head_width / tile_rows * tile_rows, most_keys);
    if (s.key_block < fewest_keys) s.key_block = fewest_keys;
    s.keys = space.take(s.key_block * t.head_width);
    s.values = space.take(s.key_block * t.head_width + lanes);
    s.scores = space.take(s.key_block * tile_columns);
    s.queries = space.take(s.query_block * t.head_width);
    s.sums = space.take(s.query_block * t.head_width);
    s.highest = space.take(s.query_block);
    s.total = space.take(s.query_block);
    s.zeros = space.take(t.head_width);
    s.size = space.used;
    return s;
}

static int64_t attention_scratch(const attention_args &t) { return attention_layout(t, nullptr).size; }

constexpr float minus_infinity = -1e30f;  // finite, so that differences of masked scores stay numbers

// 2^(score - highest) for `count` vectors of scores, added to `sum`.
template <int count> static inline void take_powers(float *scores, const vf *highest, vf *sum) {
    vf x[count];
    AQ_UNROLL
    for (int i = 0; i < count; i++) x[i] = load(scores + i * lanes) - highest[i % tile_vectors];
    exp2_of_negatives<count>(x);
    AQ_UNROLL
    for (int i = 0; i < count; i++) {
        store(scores + i * lanes, x[i]);
        sum[i % tile_vectors] = sum[i % tile_vectors] + x[i];
    }
}

// Scores of one panel, which are base 2 logarithms, become 2^(score - highest); sums so far are rescaled where the
// maximum rises.
static void softmax_panel(float *scores, int64_t keys, int64_t width, float *sums, float *highest, float *total) {
    constexpr int chains = 4;  // that do not wait for each other
    vf part[chains][tile_vectors], most[tile_vectors], sum[tile_vectors], rise = set1(0.0f);
    for (int i = 0; i < chains; i++) {
        for (int v = 0; v < tile_vectors; v++) part[i][v] = load(highest + v * lanes);
    }
    int64_t j = 0;
    for (; j + chains <= keys; j += chains) {
        AQ_UNROLL
        for (int i = 0; i < chains; i++) {
            AQ_UNROLL
            for (int v = 0; v < tile_vectors; v++) {
                part[i][v] = max(part[i][v], load(scores + (j + i) * tile_columns + v * lanes));
            }
        }
    }
    for (; j < keys; j++) {
        for (int v = 0; v < tile_vectors; v++)
            part[0][v] = max(part[0][v], load(scores + j * tile_columns + v * lanes));
    }
    for (int v = 0; v < tile_vectors; v++) most[v] = max(max(part[0][v], part[1][v]), max(part[2][v], part[3][v]));
    for (int v = 0; v < tile_vectors; v++) rise = max(rise, most[v] - load(highest + v * lanes));
    if (!(horizontal_max(rise) <= 0)) {  // NaN counts as a rise: the other lanes may have risen
        vf factor[tile_vectors];
        for (int v = 0; v < tile_vectors; v++) {
            factor[v] = exp2_of_negative(load(highest + v * lanes) - most[v]);
            store(total + v * lanes, load(total + v * lanes) * factor[v]);
            store(highest + v * lanes, most[v]);
        }
        for (int64_t c = 0; c < width; c++) {
            AQ_UNROLL
            for (int v = 0; v < tile_vectors; v++) {
                float *to = sums + c * tile_columns + v * lanes;
                store(to, load(to) * factor[v]);
            }
        }
    }
    for (int v = 0; v < tile_vectors; v++) sum[v] = set1(0.0f);
    for (j = 0; j + 2 <= keys; j += 2) take_powers<2 * tile_vectors>(scores + j * tile_columns, most, sum);
    if (j < keys) take_powers<tile_vectors>(scores + j * tile_columns, most, sum);
    for (int v = 0; v < tile_vectors; v++) store(total + v * lanes, load(total + v * lanes) + sum[v]);
}

// Scores of a panel of queries, one key above the other. The sums are short: that compilers know their length, `known`,
// makes 3 % of all attention. 0 is any.
template <int64_t known>
static void score_keys(const attention_buffers &s, int64_t keys, int64_t any_width, const float *queries) {
    const int64_t width = known > 0 ? known : any_width;
    for (int64_t j = 0, height, rest = tiles_of(keys); rest > 0; j += height, rest--) {
        height = (keys - j) / rest;
        const float *from = s.keys + j * width;
        float *to = s.scores + j * tile_columns;
        if (known > 0 && height == tile_rows) {
            multiply_tile(width, from, width, queries, to, tile_columns, false, as_it_is());
        } else {
            multiply_low_tile(height, width, from, width, queries, to, tile_columns, false);
        }
    }
}

// For the head widths of the UNets.
static inline auto score_keys_of(int64_t width) {
    switch (width) {
        case 40: return score_keys<40>;
        case 64: return score_keys<64>;
        case 80: return score_keys<80>;
        case 160: return score_keys<160>;
        default: return score_keys<0>;
    }
}

// Hides keys behind their query: key `first_key` + j from query `first_query` + i of the panel where it comes later.
static void hide_later_keys(float *scores, int64_t keys, int64_t first_key, int64_t first_query) {
    for (int64_t j = 0; j < keys; j++) {
        const int64_t hidden = smaller(first_key + j - first_query, tile_columns);
        for (int64_t i = 0; i < hidden; i++) scores[j * tile_columns + i] = minus_infinity;
    }
}

// out[row][c] = panel[c][row] for the first `rows` columns of a panel of `width` rows.
static void store_across(const float *panel, int64_t width, int64_t rows, float *out, int64_t stride) {
    int64_t c = 0;
    for (; c + 4 <= width; c += 4) {
        int64_t row = 0;
        for (; row + 4 <= rows; row += 4) {
            const float *from[4];
            for (int i = 0; i < 4; i++) from[i] = panel + (c + i) * tile_columns + row;
            transpose4x4(from, out + row * stride + c, stride);
        }
        for (; row < rows; row++) {
            for (int i = 0; i < 4; i++) out[row * stride + c + i] = panel[(c + i) * tile_columns + row];
        }
    }
    for (; c < width; c++) {
        for (int64_t row = 0; row < rows; row++) out[row * stride + c] = panel[c * tile_columns + row];
    }
}

// Values of a block of keys, those of each tile in the order in which it reads them: it takes few of a row, and would
// touch a cache line for each.
static void pack_values(const float *v, int64_t stride, int64_t keys, int64_t width, float *to) {
    for (int64_t c = 0, height, rest = tiles_of(width); rest > 0; c += height, rest--) {
        height = (width - c) / rest;
        const bool whole = height <= lanes && c + lanes <= width;  // what a vector has too much, the next one covers
        for (int64_t j = 0; j < keys; j++, to += height) {
            const float *from = v + j * stride + c;
            if (whole) store(to, load(from));
            for (int64_t i = 0; i < height && !whole; i++) to[i] = from[i];
        }
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
    const int64_t padded = round_up(queries, tile_columns);

    const vf scale = set1(1.44269504f / sqrtf((float)width));
    for (int64_t i = 0; i < padded; i += tile_columns) {
        const float *rows[tile_columns];
        for (int64_t n = 0; n < tile_columns; n++) rows[n] = i + n < queries ? q + (i + n) * stride : s.zeros;
        float *panel = s.queries + i * width;
        pack_rows<tile_columns>(rows, width, panel);
        for (int64_t c = 0; c < width * tile_columns; c += lanes) store(panel + c, load(panel + c) * scale);
    }
    for (int64_t i = 0; i < padded; i++) {
        s.highest[i] = minus_infinity;
        s.total[i] = 0;
    }
    memset(s.sums, 0, (size_t)(padded * width) * sizeof(float));

    const auto score = score_keys_of(width);
    const int64_t last_key = t.causal ? smaller(t.keys, first_query + queries) : t.keys;
    for (int64_t first = 0; first < last_key; first += s.key_block) {
        const int64_t keys = smaller(s.key_block, last_key - first);
        for (int64_t j = 0; j < keys; j++) {
            memcpy(s.keys + j * width, k + (first + j) * stride, (size_t)width * sizeof(float));
        }
        pack_values(v + first * stride, stride, keys, width, s.values);
        for (int64_t i = 0; i < padded; i += tile_columns) {
            if (cancel && *cancel) return;
            if (t.causal && first >= first_query + i + tile_columns) continue;  // all keys come later
            score(s, keys, width, s.queries + i * width);
            if (t.causal) hide_later_keys(s.scores, keys, first, first_query + i);
            float *sums = s.sums + i * width;
            softmax_panel(s.scores, keys, width, sums, s.highest + i, s.total + i);
            for (int64_t c = 0, height, rest = tiles_of(width); rest > 0; c += height, rest--) {
                height = (width - c) / rest;
                multiply_low_tile<left::by_depth>(height, keys, s.values + c * keys, height, s.scores,
                                                  sums + c * tile_columns, tile_columns, true);
            }
        }
    }
    for (int64_t i = 0; i < padded; i += tile_columns) {
        float *sums = s.sums + i * width;
        vf share[tile_vectors];
        for (int n = 0; n < tile_vectors; n++) share[n] = set1(1.0f) / load(s.total + i + n * lanes);
        for (int64_t c = 0; c < width; c++) {
            AQ_UNROLL
            for (int n = 0; n < tile_vectors; n++) {
                float *to = sums + c * tile_columns + n * lanes;
                store(to, load(to) * share[n]);
            }
        }
        store_across(sums, width, smaller(tile_columns, queries - i), out + i * stride, stride);
    }
}

static void attention(const attention_args &t, const worker &w) {
    const attention_buffers s = attention_layout(t, w.scratch);
    memset(s.zeros, 0, (size_t)t.head_width * sizeof(float));
    // Whole panels in blocks of equal size, and enough of them to keep all threads busy.
    const int64_t panels = (t.queries + tile_columns - 1) / tile_columns;
    int64_t blocks = (t.queries + s.query_block - 1) / s.query_block;
    while (t.batch * t.heads * blocks < 3 * w.count && blocks < panels) blocks++;
    const int64_t items = t.batch * t.heads * blocks;
    for (int64_t item = items * w.index / w.count; item < items * (w.index + 1) / w.count; item++) {
        if (w.cancel && *w.cancel) return;
        const int64_t head = item / blocks, block = item % blocks;
        const int64_t first = panels * block / blocks * tile_columns;
        const int64_t end = smaller(panels * (block + 1) / blocks * tile_columns, t.queries);
        attend(t, s, w.cancel, head / t.heads, head % t.heads, first, end - first);
    }
}

}  // namespace aq::AQ_ISA
