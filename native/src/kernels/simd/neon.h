// AArch64 Advanced SIMD: 4 lanes, 32 registers.
#pragma once

#include <arm_neon.h>
#include <stdint.h>
#include <string.h>

namespace aq::neon {

struct vf {
    float32x4_t v;
};
constexpr int lanes = 4;
constexpr int tile_rows = 8, tile_vectors = 3;
constexpr int steps_at_once = 2;  // of a tile's sums

static inline vf set1(float x) { return {vdupq_n_f32(x)}; }
static inline vf load(const float *p) { return {vld1q_f32(p)}; }
static inline void store(float *p, vf x) { vst1q_f32(p, x.v); }
static inline vf operator+(vf a, vf b) { return {vaddq_f32(a.v, b.v)}; }
static inline vf operator-(vf a, vf b) { return {vsubq_f32(a.v, b.v)}; }
static inline vf operator*(vf a, vf b) { return {vmulq_f32(a.v, b.v)}; }
static inline vf operator/(vf a, vf b) { return {vdivq_f32(a.v, b.v)}; }
static inline vf reciprocal(vf a) { return set1(1.0f) / a; }
static inline vf fma(vf a, vf b, vf c) { return {vfmaq_f32(c.v, a.v, b.v)}; }
static inline vf max(vf a, vf b) { return {vmaxq_f32(a.v, b.v)}; }
static inline vf min(vf a, vf b) { return {vminq_f32(a.v, b.v)}; }
static inline vf abs(vf a) { return {vabsq_f32(a.v)}; }
static inline vf copy_sign(vf magnitude, vf sign) { return {vbslq_f32(vdupq_n_u32(0x80000000u), sign.v, magnitude.v)}; }

// x times 2 to the power n, for x between 0.5 and 2 and whole n from -126 to 127: n is added to the exponent's bits.
static inline vf times_power_of_two(vf x, vf n) {
    const int32x4_t exponent = vshlq_n_s32(vcvtq_s32_f32(n.v), 23);
    return {vreinterpretq_f32_s32(vaddq_s32(vreinterpretq_s32_f32(x.v), exponent))};
}

static inline vf load_f16(const uint8_t *p) {
    uint16x4_t bits;
    memcpy(&bits, p, sizeof bits);
    return {vcvt_f32_f16(vreinterpret_f16_u16(bits))};
}
static inline void store_f16(uint8_t *p, vf x) {
    const uint16x4_t bits = vreinterpret_u16_f16(vcvt_f16_f32(x.v));
    memcpy(p, &bits, sizeof bits);
}
static inline vf load_bf16(const uint8_t *p) {
    uint16x4_t bits;
    memcpy(&bits, p, sizeof bits);
    return {vreinterpretq_f32_u32(vshll_n_u16(bits, 16))};
}

// to[j * stride + i] = from[i][j] for 4 x 4 values.
static inline void transpose4x4(const float *const *from, float *to, int64_t stride) {
    const float32x4x2_t ab = vtrnq_f32(vld1q_f32(from[0]), vld1q_f32(from[1]));
    const float32x4x2_t cd = vtrnq_f32(vld1q_f32(from[2]), vld1q_f32(from[3]));
    vst1q_f32(to, vcombine_f32(vget_low_f32(ab.val[0]), vget_low_f32(cd.val[0])));
    vst1q_f32(to + stride, vcombine_f32(vget_low_f32(ab.val[1]), vget_low_f32(cd.val[1])));
    vst1q_f32(to + 2 * stride, vcombine_f32(vget_high_f32(ab.val[0]), vget_high_f32(cd.val[0])));
    vst1q_f32(to + 3 * stride, vcombine_f32(vget_high_f32(ab.val[1]), vget_high_f32(cd.val[1])));
}

}  // namespace aq::neon
