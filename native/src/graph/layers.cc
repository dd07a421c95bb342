#include "graph/layers.h"

#include <stdlib.h>

#include "graph/experts.h"
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

std::vector<float> layer_reader::numbers(const std::string &name, const std::vector<int64_t> &shape) const {
    const tensor &t = need(name);
    bool same = t.shape.size() == shape.size();
    for (size_t i = 0; same && i < shape.size(); i++) same = fits(t.shape[i], shape[i]);
    if (!same) misfit(prefix_ + name, t, to_string(shape) + " with any length in place of 0");
    std::vector<float> all((size_t)(t.matrix.rows * t.matrix.cols));
    best_kernels().expand_rows(t.matrix, 0, t.matrix.rows, all.data());
    return all;
}

int64_t layer_reader::inputs(const std::string &name) const {
    const tensor *t = all_->find(prefix_ + name + ".weight");
    return t != nullptr && t->shape.size() >= 2 ? t->shape[1] : 0;
}

product_layer layer_reader::conv(const std::string &name, int64_t inputs, int64_t outputs, char separator) const {
    const std::string weight = name + separator + "weight", bias = name + separator + "bias";
    if (has(name + ".experts.weight")) return conv_of_experts(name, inputs, outputs);
    const tensor &t = need(weight);
    const bool matrix = t.shape.size() == 2, kernel = t.shape.size() == 4;
    if (!(matrix || kernel) || !fits(t.shape[1], inputs) || !fits(t.shape[0], outputs) ||
        (kernel && (t.shape[2] > 15 || t.shape[3] > 15))) {
        misfit(prefix_ + weight, t, "[" + wish(outputs) + ", " + wish(inputs) + ", k, k]");
    }
    product_layer layer;
    layer.name = prefix_ + weight;
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

std::vector<float> layer_reader::matrix(const std::string &name, int64_t rows, int64_t columns) const {
    const tensor &t = table(name, rows, columns);
    std::vector<float> values((size_t)(rows * columns));
    best_kernels().expand_rows(t.matrix, 0, rows, values.data());
    return values;
}

product_layer layer_reader::conv_of_experts(const std::string &name, int64_t inputs, int64_t outputs) const {
    const std::string weight = name + ".experts.weight", bias = name + ".experts.bias", router = name + ".router.";
    product_layer layer;
    const tensor &biases = table(bias, 0, outputs), &routes = table(router + "weight", biases.shape[0], inputs);
    const int64_t count = biases.shape[0];
    layer.outputs = biases.shape[1];
    layer.inputs = routes.shape[1];
    const tensor &t = need(weight);
    int32_t side = 1;
    while (side <= 15 && layer.outputs * layer.inputs * side * side < t.matrix.cols) side += 2;
    const int64_t columns = layer.inputs * side * side;
    if (count > 256 || t.shape.size() != 2 || t.shape[0] != count || layer.outputs * columns != t.matrix.cols) {
        misfit(prefix_ + weight, t,
               "[" + std::to_string(count) + ", " + std::to_string(layer.outputs) + " * " +
                   std::to_string(layer.inputs) + " * k * k]");
    }
    if (columns % t.matrix.block != 0) {
        throw failure(AQ_INVALID_MODEL,
                      "tensor '" + prefix_ + weight + "' is quantised across its kernels; store it as F16");
    }
    auto experts = std::make_shared<expert_kernels>();
    experts->kernels = t.matrix;
    experts->kernels.rows = count * layer.outputs;
    experts->kernels.cols = columns;
    experts->kernels.row_bytes = t.matrix.row_bytes / layer.outputs;
    experts->bias = matrix(bias, count, layer.outputs);
    experts->router = matrix(router + "weight", count, layer.inputs);
    experts->router_bias.resize((size_t)count);
    if (has(router + "bias")) experts->router_bias = vector(router + "bias", count);
    experts->softmax = softmax_;
    layer.kernel_h = layer.kernel_w = side;
    layer.experts = std::move(experts);
    return layer;
}

product_layer layer_reader::linear(const std::string &name, int64_t inputs, int64_t outputs, char separator) const {
    product_layer layer = conv(name, inputs, outputs, separator);
    if (layer.kernel_h != 1 || layer.kernel_w != 1) {
        const std::string weight = name + (layer.experts ? ".experts." : std::string(1, separator)) + "weight";
        misfit(prefix_ + weight, need(weight), "[" + wish(outputs) + ", " + wish(inputs) + "]");
    }
    return layer;
}

std::string product_layer::bias_name() const {
    const std::string weight = "weight";
    const size_t at = name.rfind(weight);
    return at == std::string::npos ? name : name.substr(0, at) + "bias" + name.substr(at + weight.size());
}

product_layer part_of(const product_layer &all, int part, int parts) {
    const int64_t count = all.outputs / parts, first = part * count;
    product_layer one = all;
    one.name += "/" + std::to_string(part);
    one.matrix.data += first * all.matrix.row_bytes;
    one.matrix.rows = count;
    one.outputs = count;
    if (!all.bias.empty()) one.bias.assign(all.bias.begin() + first, all.bias.begin() + first + count);
    return one;
}

norm_layer layer_reader::norm(const std::string &name, int64_t channels) const {
    return {prefix_ + name + ".", vector(name + ".weight", channels), vector(name + ".bias", channels)};
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
