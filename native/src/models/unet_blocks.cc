#include "models/unet_blocks.h"

#include <math.h>
#include <string.h>

#include "graph/failure.h"

namespace aq {

namespace {

constexpr int most_modules = 8;  // in a block; real ones have three

// cos and sin of t * 10000^(-i / half): Vaswani et al., arXiv 1706.03762, in the order of CompVis.
void sinusoids(float timestep, int64_t width, float *values) {
    const int64_t half = width / 2;
    for (int64_t i = 0; i < half; i++) {
        const float angle = timestep * expf(-logf(10000.0f) * (float)i / (float)half);
        values[i] = cosf(angle);
        values[half + i] = sinf(angle);
    }
    if (width % 2 != 0) values[width - 1] = 0;
}

// A tensor that no layer of an odd model reads is not there or has no memory.
void fill_tensor(ggml_tensor *input, const float *from) {
    if (input != nullptr && input->data != nullptr) memcpy(input->data, from, ggml_nbytes(input));
}

ggml_tensor *build_module(graph &g, plan &p, const unet_module &m, ggml_tensor *x, ggml_tensor *time,
                          const reading &from, const ggml_tensor *next_skip) {
    if (const auto *r = std::get_if<resnet>(&m.layer)) return r->build(g, x, time);
    if (const auto *t = std::get_if<transformer>(&m.layer)) return t->build(g, x, from, p);
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

}  // namespace

bool all_alike(const float *values, uint64_t count, int32_t batch) {
    const size_t floats = count / (size_t)batch;
    for (int32_t i = 1; i < batch; i++) {
        if (memcmp(values + (size_t)i * floats, values, floats * sizeof(float)) != 0) return false;
    }
    return true;
}

int64_t find_context_width(const weights &all, const std::string &prefix) {
    const std::string end = ".transformer_blocks.0.attn2.to_k.weight";
    for (const auto &[name, t] : all.all()) {
        if (name.starts_with(prefix) && name.ends_with(end) && t.shape.size() == 2) return t.shape[1];
    }
    return 0;
}

ggml_tensor *unet_block::build(graph &g, plan &p, ggml_tensor *x, ggml_tensor *skip, ggml_tensor *time,
                               const reading &from, const ggml_tensor *next_skip) const {
    if (modules.empty()) return x;  // a model without a middle block
    return p.output(unit, x, [&] {
        ggml_tensor *h = x;
        for (const unet_module &m : modules) {
            h = p.output(m.unit, h, [&] {
                const bool joins = skip != nullptr && &m == &modules.front();
                ggml_tensor *in = joins ? concat(g, h, repeat(g, skip, h->ne[3])) : h;
                return build_module(g, p, m, in, time, from, next_skip);
            });
        }
        return h;
    });
}

int unet_block::downsamples() const {
    int count = 0;
    for (const unet_module &m : modules) count += std::holds_alternative<downsample>(m.layer);
    return count;
}

int unet_block::upsamples() const {
    int count = 0;
    for (const unet_module &m : modules) count += std::holds_alternative<upsample>(m.layer);
    return count;
}

void unet_block::find_cross_attentions(std::map<int, int64_t> &widths) const {
    for (const unet_module &m : modules) {
        const auto *t = std::get_if<transformer>(&m.layer);
        for (size_t i = 0; t != nullptr && i < t->blocks.size(); i++) {
            const transformer_block &b = t->blocks[i];
            if (b.self_reads_text) widths[b.self_unit] = b.self->q.outputs;
            if (b.cross) widths[b.cross_unit] = b.cross->q.outputs;
        }
    }
}

void unet_block::compute_text(prompt &text) const {
    for (const unet_module &m : modules) {
        const auto *t = std::get_if<transformer>(&m.layer);
        for (size_t i = 0; t != nullptr && i < t->blocks.size(); i++) t->blocks[i].compute_text(text);
    }
}

unet_module block_reader::read_module(const layer_reader &block, const std::string &number, int parent,
                                      int64_t &channels, int64_t skip_channels) const {
    const layer_reader part = block.under(number);
    const int64_t inputs = channels, all = channels + skip_channels;
    const int unit = add_unit(units, units[(size_t)parent].name + "." + number, AQ_UNIT_CONVOLUTION, parent, false);
    if (part.has("in_layers.0.weight")) {
        resnet r = read_unet_resnet(part, all, time_width);
        channels = r.outputs();
        units[(size_t)unit].kind = AQ_UNIT_RESNET;
        units[(size_t)unit].skippable = channels == inputs;
        return {unit, std::move(r)};
    }
    if (part.has("norm.weight")) {
        units[(size_t)unit].kind = AQ_UNIT_TRANSFORMER;
        units[(size_t)unit].skippable = true;
        return {unit, read_transformer(part, all, context_width, heads, units, unit)};
    }
    if (part.has_conv("op")) {
        downsample d = {part.conv("op", all, 0)};
        channels = d.conv.outputs;
        return {unit, std::move(d)};
    }
    if (part.has_conv("conv")) {
        upsample u = {part.conv("conv", all, 0)};
        channels = u.conv.outputs;
        return {unit, std::move(u)};
    }
    product_layer conv = block.conv(number, all, 0);
    channels = conv.outputs;
    return {unit, std::move(conv)};
}

unet_block block_reader::read(const layer_reader &from, const std::string &name, int64_t &channels,
                              int64_t skip_channels) const {
    unet_block b = {add_unit(units, name, AQ_UNIT_BLOCK, -1, false), {}};
    const int64_t inputs = channels;
    bool same_size = true;
    for (int i = 0; i < most_modules; i++) {
        const std::string number = std::to_string(i);
        const layer_reader part = from.under(number);
        const bool any = part.has("in_layers.0.weight") || part.has("norm.weight") || part.has_conv("op") ||
                         part.has_conv("conv") || part.has_conv("");
        if (!any) continue;
        b.modules.push_back(read_module(from, number, b.unit, channels, b.modules.empty() ? skip_channels : 0));
        const auto &layer = b.modules.back().layer;
        same_size = same_size && !std::holds_alternative<downsample>(layer) && !std::holds_alternative<upsample>(layer);
    }
    if (b.modules.empty()) units.pop_back();
    else units[(size_t)b.unit].skippable = same_size && channels == inputs;
    return b;
}

time_embedding time_embedding::read(const layer_reader &from) {
    time_embedding t;
    t.in = from.linear("time_embed.0", 0, 0);
    t.out = from.linear("time_embed.2", t.in.outputs, 0);
    if (from.has("label_emb.0.0.weight")) {
        t.label_in = from.linear("label_emb.0.0", 0, 0);
        t.label_out = from.linear("label_emb.0.2", t.label_in->outputs, t.out.outputs);
    }
    if (from.has("time_embed.cond_proj.weight")) t.guidance = from.linear("time_embed.cond_proj", 0, t.in.inputs);
    return t;
}

ggml_tensor *time_embedding::build(graph &g, int64_t images, inputs &to) const {
    to.time = g.input({in.inputs, 1, 1, images});
    ggml_tensor *embedded = to.time;
    if (guidance) {
        to.guidance = g.input({guidance->inputs, 1, 1, images});
        embedded = linear(g, to.guidance, *guidance, {nullptr, embedded, activation::none});
    }
    ggml_tensor *hidden = linear(g, embedded, in, {nullptr, nullptr, activation::silu});
    if (!label_in) return linear(g, hidden, out, {nullptr, nullptr, activation::silu});
    to.label = g.input({label_in->inputs, 1, 1, images});
    ggml_tensor *time = linear(g, hidden, out);
    ggml_tensor *label = linear(g, to.label, *label_in, {nullptr, nullptr, activation::silu});
    return linear(g, label, *label_out, {time, nullptr, activation::silu});
}

void time_embedding::fill(const inputs &to, const float *timesteps, const float *label,
                          const float *guidance_vectors) const {
    std::vector<float> times((size_t)ggml_nelements(to.time));
    for (int64_t i = 0; i < to.time->ne[3]; i++) sinusoids(timesteps[i], in.inputs, times.data() + i * in.inputs);
    fill_tensor(to.time, times.data());
    fill_tensor(to.label, label);
    fill_tensor(to.guidance, guidance_vectors);
}

}  // namespace aq
