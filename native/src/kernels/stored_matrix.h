// Weights in the type in which their file stores them.
#pragma once

#include <stdint.h>

namespace aq {

// Types that kernels know by themselves, and others. q8_0, q4_0 and q4_k are ggml's: blocks of 32 values that share a
// factor of 16 bits and hold bytes or nibbles; q4_k's are 256 with 8 factors and 8 offsets.
enum class storage { f32, f16, bf16, q8_0, q4_0, q4_k, other };

// rows x cols values, row by row. The data belongs to the model file and need not be aligned.
struct stored_matrix {
    const uint8_t *data;
    int64_t row_bytes;
    int64_t rows, cols;
    storage type;

    // Quantised and other types: values come in blocks of `block` values and `block_bytes` bytes.
    int32_t block, block_bytes;
    void (*expand)(const void *blocks, float *values, int64_t count);
};

}  // namespace aq
