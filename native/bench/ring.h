// Random weights of one storage type.
#pragma once

#include <string.h>

#include <vector>

#include "ggml.h"
#include "graph/weights.h"
#include "team.h"

namespace bench {

// Evenly spread over [-size, size), repeating after a while.
inline void fill_random(float *values, int64_t count, float size) {
    constexpr int64_t period = 65537;
    uint32_t state = 1;
    for (int64_t i = 0; i < std::min(count, period); i++) {
        state = state * 1664525u + 1013904223u;
        values[i] = size * ((float)(state >> 8) * 0x1p-23f - 1);
    }
    for (int64_t i = period; i < count; i += period) {
        memcpy(values + i, values, (size_t)std::min(count - i, period) * sizeof(float));
    }
}

// Each matrix asked for is another, until after hundreds of megabytes the first comes again: in a network too, weights
// come from memory and not from a cache in which the last call of the same layer left them.
class weight_ring {
public:
    explicit weight_ring(ggml_type type) : type_(type) {
        constexpr int64_t values = 1 << 18;
        std::vector<float> random((size_t)values);
        fill_random(random.data(), values, 0.05f);
        const size_t piece = ggml_row_size(type, values);
        std::vector<uint8_t> stored(piece);
        ggml_quantize_chunk(type, random.data(), stored.data(), 0, values / 256, 256, nullptr);
        uint8_t *memory = memory_.bytes(size);
        for (size_t at = 0; at < size; at += piece) memcpy(memory + at, stored.data(), std::min(piece, size - at));
    }

    ggml_type type() const { return type_; }
    bool fits(int64_t cols) const { return cols % ggml_blck_size(type_) == 0; }

    const uint8_t *next(int64_t rows, int64_t cols) {
        const size_t step = 64 * ggml_type_size(type_);  // so that each matrix starts with a whole block, aligned
        const size_t bytes = (ggml_row_size(type_, cols) * (size_t)rows + step - 1) / step * step;
        if (at_ + bytes > size) at_ = 0;
        const uint8_t *taken = memory_.bytes(size) + at_;
        at_ += bytes;
        return taken;
    }

    aq::stored_matrix matrix(int64_t rows, int64_t cols) {
        const aq_tensor t = {"weights", next(rows, cols), ggml_row_size(type_, cols) * (size_t)rows, {rows, cols, 1, 1},
                             2,         (int32_t)type_};
        return aq::weights(&t, 1).find("weights")->matrix;
    }

private:
    static constexpr size_t size = (size_t)256 << 20;
    ggml_type type_;
    buffer memory_;
    size_t at_ = 0;
};

}  // namespace bench
