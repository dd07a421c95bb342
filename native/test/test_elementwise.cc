// SiLU over odd counts and pools.
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

}  // namespace

TEST(silu_of_any_count_and_pool) {
    random_numbers random(1);
    for (int count : {0, 1, 3, 5, 7, 8, 13, 16, 17, 31, 33, 320, 1280, 4099}) {
        for (int threads : pool_sizes) verify_silu(count, threads, random);
    }
}

TEST(no_number_stays_one_value) {
    std::vector<float> x(50, 1.0f);
    x[20] = NAN;
    for (const aq::kernel_set *kernels : kernel_sets()) {
        describe("%s", kernels->name);
        const std::vector<float> y =
            run_pool(kernels->silu, aq::silu_args{x.data(), nullptr, 50}, &aq::silu_args::y, 50, 0, 1);
        for (size_t i = 0; i < 50; i++) CHECK(isnan(y[i]) == (i == 20));
    }
}
