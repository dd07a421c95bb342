#include "models/unet.h"

#include <math.h>
#include <string.h>

#include <algorithm>

#include "graph/failure.h"

namespace aq {

namespace {

constexpr int most_modules = 8;  // in a block; real ones have three

// cos and sin of t * 10000^(-i / half): Vaswani et al., arXiv 1706.03762, in the order of CompVis.
void timestep_embedding(float timestep, int64_t width, float *values) {
    const int64_t half = width / 2;
    for (int64_t i = 0; i < half; i++) {
        const float angle = timestep * expf(-logf(10000.0f) * (float)i / (float)half);
        values[i] = cosf(angle);
        values[half + i] = sinf(angle);
    }
    if (width % 2 != 0) values[width - 1] = 0;
}

bool all_alike(const float *values, uint64_t count, int32_t batch) {
    const size_t floats = count / (size_t)batch;
    for (int32_t i = 1; i < batch; i++) {
        if (memcmp(values + (size_t)i * floats, values, floats * sizeof(float)) != 0) return false;
    }
    return true;
}

// A tensor that no layer of an odd model reads is not there or has no memory.
void fill(ggml_tensor *input, const float *from) {
    if (input != nullptr && input->data != nullptr) memcpy(input->data, from, ggml_nbytes(input));
}

// Width of the text embedding that the first cross-attention under `from` takes; 0 if there is none.
int64_t find_context_width(const weights &all, const std::string &prefix) {
    const std::string end = ".transformer_blocks.0.attn2.to_k.weight";
    for (const auto &[name, t] : all.all()) {
        if (name.starts_with(prefix) && name.ends_with(end) && t.shape.size() == 2) return t.shape[1];
    }
    return 0;
}

}  // namespace

unet::unet(std::shared_ptr<engine> on, std::shared_ptr<const weights> from, const std::string &prefix, head_rule heads)
    : network(std::move(on), std::move(from)), heads_(heads) {
    const layer_reader reader(*source, prefix);
    context_width_ = find_context_width(*source, prefix);
    if (context_width_ == 0) {
        throw failure(AQ_INVALID_MODEL, "no tensor under '" + prefix + "' is a cross-attention: there is no UNet here");
    }
    time1_ = reader.linear("time_embed.0", 0, 0);
    time2_ = reader.linear("time_embed.2", time1_.outputs, 0);
    model_channels_ = time1_.inputs;
    time_width_ = time2_.outputs;
    if (reader.has("label_emb.0.0.weight")) {
        const product_layer in = reader.linear("label_emb.0.0", 0, 0);
        label_ = {in, reader.linear("label_emb.0.2", in.outputs, time_width_)};
    }
    if (reader.has("time_embed.cond_proj.weight")) {
        guidance_ = reader.linear("time_embed.cond_proj", 0, model_channels_);
    }

    // Pruned models keep the numbers of the blocks that stayed.
    const int inputs = reader.count("input_blocks"), outputs = reader.count("output_blocks");
    int64_t channels = reader.conv("input_blocks.0.0", 0, 0).inputs;
    in_channels_ = channels;
    std::vector<int64_t> skips;
    for (int i = 0; i < inputs; i++) {
        const std::string name = "input_blocks." + std::to_string(i);
        block b = read_block(reader.under(name), name, channels, 0);
        if (b.modules.empty()) continue;
        input_blocks_.push_back(std::move(b));
        skips.push_back(channels);
    }
    middle_block_ = read_block(reader.under("middle_block"), "middle_block", channels, 0);
    for (int i = 0; i < outputs; i++) {
        const std::string name = "output_blocks." + std::to_string(i);
        const layer_reader part = reader.under(name);
        // Where a model lacks layers, an upsampler may be left alone in its block.
        const bool takes_skip = part.has("0.in_layers.0.weight");
        if (takes_skip && skips.empty()) {
            throw failure(AQ_INVALID_MODEL, "'" + part.prefix() + "' has no input block as its counterpart");
        }
        block b = read_block(part, name, channels, takes_skip ? skips.back() : 0);
        b.takes_skip = takes_skip;
        if (takes_skip) skips.pop_back();
        if (!b.modules.empty()) output_blocks_.push_back(std::move(b));
    }
    if (!skips.empty()) {
        throw failure(AQ_INVALID_MODEL, "the UNet has " + std::to_string(input_blocks_.size()) +
                                            " input blocks, the outputs of " + std::to_string(skips.size()) +
                                            " of them go to no output block");
    }
    out_unit_ = add_unit(units_, "out", AQ_UNIT_CONVOLUTION, -1, false);
    out_norm_ = reader.group_norm("out.0", channels);
    out_conv_ = reader.conv("out.2", channels, 0);
    out_channels_ = out_conv_.outputs;
}

unet::module unet::read_module(const layer_reader &block, const std::string &number, int parent, int64_t &channels,
                               int64_t skip_channels) {
    const layer_reader part = block.under(number);
    const int64_t inputs = channels, all = channels + skip_channels;
    const int unit = add_unit(units_, units_[(size_t)parent].name + "." + number, AQ_UNIT_CONVOLUTION, parent, false);
    if (part.has("in_layers.0.weight")) {
        resnet r = read_unet_resnet(part, all, time_width_);
        channels = r.outputs();
        units_[(size_t)unit].kind = AQ_UNIT_RESNET;
        units_[(size_t)unit].skippable = channels == inputs;
        return {unit, std::move(r)};
    }
    if (part.has("norm.weight")) {
        units_[(size_t)unit].kind = AQ_UNIT_TRANSFORMER;
        units_[(size_t)unit].skippable = true;
        return {unit, read_transformer(part, all, context_width_, heads_, units_, unit)};
    }
    if (part.has("op.weight")) {
        downsample d = {part.conv("op", all, 0)};
        channels = d.conv.outputs;
        return {unit, std::move(d)};
    }
    if (part.has("conv.weight")) {
        upsample u = {part.conv("conv", all, 0)};
        channels = u.conv.outputs;
        return {unit, std::move(u)};
    }
    product_layer conv = block.conv(number, all, 0);
    channels = conv.outputs;
    return {unit, std::move(conv)};
}

unet::block unet::read_block(const layer_reader &from, const std::string &name, int64_t &channels,
                             int64_t skip_channels) {
    block b = {add_unit(units_, name, AQ_UNIT_BLOCK, -1, false), {}};
    const int64_t inputs = channels;
    bool same_size = true;
    for (int i = 0; i < most_modules; i++) {
        const std::string number = std::to_string(i);
        const layer_reader part = from.under(number);
        const bool any = part.has("in_layers.0.weight") || part.has("norm.weight") || part.has("op.weight") ||
                         part.has("conv.weight") || part.has("weight");
        if (!any) continue;
        b.modules.push_back(read_module(from, number, b.unit, channels, b.modules.empty() ? skip_channels : 0));
        const auto &layer = b.modules.back().layer;
        same_size = same_size && !std::holds_alternative<downsample>(layer) && !std::holds_alternative<upsample>(layer);
    }
    if (b.modules.empty()) units_.pop_back();
    else units_[(size_t)b.unit].skippable = same_size && channels == inputs;
    return b;
}

aq_unet_info unet::info() const {
    int32_t levels = 1;
    for (const block &b : input_blocks_) {
        for (const module &m : b.modules) levels += std::holds_alternative<downsample>(m.layer);
    }
    return {(int32_t)in_channels_,
            (int32_t)out_channels_,
            (int32_t)model_channels_,
            (int32_t)context_width_,
            levels,
            label_ ? (int32_t)label_->in.inputs : 0,
            guidance_ ? (int32_t)guidance_->inputs : 0,
            (int32_t)units_.size()};
}

// Whether all images of a batch have the same inputs but for their text, as the two branches of a guided step do: then
// they are the same up to the first cross-attention and computed once so far.
bool unet::inputs_alike(const aq_unet_call &call) const {
    return all_alike(call.timesteps, call.timestep_count, call.batch) &&
           all_alike(call.latent, call.latent_count, call.batch) &&
           (!label_ || all_alike(call.label, call.label_count, call.batch)) &&
           (!guidance_ || all_alike(call.guidance, call.guidance_count, call.batch));
}

// What every ResBlock takes of the timestep and the label, silu already applied.
ggml_tensor *unet::build_time(built &b, int64_t images) const {
    graph &g = *b.nodes;
    b.time = g.input({model_channels_, 1, 1, images});
    ggml_tensor *embedded = b.time;
    if (guidance_) {
        b.guidance = g.input({guidance_->inputs, 1, 1, images});
        embedded = linear(g, b.guidance, *guidance_, {nullptr, embedded, activation::none});
    }
    ggml_tensor *hidden = linear(g, embedded, time1_, {nullptr, nullptr, activation::silu});
    if (!label_) return linear(g, hidden, time2_, {nullptr, nullptr, activation::silu});
    b.label = g.input({label_->in.inputs, 1, 1, images});
    ggml_tensor *time = linear(g, hidden, time2_);
    ggml_tensor *label = linear(g, b.label, label_->in, {nullptr, nullptr, activation::silu});
    return linear(g, label, label_->out, {time, nullptr, activation::silu});
}

ggml_tensor *unet::build_module(graph &g, plan &p, const module &m, ggml_tensor *x, ggml_tensor *time,
                                const prompt &text, const ggml_tensor *next_skip) const {
    if (const auto *r = std::get_if<resnet>(&m.layer)) return r->build(g, x, time);
    if (const auto *t = std::get_if<transformer>(&m.layer)) return t->build(g, x, text, p);
    if (const auto *d = std::get_if<downsample>(&m.layer)) return conv_down(g, x, d->conv, true);
    if (const auto *u = std::get_if<upsample>(&m.layer)) {
        // An odd size was halved rounding up: the skip connection knows which size to return to.
        const extent e = extent_of(x);
        const int64_t width = next_skip != nullptr ? next_skip->ne[1] : 2 * e.width;
        const int64_t height = next_skip != nullptr ? next_skip->ne[2] : 2 * e.height;
        if ((width + 1) / 2 != e.width || (height + 1) / 2 != e.height) {
            throw failure(AQ_INVALID_MODEL, "the UNet's upsampling does not mirror its downsampling");
        }
        return conv_up(g, x, u->conv, width, height);
    }
    return conv(g, x, std::get<product_layer>(m.layer));
}

// `skip`: what the first layer takes beside x; a skipped layer passes on x alone.
ggml_tensor *unet::build_block(graph &g, plan &p, const block &b, ggml_tensor *x, ggml_tensor *skip, ggml_tensor *time,
                               const prompt &text, const ggml_tensor *next_skip) const {
    if (b.modules.empty()) return x;  // a model without a middle block
    return p.output(b.unit, x, [&] {
        ggml_tensor *h = x;
        for (const module &m : b.modules) {
            h = p.output(m.unit, h, [&] {
                const bool joins = skip != nullptr && &m == &b.modules.front();
                ggml_tensor *in = joins ? concat(g, h, repeat(g, skip, h->ne[3])) : h;
                return build_module(g, p, m, in, time, text, next_skip);
            });
        }
        return h;
    });
}

std::shared_ptr<prompt> unet::text_for(int64_t tokens, int64_t images) {
    std::weak_ptr<prompt> &kept = texts_[{tokens, images}];
    std::shared_ptr<prompt> text = kept.lock();
    if (text) return text;
    text = std::make_shared<prompt>(*host, context_width_, tokens, images);
    const auto compute = [&](const block &b) {
        for (const module &m : b.modules) {
            const auto *t = std::get_if<transformer>(&m.layer);
            for (size_t i = 0; t != nullptr && i < t->blocks.size(); i++) t->blocks[i].compute_text(*text);
        }
    };
    for (const block &b : input_blocks_) compute(b);
    compute(middle_block_);
    for (const block &b : output_blocks_) compute(b);
    text->allocate();
    kept = text;
    return text;
}

unet::built unet::build(const graph_key &key) {
    const int64_t batch = key.shape[0], height = key.shape[1], width = key.shape[2], tokens = key.shape[3];
    const bool alike = key.shape[4] != 0;
    built b;
    b.nodes = std::make_unique<graph>(*host, arena_);
    graph &g = *b.nodes;
    plan p(g, key.actions, batch);
    const int64_t images = alike ? 1 : batch;
    b.latent = g.input({in_channels_, width, height, images});
    b.text = text_for(tokens, batch);
    ggml_tensor *time = build_time(b, images);
    ggml_tensor *x = b.latent;
    std::vector<ggml_tensor *> skips;
    for (const block &part : input_blocks_) {
        x = build_block(g, p, part, x, nullptr, time, *b.text, nullptr);
        skips.push_back(x);
    }
    x = build_block(g, p, middle_block_, x, nullptr, time, *b.text, nullptr);
    for (const block &part : output_blocks_) {
        ggml_tensor *skip = nullptr;
        if (part.takes_skip) {
            skip = skips.back();
            skips.pop_back();
            if (x->ne[1] != skip->ne[1] || x->ne[2] != skip->ne[2]) {
                throw failure(AQ_INVALID_MODEL, "the UNet's output blocks do not mirror its input blocks");
            }
        }
        x = build_block(g, p, part, x, skip, time, *b.text, skips.empty() ? nullptr : skips.back());
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

unet::graph_key unet::key_of(const aq_unet_call &call, bool alike) const {
    graph_key key = {{call.batch, call.height, call.width, call.tokens, alike}, {}};
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

unet::built &unet::built_for(const graph_key &key) {
    // Pictures of another size need other amounts of memory.
    if (key.shape[1] != height_ || key.shape[2] != width_) {
        cache_.clear(*this);
        texts_.clear();
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

void unet::evaluate(const aq_unet_call &call, const std::vector<feature_cache *> &caches) {
    const graph_key key = key_of(call, inputs_alike(call));
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
    if (b.latent->data != nullptr) read_planes(call.latent, b.latent);
    std::vector<float> times((size_t)ggml_nelements(b.time));
    for (int64_t i = 0; i < b.time->ne[3]; i++) {
        timestep_embedding(call.timesteps[i], model_channels_, times.data() + i * model_channels_);
    }
    fill(b.time, times.data());
    fill(b.label, call.label);
    fill(b.guidance, call.guidance);
    b.text->update(call.context);
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
    const bool alike = !label_;
    built b = build(key_of(call, alike));
    b.nodes->finish(b.output);
    return count_work(*b.nodes, units_, b.reused);
}

}  // namespace aq
