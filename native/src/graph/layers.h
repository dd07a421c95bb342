// Layers as a model file describes them: their weights, read once by name and checked.
#pragma once

#include <stdint.h>

#include <memory>
#include <string>
#include <vector>

#include "graph/weights.h"

namespace aq {

struct expert_kernels;

// A linear layer or a convolution; matrices and 1 x 1 kernels are the same thing on channels-last activations.
struct product_layer {
    std::string name;           // of the tensor of weights, as adapters name it
    stored_matrix matrix = {};  // [outputs][inputs][kernel_h][kernel_w], borrowed
    std::vector<float> bias;    // [outputs] or empty
    int64_t inputs = 0, outputs = 0;
    int32_t kernel_h = 1, kernel_w = 1;
    std::shared_ptr<const expert_kernels> experts;  // in place of matrix and bias, or none

    std::string bias_name() const;
};

struct norm_layer {
    std::string name;                 // of the tensors, without "weight" and "bias"
    std::vector<float> weight, bias;  // [channels]
};

// One of several equal parts of the outputs of a matrix as a layer of its own; the first of them is named "NAME/0".
product_layer part_of(const product_layer &all, int part, int parts);

constexpr int64_t norm_groups = 32;  // of every GroupNorm in these networks

// Reads layers under a name prefix. Every function throws failure(AQ_INVALID_MODEL) naming the tensor that is missing
// or does not fit.
class layer_reader {
public:
    // `softmax`: how routers weigh the kernels of convolutions that have several; see experts.h.
    layer_reader(const weights &all, std::string prefix, bool softmax = false)
        : all_(&all), prefix_(std::move(prefix)), softmax_(softmax) {}

    layer_reader under(const std::string &name) const { return {*all_, prefix_ + name + ".", softmax_}; }
    bool has(const std::string &name) const { return all_->find(prefix_ + name) != nullptr; }

    // Whether a convolution is there, with one kernel or with several; "" is the layer of the prefix itself.
    bool has_conv(const std::string &name) const {
        const std::string start = name.empty() ? "" : name + ".";
        return has(start + "weight") || has(start + "experts.weight");
    }
    const std::string &prefix() const { return prefix_; }

    // One more than the largest number that follows `name` and a dot in a tensor's name; 0 if there is none.
    int count(const std::string &name) const;

    // How many inputs a layer has; 0 if it is not there.
    int64_t inputs(const std::string &name) const;

    // Inputs and outputs of 0 accept any number. `separator` stands before "weight" and "bias".
    product_layer linear(const std::string &name, int64_t inputs, int64_t outputs, char separator = '.') const;
    product_layer conv(const std::string &name, int64_t inputs, int64_t outputs, char separator = '.') const;
    norm_layer norm(const std::string &name, int64_t channels) const;
    norm_layer group_norm(const std::string &name, int64_t channels) const;  // channels must fill norm_groups
    const tensor &table(const std::string &name, int64_t rows, int64_t columns) const;
    std::vector<float> vector(const std::string &name, int64_t length) const;

    // All values of a tensor of that shape, where 0 stands for any length.
    std::vector<float> numbers(const std::string &name, const std::vector<int64_t> &shape) const;

private:
    const tensor &need(const std::string &name) const;
    std::vector<float> matrix(const std::string &name, int64_t rows, int64_t columns) const;
    product_layer conv_of_experts(const std::string &name, int64_t inputs, int64_t outputs) const;

    const weights *all_;
    std::string prefix_;
    bool softmax_;
};

}  // namespace aq
