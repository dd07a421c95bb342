// The compute kernels: plain functions on channels-last float32 activations, one table of them for each instruction
// set. Every thread of a pool calls a kernel with the same arguments and its own `worker`; threads never wait for each
// other inside a kernel.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "kernels/isa.h"
#include "kernels/stored_matrix.h"

namespace aq {

// One of `count` threads. `scratch` is this thread's own, 64-byte aligned.
struct worker {
    int index, count;
    float *scratch;
    const volatile int32_t *cancel;  // non-zero: results no longer matter, return soon; may be NULL
};

// leaky_relu is max(0.2 x, x); relu_of_sum is max(0, x) of the whole, residual included, where the others act before
// the residual is added. geglu takes the first half of the outputs times gelu of the second half (Shazeer, arXiv
// 2002.05202), so C has half as many columns;
// image_bias, residual and gain do not apply.
enum class activation { none, silu, gelu, quick_gelu, relu, leaky_relu, relu_of_sum, geglu };

// How rows of a matrix product are taken from images: row = (image, y, x) of the output holds the values under a
// kernel_h x kernel_w window. {1, 1, 1, 1, 0, 0, ...} makes it an ordinary matrix of pixels.
struct window {
    int32_t kernel_h, kernel_w, stride;
    int32_t upsample;           // 2: the input is first doubled in both directions by repeating pixels
    int32_t pad_top, pad_left;  // zeros before the first pixel; as many as needed follow the last
    int32_t in_h, in_w, out_h, out_w;
};

// scale * sum_k a[row][k] * weights[n][k], for all outputs of a product.
struct gemm_term {
    const float *a;  // [rows][weights.cols], rows `lda` floats apart
    int64_t lda;
    stored_matrix weights;  // [outputs][k]
    float scale;
};

// c[row][n] = residual + gain * act(bias[n] + image_bias[image][n] + sum_k patch[row][k] * weights[n][k] +
// terms[row][n])
struct gemm_args {
    const float *a;  // [images][in_h][in_w][channels], pixels `lda` floats apart
    int64_t lda, channels, rows;
    // Applied to pixels as they are read, zeros around the image stay zeros: x * scale + offset, then SiLU if asked.
    // GroupNorm leaves them here instead of writing its output.
    const float *scale, *offset;  // [images][channels], or both NULL
    bool silu;                    // counts with scale and offset only
    window view;
    stored_matrix weights;  // [outputs][channels][kernel_h][kernel_w]; with 0 channels the terms are all there is
    const gemm_term *terms;
    int64_t term_count;
    float *c;  // [rows][outputs], rows `ldc` floats apart
    int64_t ldc;
    const float *bias;        // [outputs] or NULL
    const float *image_bias;  // [images][outputs] or NULL
    const float *residual;    // [rows][outputs], rows `ldr` floats apart, or NULL
    int64_t ldr;
    activation act;
    float gain = 1;
    // Of Winograd, or NULL: what is written and its squares, summed over the pixels of each tile,
    // [images][winograd_tiles][2][outputs], for a GroupNorm of it.
    double *sums = nullptr;
};

// Tiles of one image in a convolution by `winograd` below.
int64_t winograd_tiles(const window &view, int outputs);

// out[b][i][h*d..] = sum_j softmax_j(q[b][i] . k[b][j] / sqrt(d)) v[b][j], head by head, with a running softmax over
// blocks of keys (Milakov and Gimelshein, arXiv 1805.02867; Dao et al., arXiv 2205.14135).
struct attention_args {
    const float *q, *k, *v;  // [batch][queries or keys][heads * head_width]
    float *out;              // [batch][queries][heads * head_width]
    int64_t batch, queries, keys, heads, head_width;
    bool causal;  // query i sees keys 0 to i
};

// GroupNorm (Wu and He, arXiv 1803.08494) over groups of channels and all pixels of an image, left as a scale and an
// offset of each channel, so that who reads x next applies it: y = x * scale + offset.
struct group_norm_args {
    const float *x;  // [images][pixels][channels]
    float *factors;  // scales [images][channels], behind them offsets [images][channels]
    const float *weight, *bias;
    int64_t images, pixels, channels, groups;
    float epsilon;
    const double *sums;  // of parts of x and of its squares, [images][parts][2][channels], or NULL: taken here
    int64_t parts;       // 0 without sums
};

// Adds the values and the squares of each channel over all pixels, so that an image can come in parts.
struct channel_sums_args {
    const float *x;  // [pixels][channels]
    double *sums;    // [2][channels]
    int64_t pixels, channels;
};

// Pixels in half precision, each over a power of two that brings its largest value near 2^14: relative errors of at
// most 2^-11 wherever it does not lie 2^28 below, and no overflow whatever the values are.
struct halves_args {
    float *x;         // [pixels][channels]
    uint8_t *halves;  // [pixels][channels], 2 bytes each
    float *scales;    // [pixels]
    int64_t pixels, channels;
};

// Normalises each row over its channels, then x * weight + bias.
struct layer_norm_args {
    const float *x;
    float *y;  // both [rows][channels]
    const float *weight, *bias;
    int64_t rows, channels;
    float epsilon;
};

// y[i] = silu(x[i])
struct silu_args {
    const float *x;
    float *y;
    int64_t count;
};

struct kernel_set {
    isa set;
    const char *name;

    void (*gemm)(const gemm_args &, const worker &);
    // The same result for 3 x 3 windows of stride 1 with zeros around, by F(outputs x outputs, 3 x 3) with outputs 2, 4
    // or 6; for an upsampling window, which must be twice its input in size, by F(outputs x outputs, 2 x 2) with
    // outputs 4 or 6. `residual` may not overlap `c` in either. There must be no terms and no geglu.
    void (*winograd)(const gemm_args &, int outputs, const worker &);
    void (*attention)(const attention_args &, const worker &);
    void (*group_norm)(const group_norm_args &, const worker &);
    void (*channel_sums)(const channel_sums_args &, const worker &);
    void (*layer_norm)(const layer_norm_args &, const worker &);
    void (*silu)(const silu_args &, const worker &);
    void (*to_halves)(const halves_args &, const worker &);    // from x
    void (*from_halves)(const halves_args &, const worker &);  // to x

    // Floats of scratch that each thread needs.
    int64_t (*gemm_scratch)(const gemm_args &);
    int64_t (*winograd_scratch)(const gemm_args &, int outputs);
    int64_t (*attention_scratch)(const attention_args &);
    int64_t (*group_norm_scratch)(const group_norm_args &);

    // Rows first to last - 1 of the matrix as float32, for embedding tables and tests.
    void (*expand_rows)(const stored_matrix &, int64_t first, int64_t last, float *values);
};

// The table for `set`, or NULL where this build or this processor lacks it.
const kernel_set *find_kernels(isa set);

// The fastest table that this processor runs.
const kernel_set &best_kernels();

}  // namespace aq
