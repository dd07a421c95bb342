// The denoising network of latent diffusion (Rombach et al., arXiv 2112.10752), CompVis names. Which blocks exist,
// their widths and depths are read from the tensors, so pruned and distilled UNets need no list of versions.
#pragma once

#include <optional>
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
    struct output_block {
        bool takes_skip;  // the output of an input block beside that of the block before
        block modules;
    };

    struct built {
        std::unique_ptr<prompt> text;
        std::unique_ptr<graph> nodes;
        ggml_tensor *latent, *time;
        ggml_tensor *label = nullptr, *guidance = nullptr;  // where the network takes them
    };

    // What is added to the time embedding: a vector of the picture, of text and sizes in SDXL.
    struct label_embedding {
        product_layer in, out;
    };

    bool inputs_alike(const aq_unet_call &call) const;
    block read_block(const layer_reader &from, int64_t &channels);
    built build(const aq_unet_call &call, bool alike);
    ggml_tensor *build_time(built &b, int64_t images) const;
    ggml_tensor *build_block(graph &g, const block &b, ggml_tensor *x, ggml_tensor *time, prompt &text,
                             const ggml_tensor *next_skip) const;

    head_rule heads_;
    int64_t in_channels_, out_channels_, model_channels_, time_width_, context_width_ = 0;
    product_layer time1_, time2_;
    std::optional<label_embedding> label_;
    std::optional<product_layer> guidance_;  // from the guidance embedding to the timestep's (latent consistency)
    std::vector<block> input_blocks_;
    block middle_block_;
    std::vector<output_block> output_blocks_;
    norm_layer out_norm_;
    product_layer out_conv_;
    graph_cache<built, 5> cache_;
};

}  // namespace aq
