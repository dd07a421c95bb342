#include "graph/experts.h"

#include <math.h>

#include <algorithm>

namespace aq {

namespace {

float sigmoid(float x) { return 1 / (1 + expf(-x)); }

// The mean of each channel of x, [channels, 1, 1, images]; where the input is doubled, over the doubled pixels.
ggml_tensor *average(graph &g, const operand &from, const window &view) {
    const extent e = extent_of(from.x);
    const auto run = [from, e, view](ggml_tensor *output, const worker &w) {
        const int64_t first = e.channels * w.index / w.count, last = e.channels * (w.index + 1) / w.count;
        std::vector<double> sums((size_t)(last - first));
        for (int64_t image = 0; image < e.images; image++) {
            const float *x = values(from.x) + image * e.pixels() * e.channels;
            const float *scale = from.factors == nullptr ? nullptr : values(from.factors) + image * e.channels;
            const float *offset = scale == nullptr ? nullptr : scale + e.images * e.channels;
            std::fill(sums.begin(), sums.end(), 0.0);
            double pixels = 0;
            for (int64_t row = 0; row < e.height; row++) {
                for (int64_t column = 0; column < e.width; column++, x += e.channels) {
                    double times = 1;  // pixels that it becomes; the last ones of an odd size stay single
                    if (view.upsample == 2) {
                        times = (double)std::min<int64_t>(2, view.out_h - 2 * row) *
                                (double)std::min<int64_t>(2, view.out_w - 2 * column);
                    }
                    pixels += times;
                    for (int64_t c = first; c < last; c++) {
                        float value = x[c];
                        if (scale != nullptr) {
                            value = value * scale[c] + offset[c];
                            if (from.silu) value *= sigmoid(value);
                        }
                        sums[(size_t)(c - first)] += times * value;
                    }
                }
            }
            float *means = (float *)output->data + image * e.channels;
            for (int64_t c = first; c < last; c++) means[c] = (float)(sums[(size_t)(c - first)] / pixels);
        }
    };
    return g.node({"average of " + std::to_string(e.channels), 0}, {e.channels, 1, 1, e.images}, {from.x, from.factors},
                  0, run);
}

// How much of each expert an image takes, [experts, 1, 1, images].
ggml_tensor *route(graph &g, ggml_tensor *means, const expert_kernels &experts) {
    const int64_t count = experts.count(), channels = means->ne[0], images = means->ne[3];
    const auto run = [&experts, means, count, channels, images](ggml_tensor *output, const worker &w) {
        if (w.index != 0) return;
        for (int64_t image = 0; image < images; image++) {
            const float *mean = values(means) + image * channels;
            float *shares = (float *)output->data + image * count;
            for (int64_t e = 0; e < count; e++) {
                double sum = experts.router_bias[(size_t)e];
                for (int64_t c = 0; c < channels; c++)
                    sum += (double)experts.router[(size_t)(e * channels + c)] * mean[c];
                shares[e] = (float)sum;
            }
            if (!experts.softmax) {
                std::transform(shares, shares + count, shares, sigmoid);
                continue;
            }
            const float largest = *std::max_element(shares, shares + count);
            double sum = 0;
            for (int64_t e = 0; e < count; e++) sum += shares[e] = expf(shares[e] - largest);
            for (int64_t e = 0; e < count; e++) shares[e] = (float)(shares[e] / sum);
        }
    };
    return g.node({"expert routing", 0}, {count, 1, 1, images}, {means}, 0, run);
}

}  // namespace

ggml_tensor *mix_experts(graph &g, const operand &x, const product_layer &layer, const window &view) {
    const expert_kernels &experts = *layer.experts;
    ggml_tensor *shares = route(g, average(g, x, view), experts);
    const int64_t outputs = layer.outputs, columns = experts.kernels.cols, images = shares->ne[3];
    const int64_t floats = outputs * (columns + 1);  // of an image
    const kernel_set &kernels = g.host().kernels();
    const auto run = [&experts, &kernels, shares, outputs, columns, images, floats](ggml_tensor *output,
                                                                                    const worker &w) {
        const int64_t count = experts.count();
        for (int64_t o = outputs * w.index / w.count; o < outputs * (w.index + 1) / w.count; o++) {
            for (int64_t image = 0; image < images; image++) {
                float *kernel = (float *)output->data + image * floats + o * columns;
                float &bias = ((float *)output->data)[image * floats + outputs * columns + o];
                std::fill(kernel, kernel + columns, 0.0f);
                bias = 0;
            }
            for (int64_t e = 0; e < count; e++) {
                const int64_t row = e * outputs + o;
                kernels.expand_rows(experts.kernels, row, row + 1, w.scratch);
                for (int64_t image = 0; image < images; image++) {
                    const float share = values(shares)[image * count + e];
                    float *kernel = (float *)output->data + image * floats + o * columns;
                    for (int64_t i = 0; i < columns; i++) kernel[i] += share * w.scratch[i];
                    ((float *)output->data)[image * floats + outputs * columns + o] +=
                        share * experts.bias[(size_t)row];
                }
            }
        }
    };
    const double flops = 2.0 * (double)(experts.count() * outputs * images) * (double)columns;
    const std::string name = "mix of " + std::to_string(experts.count()) + " kernels " + std::to_string(layer.inputs) +
                             " to " + std::to_string(outputs);
    const int64_t scratch = columns + experts.kernels.block;
    return g.node({name, flops}, {floats, 1, 1, images}, {shares}, scratch, run);
}

}  // namespace aq
