// Weights to panels of float32, transposed as they are stored: halves, bytes and nibbles go through registers by the
// dozens before they become floats. Rows that are expanded first have to be transposed as floats, at several times the
// work.
namespace aq::AQ_ISA {

#if defined(AQ_TRANSPOSES_STORED)

constexpr int64_t bytes_ahead = 256;  // of each row, that are asked for

// Values of 16 bits, eight columns at a time as long as there are so many; returns how many columns.
template <class Load>
static inline int64_t pack_halves(const uint8_t *from, int64_t row_bytes, int64_t count, float *panel,
                                  const Load &load_lanes) {
    int64_t k = 0;
    for (; k + 8 <= count; k += 8, from += 16) {
        // A quarter of the rows each time: four times eight halves are a cache line.
        const uint8_t *ahead = from + bytes_ahead + k / 8 % 4 * (tile_columns / 4) * row_bytes;
        for (int n = 0; n < tile_columns / 4; n++) prefetch(ahead + n * row_bytes);
        transpose_halves(from, row_bytes, panel + k * tile_columns, load_lanes);
    }
    return k;
}

// 16 bytes of the rows of a panel to 16 of its k.
template <class Pick>
static inline void pack_bytes(const uint8_t *from, int64_t row_bytes, const Pick &pick, const vf *scale,
                              const vf *offset, float *panel) {
    alignas(64) uint8_t turned[16 * tile_columns];
    transpose_bytes(from, row_bytes, turned, pick);
    for (int k = 0; k < 16; k++) {
        for (int v = 0; v < tile_vectors; v++) {
            const vf q = load_bytes(turned + k * tile_columns + v * lanes);
            store(panel + k * tile_columns + v * lanes, fma(q, scale[v], offset[v]));
        }
    }
}

static inline void ask_ahead(const uint8_t *from, int64_t row_bytes) {
    for (int n = 0; n < tile_columns; n++) prefetch(from + bytes_ahead + n * row_bytes);
}

// The halves at `from` of the rows of a panel.
static inline void load_halves(const uint8_t *from, int64_t row_bytes, vf *values) {
    alignas(64) uint8_t halves[2 * tile_columns];
    for (int n = 0; n < tile_columns; n++) memcpy(halves + 2 * n, from + n * row_bytes, 2);
    for (int v = 0; v < tile_vectors; v++) values[v] = load_f16(halves + 2 * v * lanes);
}

// q8_0: a half d, 32 signed bytes q: d q. q4_0: a half d, 16 bytes; byte i holds q of value i and, in its upper half,
// of value 16 + i: d (q - 8). `blocks` of each row of a panel.
static void pack_blocks_of_32(const stored_matrix &m, const uint8_t *from, int64_t blocks, float *panel) {
    const bool nibbles = m.type == storage::q4_0;
    for (int64_t b = 0; b < blocks; b++, from += m.block_bytes, panel += 32 * tile_columns) {
        if (b % 2 == 0) ask_ahead(from, m.row_bytes);
        vf scale[tile_vectors], offset[tile_vectors];
        load_halves(from, m.row_bytes, scale);
        for (int v = 0; v < tile_vectors; v++) offset[v] = nibbles ? scale[v] * set1(-8.0f) : set1(0.0f);
        float *second = panel + 16 * tile_columns;
        if (nibbles) {
            pack_bytes(from + 2, m.row_bytes, low_nibbles, scale, offset, panel);
            pack_bytes(from + 2, m.row_bytes, high_nibbles, scale, offset, second);
        } else {
            const auto whole = [](vh x) { return x; };
            pack_bytes(from + 2, m.row_bytes, whole, scale, offset, panel);
            pack_bytes(from + 18, m.row_bytes, whole, scale, offset, second);
        }
    }
}

// q4_k: halves d and e, 12 bytes, 128 bytes. Values come in eights of 32 with a factor s and an offset o of six bits
// each: d s q - e o. Of the 12 bytes the first four hold factors 0 to 3 in their lower six bits, the next four offsets
// 0 to 3; the upper two bits belong to factors and offsets 4 to 7, whose lower four bits are in the last four bytes,
// those of factors in the lower halves. Of a pair of thirty-twos, 32 bytes hold the first one's q in their lower halves
// and the second one's in their upper ones.
//
// Thirty-twos `first` to `last` - 1 of the rows of a panel whose blocks begin at `from`.
static void pack_q4_k(const stored_matrix &m, const uint8_t *from, int64_t first, int64_t last, float *panel) {
    alignas(64) uint8_t factors[16 * tile_columns];
    vf d[tile_vectors] = {}, e[tile_vectors] = {};
    for (int64_t i = first; i < last; i++, panel += 32 * tile_columns) {
        const uint8_t *block = from + i / 8 * m.block_bytes, *bytes = block + 16 + i % 8 / 2 * 32;
        if (i == first || i % 8 == 0) {
            transpose_bytes(block + 4, m.row_bytes, factors, q4_k_factors);
            load_halves(block, m.row_bytes, d);
            load_halves(block + 2, m.row_bytes, e);
        }
        if (i % 4 == 0) ask_ahead(bytes, m.row_bytes);
        vf scale[tile_vectors], offset[tile_vectors];
        for (int v = 0; v < tile_vectors; v++) {
            const uint8_t *factor = factors + i % 8 * tile_columns + v * lanes;
            scale[v] = load_bytes(factor) * d[v];
            offset[v] = set1(0.0f) - load_bytes(factor + 8 * tile_columns) * e[v];
        }
        for (int half = 0; half < 32; half += 16) {
            float *to = panel + half * tile_columns;
            if (i % 2 == 0) pack_bytes(bytes + half, m.row_bytes, low_nibbles, scale, offset, to);
            else pack_bytes(bytes + half, m.row_bytes, high_nibbles, scale, offset, to);
        }
    }
}

// Columns first to first + count - 1 of the rows of a panel, [k][tile_columns], from the left as many as come in whole
// eights or, quantised, thirty-twos; returns how many columns.
static int64_t pack_transposed(const stored_matrix &m, int64_t output, int64_t first, int64_t count, float *panel) {
    const uint8_t *from = m.data + output * m.row_bytes;
    const int64_t begin = first / 32, end = (first + count) / 32;
    switch (m.type) {
        case storage::f16:
            return pack_halves(from + 2 * first, m.row_bytes, count, panel,
                               [](const uint8_t *p) { return load_f16(p); });
        case storage::bf16:
            return pack_halves(from + 2 * first, m.row_bytes, count, panel,
                               [](const uint8_t *p) { return load_bf16(p); });
        case storage::q8_0:
        case storage::q4_0:
            if (first % 32 != 0) return 0;
            pack_blocks_of_32(m, from + begin * m.block_bytes, end - begin, panel);
            return (end - begin) * 32;
        case storage::q4_k:
            if (first % 32 != 0) return 0;
            pack_q4_k(m, from, begin, end, panel);
            return (end - begin) * 32;
        default: return 0;
    }
}

// How many values of a row are best expanded together.
static inline int64_t grain(const stored_matrix &m) {
    const bool transposed = m.type == storage::q8_0 || m.type == storage::q4_0 || m.type == storage::q4_k;
    return transposed ? 32 : m.block;
}

#else

static inline int64_t pack_transposed(const stored_matrix &, int64_t, int64_t, int64_t, float *) { return 0; }
static inline int64_t grain(const stored_matrix &m) { return m.block; }

#endif

}  // namespace aq::AQ_ISA
