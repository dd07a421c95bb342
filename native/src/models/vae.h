// AutoencoderKL of latent diffusion (Rombach et al., arXiv 2112.10752), CompVis names; structure read from the tensors.
#pragma once

#include <optional>
#include <vector>

#include "graph/resnet.h"
#include "graph/transformer.h"
#include "models/network.h"

namespace aq {

class vae : public network {
public:
    vae(std::shared_ptr<engine> on, std::shared_ptr<const weights> from, const std::string &prefix);

    aq_vae_info info() const;

    // Sizes are checked by the caller; see aq_vae_call.
    void decode(const aq_vae_call &call);
    void encode(const aq_vae_call &call);

private:
    struct level {
        std::vector<resnet> blocks;
        std::optional<product_layer> resample;
    };
    // One half of the autoencoder: conv_in, levels and middle in its own order, norm_out, conv_out.
    struct half {
        product_layer conv_in, conv_out;
        std::vector<level> levels;  // in the order of computation
        resnet middle1, middle2;
        norm_layer attention_norm;
        attention_layer attention;
        norm_layer norm_out;
        std::optional<product_layer> quant;  // 1 x 1 on the latent's side
    };
    struct built {
        std::unique_ptr<graph> nodes;
        ggml_tensor *input;
    };

    static half read_decoder(const layer_reader &from);
    static half read_encoder(const layer_reader &from);
    static void read_middle(const layer_reader &from, int64_t channels, half &h);
    static ggml_tensor *build_middle(graph &g, const half &h, ggml_tensor *x);
    built build_decoder(const aq_vae_call &call);
    built build_encoder(const aq_vae_call &call);
    static int64_t factor(const half &h);
    static int64_t moments(const half &encoder);
    int64_t factor() const;
    int64_t latent_channels() const;
    int64_t image_channels() const;

    std::optional<half> decoder_, encoder_;
    graph_cache<built, std::array<int64_t, 3>> decoder_cache_, encoder_cache_;
};

}  // namespace aq
