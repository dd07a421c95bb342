#include "graph/convert.h"

#include <math.h>
#include <string.h>

#include <algorithm>
#include <string>
#include <vector>

#include "ggml.h"
#include "graph/failure.h"

namespace aq {

namespace {

constexpr uint64_t chunk = 1 << 16;  // values at a time; a multiple of every block
constexpr float largest_f16 = 65504.0f;

[[noreturn]] void invalid(const std::string &message) { throw failure(AQ_INVALID_ARGUMENT, message); }

// Those that need no statistics of activations.
bool can_write(int32_t type) {
    switch (type) {
        case GGML_TYPE_F32:
        case GGML_TYPE_F16:
        case GGML_TYPE_BF16:
        case GGML_TYPE_Q4_0:
        case GGML_TYPE_Q4_1:
        case GGML_TYPE_Q5_0:
        case GGML_TYPE_Q5_1:
        case GGML_TYPE_Q8_0:
        case GGML_TYPE_Q2_K:
        case GGML_TYPE_Q3_K:
        case GGML_TYPE_Q4_K:
        case GGML_TYPE_Q5_K:
        case GGML_TYPE_Q6_K:
        case GGML_TYPE_IQ4_NL: return true;
        default: return false;
    }
}

const ggml_type_traits *traits_of(int32_t type) {
    const ggml_type_traits *traits =
        type >= 0 && type < GGML_TYPE_COUNT ? ggml_get_type_traits((ggml_type)type) : nullptr;
    return traits != nullptr && traits->blck_size > 0 && traits->type_size > 0 ? traits : nullptr;
}

void need_size(uint64_t size, uint64_t count, const ggml_type_traits *traits, const char *name) {
    const uint64_t block = (uint64_t)traits->blck_size;
    // Compared by division: a count near 2^64 must not overflow.
    if (count % block != 0 || size % traits->type_size != 0 || size / traits->type_size != count / block) {
        invalid(std::string(name) + " has " + std::to_string(size) + " bytes, which are not " + std::to_string(count) +
                " values of " + traits->type_name);
    }
}

void need_values(const float *values, uint64_t count, float limit, const char *type) {
    float largest = 0;
    bool numbers = true;
    for (uint64_t i = 0; i < count; i++) {
        const float size = fabsf(values[i]);
        largest = std::max(largest, size);
        numbers = numbers && size <= INFINITY;  // false for NaN
    }
    if (!numbers || isinf(largest)) throw failure(AQ_INVALID_MODEL, "a value is no number");
    if (largest > limit) throw failure(AQ_INVALID_MODEL, std::string("a value is too large for ") + type);
}

}  // namespace

void convert(const aq_conversion &call) {
    const ggml_type_traits *from = traits_of(call.input_type), *to = traits_of(call.output_type);
    if (from == nullptr || (from->to_float == nullptr && call.input_type != GGML_TYPE_F32)) {
        invalid("type " + std::to_string(call.input_type) + " cannot be read");
    }
    if (to == nullptr || !can_write(call.output_type)) {
        invalid("type " + std::to_string(call.output_type) + " cannot be written");
    }
    need_size(call.input_size, call.count, from, "input");
    need_size(call.output_size, call.count, to, "output");

    std::vector<float> values(std::min(call.count, chunk));
    // ggml wants its blocks aligned, files promise nothing.
    std::vector<uint64_t> blocks(chunk / sizeof(uint64_t) * sizeof(float));
    for (uint64_t first = 0; first < call.count; first += chunk) {
        const uint64_t count = std::min(chunk, call.count - first);
        const uint64_t in_block = (uint64_t)from->blck_size, out_block = (uint64_t)to->blck_size;
        const uint8_t *input = (const uint8_t *)call.input + first / in_block * from->type_size;
        uint8_t *output = (uint8_t *)call.output + first / out_block * to->type_size;
        if (from->to_float == nullptr) {
            memcpy(values.data(), input, count * sizeof(float));
        } else {
            memcpy(blocks.data(), input, count / in_block * from->type_size);
            from->to_float(blocks.data(), values.data(), (int64_t)count);
        }
        const float limit = call.output_type == GGML_TYPE_F16 ? largest_f16 : INFINITY;
        need_values(values.data(), count, limit, to->type_name);
        ggml_quantize_chunk((ggml_type)call.output_type, values.data(), blocks.data(), 0, 1, (int64_t)count, nullptr);
        memcpy(output, blocks.data(), count / out_block * to->type_size);
    }
}

}  // namespace aq
