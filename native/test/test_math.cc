// Elementary functions and number formats, reached through the kernels that use them.
#include "kernel_run.h"
#include "reference.h"

using namespace test;

namespace {

std::vector<float> range(double first, double last, int count) {
    std::vector<float> x;
    for (int i = 0; i < count; i++) x.push_back((float)(first + (last - first) * i / (count - 1)));
    return x;
}

std::vector<float> run_silu(const aq::kernel_set &kernels, const std::vector<float> &x) {
    describe("%s silu", kernels.name);
    const aq::silu_args args = {x.data(), nullptr, (int64_t)x.size()};
    return run_pool(kernels.silu, args, &aq::silu_args::y, (int64_t)x.size(), 0, 1);
}

// As the activation of a product x * 1; with geglu, 1 times that of it.
std::vector<float> run_activation(const aq::kernel_set &kernels, const std::vector<float> &x, aq::activation act) {
    describe("%s activation %d of a product", kernels.name, (int)act);
    const bool gated = act == aq::activation::geglu;
    const float value_and_gate[] = {0, 1}, bias[] = {1, 0}, one = 1;
    const int32_t rows = (int32_t)x.size();
    aq::gemm_args g = {};
    g.a = x.data();
    g.lda = g.channels = g.ldc = 1;
    g.rows = rows;
    g.view = {1, 1, 1, 1, 0, 0, 1, rows, 1, rows};
    const float *weights = gated ? value_and_gate : &one;
    g.weights = {(const uint8_t *)weights, 4, gated ? 2 : 1, 1, aq::storage::f32, 1, 4, nullptr};
    g.bias = gated ? bias : nullptr;
    g.act = act;
    return run_pool(kernels.gemm, g, &aq::gemm_args::c, rows, kernels.gemm_scratch(g), 1);
}

template <class F> doubles map(const std::vector<float> &x, F f) {
    doubles y;
    for (float v : x) y.push_back(f((double)v));
    return y;
}

}  // namespace

// For x < -20 silu(x) is x e^x to float32 precision, so relative errors of it are those of the exponential: two units
// for 2^r, one each for the sum, the quotient and the product, 5 * 6e-8, half a unit of the argument x / ln 2 and what
// float32 leaves of 1 / ln 2.
TEST(exponential_keeps_its_relative_error) {
    const std::vector<float> x = range(-87, 87, 100001);
    for (const aq::kernel_set *kernels : kernel_sets()) {
        const std::vector<float> y = run_silu(*kernels, x);
        doubles error;
        for (size_t i = 0; i < x.size(); i++) {
            const double ratio = x[i] == 0 ? 1 : y[i] / silu(x[i]);
            error.push_back((ratio - 1) / (3e-7 + 7.5e-8 * fmax(0, -(double)x[i])));
        }
        CHECK_NEAR(error, doubles(x.size(), 0.0), 1);
    }
}

TEST(exponential_far_out_is_zero_or_the_argument) {
    const std::vector<float> x = {-1e6f, -1e4f, -200, -100, -88, 88, 100, 200, 1e4f, 1e6f, 1e30f, 0.0f, -0.0f, 1e-30f};
    const doubles expected = map(x, [](double v) { return v < -80 ? 0 : silu(v); });
    for (const aq::kernel_set *kernels : kernel_sets()) {
        const std::vector<float> y = run_silu(*kernels, x);
        doubles error;
        for (size_t i = 0; i < x.size(); i++) error.push_back((y[i] - expected[i]) / fmax(1, expected[i]));
        CHECK_NEAR(error, doubles(x.size(), 0.0), 1e-30);
    }
}

// erf is good to 1.5e-7 by its formula and about as much again by rounding, so GELU is off by 1.5e-7 of x, and its
// last additions round by as much.
TEST(gelu_stays_within_the_error_of_erf) {
    const std::vector<float> x = range(-12, 12, 100001);
    for (const aq::kernel_set *kernels : kernel_sets()) {
        for (aq::activation act : {aq::activation::geglu, aq::activation::gelu}) {
            const std::vector<float> y = run_activation(*kernels, x, act);
            doubles error;
            for (size_t i = 0; i < x.size(); i++) error.push_back((y[i] - gelu(x[i])) / fmax(0.1, fabs(x[i])));
            CHECK_NEAR(error, doubles(x.size(), 0.0), 3e-7);
        }
    }
}

TEST(gelu_far_out_is_zero_or_the_argument) {
    const std::vector<float> x = {-1e6f, -1e4f, -50, -20, 20, 50, 1e4f, 1e6f, 0.0f, -0.0f};
    const doubles expected = map(x, [](double v) { return v < 0 ? 0 : v; });
    for (const aq::kernel_set *kernels : kernel_sets())
        CHECK_NEAR(run_activation(*kernels, x, aq::activation::gelu), expected, 0);
}

TEST(silu_and_quick_gelu_of_products) {
    const std::vector<float> x = range(-30, 30, 20001);
    for (const aq::kernel_set *kernels : kernel_sets()) {
        const std::vector<float> s = run_activation(*kernels, x, aq::activation::silu);
        CHECK_CLOSE(s, map(x, silu), 1e-7);
        const std::vector<float> q = run_activation(*kernels, x, aq::activation::quick_gelu);
        CHECK_CLOSE(q, map(x, quick_gelu), 1e-7);
        CHECK_CLOSE(run_activation(*kernels, x, aq::activation::none), x, 0);
    }
}

TEST(no_number_stays_none) {
    const std::vector<float> x = {NAN, -NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN};
    for (const aq::kernel_set *kernels : kernel_sets()) {
        for (float y : run_silu(*kernels, x)) CHECK(isnan(y));
        for (float y : run_activation(*kernels, x, aq::activation::geglu)) CHECK(isnan(y));
        for (float y : run_activation(*kernels, x, aq::activation::quick_gelu)) CHECK(isnan(y));
    }
}

// All 65536 patterns of both 16-bit formats, at an odd address, bit for bit.
TEST(half_precision_and_bfloat16) {
    std::vector<uint8_t> bytes(1 + 2 * 65536);
    for (int i = 0; i < 65536; i++) {
        bytes[(size_t)(1 + 2 * i)] = (uint8_t)(i & 255);
        bytes[(size_t)(2 + 2 * i)] = (uint8_t)(i >> 8);
    }
    for (aq::storage type : {aq::storage::f16, aq::storage::bf16}) {
        const int fraction_bits = type == aq::storage::f16 ? 10 : 7, top = type == aq::storage::f16 ? 31 : 255;
        const aq::stored_matrix m = {bytes.data() + 1, 2 * 257, 255, 257, type, 1, 2, nullptr};
        for (const aq::kernel_set *kernels : kernel_sets()) {
            std::vector<float> values(255 * 257);
            kernels->expand_rows(m, 0, 100, values.data());
            kernels->expand_rows(m, 100, 255, values.data() + 100 * 257);
            for (int i = 0; i < 255 * 257; i++) {
                describe("%s storage %d bits %04x", kernels->name, (int)type, i);
                const int fraction = i & ((1 << fraction_bits) - 1), exponent = i >> fraction_bits & top;
                const double size = exponent == 0 ? fraction : fraction + (1 << fraction_bits);
                double value = ldexp(size, (exponent == 0 ? 1 : exponent) - top / 2 - fraction_bits);
                if (exponent == top) value = fraction == 0 ? INFINITY : NAN;
                if (i & 0x8000) value = -value;
                const float got = values[(size_t)i];
                CHECK(isnan(value) ? isnan(got) : float_bits(got) == float_bits((float)value));
            }
        }
    }
}
