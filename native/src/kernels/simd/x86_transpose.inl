namespace aq::AQ_ISA {

// to[j * stride + i] = from[i][j] for 4 x 4 values.
static inline void transpose4x4(const float *const *from, float *to, int64_t stride) {
    __m128 a = _mm_loadu_ps(from[0]), b = _mm_loadu_ps(from[1]), c = _mm_loadu_ps(from[2]), d = _mm_loadu_ps(from[3]);
    _MM_TRANSPOSE4_PS(a, b, c, d);
    _mm_storeu_ps(to, a);
    _mm_storeu_ps(to + stride, b);
    _mm_storeu_ps(to + 2 * stride, c);
    _mm_storeu_ps(to + 3 * stride, d);
}

#define AQ_TRANSPOSES_STORED

// Interleaving registers i and i + 4 rotates the number that register and place in it make by one bit, so three times
// swap eight registers and the highest three bits of the place.
template <class Interleave>
static inline void swap_register_and_place(vh *a, const Interleave &low, const Interleave &high) {
    vh b[8];
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 4; i++) {
            b[2 * i] = low(a[i], a[i + 4]);
            b[2 * i + 1] = high(a[i], a[i + 4]);
        }
        for (int i = 0; i < 8; i++) a[i] = b[i];
    }
}

// to[k * columns + i] = value k of row i, for eight values of 16 bits of the row of each column of a tile. Rows lie
// `stride` bytes apart, values are read by `load_lanes`.
template <class Load>
static inline void transpose_halves(const uint8_t *from, int64_t stride, float *to, const Load &load_lanes) {
    constexpr int columns = tile_vectors * lanes;
    vh a[8];
    alignas(64) uint8_t turned[8][2 * columns];
    for (int i = 0; i < 8; i++) a[i] = load_eights(from + i * stride, 8 * stride);
    swap_register_and_place(a, interleave_low, interleave_high);
    for (int i = 0; i < 8; i++) store(turned[i], a[i]);
    for (int i = 0; i < 8; i++) {
        for (int v = 0; v < tile_vectors; v++) {
            store(to + i * columns + v * lanes, load_lanes(turned[i] + 2 * v * lanes));
        }
    }
}

// to[k * columns + i] = byte k of row i as `pick` leaves it, for 16 bytes of the row of each column of a tile.
template <class Pick>
static inline void transpose_bytes(const uint8_t *from, int64_t stride, uint8_t *to, const Pick &pick) {
    constexpr int columns = tile_vectors * lanes;
    vh a[8];
    for (int i = 0; i < 8; i++) a[i] = pick(load_eights(from + i * stride, 8 * stride));
    swap_register_and_place(a, interleave_low_bytes, interleave_high_bytes);
    // Two bytes k of the same group of rows lie side by side now.
    for (int i = 0; i < 8; i++) store(to + 2 * i * columns, split_groups(a[i]));
}

}  // namespace aq::AQ_ISA
