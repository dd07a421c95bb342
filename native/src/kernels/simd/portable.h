// Any processor: 4 lanes by the vector extension of GCC and Clang, which compile it to what the target has.
#pragma once

#include <stdint.h>
#include <string.h>

namespace aq::portable {

typedef float floats __attribute__((vector_size(16)));
typedef int32_t ints __attribute__((vector_size(16)));

struct vf {
    floats v;
};
constexpr int lanes = 4;
constexpr int tile_rows = 4, tile_vectors = 2;
constexpr int steps_at_once = 2;  // of a tile's sums

static inline vf set1(float x) { return {floats{x, x, x, x}}; }
static inline vf load(const float *p) {
    vf r;
    memcpy(&r.v, p, sizeof r.v);
    return r;
}
static inline void store(float *p, vf x) { memcpy(p, &x.v, sizeof x.v); }
static inline vf operator+(vf a, vf b) { return {a.v + b.v}; }
static inline vf operator-(vf a, vf b) { return {a.v - b.v}; }
static inline vf operator*(vf a, vf b) { return {a.v * b.v}; }
static inline vf operator/(vf a, vf b) { return {a.v / b.v}; }
static inline vf reciprocal(vf a) { return set1(1.0f) / a; }
static inline vf fma(vf a, vf b, vf c) { return {a.v * b.v + c.v}; }
static inline vf max(vf a, vf b) { return {a.v > b.v ? a.v : b.v}; }
static inline vf min(vf a, vf b) { return {a.v < b.v ? a.v : b.v}; }
static inline vf abs(vf a) { return {(floats)((ints)a.v & 0x7fffffff)}; }
static inline vf copy_sign(vf magnitude, vf sign) {
    const ints mask = {INT32_MIN, INT32_MIN, INT32_MIN, INT32_MIN};
    return {(floats)(((ints)magnitude.v & ~mask) | ((ints)sign.v & mask))};
}

// x times 2 to the power n, for x between 0.5 and 2 and whole n from -126 to 127; NaN for NaN.
static inline vf times_power_of_two(vf x, vf n) {
    const floats number = n.v == n.v ? n.v : floats{0, 0, 0, 0};
    return {x.v * (floats)((__builtin_convertvector(number, ints) + 127) << 23)};
}

static inline float from_bits(uint32_t bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
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

// The way back, to the nearest and of two equally near ones to the even one.
static inline uint16_t f16_bits(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    const uint32_t sign = bits >> 16 & 0x8000u;
    if ((bits & 0x7fffffffu) > 0x7f800000u) return (uint16_t)(sign | 0x7e00u);
    const float magnitude = from_bits(bits & 0x7fffffffu) * 0x1p-112f;
    memcpy(&bits, &magnitude, sizeof bits);
    const uint32_t half = (bits + 0xfffu + (bits >> 13 & 1)) >> 13;
    return (uint16_t)(sign | (half < 0x7c00u ? half : 0x7c00u));
}

static inline vf load_f16(const uint8_t *p) {
    return {floats{f16_value(read16(p)), f16_value(read16(p + 2)), f16_value(read16(p + 4)), f16_value(read16(p + 6))}};
}
static inline void store_f16(uint8_t *p, vf x) {
    for (int i = 0; i < lanes; i++) {
        const uint16_t bits = f16_bits(x.v[i]);
        memcpy(p + 2 * i, &bits, sizeof bits);
    }
}
static inline vf load_bf16(const uint8_t *p) {
    return {floats{from_bits(read16(p) << 16), from_bits(read16(p + 2) << 16), from_bits(read16(p + 4) << 16),
                   from_bits(read16(p + 6) << 16)}};
}

// to[j * stride + i] = from[i][j] for 4 x 4 values.
static inline void transpose4x4(const float *const *from, float *to, int64_t stride) {
    for (int j = 0; j < 4; j++) {
        for (int i = 0; i < 4; i++) to[j * stride + i] = from[i][j];
    }
}

}  // namespace aq::portable
