// Our kernels as nodes of a graph. Layers must outlive the graph.
#pragma once

#include "graph/graph.h"
#include "graph/layers.h"

namespace aq {

// What happens to each value of a product before it is written: residual + gain * act(bias + image_bias + product); and
// where that is. With activation::geglu the output has half as many channels,
// and image_bias, residual and gain do not apply.
struct epilogue {
    ggml_tensor *image_bias = nullptr;  // [outputs, 1, 1, images]
    ggml_tensor *residual = nullptr;    // the output's shape; of more channels, the first are added
    activation act = activation::none;
    float gain = 1;
    ggml_tensor *into = nullptr;  // see graph::part: its channels from `channel` on, of a layer that no adapter changes
    int64_t channel = 0;
};

// What a product reads: a tensor, of which it takes as many channels as it needs, or what GroupNorm (and SiLU) make of
// it, computed while reading.
struct operand {
    operand(ggml_tensor *x) : x(x) {}

    ggml_tensor *x;
    ggml_tensor *factors = nullptr;  // [channels, 1, 1, 2 * images]: scales, then offsets
    bool silu = false;
};

// Every pixel's channels times the layer's matrix.
ggml_tensor *linear(graph &g, const operand &x, const product_layer &layer, const epilogue &end = {});

// "Same" convolution: stride 1, zeros around.
ggml_tensor *conv(graph &g, const operand &x, const product_layer &layer, const epilogue &end = {});

// Halves width and height, rounding up. `pad_before`: zeros on the left and top too (UNet), or only right and bottom
// (VAE encoder).
ggml_tensor *conv_down(graph &g, ggml_tensor *x, const product_layer &layer, bool pad_before, const epilogue &end = {});

// Doubles the picture by repeating pixels, cut to width x height (twice the input or one less), then convolves.
ggml_tensor *conv_up(graph &g, ggml_tensor *x, const product_layer &layer, int64_t width, int64_t height,
                     const epilogue &end = {});

// `whole`: sums over an image of that many pixels of which x is a part; without them they are taken from x.
struct image_sums {
    const double *sums;  // see channel_sums_args; read when the graph runs
    int64_t pixels;
};
operand group_norm(graph &g, ggml_tensor *x, const norm_layer &layer, float epsilon, bool with_silu,
                   const image_sums *whole = nullptr);
ggml_tensor *layer_norm(graph &g, ggml_tensor *x, const norm_layer &layer);

// Heads lie side by side in the channels. Keys and values may have another number of pixels than queries.
ggml_tensor *attention(graph &g, ggml_tensor *q, ggml_tensor *k, ggml_tensor *v, int64_t heads, bool causal);

// Channels of b behind those of a.
ggml_tensor *concat(graph &g, ggml_tensor *a, ggml_tensor *b);

ggml_tensor *add(graph &g, ggml_tensor *a, ggml_tensor *b);

// x + *scale y; the scale is read when it runs.
ggml_tensor *add_scaled(graph &g, ggml_tensor *x, ggml_tensor *y, const float *scale);

// x + *scale (gain |norm_of| / |y| y + offset), with a gain and an offset for each channel and Euclidean norms of whole
// images. All three tensors have one shape; where y is 0, so is its term but for the offset.
ggml_tensor *add_matched(graph &g, ggml_tensor *x, ggml_tensor *y, ggml_tensor *norm_of, const std::vector<float> &gain,
                         const std::vector<float> &offset, const float *scale);

ggml_tensor *copy(graph &g, ggml_tensor *x);

// x as `images` images: itself if it has as many, copies if it has one.
ggml_tensor *repeat(graph &g, ggml_tensor *x, int64_t images);

// Between the edge's [images][channels][height][width] and a graph's channels-last tensors. Writing throws
// failure(AQ_INVALID_MODEL) when the caller made room for another number of values than the network gives.
void read_planes(const float *planes, ggml_tensor *to);
void write_planes(const ggml_tensor *from, float *planes, uint64_t count);

}  // namespace aq
