// ControlNet (Zhang, Rao and Agrawala, arXiv 2302.05543): the encoder of a UNet with weights of its own, which reads a
// picture beside the latent and whose outputs are added to those of the UNet's blocks. CompVis names.
#pragma once

#include <map>
#include <vector>

#include "models/network.h"
#include "models/unet.h"

namespace aq {

class control_net : public network {
public:
    // Throws failure(AQ_INVALID_MODEL), naming a tensor, where it was not made for such a UNet.
    control_net(std::shared_ptr<unet> of, std::shared_ptr<const weights> from, const std::string &prefix);

    const std::shared_ptr<unet> of;

    aq_control_net_info info() const;

    // Sizes are checked by the caller; see aq_control_net_call.
    void evaluate(const aq_control_net_call &call);

    // Multiply-adds of a call; see aq_control_net_estimate.
    double estimate(const aq_control_net_call &call);

private:
    // What becomes of the picture: the same for all steps, so that a graph of its own computes it once.
    struct hint {
        std::unique_ptr<graph> nodes;
        ggml_tensor *picture, *embedded;
        std::vector<float> last;  // of the run that made what is there
    };
    struct built {
        reading from;
        std::unique_ptr<graph> nodes;
        ggml_tensor *latent, *seen, *output;  // `seen`: what was made of the picture
        time_embedding::inputs time;
        std::vector<ggml_tensor *> residuals;  // NULL where not wanted
    };
    // [batch, height, width, tokens, whether the images are alike], and which residuals are wanted
    struct graph_key {
        std::array<int64_t, 5> shape;
        std::vector<uint8_t> wanted;

        bool operator==(const graph_key &) const = default;
    };

    void read_hint(const layer_reader &from);
    void read_blocks(const layer_reader &from);
    void build_hint(int64_t height, int64_t width);
    void update_hint(const aq_control_net_call &call);
    graph_key key_of(const aq_control_net_call &call, bool alike) const;
    built build(const graph_key &key);
    std::shared_ptr<prompt> text_for(int64_t tokens, int64_t images);

    time_embedding time_;
    unit_list units_;
    const action_list all_;  // computed
    std::vector<product_layer> hint_layers_;
    std::vector<unet_block> input_blocks_;
    unet_block middle_block_;
    std::vector<product_layer> zero_convs_;  // from the blocks' outputs to the residuals
    int64_t in_channels_ = 0, context_width_ = 0;
    int64_t height_ = 0, width_ = 0;  // of the latents of the graphs kept
    hint hint_;
    std::map<std::array<int64_t, 2>, std::weak_ptr<prompt>> texts_;  // by tokens and images
    graph_cache<built, graph_key, 8> cache_;
};

}  // namespace aq
