// What cross-attentions take from the text: their keys and values stay the same from step to step, so a graph of their
// own computes them once for a prompt.
#pragma once

#include <utility>
#include <vector>

#include "graph/graph.h"
#include "graph/layers.h"

namespace aq {

class prompt {
public:
    // `tokens` embeddings of `width` channels for each of `images` images.
    prompt(engine &on, int64_t width, int64_t tokens, int64_t images);

    int64_t images() const { return context_->ne[3]; }

    // The embeddings times the layer's matrix, for nodes of `reader`, which must be allocated after this.
    ggml_tensor *linear(graph &reader, const product_layer &layer);

    void allocate();

    // Computes what reads them if the embeddings ([images][tokens][width]) are not those of the last call. Throws as
    // graph::run does.
    void update(const float *context);

private:
    graph nodes_;
    ggml_tensor *context_, *last_ = nullptr;
    std::vector<std::pair<ggml_tensor *, ggml_tensor *>> read_;  // as reader and as nodes_ know it
};

}  // namespace aq
