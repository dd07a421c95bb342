#include "graph/prompt.h"

#include <string.h>

#include "graph/nodes.h"

namespace aq {

prompt::prompt(engine &on, int64_t width, int64_t tokens, int64_t images, const adaptation *adapted)
    : nodes_(on, std::make_shared<arena>(), adapted), context_(nodes_.input({width, tokens, 1, images})) {
    nodes_.keep(context_);  // to compare with the next one
}

void prompt::compute(const product_layer &layer) {
    last_ = linear(nodes_, context_, layer);
    nodes_.keep(last_);
    computed_[&layer] = last_;
}

void prompt::allocate() {
    if (last_ != nullptr) nodes_.allocate(last_);
}

ggml_tensor *prompt::read(graph &reader, const product_layer &layer) const {
    const ggml_tensor *computed = computed_.at(&layer);
    ggml_tensor *seen = reader.input(extent_of(computed));
    seen->data = computed->data;
    return seen;
}

void prompt::update(const float *context) {
    if (last_ == nullptr) return;
    if (nodes_.complete() && memcmp(context_->data, context, ggml_nbytes(context_)) == 0) return;
    memcpy(context_->data, context, ggml_nbytes(context_));
    nodes_.run();
}

}  // namespace aq
