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

// to[j * stride + i] = from[i][j] for 2 x 4 values.
static inline void transpose2x4(const float *const *from, float *to, int64_t stride) {
    const __m128 a = _mm_loadu_ps(from[0]), b = _mm_loadu_ps(from[1]);
    const __m128 low = _mm_unpacklo_ps(a, b), high = _mm_unpackhi_ps(a, b);
    _mm_storel_pi((__m64 *)to, low);
    _mm_storeh_pi((__m64 *)(to + stride), low);
    _mm_storel_pi((__m64 *)(to + 2 * stride), high);
    _mm_storeh_pi((__m64 *)(to + 3 * stride), high);
}

}  // namespace aq::AQ_ISA
