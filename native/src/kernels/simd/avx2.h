// AVX2 with FMA and F16C: 8 lanes, 16 registers.
#pragma once

#include <immintrin.h>
#include <stdint.h>
#include <string.h>

namespace aq::avx2 {

struct vf {
    __m256 v;
};
constexpr int lanes = 8;
constexpr int tile_rows = 6, tile_vectors = 2;
constexpr int steps_at_once = 8;  // of a tile's sums

static inline vf set1(float x) { return {_mm256_set1_ps(x)}; }
static inline vf load(const float *p) { return {_mm256_loadu_ps(p)}; }
static inline void store(float *p, vf x) { _mm256_storeu_ps(p, x.v); }
static inline vf operator+(vf a, vf b) { return {_mm256_add_ps(a.v, b.v)}; }
static inline vf operator-(vf a, vf b) { return {_mm256_sub_ps(a.v, b.v)}; }
static inline vf operator*(vf a, vf b) { return {_mm256_mul_ps(a.v, b.v)}; }
static inline vf operator/(vf a, vf b) { return {_mm256_div_ps(a.v, b.v)}; }
static inline vf reciprocal(vf a) { return set1(1.0f) / a; }
static inline vf fma(vf a, vf b, vf c) { return {_mm256_fmadd_ps(a.v, b.v, c.v)}; }
static inline vf max(vf a, vf b) { return {_mm256_max_ps(a.v, b.v)}; }
static inline vf min(vf a, vf b) { return {_mm256_min_ps(a.v, b.v)}; }
static inline vf abs(vf a) { return {_mm256_andnot_ps(_mm256_set1_ps(-0.0f), a.v)}; }
static inline vf copy_sign(vf magnitude, vf sign) {
    const __m256 mask = _mm256_set1_ps(-0.0f);
    return {_mm256_or_ps(_mm256_andnot_ps(mask, magnitude.v), _mm256_and_ps(mask, sign.v))};
}

// x times 2 to the power n, for x between 0.5 and 2 and whole n from -126 to 127: n is added to the exponent's bits.
static inline vf times_power_of_two(vf x, vf n) {
    const __m256i exponent = _mm256_slli_epi32(_mm256_cvtps_epi32(n.v), 23);
    return {_mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(x.v), exponent))};
}

static inline vf load_f16(const uint8_t *p) { return {_mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)p))}; }
static inline void store_f16(uint8_t *p, vf x) {
    _mm_storeu_si128((__m128i *)p, _mm256_cvtps_ph(x.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}
static inline vf load_bf16(const uint8_t *p) {
    const __m256i wide = _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)p));
    return {_mm256_castsi256_ps(_mm256_slli_epi32(wide, 16))};
}

// 16 bits for each column of a tile, in two groups of eight.
struct vh {
    __m256i v;
};

// Eight values of two rows that lie `stride` bytes apart.
static inline vh load_eights(const uint8_t *p, int64_t stride) {
    const auto eight = [](const uint8_t *row) { return _mm_loadu_si128((const __m128i *)row); };
    return {_mm256_inserti128_si256(_mm256_castsi128_si256(eight(p)), eight(p + stride), 1)};
}
static inline void store(uint8_t *p, vh x) { _mm256_storeu_si256((__m256i *)p, x.v); }
static inline vh interleave_low(vh a, vh b) { return {_mm256_unpacklo_epi16(a.v, b.v)}; }
static inline vh interleave_high(vh a, vh b) { return {_mm256_unpackhi_epi16(a.v, b.v)}; }

// The same as two bytes for each column.
static inline vh interleave_low_bytes(vh a, vh b) { return {_mm256_unpacklo_epi8(a.v, b.v)}; }
static inline vh interleave_high_bytes(vh a, vh b) { return {_mm256_unpackhi_epi8(a.v, b.v)}; }
static inline vh low_nibbles(vh x) { return {_mm256_and_si256(x.v, _mm256_set1_epi8(15))}; }
static inline vh high_nibbles(vh x) { return {_mm256_and_si256(_mm256_srli_epi16(x.v, 4), _mm256_set1_epi8(15))}; }
// Each group's first eight bytes, then each group's last eight.
static inline vh split_groups(vh x) { return {_mm256_permute4x64_epi64(x.v, _MM_SHUFFLE(3, 1, 2, 0))}; }
// Of each group the first twelve bytes as the eight factors and eight offsets of a block of q4_k, see pack_q4_k.
static inline vh q4_k_factors(vh x) {
    const int six = 0x3f3f3f3f, four = 0x0f0f0f0f, two = 0x30303030;
    const __m256i low = _mm256_shuffle_epi32(x.v, _MM_SHUFFLE(2, 1, 2, 0));
    const __m256i high = _mm256_srli_epi32(_mm256_shuffle_epi32(x.v, _MM_SHUFFLE(1, 1, 0, 0)), 2);
    const __m256i shifts = _mm256_setr_epi32(0, 0, 0, 4, 0, 0, 0, 4);
    const __m256i low_bits = _mm256_setr_epi32(six, four, six, four, six, four, six, four);
    const __m256i high_bits = _mm256_setr_epi32(0, two, 0, two, 0, two, 0, two);
    return {
        _mm256_or_si256(_mm256_and_si256(_mm256_srlv_epi32(low, shifts), low_bits), _mm256_and_si256(high, high_bits))};
}
static inline vf load_bytes(const uint8_t *p) {
    return {_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)p)))};
}

}  // namespace aq::avx2

#include "kernels/simd/x86_transpose.inl"
