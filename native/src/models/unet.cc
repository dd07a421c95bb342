#include "models/unet.h"

#include <math.h>
#include <string.h>

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
        block b = read_block(reader.under("input_blocks." + std::to_string(i)), channels);
        if (b.empty()) continue;
        input_blocks_.push_back(std::move(b));
        skips.push_back(channels);
    }
    middle_block_ = read_block(reader.under("middle_block"), channels);
    for (int i = 0; i < outputs; i++) {
        const layer_reader part = reader.under("output_blocks." + std::to_string(i));
        // Where a model lacks layers, an upsampler may be left alone in its block.
        const bool takes_skip = part.has("0.in_layers.0.weight");
        if (takes_skip) {
            if (skips.empty()) {
                throw failure(AQ_INVALID_MODEL, "'" + part.prefix() + "' has no input block as its counterpart");
            }
            channels += skips.back();
            skips.pop_back();
        }
        block b = read_block(part, channels);
        if (!b.empty()) output_blocks_.push_back({takes_skip, std::move(b)});
    }
    if (!skips.empty()) {
        throw failure(AQ_INVALID_MODEL, "the UNet has " + std::to_string(input_blocks_.size()) +
                                            " input blocks, the outputs of " + std::to_string(skips.size()) +
                                            " of them go to no output block");
    }
    out_norm_ = reader.group_norm("out.0", channels);
    out_conv_ = reader.conv("out.2", channels, 0);
    out_channels_ = out_conv_.outputs;
}

unet::block unet::read_block(const layer_reader &from, int64_t &channels) {
    block b;
    for (int i = 0; i < most_modules; i++) {
        const std::string name = std::to_string(i);
        const layer_reader part = from.under(name);
        if (part.has("in_layers.0.weight")) {
            b.push_back(read_unet_resnet(part, channels, time_width_));
            channels = std::get<resnet>(b.back()).outputs();
        } else if (part.has("norm.weight")) {
            b.push_back(read_transformer(part, channels, context_width_, heads_));
        } else if (part.has("op.weight")) {
            b.push_back(downsample{part.conv("op", channels, 0)});
            channels = std::get<downsample>(b.back()).conv.outputs;
        } else if (part.has("conv.weight")) {
            b.push_back(upsample{part.conv("conv", channels, 0)});
            channels = std::get<upsample>(b.back()).conv.outputs;
        } else if (part.has("weight")) {
            b.push_back(from.conv(name, channels, 0));
            channels = std::get<product_layer>(b.back()).outputs;
        }
    }
    return b;
}

aq_unet_info unet::info() const {
    int32_t levels = 1;
    for (const block &b : input_blocks_) {
        for (const module &m : b) levels += std::holds_alternative<downsample>(m);
    }
    return {(int32_t)in_channels_,
            (int32_t)out_channels_,
            (int32_t)model_channels_,
            (int32_t)context_width_,
            levels,
            label_ ? (int32_t)label_->in.inputs : 0,
            guidance_ ? (int32_t)guidance_->inputs : 0};
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

ggml_tensor *unet::build_block(graph &g, const block &b, ggml_tensor *x, ggml_tensor *time, prompt &text,
                               const ggml_tensor *next_skip) const {
    for (const module &m : b) {
        if (const auto *r = std::get_if<resnet>(&m)) {
            x = r->build(g, x, time);
        } else if (const auto *t = std::get_if<transformer>(&m)) {
            x = t->build(g, x, text);
        } else if (const auto *d = std::get_if<downsample>(&m)) {
            x = conv_down(g, x, d->conv, true);
        } else if (const auto *u = std::get_if<upsample>(&m)) {
            // An odd size was halved rounding up: the skip connection knows which size to return to.
            const extent e = extent_of(x);
            const int64_t width = next_skip != nullptr ? next_skip->ne[1] : 2 * e.width;
            const int64_t height = next_skip != nullptr ? next_skip->ne[2] : 2 * e.height;
            if ((width + 1) / 2 != e.width || (height + 1) / 2 != e.height) {
                throw failure(AQ_INVALID_MODEL, "the UNet's upsampling does not mirror its downsampling");
            }
            x = conv_up(g, x, u->conv, width, height);
        } else {
            x = conv(g, x, std::get<product_layer>(m));
        }
    }
    return x;
}

unet::built unet::build(const aq_unet_call &call, bool alike) {
    built b;
    b.nodes = std::make_unique<graph>(*host);
    graph &g = *b.nodes;
    const int64_t images = alike ? 1 : call.batch;
    b.latent = g.input({in_channels_, call.width, call.height, images});
    b.text = std::make_unique<prompt>(*host, context_width_, call.tokens, call.batch);
    ggml_tensor *time = build_time(b, images);
    ggml_tensor *x = b.latent;
    std::vector<ggml_tensor *> skips;
    for (const block &part : input_blocks_) {
        x = build_block(g, part, x, time, *b.text, nullptr);
        skips.push_back(x);
    }
    x = build_block(g, middle_block_, x, time, *b.text, nullptr);
    for (const output_block &part : output_blocks_) {
        if (part.takes_skip) {
            ggml_tensor *skip = skips.back();
            skips.pop_back();
            if (x->ne[1] != skip->ne[1] || x->ne[2] != skip->ne[2]) {
                throw failure(AQ_INVALID_MODEL, "the UNet's output blocks do not mirror its input blocks");
            }
            x = concat(g, x, repeat(g, skip, x->ne[3]));
        }
        x = build_block(g, part.modules, x, time, *b.text, skips.empty() ? nullptr : skips.back());
    }
    if (x->ne[1] != call.width || x->ne[2] != call.height) {
        throw failure(AQ_INVALID_MODEL, "the UNet's output has another size than its input");
    }
    x = repeat(g, x, call.batch);
    ggml_tensor *output = conv(g, group_norm(g, x, out_norm_, 1e-5f, true), out_conv_);
    b.text->allocate();
    g.allocate(output);
    return b;
}

void unet::evaluate(const aq_unet_call &call) {
    const bool alike = inputs_alike(call);
    built &b = cache_.get(*this, {call.batch, call.height, call.width, call.tokens, alike},
                          [&] { return build(call, alike); });
    read_planes(call.latent, b.latent);
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
}

}  // namespace aq
