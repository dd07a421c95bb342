// Random weights in every storage type, at odd addresses, with their exact values.
#pragma once

#include "check.h"
#include "kernels/stored_matrix.h"

namespace test {

enum class format { f32, f16, bf16, toy32, toy256, q8_0, q4_0, q4_k };

inline const char *format_name(format f) {
    const char *const names[] = {"f32", "f16", "bf16", "toy32", "toy256", "q8_0", "q4_0", "q4_K"};
    return names[(int)f];
}

// Values in one block; rows hold whole blocks.
inline int block_size(format f) {
    switch (f) {
        case format::toy32:
        case format::q8_0:
        case format::q4_0: return 32;
        case format::toy256:
        case format::q4_k: return 256;
        default: return 1;
    }
}

// Two small quantised formats. toy32: a signed byte e, then 32 signed bytes q: q 2^e.
// toy256: an unsigned 16-bit scale s, then 256 nibbles q, low one first: (q - 8) s 2^-18.
constexpr int toy32_bytes = 33, toy256_bytes = 130;

inline int64_t expand_calls = 0;
inline int32_t *raise_on_expand = nullptr;  // set to 1 by the next expansion

inline void count_expansion(int64_t count, int block) {
    CHECK(count > 0 && count % block == 0);
    expand_calls++;
    if (raise_on_expand) *raise_on_expand = 1;
}

inline void expand_toy32(const void *blocks, float *values, int64_t count) {
    count_expansion(count, 32);
    const int8_t *from = (const int8_t *)blocks;
    for (int64_t i = 0; i < count; i++) {
        const int8_t *block = from + i / 32 * toy32_bytes;
        values[i] = ldexpf((float)block[1 + i % 32], block[0]);
    }
}

inline void expand_toy256(const void *blocks, float *values, int64_t count) {
    count_expansion(count, 256);
    const uint8_t *from = (const uint8_t *)blocks;
    for (int64_t i = 0; i < count; i++) {
        const uint8_t *block = from + i / 256 * toy256_bytes;
        const int pair = block[2 + i % 256 / 2], q = i % 2 == 0 ? pair & 15 : pair >> 4;
        values[i] = ldexpf((float)((q - 8) * (block[0] | block[1] << 8)), -18);
    }
}

// A block of one of ggml's formats in double precision, as ggml defines it.
inline double half_value(const uint8_t *p) {
    const int bits = p[0] | p[1] << 8, exponent = bits >> 10 & 31, fraction = bits & 1023;
    const double size = exponent == 0 ? ldexp(fraction, -24) : ldexp(1024 + fraction, exponent - 25);
    return (bits & 0x8000) != 0 ? -size : size;
}

inline double block_value(format f, const uint8_t *block, int i) {
    const double d = half_value(block);
    if (f == format::q8_0) return d * (int8_t)block[2 + i];
    if (f == format::q4_0) return d * ((i < 16 ? block[2 + i] & 15 : block[2 + i - 16] >> 4) - 8);
    const uint8_t *six = block + 4;
    const int part = i / 32, pair = block[16 + part / 2 * 32 + i % 32], q = part % 2 == 0 ? pair & 15 : pair >> 4;
    const int factor = part < 4 ? six[part] & 63 : (six[part + 4] & 15) | six[part - 4] >> 6 << 4;
    const int offset = part < 4 ? six[part + 4] & 63 : six[part + 4] >> 4 | six[part] >> 6 << 4;
    return d * factor * q - half_value(block + 2) * offset;
}

inline int bytes_of_block(format f) { return f == format::q8_0 ? 34 : f == format::q4_0 ? 18 : 144; }

template <format f> void expand_blocks(const void *blocks, float *values, int64_t count) {
    count_expansion(count, block_size(f));
    for (int64_t i = 0; i < count; i++) {
        const uint8_t *block = (const uint8_t *)blocks + i / block_size(f) * bytes_of_block(f);
        values[i] = (float)block_value(f, block, (int)(i % block_size(f)));
    }
}

struct weights {
    std::vector<uint8_t> bytes;
    std::vector<double> values;  // [rows][cols]
    aq::stored_matrix matrix;
};

// Sixteen random bits as the size of a value that type `f` stores: 1/16 <= |value| < 1.
inline uint16_t random_half(format f, random_numbers &random, double *value) {
    const int fraction_bits = f == format::f16 ? 10 : 7, bias = f == format::f16 ? 15 : 127;
    const int fraction = random.between(0, (1 << fraction_bits) - 1), exponent = random.between(-4, -1);
    const bool negative = random.coin();
    *value = ldexp(1 + ldexp(fraction, -fraction_bits), exponent) * (negative ? -1 : 1);
    return (uint16_t)((negative ? 0x8000 : 0) | (exponent + bias) << fraction_bits | fraction);
}

inline weights random_weights(format f, int64_t rows, int64_t cols, random_numbers &random) {
    const int64_t bytes_in_row = f == format::f32      ? 4 * cols
                                 : f == format::toy32  ? cols / 32 * toy32_bytes
                                 : f == format::toy256 ? cols / 256 * toy256_bytes
                                 : block_size(f) > 1   ? cols / block_size(f) * bytes_of_block(f)
                                                       : 2 * cols;
    const int64_t offset = 1, gap = rows % 2 == 0 ? 0 : 3;
    weights w;
    w.bytes.resize((size_t)(offset + rows * bytes_in_row + (rows - 1) * gap));
    w.values.resize((size_t)(rows * cols));
    w.matrix = {w.bytes.data() + offset, bytes_in_row + gap, rows, cols, aq::storage::other, block_size(f), 0, nullptr};
    double *value = w.values.data();
    for (int64_t row = 0; row < rows; row++) {
        uint8_t *to = w.bytes.data() + offset + row * (bytes_in_row + gap);
        switch (f) {
            case format::f32:
                w.matrix.type = aq::storage::f32;
                for (int64_t i = 0; i < cols; i++, to += 4) {
                    const float x = random.even(1);
                    memcpy(to, &x, 4);
                    *value++ = x;
                }
                break;
            case format::f16:
            case format::bf16:
                w.matrix.type = f == format::f16 ? aq::storage::f16 : aq::storage::bf16;
                for (int64_t i = 0; i < cols; i++, to += 2) {
                    const uint16_t x = random_half(f, random, value++);
                    memcpy(to, &x, 2);
                }
                break;
            case format::q8_0:
            case format::q4_0:
            case format::q4_k:
                w.matrix.type = f == format::q8_0   ? aq::storage::q8_0
                                : f == format::q4_0 ? aq::storage::q4_0
                                                    : aq::storage::q4_k;
                w.matrix.block_bytes = bytes_of_block(f);
                w.matrix.expand = f == format::q8_0   ? expand_blocks<format::q8_0>
                                  : f == format::q4_0 ? expand_blocks<format::q4_0>
                                                      : expand_blocks<format::q4_k>;
                for (int64_t block = 0; block < cols; block += block_size(f), to += bytes_of_block(f)) {
                    for (int i = 0; i < bytes_of_block(f); i++) to[i] = (uint8_t)random.between(0, 255);
                    // Halves of 1/128 to 1/16, a sixteenth of that for q4_K, 1/16 to 1/2 for q4_0: values of up to 8.
                    for (int i = 0; i < (f == format::q4_k ? 4 : 2); i += 2) {
                        const int exponent = random.between(f == format::q4_0 ? 11 : 8, f == format::q4_0 ? 13 : 10);
                        const int bits = (exponent - (f == format::q4_k ? 4 : 0)) << 10 | random.between(0, 1023);
                        to[i] = (uint8_t)(bits & 255);
                        to[i + 1] = (uint8_t)(bits >> 8);
                    }
                    for (int i = 0; i < block_size(f); i++) *value++ = block_value(f, to, i);
                }
                break;
            case format::toy32:
                w.matrix.block_bytes = toy32_bytes;
                w.matrix.expand = expand_toy32;
                for (int64_t block = 0; block < cols; block += 32) {
                    const int exponent = random.between(-9, -7);
                    *to++ = (uint8_t)exponent;
                    for (int i = 0; i < 32; i++) {
                        const int q = random.between(-128, 127);
                        *to++ = (uint8_t)q;
                        *value++ = q * ldexp(1, exponent);
                    }
                }
                break;
            case format::toy256:
                w.matrix.block_bytes = toy256_bytes;
                w.matrix.expand = expand_toy256;
                for (int64_t block = 0; block < cols; block += 256) {
                    const int scale = random.between(0, 65535);
                    *to++ = (uint8_t)(scale & 255);
                    *to++ = (uint8_t)(scale >> 8);
                    for (int i = 0; i < 128; i++) {
                        const int low = random.between(0, 15), high = random.between(0, 15);
                        *to++ = (uint8_t)(low | high << 4);
                        *value++ = (low - 8) * scale / 262144.0;
                        *value++ = (high - 8) * scale / 262144.0;
                    }
                }
                break;
        }
    }
    return w;
}

}  // namespace test
