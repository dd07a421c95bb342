#include "models/resampler.h"

#include <string.h>

#include <string>
#include <utility>

#include "graph/failure.h"

namespace aq {

namespace {

constexpr int64_t head_width = 64;  // in all that were published; tensors do not tell

// Tokens of a before those of b, for each image.
ggml_tensor *joined(graph &g, ggml_tensor *a, ggml_tensor *b) {
    const extent first = extent_of(a), second = extent_of(b);
    const extent both = {first.channels, first.width + second.width, 1, first.images};
    return g.node({"tokens", 0}, both, {a, b}, 0, [a, b, first, second](ggml_tensor *output, const worker &w) {
        if (w.index != 0) return;
        const int64_t na = first.channels * first.width, nb = second.channels * second.width;
        for (int64_t i = 0; i < first.images; i++) {
            float *to = (float *)output->data + i * (na + nb);
            memcpy(to, values(a) + i * na, (size_t)na * sizeof(float));
            memcpy(to + na, values(b) + i * nb, (size_t)nb * sizeof(float));
        }
    });
}

}  // namespace

resampler::resampler(const layer_reader &from, int64_t inputs) {
    in_ = from.linear("proj_in", inputs, 0);
    width_ = in_.outputs;
    queries_ = from.numbers("latents", {1, 0, width_});
    tokens_ = (int64_t)queries_.size() / width_;
    const int count = from.count("layers");
    for (int i = 0; i < count; i++) {
        const layer_reader attend = from.under("layers." + std::to_string(i) + ".0");
        const layer_reader feed = from.under("layers." + std::to_string(i) + ".1");
        layer l;
        l.norm_x = attend.norm("norm1", width_);
        l.norm_queries = attend.norm("norm2", width_);
        l.q = attend.linear("to_q", width_, 0);
        if (l.q.outputs % head_width != 0) {
            throw failure(AQ_INVALID_MODEL, "tensor '" + l.q.name + "' has " + std::to_string(l.q.outputs) +
                                                " outputs, which are no heads of " + std::to_string(head_width));
        }
        l.heads = l.q.outputs / head_width;
        const product_layer both = attend.linear("to_kv", width_, 2 * l.q.outputs);
        l.k = part_of(both, 0, 2);
        l.v = part_of(both, 1, 2);
        l.out = attend.linear("to_out", l.q.outputs, width_);
        l.norm = feed.norm("0", width_);
        l.widen = feed.linear("1", width_, 0);
        l.narrow = feed.linear("3", l.widen.outputs, width_);
        layers_.push_back(std::move(l));
    }
    out_ = from.linear("proj_out", width_, 0);
    norm_ = from.norm("norm_out", out_.outputs);
    constexpr int64_t most_values = 1 << 24;
    if (tokens_ * out_.outputs > most_values) {
        throw failure(AQ_INVALID_MODEL, "tensor '" + out_.name + "': " + std::to_string(tokens_) + " tokens of " +
                                            std::to_string(out_.outputs) + " values are too many");
    }
}

ggml_tensor *resampler::build(graph &g, ggml_tensor *x) const {
    x = linear(g, x, in_);
    const int64_t images = extent_of(x).images;
    ggml_tensor *queries = g.node({"tokens", 0}, {width_, tokens_, 1, images}, {x}, 0,
                                  [this, images](ggml_tensor *output, const worker &w) {
                                      if (w.index != 0) return;
                                      for (int64_t i = 0; i < images; i++) {
                                          memcpy((float *)output->data + i * (int64_t)queries_.size(), queries_.data(),
                                                 queries_.size() * sizeof(float));
                                      }
                                  });
    for (const layer &l : layers_) {
        ggml_tensor *asking = layer_norm(g, queries, l.norm_queries);
        ggml_tensor *told = joined(g, layer_norm(g, x, l.norm_x), asking);
        ggml_tensor *mixed =
            attention(g, linear(g, asking, l.q), linear(g, told, l.k), linear(g, told, l.v), l.heads, false);
        queries = linear(g, mixed, l.out, {nullptr, queries, activation::none});
        ggml_tensor *wide = linear(g, layer_norm(g, queries, l.norm), l.widen, {nullptr, nullptr, activation::gelu});
        queries = linear(g, wide, l.narrow, {nullptr, queries, activation::none});
    }
    return layer_norm(g, linear(g, queries, out_), norm_);
}

}  // namespace aq
