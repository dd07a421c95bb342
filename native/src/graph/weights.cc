#include "graph/weights.h"

#include "ggml.h"
#include "graph/failure.h"

namespace aq {

namespace {

constexpr int64_t largest_dimension = int64_t(1) << 40;

[[noreturn]] void reject(const std::string &name, const std::string &why) {
    throw failure(AQ_INVALID_MODEL, "tensor '" + name + "' " + why);
}

storage storage_of(ggml_type type) {
    switch (type) {
        case GGML_TYPE_F32: return storage::f32;
        case GGML_TYPE_F16: return storage::f16;
        case GGML_TYPE_BF16: return storage::bf16;
        case GGML_TYPE_Q8_0: return storage::q8_0;
        case GGML_TYPE_Q4_0: return storage::q4_0;
        case GGML_TYPE_Q4_K: return storage::q4_k;
        default: return storage::other;
    }
}

}  // namespace

tensor checked(const aq_tensor &t, const std::string &name) {
    if (t.data == nullptr) reject(name, "has no data");
    if (t.rank < 0 || t.rank > 4) reject(name, "has " + std::to_string(t.rank) + " dimensions, at most 4 are possible");
    if (t.type < 0 || t.type >= GGML_TYPE_COUNT) reject(name, "has unknown type number " + std::to_string(t.type));
    const ggml_type type = (ggml_type)t.type;
    const ggml_type_traits *traits = ggml_get_type_traits(type);
    if (traits->blck_size <= 0 || traits->type_size == 0) {
        reject(name, "has unknown type number " + std::to_string(t.type));
    }
    tensor result = {(const uint8_t *)t.data, {}, {}};
    int64_t count = 1;
    for (int i = 0; i < t.rank; i++) {
        if (t.shape[i] <= 0 || t.shape[i] > largest_dimension / count) {
            reject(name, "has an impossible dimension " + std::to_string(t.shape[i]));
        }
        count *= t.shape[i];
        result.shape.push_back(t.shape[i]);
    }
    const int64_t rows = t.rank < 2 ? 1 : t.shape[0], columns = count / rows;
    if (columns % traits->blck_size != 0)
        reject(name, std::string("has rows that do not fit blocks of ") + traits->type_name);
    const int64_t row_bytes = columns / traits->blck_size * (int64_t)traits->type_size;
    if (t.size != (uint64_t)(row_bytes * rows)) {
        reject(name, "holds " + std::to_string(t.size) + " bytes, its shape and type need " +
                         std::to_string(row_bytes * rows));
    }
    if (traits->is_quantized && (uintptr_t)t.data % 4 != 0) {
        reject(name, "is quantised and not aligned to 4 bytes");
    }
    result.matrix = {result.data,
                     row_bytes,
                     rows,
                     columns,
                     storage_of(type),
                     (int32_t)traits->blck_size,
                     (int32_t)traits->type_size,
                     traits->to_float};
    return result;
}

weights::weights(const aq_tensor *tensors, uint64_t count) {
    tensors_.reserve(count);
    for (uint64_t i = 0; i < count; i++) {
        if (tensors[i].name == nullptr)
            throw failure(AQ_INVALID_ARGUMENT, "tensor " + std::to_string(i) + " has no name");
        const std::string name = tensors[i].name;
        if (!tensors_.emplace(name, checked(tensors[i], name)).second) reject(name, "is there twice");
    }
}

const tensor *weights::find(const std::string &name) const {
    const auto found = tensors_.find(name);
    return found == tensors_.end() ? nullptr : &found->second;
}

std::string to_string(const std::vector<int64_t> &shape) {
    std::string text = "[";
    for (size_t i = 0; i < shape.size(); i++) text += (i > 0 ? ", " : "") + std::to_string(shape[i]);
    return text + "]";
}

}  // namespace aq
