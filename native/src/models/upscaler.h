// RRDBNet, the generator of ESRGAN (Wang et al., arXiv 1809.00219) and Real-ESRGAN (Wang et al., arXiv 2107.10833), by
// the names of BasicSR; structure read from the tensors.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "graph/nodes.h"
#include "models/network.h"

namespace aq {

class upscaler : public network {
public:
    // Throws failure(AQ_INVALID_MODEL) naming the tensor that is missing or does not fit.
    upscaler(std::shared_ptr<engine> on, std::shared_ptr<const weights> from, const std::string &prefix);

    aq_upscaler_info info() const;

    // Bytes of buffers for a picture. Sides are multiples of info().multiple, here and below.
    uint64_t estimate(int64_t height, int64_t width);

    void upscale(const aq_upscaler_call &call);

private:
    // Residual dense block: with x1 to x4 from the first four layers, each reading all before it,
    // x + 0.2 layer5(x, x1, x2, x3, x4).
    struct dense_block {
        std::array<product_layer, 5> layers;

        int64_t widest() const { return layers.back().inputs; }
        // `whole` has x in its first channels and room for x1 to x4 behind; the result goes into the first channels of
        // another such space, or of `to`.
        ggml_tensor *build(graph &g, ggml_tensor *whole, ggml_tensor *to) const;
    };
    // x + 0.2 block3(block2(block1(x)))
    using block = std::array<dense_block, 3>;
    struct built {
        std::unique_ptr<graph> nodes;
        ggml_tensor *input;  // [channels fold fold, width / fold, height / fold, 1]
    };

    dense_block read_dense_block(const layer_reader &from, int64_t features) const;
    built build(int64_t height, int64_t width);

    product_layer first_, body_, hr_, last_;
    std::vector<block> blocks_;
    std::vector<product_layer> ups_;  // behind a doubling of the picture each
    int32_t fold_;                    // squares of that many pixels a side are one pixel inside
    graph_cache<built, std::array<int64_t, 2>> cache_;
};

}  // namespace aq
