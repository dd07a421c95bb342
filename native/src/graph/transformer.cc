#include "graph/transformer.h"

#include "graph/failure.h"

namespace aq {

ggml_tensor *attention_layer::build(graph &g, const operand &x, ggml_tensor *residual) const {
    ggml_tensor *mixed = attention(g, linear(g, x, q), linear(g, x, k), linear(g, x, v), heads, false);
    return linear(g, mixed, out, {nullptr, residual, activation::none});
}

ggml_tensor *attention_layer::build(graph &g, const operand &x, const reading &from, int unit,
                                    ggml_tensor *residual) const {
    ggml_tensor *queries = linear(g, x, q);
    ggml_tensor *own = attention(g, queries, from.text->read(g, k), from.text->read(g, v), heads, false), *mixed = own;
    for (const reading::term &term : from.terms) {
        const added_attention::layer &layer = term.adapter->by_unit.at(unit);
        ggml_tensor *added =
            attention(g, queries, term.context->read(g, layer.k), term.context->read(g, layer.v), heads, false);
        mixed = layer.gain.empty() ? add_scaled(g, mixed, added, term.scale.get())
                                   : add_matched(g, mixed, added, own, layer.gain, layer.offset, term.scale.get());
    }
    return linear(g, mixed, out, {nullptr, residual, activation::none});
}

ggml_tensor *transformer_block::build(graph &g, ggml_tensor *h, const reading &from, plan &p) const {
    if (self && !self_reads_text) {
        h = p.sum(self_unit, h,
                  [&](ggml_tensor *residual) { return self->build(g, layer_norm(g, h, norm1), residual); });
    }
    h = repeat(g, h, from.images());
    if (self_reads_text) {
        h = p.sum(self_unit, h, [&](ggml_tensor *residual) {
            return self->build(g, layer_norm(g, h, norm1), from, self_unit, residual);
        });
    }
    if (cross) {
        h = p.sum(cross_unit, h, [&](ggml_tensor *residual) {
            return cross->build(g, layer_norm(g, h, norm2), from, cross_unit, residual);
        });
    }
    return p.sum(feed_forward_unit, h, [&](ggml_tensor *residual) {
        ggml_tensor *wide = linear(g, layer_norm(g, h, norm3), widen, {nullptr, nullptr, activation::geglu});
        return linear(g, wide, narrow, {nullptr, residual, activation::none});
    });
}

void transformer_block::compute_text(prompt &text) const {
    for (const attention_layer *a : {self_reads_text ? &*self : nullptr, cross ? &*cross : nullptr}) {
        if (a == nullptr) continue;
        text.compute(a->k);
        text.compute(a->v);
    }
}

ggml_tensor *transformer::build(graph &g, ggml_tensor *x, const reading &from, plan &p) const {
    ggml_tensor *h = linear(g, group_norm(g, x, norm, 1e-6f, false), proj_in);
    for (const transformer_block &block : blocks) {
        h = p.output(block.unit, h, [&] { return block.build(g, h, from, p); });
    }
    h = repeat(g, h, from.images());
    return linear(g, h, proj_out, {nullptr, repeat(g, x, from.images()), activation::none});
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

transformer read_transformer(const layer_reader &from, int64_t channels, int64_t context_width, const head_rule &rule,
                             unit_list &units, int unit) {
    transformer t;
    t.norm = from.group_norm("norm", channels);
    t.proj_in = from.linear("proj_in", channels, 0);
    const int64_t inner = t.proj_in.outputs;
    const int depth = from.count("transformer_blocks");
    for (int i = 0; i < depth; i++) {
        const layer_reader block = from.under("transformer_blocks." + std::to_string(i));
        transformer_block b;
        const std::string name = units[(size_t)unit].name + ".transformer_blocks." + std::to_string(i);
        b.unit = add_unit(units, name, AQ_UNIT_TRANSFORMER_BLOCK, unit, true);
        if (block.has("attn1.to_q.weight")) {
            const layer_reader self = block.under("attn1");
            b.norm1 = block.norm("norm1", inner);
            b.self_reads_text = self.inputs("to_k") == context_width && context_width != inner;
            b.self = read_attention(self, inner, b.self_reads_text ? context_width : inner, rule);
            const aq_unit_kind kind = b.self_reads_text ? AQ_UNIT_CROSS_ATTENTION : AQ_UNIT_SELF_ATTENTION;
            b.self_unit = add_unit(units, name + ".attn1", kind, b.unit, true);
        }
        if (block.has("attn2.to_q.weight")) {
            b.norm2 = block.norm("norm2", inner);
            b.cross = read_attention(block.under("attn2"), inner, context_width, rule);
            b.cross_unit = add_unit(units, name + ".attn2", AQ_UNIT_CROSS_ATTENTION, b.unit, true);
        }
        b.feed_forward_unit = add_unit(units, name + ".ff", AQ_UNIT_FEED_FORWARD, b.unit, true);
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
