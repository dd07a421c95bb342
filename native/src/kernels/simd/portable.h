// Standard C++ only: 4 lanes that any compiler can turn into the vectors of its target.
#pragma once

#include <math.h>
#include <stdint.h>
#include <string.h>

namespace aq::portable {

constexpr int lanes = 4;
constexpr int tile_rows = 4, tile_vectors = 2;
struct vf {
    float v[lanes];
};

template <class F> static inline vf each(F f) {
    vf r;
    for (int i = 0; i < lanes; i++) r.v[i] = f(i);
    return r;
}

static inline vf set1(float x) { return {{x, x, x, x}}; }
static inline vf load(const float *p) { return each([=](int i) { return p[i]; }); }
static inline void store(float *p, vf x) { memcpy(p, x.v, sizeof x.v); }
static inline vf operator+(vf a, vf b) { return each([=](int i) { return a.v[i] + b.v[i]; }); }
static inline vf operator-(vf a, vf b) { return each([=](int i) { return a.v[i] - b.v[i]; }); }
static inline vf operator*(vf a, vf b) { return each([=](int i) { return a.v[i] * b.v[i]; }); }
static inline vf operator/(vf a, vf b) { return each([=](int i) { return a.v[i] / b.v[i]; }); }
static inline vf fma(vf a, vf b, vf c) { return each([=](int i) { return a.v[i] * b.v[i] + c.v[i]; }); }
static inline vf max(vf a, vf b) { return each([=](int i) { return a.v[i] > b.v[i] ? a.v[i] : b.v[i]; }); }
static inline vf min(vf a, vf b) { return each([=](int i) { return a.v[i] < b.v[i] ? a.v[i] : b.v[i]; }); }
static inline vf abs(vf a) { return each([=](int i) { return fabsf(a.v[i]); }); }
static inline vf copy_sign(vf m, vf s) { return each([=](int i) { return copysignf(m.v[i], s.v[i]); }); }
static inline vf round(vf a) { return each([=](int i) { return nearbyintf(a.v[i]); }); }

static inline float from_bits(uint32_t bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

// 2 to the power n for whole n from -126 to 127; for NaN, which no int32_t can hold, any number.
static inline vf power_of_two(vf n) {
    return each([=](int i) { return from_bits((uint32_t)((n.v[i] >= -126 ? (int32_t)n.v[i] : 0) + 127) << 23); });
}

static inline uint32_t read16(const uint8_t *p) {
    uint16_t bits;
    memcpy(&bits, p, sizeof bits);
    return bits;
}

// Half precision: move exponent and fraction into place and let a multiplication renormalise, subnormals too.
static inline float f16_value(uint32_t half) {
    const uint32_t sign = (half & 0x8000u) << 16, rest = half & 0x7fffu;
    if (rest >= 0x7c00u) return from_bits(sign | 0x7f800000u | (rest & 0x3ffu) << 13);
    const float magnitude = from_bits(rest << 13) * 0x1p112f;
    return sign != 0 ? -magnitude : magnitude;
}

static inline vf load_f16(const uint8_t *p) {
    return each([=](int i) { return f16_value(read16(p + 2 * i)); });
}
static inline vf load_bf16(const uint8_t *p) {
    return each([=](int i) { return from_bits(read16(p + 2 * i) << 16); });
}

// to[j * stride + i] = from[i][j] for 4 x 4 and 2 x 4 values.
template <int rows> static inline void transpose_rows(const float *const *from, float *to, int64_t stride) {
    for (int j = 0; j < 4; j++) {
        for (int i = 0; i < rows; i++) to[j * stride + i] = from[i][j];
    }
}
static inline void transpose4x4(const float *const *from, float *to, int64_t stride) {
    transpose_rows<4>(from, to, stride);
}
static inline void transpose2x4(const float *const *from, float *to, int64_t stride) {
    transpose_rows<2>(from, to, stride);
}

}  // namespace aq::portable
