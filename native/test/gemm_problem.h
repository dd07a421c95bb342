// Products of every kind with their expected results, for the kernels that compute them.
#pragma once

#include <utility>

#include "kernel_run.h"
#include "reference.h"
#include "weights.h"

namespace test {

using aq::activation;

struct shape {
    int images, channels, outputs;
    aq::window view;
};

// A matrix of `rows` pixels.
inline shape linear(int rows, int channels, int outputs) {
    return {1, channels, outputs, {1, 1, 1, 1, 0, 0, 1, rows, 1, rows}};
}

// Square windows with `before` zeros in front and `after` behind.
inline shape convolution(int images, int h, int w, int channels, int outputs, int kernel, int stride, int before,
                         int after) {
    const int out_h = (h + before + after - kernel) / stride + 1, out_w = (w + before + after - kernel) / stride + 1;
    return {images, channels, outputs, {kernel, kernel, stride, 1, before, before, h, w, out_h, out_w}};
}

inline shape same3x3(int images, int h, int w, int channels, int outputs) {
    return convolution(images, h, w, channels, outputs, 3, 1, 1, 1);
}

// The image is doubled to out_h x out_w, each twice the input or one less, then goes through a same-size convolution.
inline shape upsampled(int images, int out_h, int out_w, int channels, int outputs, int kernel) {
    const aq::window view = {kernel,          kernel,          1,     2,    kernel / 2, kernel / 2,
                             (out_h + 1) / 2, (out_w + 1) / 2, out_h, out_w};
    return {images, channels, outputs, view};
}

struct extras {
    bool bias = false, image_bias = false, residual = false;
    bool norm = false, silu = false;  // on the input side
    activation act = activation::none;
    float gain = 1;
    int gap = 0;             // floats between the rows of each matrix
    std::vector<int> ranks;  // of terms beside the product
};

struct term {
    std::vector<float> a;
    weights w;
};

struct problem {
    std::vector<term> terms;
    std::vector<aq::gemm_term> all_terms;
    std::vector<float> a, bias, image_bias, residual, scale, offset;
    weights w;
    aq::gemm_args g;
    doubles expected;
};

inline problem make(const shape &s, format stored, const extras &with, random_numbers &random) {
    const aq::window &v = s.view;
    const int64_t depth = (int64_t)s.channels * v.kernel_h * v.kernel_w, pixels = (int64_t)v.out_h * v.out_w;
    problem p;
    p.g = {};
    p.g.view = v;
    p.g.channels = s.channels;
    p.g.rows = s.images * pixels;
    p.g.act = with.act;
    p.g.gain = with.gain;
    p.g.lda = s.channels + with.gap;
    p.g.ldc = s.outputs + 2 * with.gap;
    p.g.ldr = s.outputs + 3 * with.gap;
    // Sums of about 1, where activations bend.
    p.a = random.values(((int64_t)s.images * v.in_h * v.in_w - 1) * p.g.lda + s.channels, 3 / sqrt((double)depth));
    p.bias = random.values(s.outputs);
    p.image_bias = random.values((int64_t)s.images * s.outputs);
    p.residual = random.values((p.g.rows - 1) * p.g.ldr + s.outputs);
    p.scale = random.values((int64_t)s.images * s.channels, 1.5);
    p.offset = random.values((int64_t)s.images * s.channels, 3 / sqrt((double)depth));
    p.w = random_weights(stored, s.outputs, depth, random);
    p.g.a = p.a.data();
    p.g.weights = p.w.matrix;
    if (with.bias) p.g.bias = p.bias.data();
    if (with.image_bias) p.g.image_bias = p.image_bias.data();
    if (with.residual) p.g.residual = p.residual.data();
    p.g.silu = with.silu;
    if (with.norm) {
        p.g.scale = p.scale.data();
        p.g.offset = p.offset.data();
    }
    std::vector<doubles> up;
    for (const int rank : with.ranks) {
        const int64_t lda = rank + with.gap;
        const format type = up.size() % 2 == 0 ? format::f16 : format::f32;
        p.terms.push_back({random.values((p.g.rows - 1) * lda + rank, 1 / sqrt((double)rank)),
                           random_weights(type, s.outputs, rank, random)});
        const term &t = p.terms.back();
        p.all_terms.push_back({t.a.data(), lda, t.w.matrix, up.empty() ? 0.7f : -1.3f});
        up.push_back(t.w.values);
    }
    p.g.terms = p.all_terms.data();
    p.g.term_count = (int64_t)p.all_terms.size();
    p.expected = reference_gemm(p.g, p.w.values, up);
    return p;
}

inline int64_t output_size(const aq::gemm_args &g) { return (g.rows - 1) * g.ldc + outputs_of(g); }

// Runs a pool of `kernel` and compares. Results are made to be about 1, so where a few happen to cancel, 0.3 stands for
// the largest.
template <class Kernel> void run(const problem &p, Kernel kernel, int64_t scratch_floats, int threads, double limit) {
    const aq::gemm_args &g = p.g;
    const std::vector<float> c = run_pool(kernel, g, &aq::gemm_args::c, output_size(g), scratch_floats, threads);
    std::vector<float> rows;
    bool gaps = true;
    for (int64_t i = 0; i < (int64_t)c.size(); i++) {
        if (i % g.ldc < outputs_of(g)) rows.push_back(c[(size_t)i]);
        else gaps = gaps && untouched(c[(size_t)i]);
    }
    CHECK(gaps);
    double largest = 0.3;
    for (double x : p.expected) largest = fmax(largest, fabs(x));
    CHECK_NEAR(rows, p.expected, limit * largest);
}

inline void describe_problem(const char *kernels, const shape &s, format stored, const extras &with, int threads) {
    const aq::window &v = s.view;
    describe("%s %d x %dx%dx%d -> %dx%dx%d, %dx%d/%d up %d pad %d,%d, %s, act %d, norm %d%d, %d threads", kernels,
             s.images, v.in_h, v.in_w, s.channels, v.out_h, v.out_w, s.outputs, v.kernel_h, v.kernel_w, v.stride,
             v.upsample, v.pad_top, v.pad_left, format_name(stored), (int)with.act, with.norm, with.silu, threads);
}

}  // namespace test
