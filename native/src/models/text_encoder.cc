#include "models/text_encoder.h"

#include <algorithm>

#include "graph/failure.h"

namespace aq {

text_encoder::text_encoder(std::shared_ptr<engine> on, std::shared_ptr<const weights> from, const std::string &prefix,
                           int64_t heads, aq_gelu gelu)
    : adaptable(std::move(on), std::move(from), prefix) {
    const layer_reader reader(*source, prefix);
    const bool open = reader.has("token_embedding.weight");
    const std::string tokens = open ? "token_embedding.weight" : "embeddings.token_embedding.weight";
    tokens_ = &reader.table(tokens, 0, 0);
    width_ = tokens_->shape[1];
    const tensor &positions =
        reader.table(open ? "positional_embedding" : "embeddings.position_embedding.weight", 0, width_);
    max_tokens_ = positions.shape[0];
    if (max_tokens_ > 4096 || width_ > 16384) {
        throw failure(AQ_INVALID_MODEL, "the text encoder takes " + std::to_string(max_tokens_) + " tokens of width " +
                                            std::to_string(width_) + ", at most 4096 of 16384 make sense");
    }
    positions_.resize((size_t)(max_tokens_ * width_));
    host->kernels().expand_rows(positions.matrix, 0, max_tokens_, positions_.data());
    const head_rule rule = heads > 0 ? head_rule{heads, 0} : head_rule{0, 64};
    heads_ = rule.heads_of(width_, prefix + tokens);
    gelu_ = gelu == AQ_GELU_EXACT || (gelu == AQ_GELU_AUTO && open) ? activation::gelu : activation::quick_gelu;
    layers_ = read_clip_layers(reader, width_, open);
    final_norm_ = reader.norm(open ? "ln_final" : "final_layer_norm", width_);
    read_projection(reader);
}

void text_encoder::read_projection(const layer_reader &from) {
    // Hugging Face puts it beside the tower, not into it.
    const std::string tower = "text_model.";
    const std::string &prefix = from.prefix();
    const layer_reader beside(*source,
                              prefix.ends_with(tower) ? prefix.substr(0, prefix.size() - tower.size()) : prefix);
    if (from.has("text_projection")) {
        projection_ = {from.table("text_projection", width_, 0).matrix, true};
    } else if (from.has("text_projection.weight")) {
        projection_ = {from.table("text_projection.weight", 0, width_).matrix, false};
    } else if (beside.has("text_projection.weight")) {
        projection_ = {beside.table("text_projection.weight", 0, width_).matrix, false};
    }
}

aq_text_encoder_info text_encoder::info() const {
    return {(int32_t)width_, (int32_t)layers_.size(), (int32_t)tokens_->shape[0], (int32_t)max_tokens_,
            (int32_t)(projection_ ? projection_->outputs() : width_)};
}

text_encoder::built text_encoder::build(const aq_text_encoder_call &call) {
    built b;
    b.nodes = std::make_unique<graph>(*host, std::make_shared<arena>(), adapted());
    graph &g = *b.nodes;
    b.embedded = g.input({width_, call.length, 1, call.chunks});
    const size_t hidden_layers = layers_.size() - (size_t)call.skip_layers;
    const size_t layers = call.pooled != nullptr ? layers_.size() : hidden_layers;
    ggml_tensor *x = b.embedded, *hidden = x;
    for (size_t i = 0; i < layers; i++) {
        x = layers_[i].build(g, x, heads_, gelu_, true);
        if (i + 1 == hidden_layers) hidden = x;
    }
    b.hidden = call.final_norm != 0 ? layer_norm(g, hidden, final_norm_) : hidden;
    g.keep(b.hidden);
    g.allocate(call.pooled != nullptr ? layer_norm(g, x, final_norm_) : b.hidden);
    return b;
}

void text_encoder::encode(const aq_text_encoder_call &call) {
    built &b =
        cache_.get(*this, {call.chunks, call.length, call.skip_layers, call.final_norm != 0, call.pooled != nullptr},
                   [&] { return build(call); });
    const kernel_set &kernels = host->kernels();
    float *row = (float *)b.embedded->data;
    for (int64_t i = 0; i < (int64_t)call.token_count; i++, row += width_) {
        const int64_t id = call.tokens[i], word = id - tokens_->shape[0];
        if (word < 0) kernels.expand_rows(tokens_->matrix, id, id + 1, row);
        else std::copy(call.words + word * width_, call.words + (word + 1) * width_, row);
        for (int64_t c = 0; c < width_; c++) row[c] += positions_[(size_t)(i % call.length * width_ + c)];
    }
    b.nodes->run();
    // A sequence of tokens already has the edge's order.
    std::copy(values(b.hidden), values(b.hidden) + call.output_count, call.output);
    if (call.pooled == nullptr) return;
    const auto rank = [&](int32_t id) { return id < tokens_->shape[0] ? id : -1; };  // words mark no end
    const int64_t pooled_width = call.pooled_count / call.chunks;
    for (int64_t i = 0; i < call.chunks; i++) {
        const int32_t *chunk = call.tokens + i * call.length;
        const auto earlier = [&](int32_t a, int32_t b) { return rank(a) < rank(b); };
        const int64_t end = i * call.length + (std::max_element(chunk, chunk + call.length, earlier) - chunk);
        project(values(b.nodes->output()) + end * width_, call.pooled + i * pooled_width);
    }
}

void text_encoder::project(const float *hidden, float *pooled) const {
    if (!projection_) {
        std::copy(hidden, hidden + width_, pooled);
        return;
    }
    const stored_matrix &matrix = projection_->matrix;
    std::vector<float> row((size_t)matrix.cols);
    std::fill(pooled, pooled + projection_->outputs(), 0.0f);
    for (int64_t r = 0; r < matrix.rows; r++) {
        host->kernels().expand_rows(matrix, r, r + 1, row.data());
        for (int64_t c = 0; c < matrix.cols; c++) {
            if (projection_->rows_are_inputs) {
                pooled[c] += hidden[r] * row[(size_t)c];
            } else {
                pooled[r] += hidden[c] * row[(size_t)c];
            }
        }
    }
}

}  // namespace aq
