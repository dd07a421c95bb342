// The Resampler of IP-Adapter Plus (Ye et al. 2023, arXiv 2308.06721): learned queries that gather what a picture's
// tokens say, as in Perceiver (Jaegle et al., arXiv 2103.03206) and Flamingo (Alayrac et al., arXiv 2204.14198).
#pragma once

#include <stdint.h>

#include <vector>

#include "graph/nodes.h"

namespace aq {

class resampler {
public:
    // Reads it from under a prefix, for tokens of that many channels; structure from the tensors. Throws
    // failure(AQ_INVALID_MODEL) naming one that is missing or does not fit.
    resampler(const layer_reader &from, int64_t inputs);

    int64_t tokens() const { return tokens_; }
    int64_t outputs() const { return out_.outputs; }

    // x [inputs, any number, 1, images] to [outputs, tokens, 1, images].
    ggml_tensor *build(graph &g, ggml_tensor *x) const;

private:
    struct layer {
        norm_layer norm_x, norm_queries;
        product_layer q, k, v, out;
        norm_layer norm;
        product_layer widen, narrow;  // feed-forward: narrow(gelu(widen(norm(x))))
        int64_t heads;
    };

    int64_t width_, tokens_;
    std::vector<float> queries_;  // [tokens][width]
    product_layer in_, out_;
    std::vector<layer> layers_;
    norm_layer norm_;
};

}  // namespace aq
