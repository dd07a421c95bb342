// The formulas of kernels.h in double precision, as plainly as they can be written.
#pragma once

#include <math.h>

#include <algorithm>
#include <vector>

#include "kernels/kernels.h"

namespace test {

using doubles = std::vector<double>;

inline double silu(double x) { return x / (1 + exp(-x)); }
inline double gelu(double x) { return x / 2 * erfc(-x / sqrt(2.0)); }
inline double quick_gelu(double x) { return x / (1 + exp(-1.702 * x)); }

inline double activate(double x, aq::activation act) {
    switch (act) {
        case aq::activation::silu: return silu(x);
        case aq::activation::gelu: return gelu(x);
        case aq::activation::quick_gelu: return quick_gelu(x);
        case aq::activation::relu: return fmax(x, 0);
        case aq::activation::leaky_relu: return x < 0 ? 0.2 * x : x;
        case aq::activation::relu_of_sum:
        case aq::activation::geglu:
        case aq::activation::none: break;
    }
    return x;
}

// Four sums keep the processor busy; double precision makes their order irrelevant.
template <class A> double dot(const A *a, const double *b, int64_t count) {
    double sum[4] = {0, 0, 0, 0};
    for (int64_t i = 0; i < count; i++) sum[i % 4] += a[i] * b[i];
    return sum[0] + sum[1] + sum[2] + sum[3];
}

// Columns of C.
inline int64_t outputs_of(const aq::gemm_args &g) {
    return g.act == aq::activation::geglu ? g.weights.rows / 2 : g.weights.rows;
}

// [rows][outputs], given the values of the weights, and those of the terms.
inline doubles reference_gemm(const aq::gemm_args &g, const doubles &weights, const std::vector<doubles> &up = {}) {
    const aq::window &v = g.view;
    const int64_t outputs = g.weights.rows, depth = g.channels * v.kernel_h * v.kernel_w;
    // Doubling gives twice as many pixels, or one less where the output of a same-size convolution is odd.
    const int32_t high = v.upsample == 2 ? std::min(2 * v.in_h, v.out_h) : v.in_h;
    const int32_t wide = v.upsample == 2 ? std::min(2 * v.in_w, v.out_w) : v.in_w;
    doubles c((size_t)(g.rows * outputs_of(g))), patch((size_t)depth);
    const auto input = [&](int64_t image, int64_t pixel, int64_t channel) {
        double x = g.a[pixel * g.lda + channel];
        if (g.scale == nullptr) return x;
        x = x * g.scale[image * g.channels + channel] + g.offset[image * g.channels + channel];
        return g.silu ? silu(x) : x;
    };
    for (int64_t row = 0; row < g.rows; row++) {
        const int64_t image = row / (v.out_h * v.out_w);
        const int32_t out_y = (int32_t)(row / v.out_w % v.out_h), out_x = (int32_t)(row % v.out_w);
        double *to = patch.data();
        for (int64_t channel = 0; channel < g.channels; channel++) {
            for (int32_t ky = 0; ky < v.kernel_h; ky++) {
                for (int32_t kx = 0; kx < v.kernel_w; kx++) {
                    const int32_t y = out_y * v.stride + ky - v.pad_top, x = out_x * v.stride + kx - v.pad_left;
                    const bool inside = y >= 0 && y < high && x >= 0 && x < wide;
                    const int64_t pixel = (image * v.in_h + y / v.upsample) * v.in_w + x / v.upsample;
                    *to++ = inside ? input(image, pixel, channel) : 0.0;
                }
            }
        }
        double *result = c.data() + row * outputs_of(g);
        for (int64_t n = 0; n < outputs; n++) {
            double x = dot(patch.data(), weights.data() + n * depth, depth);
            for (size_t i = 0; i < up.size(); i++) {
                const aq::gemm_term &t = g.terms[i];
                const int64_t rank = t.weights.cols;
                x += t.scale * dot(t.a + row * t.lda, up[i].data() + n * rank, rank);
            }
            if (g.bias) x += g.bias[n];
            if (g.image_bias) x += g.image_bias[image * outputs + n];
            if (g.act == aq::activation::geglu) {
                const int64_t half = outputs_of(g);
                if (n < half) result[n] = x;
                else result[n - half] *= gelu(x);
                continue;
            }
            x = g.gain * activate(x, g.act);
            if (g.residual) x += g.residual[row * g.ldr + n];
            if (g.act == aq::activation::relu_of_sum) x = fmax(x, 0);
            result[n] = x;
        }
    }
    return c;
}

// [batch][queries][heads * head_width]
inline doubles reference_attention(const aq::attention_args &t) {
    const int64_t width = t.head_width, stride = t.heads * width;
    doubles out((size_t)(t.batch * t.queries * stride)), p((size_t)t.keys), query((size_t)width);
    for (int64_t item = 0; item < t.batch * t.heads * t.queries; item++) {
        const int64_t i = item % t.queries, head = item / t.queries % t.heads, batch = item / t.queries / t.heads;
        const int64_t seen = t.causal ? std::min(i + 1, t.keys) : t.keys;
        const int64_t first = (batch * t.queries + i) * stride + head * width;
        const float *k = t.k + batch * t.keys * stride + head * width;
        const float *v = t.v + batch * t.keys * stride + head * width;
        for (int64_t c = 0; c < width; c++) query[(size_t)c] = t.q[first + c];
        double highest = -INFINITY, total = 0;
        for (int64_t j = 0; j < seen; j++) {
            p[(size_t)j] = dot(k + j * stride, query.data(), width) / sqrt((double)width);
            highest = std::max(highest, p[(size_t)j]);
        }
        for (int64_t j = 0; j < seen; j++) total += p[(size_t)j] = exp(p[(size_t)j] - highest);
        for (int64_t j = 0; j < seen; j++) {
            for (int64_t c = 0; c < width; c++) {
                out[(size_t)(first + c)] += p[(size_t)j] / total * (double)v[j * stride + c];
            }
        }
    }
    return out;
}

// Takes mean and deviation from `count` values at(i), then normalises others by them.
struct normal_form {
    double mean, sigma;

    template <class At> static normal_form of(int64_t count, double epsilon, At at) {
        double mean = 0, variance = 0;
        for (int64_t i = 0; i < count; i++) mean += at(i) / (double)count;
        for (int64_t i = 0; i < count; i++) variance += (at(i) - mean) * (at(i) - mean) / (double)count;
        return {mean, sqrt(variance + epsilon)};
    }
    double operator()(double x, double weight, double bias) const { return (x - mean) / sigma * weight + bias; }
};

// `term` grows to the largest |x * weight / sigma|: its rounding decides how exact a float32 multiply-add can be.
inline doubles reference_group_norm(const aq::group_norm_args &g, double *term) {
    const int64_t width = g.channels / g.groups;
    doubles y((size_t)(g.images * g.pixels * g.channels));
    for (int64_t item = 0; item < g.images * g.groups; item++) {
        const int64_t first = item / g.groups * g.pixels * g.channels, channel = item % g.groups * width;
        const auto index = [&](int64_t i) { return first + i / width * g.channels + channel + i % width; };
        const auto at = [&](int64_t i) { return (double)g.x[index(i)]; };
        const normal_form normal = normal_form::of(g.pixels * width, g.epsilon, at);
        for (int64_t i = 0; i < g.pixels * width; i++) {
            const double weight = g.weight[channel + i % width];
            const double value = normal(at(i), weight, g.bias[channel + i % width]);
            y[(size_t)index(i)] = value;
            *term = std::max(*term, fabs(at(i) * weight / normal.sigma));
        }
    }
    return y;
}

inline doubles reference_layer_norm(const aq::layer_norm_args &l) {
    doubles y((size_t)(l.rows * l.channels));
    for (int64_t row = 0; row < l.rows; row++) {
        const float *x = l.x + row * l.channels;
        const auto at = [&](int64_t i) { return (double)x[i]; };
        const normal_form normal = normal_form::of(l.channels, l.epsilon, at);
        for (int64_t c = 0; c < l.channels; c++) {
            y[(size_t)(row * l.channels + c)] = normal(x[c], l.weight[c], l.bias[c]);
        }
    }
    return y;
}

}  // namespace test
