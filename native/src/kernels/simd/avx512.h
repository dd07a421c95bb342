// AVX-512 F, BW, DQ and VL: 16 lanes, 32 registers.
#pragma once

#include <immintrin.h>
#include <stdint.h>
#include <string.h>

namespace aq::avx512 {

struct vf {
    __m512 v;
};
constexpr int lanes = 16;
constexpr int tile_rows = 12, tile_vectors = 2;
constexpr int steps_at_once = 2;  // of a tile's sums

static inline vf set1(float x) { return {_mm512_set1_ps(x)}; }
static inline vf load(const float *p) { return {_mm512_loadu_ps(p)}; }
static inline void store(float *p, vf x) { _mm512_storeu_ps(p, x.v); }
static inline vf operator+(vf a, vf b) { return {_mm512_add_ps(a.v, b.v)}; }
static inline vf operator-(vf a, vf b) { return {_mm512_sub_ps(a.v, b.v)}; }
static inline vf operator*(vf a, vf b) { return {_mm512_mul_ps(a.v, b.v)}; }
static inline vf operator/(vf a, vf b) { return {_mm512_div_ps(a.v, b.v)}; }
// 1 / a for finite a: 14 bits, doubled by a step of Newton's. A division takes four times as long.
static inline vf reciprocal(vf a) {
    const __m512 y = _mm512_rcp14_ps(a.v);
    return {_mm512_fmadd_ps(y, _mm512_fnmadd_ps(a.v, y, _mm512_set1_ps(1.0f)), y)};
}
static inline vf fma(vf a, vf b, vf c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
static inline vf max(vf a, vf b) { return {_mm512_max_ps(a.v, b.v)}; }
static inline vf min(vf a, vf b) { return {_mm512_min_ps(a.v, b.v)}; }
static inline vf abs(vf a) { return {_mm512_andnot_ps(_mm512_set1_ps(-0.0f), a.v)}; }
static inline vf copy_sign(vf magnitude, vf sign) {
    const __m512 mask = _mm512_set1_ps(-0.0f);
    return {_mm512_or_ps(_mm512_andnot_ps(mask, magnitude.v), _mm512_and_ps(mask, sign.v))};
}

// x times 2 to the power n, for x between 0.5 and 2 and whole n from -126 to 127.
static inline vf times_power_of_two(vf x, vf n) { return {_mm512_scalef_ps(x.v, n.v)}; }

static inline vf load_f16(const uint8_t *p) { return {_mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)p))}; }
static inline void store_f16(uint8_t *p, vf x) {
    _mm256_storeu_si256((__m256i *)p, _mm512_cvtps_ph(x.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}
static inline vf load_bf16(const uint8_t *p) {
    const __m512i wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)p));
    return {_mm512_castsi512_ps(_mm512_slli_epi32(wide, 16))};
}

// 16 bits for each column of a tile, in four groups of eight.
struct vh {
    __m512i v;
};

// Eight values of four rows that lie `stride` bytes apart.
static inline vh load_eights(const uint8_t *p, int64_t stride) {
    const auto eight = [p, stride](int i) { return _mm_loadu_si128((const __m128i *)(p + i * stride)); };
    __m512i v = _mm512_castsi128_si512(eight(0));
    v = _mm512_inserti32x4(v, eight(1), 1);
    v = _mm512_inserti32x4(v, eight(2), 2);
    return {_mm512_inserti32x4(v, eight(3), 3)};
}
static inline void store(uint8_t *p, vh x) { _mm512_storeu_si512(p, x.v); }
static inline vh interleave_low(vh a, vh b) { return {_mm512_unpacklo_epi16(a.v, b.v)}; }
static inline vh interleave_high(vh a, vh b) { return {_mm512_unpackhi_epi16(a.v, b.v)}; }

// The same as two bytes for each column.
static inline vh interleave_low_bytes(vh a, vh b) { return {_mm512_unpacklo_epi8(a.v, b.v)}; }
static inline vh interleave_high_bytes(vh a, vh b) { return {_mm512_unpackhi_epi8(a.v, b.v)}; }
static inline vh low_nibbles(vh x) { return {_mm512_and_si512(x.v, _mm512_set1_epi8(15))}; }
static inline vh high_nibbles(vh x) { return {_mm512_and_si512(_mm512_srli_epi16(x.v, 4), _mm512_set1_epi8(15))}; }
// Each group's first eight bytes, then each group's last eight.
static inline vh split_groups(vh x) {
    return {_mm512_permutexvar_epi64(_mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7), x.v)};
}
// Of each group the first twelve bytes as the eight factors and eight offsets of a block of q4_k, see pack_q4_k.
static inline vh q4_k_factors(vh x) {
    const int six = 0x3f3f3f3f, four = 0x0f0f0f0f, two = 0x30303030;
    const __m512i low = _mm512_shuffle_epi32(x.v, _MM_PERM_CBCA);
    const __m512i high = _mm512_srli_epi32(_mm512_shuffle_epi32(x.v, _MM_PERM_BBAA), 2);
    const __m512i shifts = _mm512_setr4_epi32(0, 0, 0, 4);
    const __m512i low_bits = _mm512_setr4_epi32(six, four, six, four);
    const __m512i high_bits = _mm512_setr4_epi32(0, two, 0, two);
    return {
        _mm512_or_si512(_mm512_and_si512(_mm512_srlv_epi32(low, shifts), low_bits), _mm512_and_si512(high, high_bits))};
}
static inline vf load_bytes(const uint8_t *p) {
    return {_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)p)))};
}

}  // namespace aq::avx512

#include "kernels/simd/x86_transpose.inl"
