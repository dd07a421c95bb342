#include "models/text_encoder.h"

#include <algorithm>

#include "graph/failure.h"

namespace aq {

text_encoder::text_encoder(std::shared_ptr<engine> on, std::shared_ptr<const weights> from, const std::string &prefix,
                           int64_t heads)
    : network(std::move(on), std::move(from)) {
    const layer_reader reader(*source, prefix);
    tokens_ = &reader.table("embeddings.token_embedding.weight", 0, 0);
    width_ = tokens_->shape[1];
    const tensor &positions = reader.table("embeddings.position_embedding.weight", 0, width_);
    max_tokens_ = positions.shape[0];
    if (max_tokens_ > 4096 || width_ > 16384) {
        throw failure(AQ_INVALID_MODEL, "the text encoder takes " + std::to_string(max_tokens_) + " tokens of width " +
                                            std::to_string(width_) + ", at most 4096 of 16384 make sense");
    }
    positions_.resize((size_t)(max_tokens_ * width_));
    host->kernels().expand_rows(positions.matrix, 0, max_tokens_, positions_.data());
    const head_rule rule = heads > 0 ? head_rule{heads, 0} : head_rule{0, 64};
    heads_ = rule.heads_of(width_, prefix + "embeddings.token_embedding.weight");
    const int layers = reader.count("encoder.layers");
    for (int i = 0; i < layers; i++) {
        const layer_reader part = reader.under("encoder.layers." + std::to_string(i));
        layer l;
        l.norm1 = part.norm("layer_norm1", width_);
        l.q = part.linear("self_attn.q_proj", width_, width_);
        l.k = part.linear("self_attn.k_proj", width_, width_);
        l.v = part.linear("self_attn.v_proj", width_, width_);
        l.out = part.linear("self_attn.out_proj", width_, width_);
        l.norm2 = part.norm("layer_norm2", width_);
        l.fc1 = part.linear("mlp.fc1", width_, 0);
        l.fc2 = part.linear("mlp.fc2", l.fc1.outputs, width_);
        layers_.push_back(std::move(l));
    }
    if (layers_.empty()) throw failure(AQ_INVALID_MODEL, "tensor '" + prefix + "encoder.layers.0' is missing");
    final_norm_ = reader.norm("final_layer_norm", width_);
}

aq_text_encoder_info text_encoder::info() const {
    return {(int32_t)width_, (int32_t)layers_.size(), (int32_t)tokens_->shape[0], (int32_t)max_tokens_};
}

text_encoder::built text_encoder::build(const aq_text_encoder_call &call) {
    built b;
    b.nodes = std::make_unique<graph>(*host);
    graph &g = *b.nodes;
    b.embedded = g.input({width_, call.length, 1, call.chunks});
    ggml_tensor *x = b.embedded;
    for (size_t i = 0; i + (size_t)call.skip_layers < layers_.size(); i++) {
        const layer &l = layers_[i];
        ggml_tensor *normed = layer_norm(g, x, l.norm1);
        ggml_tensor *mixed =
            attention(g, linear(g, normed, l.q), linear(g, normed, l.k), linear(g, normed, l.v), heads_, true);
        x = linear(g, mixed, l.out, {nullptr, x, activation::none});
        ggml_tensor *wide = linear(g, layer_norm(g, x, l.norm2), l.fc1, {nullptr, nullptr, activation::quick_gelu});
        x = linear(g, wide, l.fc2, {nullptr, x, activation::none});
    }
    g.allocate(layer_norm(g, x, final_norm_));
    return b;
}

void text_encoder::encode(const aq_text_encoder_call &call) {
    built &b = cache_.get(*this, {call.chunks, call.length, call.skip_layers}, [&] { return build(call); });
    const kernel_set &kernels = host->kernels();
    float *row = (float *)b.embedded->data;
    for (int64_t i = 0; i < (int64_t)call.token_count; i++, row += width_) {
        kernels.expand_rows(tokens_->matrix, call.tokens[i], call.tokens[i] + 1, row);
        for (int64_t c = 0; c < width_; c++) row[c] += positions_[(size_t)(i % call.length * width_ + c)];
    }
    b.nodes->run();
    // A sequence of tokens already has the edge's order.
    const float *output = values(b.nodes->output());
    std::copy(output, output + call.output_count, call.output);
}

}  // namespace aq
