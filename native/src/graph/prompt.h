// What cross-attentions take from the text: their keys and values stay the same from step to step, so a graph of their
// own computes them once for a prompt.
#pragma once

#include <unordered_map>

#include "graph/graph.h"
#include "graph/layers.h"

namespace aq {

class prompt {
public:
    // `tokens` embeddings of `width` channels for each of `images` images; `adapted` as in graph.
    prompt(engine &on, int64_t width, int64_t tokens, int64_t images, const adaptation *adapted);

    int64_t images() const { return context_->ne[3]; }

    // Adds a layer that reads the embeddings.
    void compute(const product_layer &layer);

    // Ends adding. Throws failure(AQ_OUT_OF_MEMORY).
    void allocate();

    // The embeddings times the matrix of a layer that was added, for nodes of a graph that the prompt must outlive.
    ggml_tensor *read(graph &reader, const product_layer &layer) const;

    // Computes what is read if the embeddings ([images][tokens][width]) are not those of the last call. Throws as
    // graph::run does.
    void update(const float *context);

private:
    graph nodes_;
    ggml_tensor *context_, *last_ = nullptr;
    std::unordered_map<const product_layer *, ggml_tensor *> computed_;
};

}  // namespace aq
