// CLIP's tower of pictures, a vision transformer (Radford et al., arXiv 2103.00020; Dosovitskiy et al., arXiv
// 2010.11929), by the names of Hugging Face, and what IP-Adapter Plus reads of it; structure read from the tensors.
#pragma once

#include <optional>
#include <vector>

#include "models/clip_layers.h"
#include "models/network.h"
#include "models/resampler.h"

namespace aq {

class image_encoder : public network {
public:
    image_encoder(std::shared_ptr<engine> on, std::shared_ptr<const weights> from, const std::string &prefix,
                  int64_t heads);

    aq_image_encoder_info info() const;

    // Sizes are checked by the caller; see aq_image_encoder_call.
    void encode(const aq_image_encoder_call &call);

private:
    struct built {
        std::unique_ptr<graph> nodes;
        ggml_tensor *patches, *output;
    };

    built build(int64_t images);

    int64_t width_, heads_, side_, patch_;  // of the picture and of a patch in pixels
    activation gelu_;
    product_layer patches_;      // from a patch's pixels
    std::vector<float> class_;   // [width], the token before those of the patches, with its position
    std::vector<float> places_;  // [patches][width]
    norm_layer first_norm_, last_norm_;
    std::vector<clip_layer> layers_;
    product_layer projection_;
    std::optional<resampler> resampler_;  // in place of the last layer, norm and projection
    graph_cache<built, int64_t> cache_;
};

}  // namespace aq
