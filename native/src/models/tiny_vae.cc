#include "models/tiny_vae.h"

#include <math.h>

#include "graph/failure.h"

namespace aq {

namespace {

constexpr int most_layers = 64;        // of a chain
constexpr size_t most_stages = 7;      // pictures halved 6 times
constexpr float no_variance = -30.0f;  // its logarithm, the least that samplers of latents tell from none

// The prefix of a chain: as in the author's whole files, in his files of one half, and as in diffusers.
std::optional<std::string> chain(const weights &all, const std::string &prefix, const std::string &half) {
    for (const std::string &name : {prefix + half + ".layers.", prefix + "taesd_" + half + ".", prefix + half + "."}) {
        for (int i = 0; i < 2; i++) {
            if (all.find(name + std::to_string(i) + ".weight") != nullptr) return name;
        }
    }
    return std::nullopt;
}

// A file of one half has no name before the numbers; its pictures have three channels.
std::optional<std::string> bare_chain(const weights &all, const std::string &prefix, bool decoder) {
    const tensor *first = nullptr;
    for (int i = 0; i < 2 && first == nullptr; i++) first = all.find(prefix + std::to_string(i) + ".weight");
    if (first == nullptr || first->shape.size() != 4 || (first->shape[1] != 3) != decoder) return std::nullopt;
    return prefix;
}

std::optional<std::string> find(const weights &all, const std::string &prefix, bool decoder) {
    const auto named = chain(all, prefix, decoder ? "decoder" : "encoder");
    return named ? named : bare_chain(all, prefix, decoder);
}

}  // namespace

bool tiny_vae::fits(const weights &all, const std::string &prefix) {
    return find(all, prefix, true).has_value() || find(all, prefix, false).has_value();
}

tiny_vae::tiny_vae(std::shared_ptr<engine> on, std::shared_ptr<const weights> from, const std::string &prefix)
    : autoencoder(std::move(on), std::move(from)) {
    const auto decoder = find(*source, prefix, true), encoder = find(*source, prefix, false);
    if (decoder) decoder_ = read({*source, *decoder});
    if (encoder) encoder_ = read({*source, *encoder});
    if (decoder_ && encoder_ &&
        (decoder_->first.inputs != encoder_->last.outputs || decoder_->last.outputs != encoder_->first.inputs ||
         factor(*decoder_) != factor(*encoder_))) {
        throw failure(AQ_INVALID_MODEL, "the tiny autoencoder's encoder and decoder do not belong together");
    }
}

tiny_vae::half tiny_vae::read(const layer_reader &from) {
    std::vector<std::string> layers;
    for (int i = 0; i < most_layers; i++) {
        const std::string name = std::to_string(i);
        if (from.has(name + ".weight") || from.has(name + ".conv.0.weight")) layers.push_back(name);
    }
    half h;
    h.first = from.conv(layers.front(), 0, 0);
    h.stages.emplace_back();
    int64_t channels = h.first.outputs;
    for (size_t i = 1; i + 1 < layers.size(); i++) {
        if (from.has(layers[i] + ".weight")) {
            h.stages.emplace_back();
            h.stages.back().resample = from.conv(layers[i], channels, 0);
            channels = h.stages.back().resample->outputs;
            continue;
        }
        const layer_reader part = from.under(layers[i]);
        block b;
        b.conv1 = part.conv("conv.0", channels, 0);
        b.conv2 = part.conv("conv.2", b.conv1.outputs, 0);
        b.conv3 = part.conv("conv.4", b.conv2.outputs, 0);
        if (part.has("skip.weight") || channels != b.conv3.outputs) {
            b.skip = part.conv("skip", channels, b.conv3.outputs);
        }
        channels = b.conv3.outputs;
        h.stages.back().blocks.push_back(std::move(b));
    }
    h.last = from.conv(layers.size() > 1 ? layers.back() : "1", channels, 0);
    if (h.stages.size() > most_stages)
        throw failure(AQ_INVALID_MODEL, "the tiny autoencoder halves pictures too often");
    return h;
}

aq_vae_info tiny_vae::info() const {
    return {(int32_t)latent_channels(), (int32_t)image_channels(), (int32_t)factor(any()),
            encoder_.has_value(),       decoder_.has_value(),      1};
}

ggml_tensor *tiny_vae::block::build(graph &g, ggml_tensor *x) const {
    const epilogue relu = {nullptr, nullptr, activation::relu};
    ggml_tensor *h = conv(g, conv(g, x, conv1, relu), conv2, relu);
    return conv(g, h, conv3, {nullptr, skip ? conv(g, x, *skip) : x, activation::relu_of_sum});
}

tiny_vae::built tiny_vae::build(const aq_vae_call &call, bool encodes) {
    const half &h = encodes ? *encoder_ : *decoder_;
    const int64_t side = encodes ? factor(h) : 1;
    built b;
    b.nodes = std::make_unique<graph>(*host);
    graph &g = *b.nodes;
    b.input = g.input({h.first.inputs, call.width * side, call.height * side, call.batch});
    const activation act = encodes ? activation::none : activation::relu;
    ggml_tensor *x = conv(g, b.input, h.first, {nullptr, nullptr, act});
    for (const stage &s : h.stages) {
        if (s.resample) {
            x = encodes ? conv_down(g, x, *s.resample, true) : conv_up(g, x, *s.resample, 2 * x->ne[1], 2 * x->ne[2]);
        }
        for (const block &each : s.blocks) x = each.build(g, x);
    }
    g.finish(conv(g, x, h.last));
    return b;
}

tiny_vae::built &tiny_vae::ready(const aq_vae_call &call, bool encodes) {
    cache &kept = encodes ? encoder_cache_ : decoder_cache_;
    built &b = kept.get(*this, {call.batch, call.height, call.width}, [&] {
        built fresh = build(call, encodes);
        fresh.nodes->allocate_within(call.max_memory);
        return fresh;
    });
    read_planes(call.input, b.input);
    return b;
}

void tiny_vae::decode(const aq_vae_call &call) {
    built &b = ready(call, false);
    float *z = (float *)b.input->data;
    for (int64_t i = 0; i < ggml_nelements(b.input); i++) z[i] = 3 * tanhf(z[i] / 3);
    b.nodes->run();
    write_planes(b.nodes->output(), call.output, call.output_count);
    for (uint64_t i = 0; i < call.output_count; i++) call.output[i] = 2 * call.output[i] - 1;  // it gives 0 to 1
}

void tiny_vae::encode(const aq_vae_call &call) {
    built &b = ready(call, true);
    float *x = (float *)b.input->data;
    for (int64_t i = 0; i < ggml_nelements(b.input); i++) x[i] = (x[i] + 1) / 2;
    b.nodes->run();
    std::vector<float> means(call.output_count / 2);
    write_planes(b.nodes->output(), means.data(), means.size());
    const size_t count = means.size() / (size_t)call.batch;
    for (size_t image = 0; image < (size_t)call.batch; image++) {
        float *to = call.output + 2 * image * count;
        std::copy_n(means.data() + image * count, count, to);
        std::fill_n(to + count, count, no_variance);
    }
}

uint64_t tiny_vae::estimate(const aq_vae_call &call, bool encodes) {
    return build(call, encodes).nodes->measure().bytes();
}

}  // namespace aq
