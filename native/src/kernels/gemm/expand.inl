// Stored weights to float32.
namespace aq::AQ_ISA {

template <class Load>
static inline void expand_halves(const uint8_t *from, int64_t count, float *values, Load load_lanes) {
    int64_t i = 0;
    for (; i + lanes <= count; i += lanes) store(values + i, load_lanes(from + 2 * i));
    if (i < count) {
        uint8_t rest[2 * lanes] = {0};
        memcpy(rest, from + 2 * i, (size_t)(count - i) * 2);
        store_part(values + i, load_lanes(rest), count - i);
    }
}

// Columns first to first + count - 1 of one row. Returns where they are: at `values`, or a little behind it where
// blocks had to be expanded whole (so `values` holds count + 2 * block floats).
static inline const float *expand_range(const stored_matrix &m, int64_t row, int64_t first, int64_t count,
                                        float *values) {
    const uint8_t *from = m.data + row * m.row_bytes;
    switch (m.type) {
        case storage::f32: memcpy(values, from + 4 * first, (size_t)count * 4); return values;
        case storage::f16:
            expand_halves(from + 2 * first, count, values, [](const uint8_t *p) { return load_f16(p); });
            return values;
        case storage::bf16:
            expand_halves(from + 2 * first, count, values, [](const uint8_t *p) { return load_bf16(p); });
            return values;
        default: break;
    }
    const int64_t begin = first / m.block * m.block, end = round_up(first + count, m.block);
    m.expand(from + begin / m.block * m.block_bytes, values, end - begin);
    return values + (first - begin);
}

static void expand_rows(const stored_matrix &m, int64_t first, int64_t last, float *values) {
    for (int64_t row = first; row < last; row++) expand_range(m, row, 0, m.cols, values + (row - first) * m.cols);
}

}  // namespace aq::AQ_ISA
