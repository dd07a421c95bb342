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

}  // namespace aq::AQ_ISA
