// What the processor could do at best: multiply-adds in registers only, with enough of them under way to hide their
// latency. More than 16 chains would be more than compilers unroll, and end up in memory.
#pragma once

#include <stdint.h>

#include "kernels/isa.h"
#include "kernels/simd/portable.h"

#if defined(__x86_64__) || defined(_M_X64)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#if defined(__GNUC__)
#define AQ_TARGET(flags) __attribute__((target(flags)))
#else
#define AQ_TARGET(flags)
#endif

namespace bench {

// Each does steps * chains multiply-adds of a vector, returns the floating point operations done and writes a result to
// `sink`, so that no compiler leaves them out.
#if defined(__x86_64__) || defined(_M_X64)
AQ_TARGET("avx2,fma") inline double fma_loop_avx2(int64_t steps, float *sink) {
    constexpr int chains = 12;
    const __m256 factor = _mm256_set1_ps(0.999f), term = _mm256_set1_ps(0.001f);
    __m256 sums[chains];
    for (int i = 0; i < chains; i++) sums[i] = _mm256_set1_ps((float)i);
    for (int64_t step = 0; step < steps; step++) {
        for (int i = 0; i < chains; i++) sums[i] = _mm256_fmadd_ps(sums[i], factor, term);
    }
    for (int i = 1; i < chains; i++) sums[0] = _mm256_add_ps(sums[0], sums[i]);
    _mm256_storeu_ps(sink, sums[0]);
    return 2.0 * 8 * chains * (double)steps;
}

AQ_TARGET("avx512f") inline double fma_loop_avx512(int64_t steps, float *sink) {
    constexpr int chains = 12;
    const __m512 factor = _mm512_set1_ps(0.999f), term = _mm512_set1_ps(0.001f);
    __m512 sums[chains];
    for (int i = 0; i < chains; i++) sums[i] = _mm512_set1_ps((float)i);
    for (int64_t step = 0; step < steps; step++) {
        for (int i = 0; i < chains; i++) sums[i] = _mm512_fmadd_ps(sums[i], factor, term);
    }
    for (int i = 1; i < chains; i++) sums[0] = _mm512_add_ps(sums[0], sums[i]);
    _mm512_storeu_ps(sink, sums[0]);
    return 2.0 * 16 * chains * (double)steps;
}
#elif defined(__aarch64__)
inline double fma_loop_neon(int64_t steps, float *sink) {
    constexpr int chains = 16;
    const float32x4_t factor = vdupq_n_f32(0.999f), term = vdupq_n_f32(0.001f);
    float32x4_t sums[chains];
    for (int i = 0; i < chains; i++) sums[i] = vdupq_n_f32((float)i);
    for (int64_t step = 0; step < steps; step++) {
        for (int i = 0; i < chains; i++) sums[i] = vfmaq_f32(term, sums[i], factor);
    }
    for (int i = 1; i < chains; i++) sums[0] = vaddq_f32(sums[0], sums[i]);
    vst1q_f32(sink, sums[0]);
    return 2.0 * 4 * chains * (double)steps;
}
#endif

inline double fma_loop_portable(int64_t steps, float *sink) {
    using namespace aq::portable;
    constexpr int chains = 12;
    const vf factor = set1(0.999f), term = set1(0.001f);
    vf sums[chains];
    for (int i = 0; i < chains; i++) sums[i] = set1((float)i);
    for (int64_t step = 0; step < steps; step++) {
        for (int i = 0; i < chains; i++) sums[i] = fma(sums[i], factor, term);
    }
    for (int i = 1; i < chains; i++) sums[0] = sums[0] + sums[i];
    store(sink, sums[0]);
    return 2.0 * lanes * chains * (double)steps;
}

inline double fma_loop(aq::isa set, int64_t steps, float *sink) {
#if defined(__x86_64__) || defined(_M_X64)
    if (set == aq::isa::avx512) return fma_loop_avx512(steps, sink);
    if (set == aq::isa::avx2) return fma_loop_avx2(steps, sink);
#elif defined(__aarch64__)
    if (set == aq::isa::neon) return fma_loop_neon(steps, sink);
#endif
    return fma_loop_portable(steps, sink);
}

}  // namespace bench
