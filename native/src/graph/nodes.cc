#include "graph/nodes.h"

#include <math.h>
#include <string.h>

#include <array>

#include "graph/adapter.h"
#include "graph/experts.h"
#include "graph/failure.h"
#include "graph/pick.h"

namespace aq {

namespace {

const std::vector<float> &adapted_vector(const graph &g, const std::string &name, const std::vector<float> &plain) {
    return g.adapted() != nullptr ? g.adapted()->vector(name, plain) : plain;
}

std::string describe(const extent &e) { return std::to_string(e.width) + "x" + std::to_string(e.height); }

graph::work describe(const gemm_args &args, int winograd_tile) {
    const window &v = args.view;
    const std::string kernel = std::to_string(v.kernel_h) + "x" + std::to_string(v.kernel_w);
    std::string name = v.kernel_h * v.kernel_w == 1 ? "linear" : "conv " + kernel;
    if (winograd_tile > 0) name += " F(" + std::to_string(winograd_tile) + (v.upsample == 2 ? ",2)" : ",3)");
    if (v.upsample == 2) name += " upsampling";
    if (v.stride == 2) name += " stride 2";
    name += " " + std::to_string(args.channels) + " to " + std::to_string(args.weights.rows) + " at " +
            std::to_string(v.out_w) + "x" + std::to_string(v.out_h);
    double depth = (double)args.weights.cols;
    for (int64_t i = 0; i < args.term_count; i++) depth += (double)args.terms[i].weights.cols;
    if (args.act == activation::geglu) name += ", geglu";
    if (args.term_count > 0) name += ", adapted";
    return {name, 2.0 * (double)args.rows * (double)args.weights.rows * depth};
}

// What an adapter adds to a product: scale * up(low).
struct addend {
    ggml_tensor *low;
    stored_matrix up;
    float scale;
};

// All that a node does beside multiplying its input.
struct addends {
    std::array<addend, adaptation::most_terms> terms;
    size_t count = 0;
};

// A product node, with `bias` in place of the layer's. The tensors' addresses are known only when it runs, so
// everything else is prepared here.
ggml_tensor *multiply(graph &g, const operand &from, const product_layer &layer, const std::vector<float> &bias,
                      const window &view, const epilogue &end, const addends &beside = {}) {
    const extent in = extent_of(from.x);
    const extent out = {end.act == activation::geglu ? layer.outputs / 2 : layer.outputs, view.out_w, view.out_h,
                        in.images};
    // Each image has kernels of its own, or all share the layer's.
    ggml_tensor *mixed = layer.experts ? mix_experts(g, from, layer, view) : nullptr;
    const int64_t parts = mixed != nullptr ? out.images : 1;
    gemm_args args = {};
    args.lda = in.channels;
    args.channels = mixed != nullptr ? in.channels : layer.matrix.cols / (view.kernel_h * view.kernel_w);
    args.rows = out.pixels() * out.images / parts;
    args.silu = from.silu;
    args.view = view;
    args.weights = layer.matrix;
    if (mixed != nullptr) {
        const int64_t columns = layer.experts->kernels.cols;
        args.weights = {nullptr, columns * (int64_t)sizeof(float), layer.outputs, columns, storage::f32, 1, 4, nullptr};
    }
    args.ldc = end.into != nullptr ? end.into->ne[0] : out.channels;
    args.ldr = end.residual != nullptr ? end.residual->ne[0] : out.channels;
    args.bias = bias.empty() ? nullptr : bias.data();
    args.act = end.act;
    args.gain = end.gain;
    std::array<gemm_term, adaptation::most_terms> terms = {};
    for (size_t i = 0; i < beside.count; i++) {
        terms[i] = {nullptr, beside.terms[i].low->ne[0], beside.terms[i].up, beside.terms[i].scale};
    }
    args.terms = terms.data();
    args.term_count = (int64_t)beside.count;
    const kernel_set &kernels = g.host().kernels();
    const int tile = beside.count == 0 ? pick_winograd(args, g.host().convolution(), kernels.set) : 0;
    const auto sums = std::make_shared<graph::sums_on_offer>();
    sums->parts = tile > 0 ? winograd_tiles(view, tile) : 0;
    const auto run = [args, from, end, beside, terms, tile, mixed, parts, in, sums, &g, &kernels](ggml_tensor *output,
                                                                                                  const worker &w) {
        const int64_t outputs = args.weights.rows;
        for (int64_t i = 0; i < parts; i++) {
            gemm_args now = args;
            std::array<gemm_term, adaptation::most_terms> now_terms = terms;
            for (size_t t = 0; t < beside.count; t++) now_terms[t].a = values(beside.terms[t].low);
            now.terms = now_terms.data();
            now.a = values(from.x) + i * in.pixels() * in.channels;
            now.c = (float *)output->data + i * args.rows * args.ldc + end.channel;
            if (from.factors != nullptr) {
                now.scale = values(from.factors) + i * in.channels;
                now.offset = now.scale + ggml_nelements(from.factors) / 2;
            }
            now.image_bias = end.image_bias != nullptr ? values(end.image_bias) + i * outputs : nullptr;
            now.residual = end.residual != nullptr ? values(end.residual) + i * args.rows * args.ldr : nullptr;
            if (sums->wanted) now.sums = g.sums() + i * sums->parts * 2 * outputs;
            if (mixed != nullptr) {
                const float *kernels_and_bias = values(mixed) + i * mixed->ne[0];
                now.weights.data = (const uint8_t *)kernels_and_bias;
                now.bias = kernels_and_bias + outputs * args.weights.cols;
            }
            if (tile > 0) kernels.winograd(now, tile, w);
            else kernels.gemm(now, w);
        }
    };
    const int64_t scratch = tile > 0 ? kernels.winograd_scratch(args, tile) : kernels.gemm_scratch(args);
    graph::work what = describe(args, tile);
    what.flops *= (double)parts;
    // A layer of experts has no name that an adapter could mean: there is a mixture or there are terms.
    const auto low = [&](size_t i) { return i < beside.count ? beside.terms[i].low : nullptr; };
    static_assert(adaptation::most_terms == 5, "as many as are named here");
    ggml_tensor *first = mixed != nullptr ? mixed : low(0);
    if (end.into != nullptr) {
        return g.part(what, end.into, {from.x, from.factors, end.image_bias, end.residual, first}, scratch, run);
    }
    ggml_tensor *output =
        g.node(what, out, {from.x, from.factors, end.image_bias, end.residual, first, low(1), low(2), low(3), low(4)},
               scratch, run);
    if (tile > 0) g.offer(output, sums);
    return output;
}

window pixels_of(const extent &e) {
    return {1, 1, 1, 1, 0, 0, (int32_t)e.height, (int32_t)e.width, (int32_t)e.height, (int32_t)e.width};
}

// A layer as adapters changed it: a thin product goes down to few channels, and its way up is a part of the layer's own
// product.
ggml_tensor *product(graph &g, const operand &from, const product_layer &plain, const window &view,
                     const epilogue &end) {
    const adaptation::layer *changed = g.adapted() != nullptr ? g.adapted()->find(plain.name) : nullptr;
    const std::vector<float> &bias = adapted_vector(g, plain.bias_name(), plain.bias);
    if (changed == nullptr) return multiply(g, from, plain, bias, view, end);
    product_layer layer = plain;
    if (changed->matrix) layer.matrix = *changed->matrix;
    addends beside;
    for (const adaptation::low_rank &term : changed->terms) {
        ggml_tensor *low = multiply(g, from, term.down, {}, term.core ? pixels_of(extent_of(from.x)) : view, {});
        if (term.core) low = multiply(g, low, *term.core, {}, view, {});
        beside.terms[beside.count++] = {low, term.up, term.scale};
    }
    gemm_args shape = {};
    shape.view = view;
    shape.channels = extent_of(from.x).channels;
    if (beside.count == 0 || end.act != activation::none || end.gain != 1 ||
        pick_winograd(shape, g.host().convolution(), g.host().kernels().set) == 0) {
        return multiply(g, from, layer, bias, view, end, beside);
    }
    // Winograd's kernel takes no terms: they come as the residual.
    product_layer none;
    none.outputs = layer.outputs;
    none.matrix.rows = layer.outputs;
    epilogue rest = end;
    rest.residual = multiply(g, beside.terms[0].low, none, {}, pixels_of({0, view.out_w, view.out_h, 1}),
                             {nullptr, end.residual, activation::none}, beside);
    return multiply(g, from, layer, bias, view, rest);
}

window same_window(const extent &in, const product_layer &layer) {
    const int32_t w = (int32_t)in.width, h = (int32_t)in.height;
    return {layer.kernel_h, layer.kernel_w, 1, 1, layer.kernel_h / 2, layer.kernel_w / 2, h, w, h, w};
}

}  // namespace

ggml_tensor *linear(graph &g, const operand &x, const product_layer &layer, const epilogue &end) {
    return product(g, x, layer, same_window(extent_of(x.x), layer), end);
}

ggml_tensor *conv(graph &g, const operand &x, const product_layer &layer, const epilogue &end) {
    return product(g, x, layer, same_window(extent_of(x.x), layer), end);
}

ggml_tensor *conv_down(graph &g, ggml_tensor *x, const product_layer &layer, bool pad_before, const epilogue &end) {
    window view = same_window(extent_of(x), layer);
    view.stride = 2;
    if (pad_before) {
        view.out_h = (view.in_h + 1) / 2;
        view.out_w = (view.in_w + 1) / 2;
    } else {
        view.pad_top = view.pad_left = 0;
        view.out_h = view.in_h / 2;
        view.out_w = view.in_w / 2;
    }
    return product(g, x, layer, view, end);
}

ggml_tensor *conv_up(graph &g, ggml_tensor *x, const product_layer &layer, int64_t width, int64_t height,
                     const epilogue &end) {
    window view = same_window(extent_of(x), layer);
    view.upsample = 2;
    view.out_w = (int32_t)width;
    view.out_h = (int32_t)height;
    return product(g, x, layer, view, end);
}

operand group_norm(graph &g, ggml_tensor *x, const norm_layer &layer, float epsilon, bool with_silu,
                   const image_sums *whole) {
    const extent shape = extent_of(x);
    group_norm_args args = {};
    args.weight = adapted_vector(g, layer.name + "weight", layer.weight).data();
    args.bias = adapted_vector(g, layer.name + "bias", layer.bias).data();
    args.images = shape.images;
    args.pixels = shape.pixels();
    args.channels = shape.channels;
    args.groups = norm_groups;
    args.epsilon = epsilon;
    const graph::sums_on_offer *offer = nullptr;  // by the convolution that makes x
    if (whole != nullptr) {
        args.sums = whole->sums;
        args.parts = 1;
        args.pixels = whole->pixels;
    } else {
        offer = g.want_sums(x);
        if (offer != nullptr) args.parts = offer->parts;
    }
    const kernel_set &kernels = g.host().kernels();
    const auto run = [args, x, offer, &g, &kernels](ggml_tensor *output, const worker &w) {
        group_norm_args now = args;
        now.x = values(x);
        if (offer != nullptr) now.sums = g.sums();
        now.factors = (float *)output->data;
        kernels.group_norm(now, w);
    };
    operand normed = x;
    const std::string name = "group norm moments of " + std::to_string(shape.channels) + " at " + describe(shape);
    normed.factors =
        g.node({name, 0}, {shape.channels, 1, 1, 2 * shape.images}, {x}, kernels.group_norm_scratch(args), run);
    normed.silu = with_silu;
    return normed;
}

ggml_tensor *layer_norm(graph &g, ggml_tensor *x, const norm_layer &layer) {
    const extent shape = extent_of(x);
    const float *weight = adapted_vector(g, layer.name + "weight", layer.weight).data();
    const float *bias = adapted_vector(g, layer.name + "bias", layer.bias).data();
    const kernel_set &kernels = g.host().kernels();
    const auto run = [x, shape, weight, bias, &kernels](ggml_tensor *output, const worker &w) {
        const int64_t rows = shape.pixels() * shape.images;
        kernels.layer_norm({values(x), (float *)output->data, weight, bias, rows, shape.channels, 1e-5f}, w);
    };
    return g.node({"layer norm", 0}, shape, {x}, 0, run);
}

ggml_tensor *attention(graph &g, ggml_tensor *q, ggml_tensor *k, ggml_tensor *v, int64_t heads, bool causal) {
    const extent shape = extent_of(q);
    attention_args args = {};
    args.batch = shape.images;
    args.queries = shape.pixels();
    args.keys = extent_of(k).pixels();
    args.heads = heads;
    args.head_width = shape.channels / heads;
    args.causal = causal;
    const kernel_set &kernels = g.host().kernels();
    const auto run = [args, q, k, v, &kernels](ggml_tensor *output, const worker &w) {
        attention_args now = args;
        now.q = values(q);
        now.k = values(k);
        now.v = values(v);
        now.out = (float *)output->data;
        kernels.attention(now, w);
    };
    const std::string name = "attention " + std::to_string(args.queries) + " x " + std::to_string(args.keys) + ", " +
                             std::to_string(heads) + " heads of " + std::to_string(args.head_width);
    const double flops = 4.0 * (double)(args.batch * args.queries * args.keys) * (double)shape.channels;
    return g.node({name, flops}, shape, {q, k, v}, kernels.attention_scratch(args), run);
}

ggml_tensor *concat(graph &g, ggml_tensor *a, ggml_tensor *b) {
    const extent left = extent_of(a), right = extent_of(b);
    extent shape = left;
    shape.channels += right.channels;
    return g.node({"concat", 0}, shape, {a, b}, 0, [a, b, left, right, shape](ggml_tensor *output, const worker &w) {
        const int64_t rows = shape.pixels() * shape.images, last = rows * (w.index + 1) / w.count;
        for (int64_t row = rows * w.index / w.count; row < last; row++) {
            float *to = (float *)output->data + row * shape.channels;
            memcpy(to, values(a) + row * left.channels, (size_t)left.channels * sizeof(float));
            memcpy(to + left.channels, values(b) + row * right.channels, (size_t)right.channels * sizeof(float));
        }
    });
}

ggml_tensor *add(graph &g, ggml_tensor *a, ggml_tensor *b) {
    const extent shape = extent_of(a);
    return g.node({"add", 0}, shape, {a, b}, 0, [a, b, shape](ggml_tensor *output, const worker &w) {
        const int64_t last = shape.count() * (w.index + 1) / w.count;
        float *to = (float *)output->data;
        for (int64_t i = shape.count() * w.index / w.count; i < last; i++) to[i] = values(a)[i] + values(b)[i];
    });
}

ggml_tensor *add_scaled(graph &g, ggml_tensor *x, ggml_tensor *y, const float *scale) {
    const extent shape = extent_of(x);
    return g.node({"add", 0}, shape, {x, y}, 0, [x, y, shape, scale](ggml_tensor *output, const worker &w) {
        const int64_t last = shape.count() * (w.index + 1) / w.count;
        float *to = (float *)output->data;
        for (int64_t i = shape.count() * w.index / w.count; i < last; i++) to[i] = values(x)[i] + *scale * values(y)[i];
    });
}

namespace {

// Sums of squares of each pixel's channels.
ggml_tensor *squares(graph &g, ggml_tensor *x) {
    extent shape = extent_of(x);
    const int64_t channels = shape.channels;
    shape.channels = 1;
    return g.node({"squares", 0}, shape, {x}, 0, [x, channels, shape](ggml_tensor *output, const worker &w) {
        const int64_t rows = shape.count(), last = rows * (w.index + 1) / w.count;
        for (int64_t row = rows * w.index / w.count; row < last; row++) {
            double sum = 0;
            for (int64_t c = 0; c < channels; c++) {
                const double value = values(x)[row * channels + c];
                sum += value * value;
            }
            ((float *)output->data)[row] = (float)sum;
        }
    });
}

double sum_of(const ggml_tensor *t, int64_t image) {
    const int64_t count = extent_of(t).pixels();
    double sum = 0;
    for (int64_t i = image * count; i < (image + 1) * count; i++) sum += values(t)[i];
    return sum;
}

}  // namespace

ggml_tensor *add_matched(graph &g, ggml_tensor *x, ggml_tensor *y, ggml_tensor *norm_of, const std::vector<float> &gain,
                         const std::vector<float> &offset, const float *scale) {
    const extent shape = extent_of(x);
    ggml_tensor *mine = squares(g, y), *theirs = squares(g, norm_of);
    const auto run = [=, &gain, &offset](ggml_tensor *output, const worker &w) {
        const int64_t rows = shape.pixels() * shape.images, last = rows * (w.index + 1) / w.count;
        int64_t image = -1;
        float ratio = 0;
        for (int64_t row = rows * w.index / w.count; row < last; row++) {
            if (row / shape.pixels() != image) {
                image = row / shape.pixels();
                const double own = sum_of(mine, image);
                ratio = own > 0 ? (float)sqrt(sum_of(theirs, image) / own) : 0;
            }
            const float *base = values(x) + row * shape.channels, *term = values(y) + row * shape.channels;
            float *to = (float *)output->data + row * shape.channels;
            for (int64_t c = 0; c < shape.channels; c++) {
                to[c] = base[c] + *scale * (gain[(size_t)c] * ratio * term[c] + offset[(size_t)c]);
            }
        }
    };
    return g.node({"matched add", 0}, shape, {x, y, mine, theirs}, 0, run);
}

ggml_tensor *copy(graph &g, ggml_tensor *x) {
    return g.node({"copy", 0}, extent_of(x), {x}, 0, [x](ggml_tensor *output, const worker &w) {
        if (w.index == 0) memcpy(output->data, x->data, ggml_nbytes(x));
    });
}

ggml_tensor *repeat(graph &g, ggml_tensor *x, int64_t images) {
    extent shape = extent_of(x);
    if (shape.images == images) return x;
    const int64_t count = shape.count();
    shape.images = images;
    return g.node({"repeat", 0}, shape, {x}, 0, [x, count, images](ggml_tensor *output, const worker &w) {
        const int64_t first = count * w.index / w.count, last = count * (w.index + 1) / w.count;
        for (int64_t image = 0; image < images; image++) {
            memcpy((float *)output->data + image * count + first, values(x) + first,
                   (size_t)(last - first) * sizeof(float));
        }
    });
}

void read_planes(const float *planes, ggml_tensor *to) {
    const extent e = extent_of(to);
    float *pixel = (float *)to->data;
    for (int64_t image = 0; image < e.images; image++, planes += e.channels * e.pixels()) {
        for (int64_t p = 0; p < e.pixels(); p++) {
            for (int64_t c = 0; c < e.channels; c++) *pixel++ = planes[c * e.pixels() + p];
        }
    }
}

void write_planes(const ggml_tensor *from, float *planes, uint64_t count) {
    const extent e = extent_of(from);
    if ((uint64_t)e.count() != count) {
        throw failure(AQ_INVALID_MODEL,
                      "the network gives " + std::to_string(e.count()) + " values, expected " + std::to_string(count));
    }
    const float *pixel = values(from);
    for (int64_t image = 0; image < e.images; image++, planes += e.channels * e.pixels()) {
        for (int64_t p = 0; p < e.pixels(); p++) {
            for (int64_t c = 0; c < e.channels; c++) planes[c * e.pixels() + p] = *pixel++;
        }
    }
}

}  // namespace aq
