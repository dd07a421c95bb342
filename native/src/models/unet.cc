#include "models/unet.h"

#include <string.h>

#include <algorithm>

#include "graph/failure.h"

namespace aq {

unet::unet(std::shared_ptr<engine> on, std::shared_ptr<const weights> from, const std::string &prefix, head_rule heads,
           bool softmax)
    : adaptable(std::move(on), std::move(from), prefix), heads_(heads) {
    const layer_reader reader(*source, prefix, softmax);
    context_width_ = find_context_width(*source, prefix);
    if (context_width_ == 0) {
        throw failure(AQ_INVALID_MODEL, "no tensor under '" + prefix + "' is a cross-attention: there is no UNet here");
    }
    time_ = time_embedding::read(reader);
    const block_reader blocks = {units_, heads_, context_width_, time_.out.outputs};

    // Pruned models keep the numbers of the blocks that stayed.
    const int inputs = reader.count("input_blocks"), outputs = reader.count("output_blocks");
    int64_t channels = reader.conv("input_blocks.0.0", 0, 0).inputs;
    in_channels_ = channels;
    std::vector<residual_place> skips;
    int halvings = 0;
    for (int i = 0; i < inputs; i++) {
        const std::string name = "input_blocks." + std::to_string(i);
        unet_block b = blocks.read(reader.under(name), name, channels, 0);
        if (b.modules.empty()) continue;
        halvings += b.downsamples() - b.upsamples();
        residuals_.push_back({channels, halvings});
        input_blocks_.push_back(std::move(b));
        skips.push_back(residuals_.back());
    }
    middle_block_ = blocks.read(reader.under("middle_block"), "middle_block", channels, 0);
    halvings += middle_block_.downsamples() - middle_block_.upsamples();
    if (!middle_block_.modules.empty()) residuals_.push_back({channels, halvings});
    for (int i = 0; i < outputs; i++) {
        const std::string name = "output_blocks." + std::to_string(i);
        const layer_reader part = reader.under(name);
        // Where a model lacks layers, an upsampler may be left alone in its block.
        const bool takes_skip = part.has("0.in_layers.0.weight");
        if (takes_skip && skips.empty()) {
            throw failure(AQ_INVALID_MODEL, "'" + part.prefix() + "' has no input block as its counterpart");
        }
        unet_block b = blocks.read(part, name, channels, takes_skip ? skips.back().channels : 0);
        b.takes_skip = takes_skip;
        bool mirrors = !takes_skip || skips.back().halvings == halvings;
        if (takes_skip) skips.pop_back();
        halvings += b.downsamples() - b.upsamples();
        // An upsampler takes its size from the next skip connection.
        mirrors = mirrors && (b.upsamples() == 0 || (b.upsamples() == 1 && b.downsamples() == 0 &&
                                                     (skips.empty() || skips.back().halvings == halvings)));
        if (!mirrors)
            throw failure(AQ_INVALID_MODEL, "'" + part.prefix() + "' does not mirror the UNet's input blocks");
        if (!b.modules.empty()) output_blocks_.push_back(std::move(b));
    }
    if (!skips.empty()) {
        throw failure(AQ_INVALID_MODEL, "the UNet has " + std::to_string(input_blocks_.size()) +
                                            " input blocks, the outputs of " + std::to_string(skips.size()) +
                                            " of them go to no output block");
    }
    if (halvings != 0) throw failure(AQ_INVALID_MODEL, "the UNet's output has another size than its input");
    out_unit_ = add_unit(units_, "out", AQ_UNIT_CONVOLUTION, -1, false);
    out_norm_ = reader.group_norm("out.0", channels);
    out_conv_ = reader.conv("out.2", channels, 0);
    out_channels_ = out_conv_.outputs;
}

aq_unet_info unet::info() const {
    int32_t levels = 1;
    for (const unet_block &b : input_blocks_) levels += b.downsamples();
    return {(int32_t)in_channels_,
            (int32_t)out_channels_,
            (int32_t)time_.in.inputs,
            (int32_t)context_width_,
            levels,
            (int32_t)time_.label_width(),
            (int32_t)time_.guidance_width(),
            (int32_t)units_.size(),
            (int32_t)residuals_.size()};
}

std::map<int, int64_t> unet::cross_attentions() const {
    std::map<int, int64_t> widths;
    for (const unet_block &b : input_blocks_) b.find_cross_attentions(widths);
    middle_block_.find_cross_attentions(widths);
    for (const unet_block &b : output_blocks_) b.find_cross_attentions(widths);
    return widths;
}

std::vector<extent> unet::residual_shapes(int64_t height, int64_t width) const {
    std::vector<extent> shapes;
    for (const residual_place &r : residuals_) {
        const int64_t cells =
            int64_t(1) << r.halvings;  // halving n times, rounding up, is dividing by 2^n, rounding up
        shapes.push_back({r.channels, (width + cells - 1) / cells, (height + cells - 1) / cells, 1});
    }
    return shapes;
}

// Whether all images of a batch have the same inputs but for their text, as the two branches of a guided step do: then
// they are the same up to the first cross-attention and computed once so far.
bool unet::inputs_alike(const aq_unet_call &call) const {
    return all_alike(call.timesteps, call.timestep_count, call.batch) &&
           all_alike(call.latent, call.latent_count, call.batch) &&
           (time_.label_width() == 0 || all_alike(call.label, call.label_count, call.batch)) &&
           (time_.guidance_width() == 0 || all_alike(call.guidance, call.guidance_count, call.batch));
}

std::shared_ptr<prompt> unet::context_for(const added_attention *adapter, int64_t tokens, int64_t images) {
    std::weak_ptr<prompt> &kept = contexts_[{adapter, tokens, images}];
    std::shared_ptr<prompt> context = kept.lock();
    if (context) return context;
    const int64_t width = adapter != nullptr ? adapter->width : context_width_;
    context = std::make_shared<prompt>(*host, width, tokens, images, adapted());
    if (adapter != nullptr) {
        for (const auto &[unit, layer] : adapter->by_unit) {
            context->compute(layer.k);
            context->compute(layer.v);
        }
    } else {
        for (const unet_block &b : input_blocks_) b.compute_text(*context);
        middle_block_.compute_text(*context);
        for (const unet_block &b : output_blocks_) b.compute_text(*context);
    }
    context->allocate();
    kept = context;
    return context;
}

unet::built unet::build(const graph_key &key) {
    const int64_t batch = key.shape[0], height = key.shape[1], width = key.shape[2], tokens = key.shape[3];
    const bool alike = key.shape[4] != 0, controlled = key.shape[5] != 0;
    built b;
    b.nodes = std::make_unique<graph>(*host, arena_, adapted());
    graph &g = *b.nodes;
    plan p(g, key.actions, batch);
    const int64_t images = alike ? 1 : batch;
    b.latent = g.input({in_channels_, width, height, images});
    b.from.text = context_for(nullptr, tokens, batch);
    for (const auto &[adapter, length] : key.terms) {
        b.from.terms.push_back({adapter, context_for(adapter.get(), length, batch), std::make_unique<float>(0.0f)});
    }
    ggml_tensor *time = time_.build(g, images, b.time);
    ggml_tensor *x = b.latent;
    if (controlled) {
        for (const extent &e : residual_shapes(height, width)) {
            b.residuals.push_back(g.input({e.channels, e.width, e.height, batch}));
        }
    }
    const auto with_residual = [&](ggml_tensor *to, size_t i) {
        return controlled ? add(g, repeat(g, to, batch), b.residuals[i]) : to;
    };
    std::vector<ggml_tensor *> skips;
    for (const unet_block &part : input_blocks_) {
        x = part.build(g, p, x, nullptr, time, b.from, nullptr);
        skips.push_back(with_residual(x, skips.size()));
    }
    x = middle_block_.build(g, p, x, nullptr, time, b.from, nullptr);
    if (!middle_block_.modules.empty()) x = with_residual(x, skips.size());
    size_t left = 0;  // skip connections of this size that were left to blocks to come
    for (const unet_block &part : output_blocks_) {
        ggml_tensor *skip = nullptr;
        if (part.takes_skip && p.leaves_connection(part.modules.front().unit)) {
            left++;
        } else if (part.takes_skip) {
            skip = skips.back();
            skips.pop_back();
            if (x->ne[1] != skip->ne[1] || x->ne[2] != skip->ne[2]) {
                throw failure(AQ_INVALID_MODEL, "the UNet's output blocks do not mirror its input blocks");
            }
            const auto *joins = std::get_if<resnet>(&part.modules.front().layer);
            if (left > 0 && joins != nullptr && x->ne[0] + skip->ne[0] != joins->conv1.inputs) {
                throw failure(AQ_INVALID_ARGUMENT, "unit '" + units_[(size_t)part.modules.front().unit].name +
                                                       "' is left a skip connection of another width");
            }
        }
        if (std::any_of(part.modules.begin(), part.modules.end(),
                        [](const unet_module &m) { return std::holds_alternative<upsample>(m.layer); })) {
            skips.resize(skips.size() - left);
            left = 0;
        }
        x = part.build(g, p, x, skip, time, b.from, skips.empty() ? nullptr : skips.back());
    }
    if (x->ne[1] != width || x->ne[2] != height) {
        throw failure(AQ_INVALID_MODEL, "the UNet's output has another size than its input");
    }
    b.output = p.output(out_unit_, x,
                        [&] { return conv(g, group_norm(g, repeat(g, x, batch), out_norm_, 1e-5f, true), out_conv_); });
    if (b.output->op == GGML_OP_NONE) b.output = copy(g, b.output);  // a graph needs a node
    b.stored = p.stored();
    b.reused = p.reused();
    return b;
}

unet::graph_key unet::key_of(const aq_unet_call &call, bool alike, bool controlled) const {
    graph_key key = {{call.batch, call.height, call.width, call.tokens, alike, controlled}, {}, {}};
    if (call.actions != nullptr) key.actions.assign(call.actions, call.actions + call.action_count);
    // A plan that computes everything is none.
    if (std::all_of(key.actions.begin(), key.actions.end(), [](uint8_t a) { return a == AQ_COMPUTE; })) {
        key.actions.clear();
    }
    check_actions(units_, key.actions);
    return key;
}

void unet::check_caches(const graph_key &key, const aq_unet_call &call,
                        const std::vector<feature_cache *> &caches) const {
    for (size_t i = 0; i < key.actions.size(); i++) {
        const uint8_t action = key.actions[i];
        if (action != AQ_STORE && action != AQ_REUSE) continue;
        if (caches.empty()) {
            throw failure(AQ_INVALID_ARGUMENT,
                          "unit '" + units_[i].name + "' is to be stored or reused without caches");
        }
        for (const feature_cache *cache : caches) {
            if (action == AQ_REUSE && !cache->holds((int)i, call.height, call.width)) {
                throw failure(AQ_INVALID_ARGUMENT,
                              "unit '" + units_[i].name + "' is to be reused before a call at this size stored it");
            }
        }
    }
}

void unet::forget_graphs() {
    cache_.clear(*this);
    contexts_.clear();
}

unet::built &unet::built_for(const graph_key &key) {
    // Pictures of another size need other amounts of memory.
    if (key.shape[1] != height_ || key.shape[2] != width_) {
        forget_graphs();
        arena_ = std::make_shared<arena>();
        height_ = key.shape[1];
        width_ = key.shape[2];
    }
    return cache_.get(*this, key, [&] {
        built b = build(key);
        b.nodes->allocate(b.output);
        b.work = count_work(*b.nodes, units_, b.reused);
        return b;
    });
}

void unet::evaluate(const aq_unet_call &call, const std::vector<feature_cache *> &caches,
                    const std::vector<std::shared_ptr<const added_attention>> &added) {
    graph_key key = key_of(call, inputs_alike(call), call.residuals != nullptr);
    for (size_t i = 0; i < added.size(); i++) key.terms.push_back({added[i], call.terms[i].tokens});
    check_caches(key, call, caches);
    built &b = built_for(key);
    for (const plan::exchange &e : b.stored) {
        const int64_t floats = extent_of(e.tensor).count() / e.tensor->ne[3];
        for (feature_cache *cache : caches) cache->reserve(e.unit, floats, call.height, call.width);
    }
    for (const plan::exchange &e : b.reused) {
        if (e.tensor->data == nullptr) continue;  // nothing computed needs it
        const int64_t floats = extent_of(e.tensor).count() / e.tensor->ne[3];
        float *to = (float *)e.tensor->data;
        for (size_t i = 0; i < caches.size(); i++) {
            memcpy(to + (int64_t)i * floats, caches[i]->values(e.unit, floats), (size_t)floats * sizeof(float));
        }
    }
    const float *const *from = call.residuals;
    std::vector<const float *> residuals(from, from + (b.residuals.empty() ? 0 : call.batch));
    for (ggml_tensor *t : b.residuals) {
        const int64_t floats = extent_of(t).count() / t->ne[3];
        for (size_t i = 0; i < residuals.size(); i++) {
            if (t->data != nullptr) {
                memcpy((float *)t->data + (int64_t)i * floats, residuals[i], (size_t)floats * sizeof(float));
            }
            residuals[i] += floats;
        }
    }
    if (b.latent->data != nullptr) read_planes(call.latent, b.latent);
    time_.fill(b.time, call.timesteps, call.label, call.guidance);
    b.from.text->update(call.context);
    for (size_t i = 0; i < added.size(); i++) {
        *b.from.terms[i].scale = call.terms[i].scale;
        b.from.terms[i].context->update(call.terms[i].context);
    }
    b.nodes->run();
    write_planes(b.nodes->output(), call.output, call.output_count);
    for (const plan::exchange &e : b.stored) {
        const int64_t images = e.tensor->ne[3], floats = extent_of(e.tensor).count() / images;
        for (size_t i = 0; i < caches.size(); i++) {
            caches[i]->fill(e.unit, values(e.tensor) + (images == 1 ? 0 : (int64_t)i * floats));
        }
    }
    if (call.work != nullptr) *call.work = b.work;
}

aq_unet_work unet::estimate(const aq_unet_call &call) {
    const bool alike = time_.label_width() == 0;
    built b = build(key_of(call, alike, false));
    b.nodes->finish(b.output);
    return count_work(*b.nodes, units_, b.reused);
}

std::vector<bool> unet::residuals_read(const aq_unet_call &call) {
    built b = build(key_of(call, true, true));
    b.nodes->finish(b.output);
    std::vector<bool> read;
    for (const ggml_tensor *t : b.residuals) read.push_back(b.nodes->needs(t));
    return read;
}

}  // namespace aq
