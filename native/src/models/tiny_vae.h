// TAESD, the tiny autoencoder of Ollin Boer Bohan (github.com/madebyollin/taesd): chains of convolutions and blocks,
// numbered as in PyTorch's Sequential, which leave out numbers of layers without weights. Structure is read from them.
#pragma once

#include <optional>
#include <vector>

#include "graph/nodes.h"
#include "models/autoencoder.h"

namespace aq {

class tiny_vae : public autoencoder {
public:
    tiny_vae(std::shared_ptr<engine> on, std::shared_ptr<const weights> from, const std::string &prefix);

    // Whether there are tensors of one behind the prefix.
    static bool fits(const weights &all, const std::string &prefix);

    aq_vae_info info() const override;
    void decode(const aq_vae_call &call) override;
    void encode(const aq_vae_call &call) override;
    uint64_t estimate(const aq_vae_call &call, bool encodes) override;

private:
    // relu(skip(x) + conv3(relu(conv2(relu(conv1(x))))))
    struct block {
        product_layer conv1, conv2, conv3;
        std::optional<product_layer> skip;

        ggml_tensor *build(graph &g, ggml_tensor *x) const;
    };
    struct stage {
        std::optional<product_layer> resample;
        std::vector<block> blocks;
    };
    struct half {
        product_layer first, last;
        std::vector<stage> stages;  // the first without resampling
    };
    struct built {
        std::unique_ptr<graph> nodes;
        ggml_tensor *input;
    };
    using cache = graph_cache<built, std::array<int64_t, 3>>;

    static half read(const layer_reader &from);
    static int64_t factor(const half &h) { return int64_t(1) << (h.stages.size() - 1); }
    const half &any() const { return decoder_ ? *decoder_ : *encoder_; }
    int64_t latent_channels() const { return decoder_ ? decoder_->first.inputs : encoder_->last.outputs; }
    int64_t image_channels() const { return decoder_ ? decoder_->last.outputs : encoder_->first.inputs; }
    built build(const aq_vae_call &call, bool encodes);
    built &ready(const aq_vae_call &call, bool encodes);

    std::optional<half> decoder_, encoder_;
    cache decoder_cache_, encoder_cache_;
};

}  // namespace aq
