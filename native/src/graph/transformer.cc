#include "graph/transformer.h"

#include "graph/failure.h"

namespace aq {

ggml_tensor *attention_layer::build(graph &g, const operand &x, ggml_tensor *residual) const {
    ggml_tensor *mixed = attention(g, linear(g, x, q), linear(g, x, k), linear(g, x, v), heads, false);
    return linear(g, mixed, out, {nullptr, residual, activation::none});
}

ggml_tensor *attention_layer::build(graph &g, const operand &x, prompt &text, ggml_tensor *residual) const {
    ggml_tensor *mixed = attention(g, linear(g, x, q), text.linear(g, k), text.linear(g, v), heads, false);
    return linear(g, mixed, out, {nullptr, residual, activation::none});
}

ggml_tensor *transformer::build(graph &g, ggml_tensor *x, prompt &text) const {
    ggml_tensor *h = linear(g, group_norm(g, x, norm, 1e-6f, false), proj_in);
    for (const transformer_block &block : blocks) {
        if (block.self && !block.self_reads_text) h = block.self->build(g, layer_norm(g, h, block.norm1), h);
        h = repeat(g, h, text.images());
        if (block.self_reads_text) h = block.self->build(g, layer_norm(g, h, block.norm1), text, h);
        if (block.cross) h = block.cross->build(g, layer_norm(g, h, block.norm2), text, h);
        ggml_tensor *wide = geglu(g, linear(g, layer_norm(g, h, block.norm3), block.widen));
        h = linear(g, wide, block.narrow, {nullptr, h, activation::none});
    }
    h = repeat(g, h, text.images());
    return linear(g, h, proj_out, {nullptr, repeat(g, x, text.images()), activation::none});
}

int64_t head_rule::heads_of(int64_t channels, const std::string &where) const {
    const int64_t count = heads > 0 ? heads : channels / head_width;
    if (count <= 0 || channels % count != 0 || (head_width > 0 && channels % head_width != 0)) {
        throw failure(AQ_INVALID_MODEL,
                      "'" + where + "' has " + std::to_string(channels) + " channels, which cannot be divided into " +
                          (heads > 0 ? std::to_string(heads) + " heads" : "heads of " + std::to_string(head_width)));
    }
    return count;
}

namespace {

attention_layer read_attention(const layer_reader &from, int64_t channels, int64_t source_width,
                               const head_rule &rule) {
    attention_layer a;
    a.q = from.linear("to_q", channels, 0);
    a.k = from.linear("to_k", source_width, a.q.outputs);
    a.v = from.linear("to_v", source_width, a.q.outputs);
    a.out = from.linear("to_out.0", a.q.outputs, channels);
    a.heads = rule.heads_of(a.q.outputs, from.prefix() + "to_q");
    return a;
}

}  // namespace

transformer read_transformer(const layer_reader &from, int64_t channels, int64_t context_width, const head_rule &rule) {
    transformer t;
    t.norm = from.group_norm("norm", channels);
    t.proj_in = from.linear("proj_in", channels, 0);
    const int64_t inner = t.proj_in.outputs;
    const int depth = from.count("transformer_blocks");
    for (int i = 0; i < depth; i++) {
        const layer_reader block = from.under("transformer_blocks." + std::to_string(i));
        transformer_block b;
        if (block.has("attn1.to_q.weight")) {
            const layer_reader self = block.under("attn1");
            b.norm1 = block.norm("norm1", inner);
            b.self_reads_text = self.inputs("to_k") == context_width && context_width != inner;
            b.self = read_attention(self, inner, b.self_reads_text ? context_width : inner, rule);
        }
        if (block.has("attn2.to_q.weight")) {
            b.norm2 = block.norm("norm2", inner);
            b.cross = read_attention(block.under("attn2"), inner, context_width, rule);
        }
        b.norm3 = block.norm("norm3", inner);
        b.widen = block.linear("ff.net.0.proj", inner, 0);
        if (b.widen.outputs % 2 != 0) {
            throw failure(AQ_INVALID_MODEL, "'" + block.prefix() + "ff.net.0.proj' has an odd number of outputs");
        }
        b.narrow = block.linear("ff.net.2", b.widen.outputs / 2, inner);
        t.blocks.push_back(std::move(b));
    }
    t.proj_out = from.linear("proj_out", inner, channels);
    return t;
}

}  // namespace aq
