// SpatialTransformer: blocks of self-attention, cross-attention with the text embedding, and a gated feed-forward.
// Pruned models lack one of the attentions, or let the first one read the text too.
#pragma once

#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

#include "graph/nodes.h"
#include "graph/plan.h"
#include "graph/prompt.h"

namespace aq {

// What an adapter adds to the output of each cross-attention, before its projection: attention of the same queries to
// keys and values of its own, scaled; or, where it has gains, matched to the norm of the attention's own output.
struct added_attention {
    struct layer {
        product_layer k, v;
        std::vector<float> gain, offset;  // [channels], or empty
    };

    std::shared_ptr<const weights> source;
    int64_t width = 0;                       // of what it reads
    std::unordered_map<int, layer> by_unit;  // every cross-attention of a network
};

// What cross-attentions read: the text, and what adapters of the call do.
struct reading {
    struct term {
        std::shared_ptr<const added_attention> adapter;
        std::shared_ptr<prompt> context;
        std::unique_ptr<float> scale;  // read when the graph runs
    };

    std::shared_ptr<prompt> text;
    std::vector<term> terms;

    int64_t images() const { return text->images(); }
};

struct attention_layer {
    product_layer q, k, v, out;
    int64_t heads;

    // residual + out(attention(q(x), k(x), v(x))), or with keys and values of the text.
    ggml_tensor *build(graph &g, const operand &x, ggml_tensor *residual) const;
    ggml_tensor *build(graph &g, const operand &x, const reading &from, int unit, ggml_tensor *residual) const;
};

struct transformer_block {
    norm_layer norm1, norm2, norm3;
    std::optional<attention_layer> self, cross;
    bool self_reads_text = false;
    product_layer widen, narrow;  // feed-forward: narrow(geglu(widen(x)))
    int unit, self_unit = -1, cross_unit = -1, feed_forward_unit;

    // As transformer::build.
    ggml_tensor *build(graph &g, ggml_tensor *h, const reading &from, plan &p) const;

    // Has the text's keys and values computed, which any graph may read then.
    void compute_text(prompt &text) const;
};

struct transformer {
    norm_layer norm;
    product_layer proj_in, proj_out;  // matrices or 1 x 1 kernels
    std::vector<transformer_block> blocks;

    // One image of x serves all images of the text up to the first cross-attention, where they begin to differ.
    ggml_tensor *build(graph &g, ggml_tensor *x, const reading &from, plan &p) const;
};

struct head_rule {
    int64_t heads, head_width;  // one of them is 0

    // Throws failure when the channels cannot be divided so.
    int64_t heads_of(int64_t channels, const std::string &where) const;
};

// Adds its parts to `units`, where it is `unit` itself.
transformer read_transformer(const layer_reader &from, int64_t channels, int64_t context_width, const head_rule &rule,
                             unit_list &units, int unit);

}  // namespace aq
