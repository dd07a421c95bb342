// The denoising network of latent diffusion (Rombach et al., arXiv 2112.10752), CompVis names. Which blocks exist,
// their widths and depths are read from the tensors, so pruned and distilled UNets need no list of versions.
#pragma once

#include <variant>
#include <vector>

#include "graph/resnet.h"
#include "graph/transformer.h"
#include "models/network.h"

namespace aq {

class unet : public network {
public:
    unet(std::shared_ptr<engine> on, std::shared_ptr<const weights> from, const std::string &prefix, head_rule heads);

    aq_unet_info info() const;

    // Sizes are checked by the caller; see aq_unet_call.
    void evaluate(const aq_unet_call &call);

private:
    struct downsample {
        product_layer conv;
    };
    struct upsample {
        product_layer conv;
    };
    using module = std::variant<resnet, transformer, downsample, upsample, product_layer>;
    using block = std::vector<module>;

    struct built {
        std::unique_ptr<graph> nodes;
        ggml_tensor *latent, *time, *context;
    };

    block read_block(const layer_reader &from, int64_t &channels);
    built build(const aq_unet_call &call, bool alike);
    ggml_tensor *build_block(graph &g, const block &b, ggml_tensor *x, ggml_tensor *time, ggml_tensor *context,
                             const ggml_tensor *next_skip) const;

    head_rule heads_;
    int64_t in_channels_, out_channels_, model_channels_, time_width_, context_width_ = 0;
    product_layer time1_, time2_;
    std::vector<block> input_blocks_, output_blocks_;
    block middle_block_;
    norm_layer out_norm_;
    product_layer out_conv_;
    graph_cache<built, 5> cache_;
};

}  // namespace aq
