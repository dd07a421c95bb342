#include "models/vae.h"

#include "graph/failure.h"

namespace aq {

namespace {

constexpr int64_t largest_factor = 64;

}  // namespace

vae::vae(std::shared_ptr<engine> on, std::shared_ptr<const weights> from, const std::string &prefix)
    : autoencoder(std::move(on), std::move(from)) {
    const layer_reader reader(*source, prefix);
    const bool decodes = reader.has("decoder.conv_in.weight"), encodes = reader.has("encoder.conv_in.weight");
    if (!decodes && !encodes) {
        throw failure(AQ_INVALID_MODEL,
                      "tensor '" + prefix + "decoder.conv_in.weight' is missing: there is no VAE here");
    }
    if (decodes) decoder_ = read_decoder(reader);
    if (encodes) encoder_ = read_encoder(reader);
    if (decodes && encodes &&
        (encoder_->conv_in.inputs != image_channels() || moments(*encoder_) != 2 * latent_channels() ||
         factor(*encoder_) != factor(*decoder_))) {
        throw failure(AQ_INVALID_MODEL, "the VAE's encoder and decoder do not belong together");
    }
    if (factor() > largest_factor) throw failure(AQ_INVALID_MODEL, "the VAE halves pictures more than 6 times");
}

void vae::read_middle(const layer_reader &from, int64_t channels, half &h) {
    h.middle1 = read_vae_resnet(from.under("mid.block_1"), channels);
    const layer_reader attention = from.under("mid.attn_1");
    h.attention_norm = attention.group_norm("norm", h.middle1.outputs());
    h.attention.heads = 1;
    h.attention.q = attention.linear("q", h.middle1.outputs(), 0);
    h.attention.k = attention.linear("k", h.middle1.outputs(), h.attention.q.outputs);
    h.attention.v = attention.linear("v", h.middle1.outputs(), h.attention.q.outputs);
    h.attention.out = attention.linear("proj_out", h.attention.q.outputs, h.middle1.outputs());
    h.middle2 = read_vae_resnet(from.under("mid.block_2"), h.middle1.outputs());
}

vae::half vae::read_decoder(const layer_reader &from) {
    const layer_reader decoder = from.under("decoder");
    half h;
    h.conv_in = decoder.conv("conv_in", 0, 0);
    if (from.has("post_quant_conv.weight")) h.quant = from.conv("post_quant_conv", 0, h.conv_in.inputs);
    read_middle(decoder, h.conv_in.outputs, h);
    int64_t channels = h.middle2.outputs();
    for (int i = decoder.count("up") - 1; i >= 0; i--) {
        const layer_reader part = decoder.under("up." + std::to_string(i));
        level l;
        const int blocks = part.count("block");
        for (int j = 0; j < blocks; j++) {
            l.blocks.push_back(read_vae_resnet(part.under("block." + std::to_string(j)), channels));
            channels = l.blocks.back().outputs();
        }
        if (part.has("upsample.conv.weight")) {
            l.resample = part.conv("upsample.conv", channels, 0);
            channels = l.resample->outputs;
        }
        h.levels.push_back(std::move(l));
    }
    h.norm_out = decoder.group_norm("norm_out", channels);
    h.conv_out = decoder.conv("conv_out", channels, 0);
    return h;
}

vae::half vae::read_encoder(const layer_reader &from) {
    const layer_reader encoder = from.under("encoder");
    half h;
    h.conv_in = encoder.conv("conv_in", 0, 0);
    int64_t channels = h.conv_in.outputs;
    const int levels = encoder.count("down");
    for (int i = 0; i < levels; i++) {
        const layer_reader part = encoder.under("down." + std::to_string(i));
        level l;
        const int blocks = part.count("block");
        for (int j = 0; j < blocks; j++) {
            l.blocks.push_back(read_vae_resnet(part.under("block." + std::to_string(j)), channels));
            channels = l.blocks.back().outputs();
        }
        if (part.has("downsample.conv.weight")) {
            l.resample = part.conv("downsample.conv", channels, 0);
            channels = l.resample->outputs;
        }
        h.levels.push_back(std::move(l));
    }
    read_middle(encoder, channels, h);
    h.norm_out = encoder.group_norm("norm_out", h.middle2.outputs());
    h.conv_out = encoder.conv("conv_out", h.middle2.outputs(), 0);
    if (from.has("quant_conv.weight")) h.quant = from.conv("quant_conv", h.conv_out.outputs, h.conv_out.outputs);
    if (h.conv_out.outputs % 2 != 0) throw failure(AQ_INVALID_MODEL, "the VAE's encoder has an odd number of outputs");
    return h;
}

// Pixels per latent cell and side; more than the largest allowed one may count as twice that.
int64_t vae::factor(const half &h) {
    int64_t factor = 1;
    for (const level &l : h.levels) {
        if (l.resample && factor <= largest_factor) factor *= 2;
    }
    return factor;
}

int64_t vae::factor() const { return factor(decoder_ ? *decoder_ : *encoder_); }

int64_t vae::moments(const half &encoder) { return encoder.quant ? encoder.quant->outputs : encoder.conv_out.outputs; }

int64_t vae::latent_channels() const {
    if (!decoder_) return encoder_->conv_out.outputs / 2;
    return decoder_->quant ? decoder_->quant->inputs : decoder_->conv_in.inputs;
}

int64_t vae::image_channels() const { return decoder_ ? decoder_->conv_out.outputs : encoder_->conv_in.inputs; }

aq_vae_info vae::info() const {
    return {(int32_t)latent_channels(), (int32_t)image_channels(), (int32_t)factor(),
            encoder_.has_value(),       decoder_.has_value(),      0};
}

ggml_tensor *vae::build_middle(graph &g, const half &h, ggml_tensor *x) {
    x = h.middle1.build(g, x, nullptr);
    x = h.attention.build(g, group_norm(g, x, h.attention_norm, 1e-6f, false), x);
    return h.middle2.build(g, x, nullptr);
}

// Up to the first level.
ggml_tensor *vae::build_start(graph &g, const half &decoder, ggml_tensor *latent) {
    ggml_tensor *x = decoder.quant ? conv(g, latent, *decoder.quant) : latent;
    return build_middle(g, decoder, conv(g, x, decoder.conv_in));
}

// From the last level on.
ggml_tensor *vae::build_end(graph &g, const half &encoder, ggml_tensor *x) {
    x = build_middle(g, encoder, x);
    x = conv(g, group_norm(g, x, encoder.norm_out, 1e-6f, true), encoder.conv_out);
    return encoder.quant ? conv(g, x, *encoder.quant) : x;
}

vae::built vae::build_decoder(const aq_vae_call &call) {
    const half &h = *decoder_;
    built b;
    b.nodes = std::make_unique<graph>(*host);
    graph &g = *b.nodes;
    g.take_sums_while_writing();
    b.input = g.input({latent_channels(), call.width, call.height, call.batch});
    ggml_tensor *x = build_start(g, h, b.input);
    for (const level &l : h.levels) {
        for (const resnet &r : l.blocks) x = r.build(g, x, nullptr);
        if (l.resample) x = conv_up(g, x, *l.resample, 2 * x->ne[1], 2 * x->ne[2]);
    }
    g.finish(conv(g, group_norm(g, x, h.norm_out, 1e-6f, true), h.conv_out));
    return b;
}

vae::built vae::build_encoder(const aq_vae_call &call) {
    const half &h = *encoder_;
    built b;
    b.nodes = std::make_unique<graph>(*host);
    graph &g = *b.nodes;
    g.take_sums_while_writing();
    b.input = g.input({h.conv_in.inputs, call.width * factor(), call.height * factor(), call.batch});
    ggml_tensor *x = conv(g, b.input, h.conv_in);
    for (const level &l : h.levels) {
        for (const resnet &r : l.blocks) x = r.build(g, x, nullptr);
        if (l.resample) x = conv_down(g, x, *l.resample, false);
    }
    g.finish(build_end(g, h, x));
    return b;
}

void vae::decode(const aq_vae_call &call) { run(call, false); }

void vae::encode(const aq_vae_call &call) { run(call, true); }

void vae::run(const aq_vae_call &call, bool encodes) {
    cache &built_before = encodes ? encoder_cache_ : decoder_cache_;
    const std::array<int64_t, 3> key = {call.batch, call.height, call.width};
    if (call.max_memory > 0 || !built_before.contains(key)) {
        const course how = plan(call, encodes);
        if (!how.whole) {
            decoder_cache_.clear(*this);
            encoder_cache_.clear(*this);
            run_in_bands(call, encodes, how);
            return;
        }
    }
    built &b = built_before.get(*this, key, [&] {
        built fresh = encodes ? build_encoder(call) : build_decoder(call);
        fresh.nodes->allocate();
        return fresh;
    });
    read_planes(call.input, b.input);
    b.nodes->run();
    write_planes(b.nodes->output(), call.output, call.output_count);
}

}  // namespace aq
