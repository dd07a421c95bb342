#include "models/upscaler.h"

#include "graph/failure.h"

namespace aq {

namespace {

constexpr int32_t largest_fold = 4, most_ups = 3, most_blocks = 256;
constexpr float residual_scale = 0.2f;
constexpr epilogue leaky = {nullptr, nullptr, activation::leaky_relu};

// Every convolution of the network has 3 x 3 taps.
product_layer conv3x3(const layer_reader &from, const std::string &name, int64_t inputs, int64_t outputs) {
    product_layer layer = from.conv(name, inputs, outputs);
    if (layer.kernel_h != 3 || layer.kernel_w != 3) {
        throw failure(AQ_INVALID_MODEL, "tensor '" + layer.name + "' has kernels of " + std::to_string(layer.kernel_h) +
                                            " x " + std::to_string(layer.kernel_w) + ", expected 3 x 3");
    }
    return layer;
}

// The first channels of `x` go into those of `to`.
ggml_tensor *copy_into(graph &g, ggml_tensor *x, int64_t channels, ggml_tensor *to) {
    const extent from = extent_of(x), into = extent_of(to);
    return g.part({"copy", 0}, to, {x}, 0, [=](ggml_tensor *output, const worker &w) {
        const int64_t last = into.pixels() * (w.index + 1) / w.count;
        for (int64_t p = into.pixels() * w.index / w.count; p < last; p++) {
            const float *pixel = values(x) + p * from.channels;
            std::copy_n(pixel, channels, (float *)output->data + p * into.channels);
        }
    });
}

// x + residual_scale y in place of y, for the first channels.
ggml_tensor *add_into(graph &g, ggml_tensor *x, ggml_tensor *y, int64_t channels) {
    const extent from = extent_of(x), into = extent_of(y);
    return g.part({"add", 0}, y, {x}, 0, [=](ggml_tensor *output, const worker &w) {
        const int64_t last = into.pixels() * (w.index + 1) / w.count;
        for (int64_t p = into.pixels() * w.index / w.count; p < last; p++) {
            const float *pixel = values(x) + p * from.channels;
            float *to = (float *)output->data + p * into.channels;
            for (int64_t c = 0; c < channels; c++) to[c] = pixel[c] + residual_scale * to[c];
        }
    });
}

}  // namespace

upscaler::upscaler(std::shared_ptr<engine> on, std::shared_ptr<const weights> from, const std::string &prefix)
    : network(std::move(on), std::move(from)) {
    const layer_reader reader(*source, prefix);
    first_ = conv3x3(reader, "conv_first", 0, 0);
    const int64_t features = first_.outputs;
    const int count = reader.count("body");
    if (count > most_blocks) {
        throw failure(AQ_INVALID_MODEL, "the upscaler has " + std::to_string(count) + " blocks, at most " +
                                            std::to_string(most_blocks) + " are possible");
    }
    for (int i = 0; i < std::max(count, 1); i++) {
        block b;
        for (size_t j = 0; j < b.size(); j++) {
            const std::string name = "body." + std::to_string(i) + ".rdb" + std::to_string(j + 1);
            b[j] = read_dense_block(reader.under(name), features);
        }
        blocks_.push_back(std::move(b));
    }
    body_ = conv3x3(reader, "conv_body", features, features);
    for (int i = 1; i <= most_ups + 1 && reader.has("conv_up" + std::to_string(i) + ".weight"); i++) {
        ups_.push_back(conv3x3(reader, "conv_up" + std::to_string(i), features, features));
    }
    hr_ = conv3x3(reader, "conv_hr", features, features);
    last_ = conv3x3(reader, "conv_last", features, 0);
    fold_ = 1;
    while (fold_ < largest_fold && first_.inputs > last_.outputs * fold_ * fold_) fold_ *= 2;
    if (first_.inputs != last_.outputs * fold_ * fold_) {
        throw failure(AQ_INVALID_MODEL, "tensor '" + first_.name + "' has " + std::to_string(first_.inputs) +
                                            " inputs, expected " + std::to_string(last_.outputs) +
                                            ", or 4 or 16 times as many");
    }
    if (ups_.size() > (size_t)most_ups || 1 << ups_.size() < fold_) {
        throw failure(AQ_INVALID_MODEL, "the upscaler doubles pictures " + std::to_string(ups_.size()) +
                                            " times, expected 0 to " + std::to_string(most_ups) +
                                            " and no smaller picture in the end");
    }
}

upscaler::dense_block upscaler::read_dense_block(const layer_reader &from, int64_t features) const {
    dense_block b;
    int64_t inputs = features;
    for (size_t i = 0; i < b.layers.size(); i++) {
        const bool last = i + 1 == b.layers.size();
        const int64_t outputs = last ? features : i > 0 ? b.layers.front().outputs : 0;
        b.layers[i] = conv3x3(from, "conv" + std::to_string(i + 1), inputs, outputs);
        inputs += b.layers[i].outputs;
    }
    return b;
}

aq_upscaler_info upscaler::info() const {
    // From the end to the start: a layer reaches 1 further, and of two pixels that were one, the worse one counts.
    int32_t reach = 2;
    for (size_t i = 0; i < ups_.size(); i++) reach = (reach + 2) / 2;
    reach += 15 * (int32_t)blocks_.size() + 2;
    return {(int32_t)last_.outputs, (1 << ups_.size()) / fold_, fold_, (int32_t)blocks_.size(), reach * fold_};
}

ggml_tensor *upscaler::dense_block::build(graph &g, ggml_tensor *whole, ggml_tensor *to) const {
    ggml_tensor *x = whole;
    int64_t channels = layers.front().inputs;
    for (size_t i = 0; i + 1 < layers.size(); i++) {
        whole = conv(g, whole, layers[i], {nullptr, nullptr, activation::leaky_relu, 1, whole, channels});
        channels += layers[i].outputs;
    }
    return conv(g, whole, layers.back(), {nullptr, x, activation::none, residual_scale, to});
}

upscaler::built upscaler::build(int64_t height, int64_t width) {
    built b;
    b.nodes = std::make_unique<graph>(*host);
    graph &g = *b.nodes;
    b.input = g.input({first_.inputs, width / fold_, height / fold_, 1});
    const auto room = [&](const dense_block &for_block) {
        return g.space({for_block.widest(), width / fold_, height / fold_, 1});
    };
    ggml_tensor *start = conv(g, b.input, first_);
    ggml_tensor *x = copy_into(g, start, first_.outputs, room(blocks_.front().front()));
    for (size_t i = 0; i < blocks_.size(); i++) {
        ggml_tensor *before = x;
        for (size_t j = 0; j < 3; j++) {
            const size_t next = 3 * i + j + 1;
            ggml_tensor *to = next < 3 * blocks_.size() ? room(blocks_[next / 3][next % 3]) : nullptr;
            x = blocks_[i][j].build(g, x, to);
        }
        x = add_into(g, before, x, first_.outputs);
    }
    x = conv(g, x, body_, {nullptr, start});
    for (const product_layer &up : ups_) x = conv_up(g, x, up, 2 * x->ne[1], 2 * x->ne[2], leaky);
    g.finish(conv(g, conv(g, x, hr_, leaky), last_));
    return b;
}

uint64_t upscaler::estimate(int64_t height, int64_t width) { return build(height, width).nodes->measure().bytes(); }

void upscaler::upscale(const aq_upscaler_call &call) {
    built &b = cache_.get(*this, {call.height, call.width}, [&] {
        built fresh = build(call.height, call.width);
        fresh.nodes->allocate_within(call.max_memory);
        return fresh;
    });
    // Channel (c fold + i) fold + j of a pixel inside is channel c of the pixel i below and j right of the first of its
    // square (Shi et al., arXiv 1609.05158, backwards).
    const extent inside = extent_of(b.input);
    float *to = (float *)b.input->data;
    for (int64_t p = 0; p < inside.pixels(); p++) {
        const int64_t top = p / inside.width * fold_, left = p % inside.width * fold_;
        for (int64_t k = 0; k < inside.channels; k++) {
            const int64_t c = k / (fold_ * fold_), y = top + k / fold_ % fold_, x = left + k % fold_;
            *to++ = call.input[(c * call.height + y) * call.width + x];
        }
    }
    b.nodes->run();
    write_planes(b.nodes->output(), call.output, call.output_count);
}

}  // namespace aq
