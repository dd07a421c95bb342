// Convolutions with several kernels that each image mixes for itself: CondConv (Yang et al., arXiv 1904.04971), as
// A-SDM's ME-CondConv (arXiv 2406.00210) puts it into a UNet.
//
//   r = act(R GAP(x) + b),   W = sum_i r_i W_i,   bias = sum_i r_i bias_i,
//
// act is sigmoid or softmax, GAP(x) the mean over all pixels that the convolution sees.
#pragma once

#include "graph/nodes.h"

namespace aq {

// Behind a layer's name: experts.weight [n][outputs * inputs * k * k], experts.bias [n][outputs], router.weight
// [n][inputs], router.bias [n] (may be missing).
struct expert_kernels {
    stored_matrix kernels;           // row e * outputs + o: kernel o of expert e, borrowed
    std::vector<float> bias;         // [n][outputs]
    std::vector<float> router;       // [n][inputs]
    std::vector<float> router_bias;  // [n]
    bool softmax;

    int64_t count() const { return (int64_t)router_bias.size(); }
};

// The mixed kernels and biases of each image of x, [outputs * (inputs * k * k), then outputs, 1, 1, images].
ggml_tensor *mix_experts(graph &g, const operand &x, const product_layer &layer, const window &view);

}  // namespace aq
