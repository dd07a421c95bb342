#include "models/image_encoder.h"

#include <math.h>
#include <string.h>

#include "graph/failure.h"
#include "graph/transformer.h"

namespace aq {

namespace {

constexpr int64_t widest_of_quick_gelu = 1024;  // OpenAI's towers; OpenCLIP's are wider

}  // namespace

image_encoder::image_encoder(std::shared_ptr<engine> on, std::shared_ptr<const weights> from, const std::string &prefix,
                             int64_t heads)
    : network(std::move(on), std::move(from)) {
    const layer_reader reader(*source, prefix), tower = reader.under("vision_model");
    patches_ = tower.conv("embeddings.patch_embedding", 3, 0);
    width_ = patches_.outputs;
    patch_ = patches_.kernel_h;
    if (patches_.kernel_w != patches_.kernel_h) {
        throw failure(AQ_INVALID_MODEL,
                      "tensor '" + tower.prefix() + "embeddings.patch_embedding.weight' is not square");
    }
    patches_.inputs = 3 * patch_ * patch_;  // pixels of a patch are a row of a matrix
    patches_.kernel_h = patches_.kernel_w = 1;
    const tensor &positions = tower.table("embeddings.position_embedding.weight", 0, width_);
    const int64_t rows = (int64_t)sqrt((double)(positions.shape[0] - 1));
    if (rows < 1 || rows > 256 || rows * rows + 1 != positions.shape[0] || patch_ < 1) {
        throw failure(AQ_INVALID_MODEL, "tensor '" + tower.prefix() + "embeddings.position_embedding.weight' has " +
                                            std::to_string(positions.shape[0]) +
                                            " rows, which is not one for a square of patches and one for the picture");
    }
    side_ = rows * patch_;
    std::vector<float> all((size_t)(positions.shape[0] * width_));
    host->kernels().expand_rows(positions.matrix, 0, positions.shape[0], all.data());
    class_ = tower.vector("embeddings.class_embedding", width_);
    for (int64_t c = 0; c < width_; c++) class_[(size_t)c] += all[(size_t)c];
    places_.assign(all.begin() + width_, all.end());
    heads_ = head_rule{heads, 0}.heads_of(width_, tower.prefix());
    gelu_ = width_ > widest_of_quick_gelu ? activation::gelu : activation::quick_gelu;
    first_norm_ = tower.norm("pre_layrnorm", width_);  // sic
    layers_ = read_clip_layers(tower, width_, false);
    last_norm_ = tower.norm("post_layernorm", width_);
    if (reader.has("image_proj.latents")) {
        resampler_.emplace(reader.under("image_proj"), width_);
    } else {
        projection_ = reader.linear("visual_projection", width_, 0);
    }
}

aq_image_encoder_info image_encoder::info() const {
    const int64_t width = resampler_ ? resampler_->tokens() * resampler_->outputs() : projection_.outputs;
    return {(int32_t)side_, (int32_t)width};
}

image_encoder::built image_encoder::build(int64_t images) {
    built b;
    b.nodes = std::make_unique<graph>(*host);
    graph &g = *b.nodes;
    const int64_t patches = side_ / patch_ * (side_ / patch_);
    b.patches = g.input({patches_.inputs, patches, 1, images});
    ggml_tensor *tokens = linear(g, b.patches, patches_);
    ggml_tensor *x = g.node({"tokens", 0}, {width_, patches + 1, 1, images}, {tokens}, 0,
                            [this, tokens, patches, images](ggml_tensor *output, const worker &w) {
                                if (w.index != 0) return;
                                float *to = (float *)output->data;
                                const float *from = values(tokens);
                                for (int64_t i = 0; i < images; i++) {
                                    for (const float value : class_) *to++ = value;
                                    for (int64_t k = 0; k < patches * width_; k++) *to++ = *from++ + places_[(size_t)k];
                                }
                            });
    x = layer_norm(g, x, first_norm_);
    const size_t used = layers_.size() - (resampler_ ? 1 : 0);
    for (size_t i = 0; i < used; i++) x = layers_[i].build(g, x, heads_, gelu_, false);
    b.output = resampler_ ? resampler_->build(g, x) : linear(g, layer_norm(g, x, last_norm_), projection_);
    g.allocate(b.output);
    return b;
}

void image_encoder::encode(const aq_image_encoder_call &call) {
    built &b = cache_.get(*this, call.images, [&] { return build(call.images); });
    const int64_t rows = side_ / patch_;
    float *to = (float *)b.patches->data;
    for (int64_t image = 0; image < call.images; image++) {
        const float *picture = call.pictures + image * 3 * side_ * side_;
        for (int64_t patch = 0; patch < rows * rows; patch++) {
            const int64_t top = patch / rows * patch_, left = patch % rows * patch_;
            for (int64_t c = 0; c < 3; c++) {
                for (int64_t y = 0; y < patch_; y++, to += patch_) {
                    const float *from = picture + (c * side_ + top + y) * side_ + left;
                    memcpy(to, from, (size_t)patch_ * sizeof(float));
                }
            }
        }
    }
    b.nodes->run();
    const extent e = extent_of(b.output);
    const int64_t width = info().width;  // all tokens of a resampler, or the first of the tower
    for (int64_t image = 0; image < call.images; image++) {
        memcpy(call.output + image * width, values(b.output) + image * e.pixels() * e.channels,
               (size_t)width * sizeof(float));
    }
}

}  // namespace aq
