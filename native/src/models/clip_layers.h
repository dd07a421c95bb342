// The transformer that CLIP's towers of text and of pictures have in common (Radford et al., arXiv 2103.00020).
#pragma once

#include <string>
#include <vector>

#include "graph/nodes.h"

namespace aq {

struct clip_layer {
    norm_layer norm1, norm2;
    product_layer q, k, v, out, fc1, fc2;

    // x + attention(norm1(x)), and that plus the feed-forward of its norm2. `causal`: no token sees later ones.
    ggml_tensor *build(graph &g, ggml_tensor *x, int64_t heads, activation gelu, bool causal) const;
};

// All layers under `from`, by the names of Hugging Face ("encoder.layers.0") or, if `open`, those of OpenCLIP
// ("transformer.resblocks.0"). Throws failure(AQ_INVALID_MODEL) naming a tensor that is missing.
std::vector<clip_layer> read_clip_layers(const layer_reader &from, int64_t width, bool open);

}  // namespace aq
