// AutoencoderKL of latent diffusion (Rombach et al., arXiv 2112.10752), CompVis names; structure read from the tensors.
#pragma once

#include <optional>
#include <vector>

#include "graph/resnet.h"
#include "graph/transformer.h"
#include "models/autoencoder.h"
#include "models/bands.h"

namespace aq {

class vae : public autoencoder {
public:
    vae(std::shared_ptr<engine> on, std::shared_ptr<const weights> from, const std::string &prefix);

    aq_vae_info info() const override;
    void decode(const aq_vae_call &call) override;
    void encode(const aq_vae_call &call) override;
    uint64_t estimate(const aq_vae_call &call, bool encodes) override;

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
    // How a call is computed: whole, or what goes in bands part by part.
    struct course {
        uint64_t bytes, most;  // of buffers: needed, allowed
        bool whole;
        std::vector<band_unit> units;
        std::vector<band_plan> plans;  // of the units, then of a decoder's end
    };
    using cache = graph_cache<built, std::array<int64_t, 3>>;

    static half read_decoder(const layer_reader &from);
    static half read_encoder(const layer_reader &from);
    static void read_middle(const layer_reader &from, int64_t channels, half &h);
    static ggml_tensor *build_middle(graph &g, const half &h, ggml_tensor *x);
    static ggml_tensor *build_start(graph &g, const half &decoder, ggml_tensor *latent);
    static ggml_tensor *build_end(graph &g, const half &encoder, ggml_tensor *x);
    built build_decoder(const aq_vae_call &call);
    built build_encoder(const aq_vae_call &call);
    course plan(const aq_vae_call &call, bool encodes);
    void run(const aq_vae_call &call, bool encodes);
    void run_in_bands(const aq_vae_call &call, bool encodes, const course &how);
    stored_rows start_of(const aq_vae_call &call, bool encodes, const float *planes);
    static std::vector<band_unit> units_of(const half &h, bool encodes);
    static int64_t factor(const half &h);
    static int64_t moments(const half &encoder);
    int64_t factor() const;
    int64_t latent_channels() const;
    int64_t image_channels() const;

    std::optional<half> decoder_, encoder_;
    cache decoder_cache_, encoder_cache_;
};

}  // namespace aq
