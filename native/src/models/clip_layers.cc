#include "models/clip_layers.h"

#include <utility>

#include "graph/failure.h"

namespace aq {

ggml_tensor *clip_layer::build(graph &g, ggml_tensor *x, int64_t heads, activation gelu, bool causal) const {
    ggml_tensor *normed = layer_norm(g, x, norm1);
    ggml_tensor *mixed = attention(g, linear(g, normed, q), linear(g, normed, k), linear(g, normed, v), heads, causal);
    x = linear(g, mixed, out, {nullptr, x, activation::none});
    ggml_tensor *wide = linear(g, layer_norm(g, x, norm2), fc1, {nullptr, nullptr, gelu});
    return linear(g, wide, fc2, {nullptr, x, activation::none});
}

namespace {

std::vector<clip_layer> read_layers(const layer_reader &from, int64_t width) {
    std::vector<clip_layer> result;
    const int layers = from.count("encoder.layers");
    for (int i = 0; i < layers; i++) {
        const layer_reader part = from.under("encoder.layers." + std::to_string(i));
        clip_layer l;
        l.norm1 = part.norm("layer_norm1", width);
        l.q = part.linear("self_attn.q_proj", width, width);
        l.k = part.linear("self_attn.k_proj", width, width);
        l.v = part.linear("self_attn.v_proj", width, width);
        l.out = part.linear("self_attn.out_proj", width, width);
        l.norm2 = part.norm("layer_norm2", width);
        l.fc1 = part.linear("mlp.fc1", width, 0);
        l.fc2 = part.linear("mlp.fc2", l.fc1.outputs, width);
        result.push_back(std::move(l));
    }
    if (layers == 0) throw failure(AQ_INVALID_MODEL, "tensor '" + from.prefix() + "encoder.layers.0' is missing");
    return result;
}

std::vector<clip_layer> read_open_layers(const layer_reader &from, int64_t width) {
    std::vector<clip_layer> result;
    const int layers = from.count("transformer.resblocks");
    for (int i = 0; i < layers; i++) {
        const layer_reader part = from.under("transformer.resblocks." + std::to_string(i));
        clip_layer l;
        l.norm1 = part.norm("ln_1", width);
        // Queries, keys and values are the thirds of one matrix.
        const product_layer all = part.linear("attn.in_proj", width, 3 * width, '_');
        l.q = part_of(all, 0, 3);
        l.k = part_of(all, 1, 3);
        l.v = part_of(all, 2, 3);
        l.out = part.linear("attn.out_proj", width, width);
        l.norm2 = part.norm("ln_2", width);
        l.fc1 = part.linear("mlp.c_fc", width, 0);
        l.fc2 = part.linear("mlp.c_proj", l.fc1.outputs, width);
        result.push_back(std::move(l));
    }
    if (layers == 0) {
        throw failure(AQ_INVALID_MODEL, "tensor '" + from.prefix() + "transformer.resblocks.0' is missing");
    }
    return result;
}

}  // namespace

std::vector<clip_layer> read_clip_layers(const layer_reader &from, int64_t width, bool open) {
    return open ? read_open_layers(from, width) : read_layers(from, width);
}

}  // namespace aq
