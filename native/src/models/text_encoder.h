// CLIP text tower (Radford et al., arXiv 2103.00020; OpenCLIP: Cherti et al., arXiv 2212.07143), by the names of
// Hugging Face or of OpenCLIP; structure read from the tensors.
#pragma once

#include <optional>
#include <vector>

#include "graph/transformer.h"
#include "models/adaptable.h"
#include "models/clip_layers.h"

namespace aq {

class text_encoder : public adaptable {
public:
    // `heads` of 0: 64 channels a head, as in every published CLIP.
    text_encoder(std::shared_ptr<engine> on, std::shared_ptr<const weights> from, const std::string &prefix,
                 int64_t heads, aq_gelu gelu);

    aq_text_encoder_info info() const;

    // Sizes and token ids are checked by the caller; see aq_text_encoder_call.
    void encode(const aq_text_encoder_call &call);

protected:
    void forget_graphs() override { cache_.clear(*this); }

private:
    struct built {
        std::unique_ptr<graph> nodes;
        ggml_tensor *embedded, *hidden;
    };
    // From the last hidden state to the pooled embedding: rows of inputs (OpenCLIP's x P) or of outputs.
    struct projection {
        stored_matrix matrix;
        bool rows_are_inputs;

        int64_t outputs() const { return rows_are_inputs ? matrix.cols : matrix.rows; }
    };

    void read_projection(const layer_reader &from);
    built build(const aq_text_encoder_call &call);
    void project(const float *hidden, float *pooled) const;

    int64_t width_, heads_, max_tokens_;
    activation gelu_;
    const tensor *tokens_;          // [vocabulary, width], expanded row by row when used
    std::vector<float> positions_;  // [max_tokens][width]
    std::vector<clip_layer> layers_;
    norm_layer final_norm_;
    std::optional<projection> projection_;
    graph_cache<built, std::array<int64_t, 5>> cache_;
};

}  // namespace aq
