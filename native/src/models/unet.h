// The denoising network of latent diffusion (Rombach et al., arXiv 2112.10752), CompVis names. Which blocks exist,
// their widths and depths are read from the tensors, so pruned and distilled UNets need no list of versions.
#pragma once

#include <array>
#include <map>
#include <memory>
#include <tuple>
#include <utility>
#include <vector>

#include "models/adaptable.h"
#include "models/feature_cache.h"
#include "models/unet_blocks.h"

namespace aq {

class unet : public adaptable {
public:
    // `softmax`: how convolutions with several kernels weigh them.
    unet(std::shared_ptr<engine> on, std::shared_ptr<const weights> from, const std::string &prefix, head_rule heads,
         bool softmax);

    aq_unet_info info() const;
    const unit_list &units() const { return units_; }

    const head_rule &heads() const { return heads_; }
    int64_t label_width() const { return time_.label_width(); }
    bool has_middle_block() const { return !middle_block_.modules.empty(); }
    const std::shared_ptr<arena> &activations() const { return arena_; }

    // Channels of the queries of each cross-attention, by units.
    std::map<int, int64_t> cross_attentions() const;

    // Where control nets add to the network: behind each input block, and behind the middle block if there is one.
    struct residual_place {
        int64_t channels;
        int halvings;  // of the latent's sides, rounding up
    };
    const std::vector<residual_place> &residuals() const { return residuals_; }

    // Their shapes of one image.
    std::vector<extent> residual_shapes(int64_t height, int64_t width) const;

    // Which of them evaluate would read, of the call's sizes and actions alone.
    std::vector<bool> residuals_read(const aq_unet_call &call);

    // Sizes are checked by the caller; see aq_unet_call. `caches`: one an image, or none.
    // `added`: that of each of the call's terms.
    void evaluate(const aq_unet_call &call, const std::vector<feature_cache *> &caches,
                  const std::vector<std::shared_ptr<const added_attention>> &added);

    // What evaluate would do, of the call's sizes and actions alone.
    aq_unet_work estimate(const aq_unet_call &call);

protected:
    void forget_graphs() override;

private:
    struct built {
        reading from;  // graphs of one length of text share it
        std::unique_ptr<graph> nodes;
        ggml_tensor *latent;
        time_embedding::inputs time;
        ggml_tensor *output;
        std::vector<ggml_tensor *> residuals;  // empty without control nets
        std::vector<plan::exchange> stored, reused;
        aq_unet_work work;
    };

    // What a graph was built for: [batch, height, width, tokens, whether its images are alike, whether control nets add
    // to it], and what to do.
    struct graph_key {
        std::array<int64_t, 6> shape;
        action_list actions;
        std::vector<std::pair<std::shared_ptr<const added_attention>, int64_t>> terms;  // and their tokens

        bool operator==(const graph_key &) const = default;
    };
    static constexpr size_t most_graphs = 32;  // small, as they share their memory

    bool inputs_alike(const aq_unet_call &call) const;
    graph_key key_of(const aq_unet_call &call, bool alike, bool controlled) const;
    void check_caches(const graph_key &key, const aq_unet_call &call, const std::vector<feature_cache *> &caches) const;
    built &built_for(const graph_key &key);
    built build(const graph_key &key);
    std::shared_ptr<prompt> context_for(const added_attention *adapter, int64_t tokens, int64_t images);

    head_rule heads_;
    int64_t in_channels_, out_channels_, context_width_ = 0;
    time_embedding time_;
    unit_list units_;
    std::vector<unet_block> input_blocks_;
    unet_block middle_block_;
    std::vector<unet_block> output_blocks_;
    std::vector<residual_place> residuals_;
    int out_unit_;
    norm_layer out_norm_;
    product_layer out_conv_;
    std::shared_ptr<arena> arena_ = std::make_shared<arena>();
    int64_t height_ = 0, width_ = 0;  // of the latents of the graphs kept
    std::map<std::tuple<const added_attention *, int64_t, int64_t>, std::weak_ptr<prompt>>
        contexts_;  // by adapter (NULL: of the text), tokens and images
    graph_cache<built, graph_key, most_graphs> cache_;
};

}  // namespace aq
