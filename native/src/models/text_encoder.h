// CLIP text tower (Radford et al., arXiv 2103.00020), Hugging Face names; structure read from the tensors.
#pragma once

#include <vector>

#include "graph/transformer.h"
#include "models/network.h"

namespace aq {

class text_encoder : public network {
public:
    // `heads` of 0: 64 channels a head, as in every published CLIP.
    text_encoder(std::shared_ptr<engine> on, std::shared_ptr<const weights> from, const std::string &prefix,
                 int64_t heads);

    aq_text_encoder_info info() const;

    // Sizes and token ids are checked by the caller; see aq_text_encoder_call.
    void encode(const aq_text_encoder_call &call);

private:
    struct layer {
        norm_layer norm1, norm2;
        product_layer q, k, v, out, fc1, fc2;
    };
    struct built {
        std::unique_ptr<graph> nodes;
        ggml_tensor *embedded;
    };

    built build(const aq_text_encoder_call &call);

    int64_t width_, heads_, max_tokens_;
    const tensor *tokens_;          // [vocabulary, width], expanded row by row when used
    std::vector<float> positions_;  // [max_tokens][width]
    std::vector<layer> layers_;
    norm_layer final_norm_;
    graph_cache<built, 3> cache_;
};

}  // namespace aq
