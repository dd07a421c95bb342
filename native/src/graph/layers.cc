#include "graph/layers.h"

#include <stdlib.h>

#include "graph/failure.h"
#include "kernels/kernels.h"

namespace aq {

namespace {

[[noreturn]] void misfit(const std::string &name, const tensor &t, const std::string &expected) {
    throw failure(AQ_INVALID_MODEL, "tensor '" + name + "' has shape " + to_string(t.shape) + ", expected " + expected);
}

// Far above every real layer, and small enough for 32 bits.
constexpr int64_t widest = 1 << 20;

bool fits(int64_t actual, int64_t expected) { return actual <= widest && (expected == 0 || actual == expected); }

std::string wish(int64_t size) { return size == 0 ? "any" : std::to_string(size); }

}  // namespace

int layer_reader::count(const std::string &name) const {
    const std::string start = prefix_ + name + ".";
    int count = 0;
    for (const auto &entry : all_->all()) {
        if (entry.first.compare(0, start.size(), start) != 0) continue;
        char *end = nullptr;
        const char *digits = entry.first.c_str() + start.size();
        const long index = strtol(digits, &end, 10);
        if (end != digits && index >= count && index < 10000) count = (int)index + 1;
    }
    return count;
}

const tensor &layer_reader::need(const std::string &name) const {
    const tensor *t = all_->find(prefix_ + name);
    if (t == nullptr) throw failure(AQ_INVALID_MODEL, "tensor '" + prefix_ + name + "' is missing");
    if (t->matrix.type == storage::other && t->matrix.expand == nullptr) {
        throw failure(AQ_INVALID_MODEL, "tensor '" + prefix_ + name + "' has a type that cannot hold weights");
    }
    return *t;
}

std::vector<float> layer_reader::vector(const std::string &name, int64_t length) const {
    const tensor &t = need(name);
    if (t.shape.size() != 1 || t.shape[0] != length) misfit(prefix_ + name, t, "[" + std::to_string(length) + "]");
    std::vector<float> values((size_t)length);
    best_kernels().expand_rows(t.matrix, 0, 1, values.data());
    return values;
}

int64_t layer_reader::inputs(const std::string &name) const {
    const tensor *t = all_->find(prefix_ + name + ".weight");
    return t != nullptr && t->shape.size() >= 2 ? t->shape[1] : 0;
}

product_layer layer_reader::conv(const std::string &name, int64_t inputs, int64_t outputs, char separator) const {
    const std::string weight = name + separator + "weight", bias = name + separator + "bias";
    const tensor &t = need(weight);
    const bool matrix = t.shape.size() == 2, kernel = t.shape.size() == 4;
    if (!(matrix || kernel) || !fits(t.shape[1], inputs) || !fits(t.shape[0], outputs) ||
        (kernel && (t.shape[2] > 15 || t.shape[3] > 15))) {
        misfit(prefix_ + weight, t, "[" + wish(outputs) + ", " + wish(inputs) + ", k, k]");
    }
    product_layer layer;
    layer.matrix = t.matrix;
    layer.outputs = t.shape[0];
    layer.inputs = t.shape[1];
    if (kernel) {
        layer.kernel_h = (int32_t)t.shape[2];
        layer.kernel_w = (int32_t)t.shape[3];
    }
    if (has(bias)) layer.bias = vector(bias, layer.outputs);
    return layer;
}

product_layer layer_reader::linear(const std::string &name, int64_t inputs, int64_t outputs, char separator) const {
    product_layer layer = conv(name, inputs, outputs, separator);
    if (layer.kernel_h != 1 || layer.kernel_w != 1) {
        const std::string weight = name + separator + "weight";
        misfit(prefix_ + weight, need(weight), "[" + wish(outputs) + ", " + wish(inputs) + "]");
    }
    return layer;
}

product_layer rows_of(const product_layer &all, int64_t first, int64_t count) {
    product_layer part = all;
    part.matrix.data += first * all.matrix.row_bytes;
    part.matrix.rows = count;
    part.outputs = count;
    if (!all.bias.empty()) part.bias.assign(all.bias.begin() + first, all.bias.begin() + first + count);
    return part;
}

norm_layer layer_reader::norm(const std::string &name, int64_t channels) const {
    return {vector(name + ".weight", channels), vector(name + ".bias", channels)};
}

norm_layer layer_reader::group_norm(const std::string &name, int64_t channels) const {
    if (channels % norm_groups != 0) {
        throw failure(AQ_INVALID_MODEL, "'" + prefix_ + name + "' has " + std::to_string(channels) +
                                            " channels, GroupNorm needs a multiple of " + std::to_string(norm_groups));
    }
    return norm(name, channels);
}

const tensor &layer_reader::table(const std::string &name, int64_t rows, int64_t columns) const {
    const tensor &t = need(name);
    if (t.shape.size() != 2 || !fits(t.shape[0], rows) || !fits(t.shape[1], columns)) {
        misfit(prefix_ + name, t, "[" + wish(rows) + ", " + wish(columns) + "]");
    }
    return t;
}

}  // namespace aq
