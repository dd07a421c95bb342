// The denoising network of latent diffusion (Rombach et al., arXiv 2112.10752), CompVis names. Which blocks exist,
// their widths and depths are read from the tensors, so pruned and distilled UNets need no list of versions.
#pragma once

#include <array>
#include <map>
#include <optional>
#include <variant>
#include <vector>

#include "graph/plan.h"
#include "graph/resnet.h"
#include "graph/transformer.h"
#include "models/feature_cache.h"
#include "models/network.h"

namespace aq {

class unet : public network {
public:
    unet(std::shared_ptr<engine> on, std::shared_ptr<const weights> from, const std::string &prefix, head_rule heads);

    aq_unet_info info() const;
    const unit_list &units() const { return units_; }

    // Sizes are checked by the caller; see aq_unet_call. `caches`: one an image, or none.
    void evaluate(const aq_unet_call &call, const std::vector<feature_cache *> &caches);

    // What evaluate would do, of the call's sizes and actions alone.
    aq_unet_work estimate(const aq_unet_call &call);

private:
    struct downsample {
        product_layer conv;
    };
    struct upsample {
        product_layer conv;
    };
    struct module {
        int unit;
        std::variant<resnet, transformer, downsample, upsample, product_layer> layer;
    };
    struct block {
        int unit;
        std::vector<module> modules;
        bool takes_skip = false;  // the output of an input block beside that of the block before
    };

    struct built {
        std::shared_ptr<prompt> text;  // graphs of one length of text share it
        std::unique_ptr<graph> nodes;
        ggml_tensor *latent, *time;
        ggml_tensor *label = nullptr, *guidance = nullptr;  // where the network takes them
        ggml_tensor *output;
        std::vector<plan::exchange> stored, reused;
        aq_unet_work work;
    };

    // What a graph was built for: [batch, height, width, tokens, whether its images are alike], and what to do.
    struct graph_key {
        std::array<int64_t, 5> shape;
        action_list actions;

        bool operator==(const graph_key &) const = default;
    };
    static constexpr size_t most_graphs = 32;  // small, as they share their memory

    // What is added to the time embedding: a vector of the picture, of text and sizes in SDXL.
    struct label_embedding {
        product_layer in, out;
    };

    bool inputs_alike(const aq_unet_call &call) const;
    graph_key key_of(const aq_unet_call &call, bool alike) const;
    void check_caches(const graph_key &key, const aq_unet_call &call, const std::vector<feature_cache *> &caches) const;
    built &built_for(const graph_key &key);
    block read_block(const layer_reader &from, const std::string &name, int64_t &channels, int64_t skip_channels);
    module read_module(const layer_reader &block, const std::string &number, int parent, int64_t &channels,
                       int64_t skip_channels);
    built build(const graph_key &key);
    std::shared_ptr<prompt> text_for(int64_t tokens, int64_t images);
    ggml_tensor *build_time(built &b, int64_t images) const;
    ggml_tensor *build_block(graph &g, plan &p, const block &b, ggml_tensor *x, ggml_tensor *skip, ggml_tensor *time,
                             const prompt &text, const ggml_tensor *next_skip) const;
    ggml_tensor *build_module(graph &g, plan &p, const module &m, ggml_tensor *x, ggml_tensor *time, const prompt &text,
                              const ggml_tensor *next_skip) const;

    head_rule heads_;
    int64_t in_channels_, out_channels_, model_channels_, time_width_, context_width_ = 0;
    product_layer time1_, time2_;
    std::optional<label_embedding> label_;
    std::optional<product_layer> guidance_;  // from the guidance embedding to the timestep's (latent consistency)
    unit_list units_;
    std::vector<block> input_blocks_;
    block middle_block_;
    std::vector<block> output_blocks_;
    int out_unit_;
    norm_layer out_norm_;
    product_layer out_conv_;
    std::shared_ptr<arena> arena_ = std::make_shared<arena>();
    int64_t height_ = 0, width_ = 0;                                 // of the latents of the graphs kept
    std::map<std::array<int64_t, 2>, std::weak_ptr<prompt>> texts_;  // by tokens and images
    graph_cache<built, graph_key, most_graphs> cache_;
};

}  // namespace aq
