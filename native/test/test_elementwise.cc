// SiLU and GEGLU over odd counts and pools.
#include "kernel_run.h"
#include "reference.h"

using namespace test;

namespace {

void verify_silu(int count, int threads, random_numbers &random) {
    const std::vector<float> x = random.values(count, 10);
    doubles expected;
    for (float v : x) expected.push_back(silu(v));
    for (const aq::kernel_set *kernels : kernel_sets()) {
        describe("%s %d values, %d threads", kernels->name, count, threads);
        const aq::silu_args args = {x.data(), nullptr, count};
        // One division, one exponential good to two units and one product: 1e-6 of the largest result is ample.
        CHECK_CLOSE(run_pool(kernels->silu, args, &aq::silu_args::y, count, 0, threads), expected, 1e-6);
    }
}

void verify_geglu(int rows, int channels, int threads, random_numbers &random) {
    const std::vector<float> x = random.values((int64_t)rows * 2 * channels, 4);
    doubles expected;
    for (int i = 0; i < rows * channels; i++) {
        const float *row = x.data() + i / channels * 2 * channels;
        expected.push_back(row[i % channels] * gelu(row[channels + i % channels]));
    }
    for (const aq::kernel_set *kernels : kernel_sets()) {
        describe("%s %d x %d, %d threads", kernels->name, rows, channels, threads);
        const aq::geglu_args args = {x.data(), nullptr, rows, channels};
        const std::vector<float> y =
            run_pool(kernels->geglu, args, &aq::geglu_args::y, (int64_t)rows * channels, 0, threads);
        // The approximation of erf is good to 1.5e-7, so gelu(4) to 3e-7 and the product to 1.2e-6, of up to 16.
        CHECK_NEAR(y, expected, 3e-6);
    }
}

}  // namespace

TEST(silu_of_any_count_and_pool) {
    random_numbers random(1);
    for (int count : {0, 1, 3, 5, 7, 8, 13, 16, 17, 31, 33, 320, 1280, 4099}) {
        for (int threads : pool_sizes) verify_silu(count, threads, random);
    }
}

TEST(geglu_of_any_width_and_pool) {
    random_numbers random(2);
    for (int channels : {1, 3, 5, 7, 13, 17, 31, 33, 1280, 2560, 5120}) {
        for (int threads : pool_sizes) verify_geglu(channels < 100 ? 13 : 3, channels, threads, random);
    }
}

TEST(no_number_stays_one_value) {
    std::vector<float> x(50, 1.0f);
    x[20] = NAN;  // row 0, the gate of column 0 of 20 columns
    for (const aq::kernel_set *kernels : kernel_sets()) {
        describe("%s", kernels->name);
        const std::vector<float> y =
            run_pool(kernels->silu, aq::silu_args{x.data(), nullptr, 50}, &aq::silu_args::y, 50, 0, 1);
        for (size_t i = 0; i < 50; i++) CHECK(isnan(y[i]) == (i == 20));
        const std::vector<float> z =
            run_pool(kernels->geglu, aq::geglu_args{x.data(), nullptr, 1, 20}, &aq::geglu_args::y, 20, 0, 1);
        for (size_t i = 0; i < 20; i++) CHECK(isnan(z[i]) == (i == 0));
    }
}
