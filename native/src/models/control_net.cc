#include "models/control_net.h"

#include <string.h>

#include "graph/failure.h"

namespace aq {

namespace {

constexpr int most_hint_layers = 32;

// Every second convolution halves the picture, but for the first and the last one.
bool halves(size_t layer, size_t count) { return layer > 0 && layer % 2 == 0 && layer + 1 < count; }

bool any_wanted(const std::vector<uint8_t> &wanted) {
    return std::find(wanted.begin(), wanted.end(), 1) != wanted.end();
}

}  // namespace

control_net::control_net(std::shared_ptr<unet> unet, std::shared_ptr<const weights> from, const std::string &prefix)
    : network(unet->host, std::move(from)), of(std::move(unet)) {
    const layer_reader reader(*source, prefix);
    if (reader.has("control_add_embedding.linear_1.weight") || reader.has("task_embedding")) {
        throw failure(AQ_INVALID_MODEL, "tensor '" + prefix +
                                            "task_embedding' belongs to a union of control nets, which is not "
                                            "supported; use one that was trained for a single kind of picture");
    }
    context_width_ = of->info().context_width;
    time_ = time_embedding::read(reader);
    if (time_.label_width() != of->label_width()) {
        reader.linear("label_emb.0.0", of->label_width(), 0);  // says that it is missing or has another width
        throw failure(AQ_INVALID_MODEL,
                      "tensor '" + prefix + "label_emb.0.0.weight' is for a UNet that is told sizes; this one is not");
    }
    read_blocks(reader);
    read_hint(reader);
}

void control_net::read_blocks(const layer_reader &from) {
    const block_reader blocks = {units_, of->heads(), context_width_, time_.out.outputs};
    const auto &places = of->residuals();
    const size_t outer = places.size() - (of->has_middle_block() ? 1 : 0);
    int64_t channels = from.conv("input_blocks.0.0", 0, places[0].channels).inputs;
    in_channels_ = channels;
    int halvings = 0;
    for (size_t i = 0; i < outer; i++) {
        const std::string number = std::to_string(i), name = "input_blocks." + number;
        unet_block b = blocks.read(from.under(name), name, channels, 0);
        halvings += b.downsamples();
        if (b.modules.empty() || halvings != places[i].halvings) {
            throw failure(AQ_INVALID_MODEL,
                          "'" + from.prefix() + name + "' " +
                              (b.modules.empty() ? "is missing" : "is at another size than in the UNet") +
                              ": it was made for another kind of UNet");
        }
        input_blocks_.push_back(std::move(b));
        zero_convs_.push_back(from.linear("zero_convs." + number + ".0", channels, places[i].channels));
    }
    if (from.count("input_blocks") > (int)outer) {
        throw failure(AQ_INVALID_MODEL, "'" + from.prefix() + "input_blocks." + std::to_string(outer) +
                                            "' has no counterpart: it was made for another kind of UNet");
    }
    if (outer == places.size()) return;
    middle_block_ = blocks.read(from.under("middle_block"), "middle_block", channels, 0);
    zero_convs_.push_back(from.linear("middle_block_out.0", channels, places.back().channels));
}

void control_net::read_hint(const layer_reader &from) {
    int64_t channels = 0;
    for (int i = 0; i < most_hint_layers; i++) {
        const std::string name = "input_hint_block." + std::to_string(2 * i);  // activations lie between
        if (i > 0 && !from.has(name + ".weight")) break;
        hint_layers_.push_back(from.conv(name, channels, 0));
        channels = hint_layers_.back().outputs;
    }
    const std::string last = "input_hint_block." + std::to_string(2 * (hint_layers_.size() - 1));
    hint_layers_.back() = from.conv(last, hint_layers_.back().inputs, of->residuals()[0].channels);
}

aq_control_net_info control_net::info() const {
    int32_t factor = 1;
    for (size_t i = 0; i < hint_layers_.size(); i++) factor *= halves(i, hint_layers_.size()) ? 2 : 1;
    return {(int32_t)in_channels_, (int32_t)hint_layers_[0].inputs, factor};
}

void control_net::build_hint(int64_t height, int64_t width) {
    const aq_control_net_info sizes = info();
    hint_ = {std::make_unique<graph>(*host), nullptr, nullptr, {}};
    graph &g = *hint_.nodes;
    hint_.picture = g.input({sizes.hint_channels, width * sizes.factor, height * sizes.factor, 1});
    ggml_tensor *x = hint_.picture;
    for (size_t i = 0; i < hint_layers_.size(); i++) {
        const epilogue end = {nullptr, nullptr, i + 1 < hint_layers_.size() ? activation::silu : activation::none};
        x = halves(i, hint_layers_.size()) ? conv_down(g, x, hint_layers_[i], true, end)
                                           : conv(g, x, hint_layers_[i], end);
    }
    hint_.embedded = x;
    g.allocate(x);
}

void control_net::update_hint(const aq_control_net_call &call) {
    std::vector<float> &last = hint_.last;
    if (hint_.nodes->complete() && last.size() == call.hint_count &&
        memcmp(last.data(), call.hint, last.size() * sizeof(float)) == 0) {
        return;
    }
    read_planes(call.hint, hint_.picture);
    last.assign(call.hint, call.hint + call.hint_count);
    hint_.nodes->run();
}

std::shared_ptr<prompt> control_net::text_for(int64_t tokens, int64_t images) {
    std::weak_ptr<prompt> &kept = texts_[{tokens, images}];
    std::shared_ptr<prompt> text = kept.lock();
    if (text) return text;
    text = std::make_shared<prompt>(*host, context_width_, tokens, images, nullptr);
    for (const unet_block &b : input_blocks_) b.compute_text(*text);
    middle_block_.compute_text(*text);
    text->allocate();
    kept = text;
    return text;
}

control_net::built control_net::build(const graph_key &key) {
    const int64_t batch = key.shape[0], height = key.shape[1], width = key.shape[2];
    const int64_t images = key.shape[4] != 0 ? 1 : batch;
    built b;
    b.from.text = text_for(key.shape[3], batch);
    b.nodes = std::make_unique<graph>(*host, of->activations());
    graph &g = *b.nodes;
    plan p(g, all_, batch);
    b.latent = g.input({in_channels_, width, height, images});
    ggml_tensor *time = time_.build(g, images, b.time), *x = b.latent;
    b.seen = g.input({of->residuals()[0].channels, width, height, 1});
    const auto residual = [&](size_t i) {
        ggml_tensor *t = key.wanted[i] != 0 ? linear(g, x, zero_convs_[i]) : nullptr;
        b.residuals.push_back(t);
        if (t == nullptr) return;
        g.keep(t);
        b.output = t;
    };
    for (size_t i = 0; i < input_blocks_.size(); i++) {
        x = input_blocks_[i].build(g, p, x, nullptr, time, b.from, nullptr);
        if (i == 0) x = add(g, x, repeat(g, b.seen, images));
        residual(i);
    }
    if (!middle_block_.modules.empty()) {
        x = middle_block_.build(g, p, x, nullptr, time, b.from, nullptr);
        residual(input_blocks_.size());
    }
    return b;
}

double control_net::estimate(const aq_control_net_call &call) {
    const graph_key key = key_of(call, time_.label_width() == 0);
    if (!any_wanted(key.wanted)) return 0;
    built b = build(key);
    b.nodes->finish(b.output);
    return b.nodes->flops() / 2;
}

control_net::graph_key control_net::key_of(const aq_control_net_call &call, bool alike) const {
    graph_key key = {{call.batch, call.height, call.width, call.tokens, alike}, {}};
    key.wanted.assign(zero_convs_.size(), 1);
    if (call.wanted != nullptr) key.wanted.assign(call.wanted, call.wanted + call.wanted_count);
    return key;
}

void control_net::evaluate(const aq_control_net_call &call) {
    const bool alike = all_alike(call.timesteps, call.timestep_count, call.batch) &&
                       all_alike(call.latent, call.latent_count, call.batch) &&
                       (time_.label_width() == 0 || all_alike(call.label, call.label_count, call.batch));
    const graph_key key = key_of(call, alike);
    if (!any_wanted(key.wanted)) return;
    if (call.height != height_ || call.width != width_) {
        cache_.clear(*this);
        build_hint(call.height, call.width);
        height_ = call.height;
        width_ = call.width;
    }
    update_hint(call);
    built &b = cache_.get(*this, key, [&] {
        built made = build(key);
        made.seen->data = hint_.embedded->data;
        made.nodes->allocate(made.output);
        return made;
    });
    read_planes(call.latent, b.latent);
    time_.fill(b.time, call.timesteps, call.label, nullptr);
    b.from.text->update(call.context);
    b.nodes->run();
    std::vector<float *> to(call.residuals, call.residuals + call.batch);
    const std::vector<extent> shapes = of->residual_shapes(call.height, call.width);
    for (size_t r = 0; r < shapes.size(); r++) {
        const ggml_tensor *t = b.residuals[r];
        const int64_t floats = shapes[r].count();
        for (size_t i = 0; i < to.size(); to[i++] += floats) {
            if (t == nullptr) continue;
            const float *from = values(t) + (t->ne[3] == 1 ? 0 : (int64_t)i * floats);
            for (int64_t k = 0; k < floats; k++) to[i][k] = call.scale * from[k] + (call.adds != 0 ? to[i][k] : 0.0f);
        }
    }
}

}  // namespace aq
