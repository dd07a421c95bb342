// Group and layer normalisation against double precision.
#include "kernel_run.h"
#include "reference.h"

using namespace test;

namespace {

// Half a unit in the last place of a float32 near 1.
constexpr double half_ulp = 0x1p-24;

struct spread {
    double mean = 0, size = 1;
};

struct group_problem {
    std::vector<float> x, weight, bias;
    aq::group_norm_args args;
};

group_problem make_group(int images, int pixels, int channels, int groups, bool silu, random_numbers &random,
                         spread s = {}) {
    group_problem p;
    p.x = random.values((int64_t)images * pixels * channels, s.size);
    for (float &x : p.x) x += (float)s.mean;
    p.weight = random.values(channels);
    p.bias = random.values(channels);
    p.args = {p.x.data(), nullptr, p.weight.data(), p.bias.data(), images, pixels, channels, groups, 1e-5f, silu};
    return p;
}

void verify(const group_problem &p, int threads = 1, double relative = 0) {
    const aq::group_norm_args &g = p.args;
    // A multiply-add of x finishes a result, with a scale and an offset that rounded once each: 4 half units of the
    // largest such term with SiLU behind it; three times that for the moments, float32 sums over 64 pixels.
    double term = 1;
    const doubles expected = reference_group_norm(g, &term);
    for (const aq::kernel_set *kernels : kernel_sets()) {
        describe("%s %d x %d pixels x %d channels, %d groups%s, %d threads", kernels->name, (int)g.images,
                 (int)g.pixels, (int)g.channels, (int)g.groups, g.silu ? ", silu" : "", threads);
        const std::vector<float> y = run_pool(kernels->group_norm, g, &aq::group_norm_args::y, (int64_t)p.x.size(),
                                              kernels->group_norm_scratch(g), threads);
        if (relative > 0) CHECK_CLOSE(y, expected, relative);
        else CHECK_NEAR(y, expected, 16 * half_ulp * term);
    }
}

struct layer_problem {
    std::vector<float> x, weight, bias;
    aq::layer_norm_args args;
};

layer_problem make_layer(int rows, int channels, random_numbers &random, spread s = {}) {
    layer_problem p;
    p.x = random.values((int64_t)rows * channels, s.size);
    for (float &x : p.x) x += (float)s.mean;
    p.weight = random.values(channels);
    p.bias = random.values(channels);
    p.args = {p.x.data(), nullptr, p.weight.data(), p.bias.data(), rows, channels, 1e-5f};
    return p;
}

void verify(const layer_problem &p, double limit, int threads = 1) {
    const aq::layer_norm_args &l = p.args;
    const doubles expected = reference_layer_norm(l);
    for (const aq::kernel_set *kernels : kernel_sets()) {
        describe("%s %d rows x %d channels, %d threads", kernels->name, (int)l.rows, (int)l.channels, threads);
        const std::vector<float> y =
            run_pool(kernels->layer_norm, l, &aq::layer_norm_args::y, (int64_t)p.x.size(), 0, threads);
        CHECK_CLOSE(y, expected, limit);
    }
}

}  // namespace

TEST(group_norm_over_the_models_channels) {
    random_numbers random(1);
    for (int channels : {32, 64, 96, 128, 256, 320, 512, 640, 960, 1280, 1920, 2560}) {
        for (int pixels : {1, 7, 64, 65, 99}) {
            for (bool silu : {false, true}) verify(make_group(2, pixels, channels, 32, silu, random));
        }
    }
}

TEST(group_norm_of_odd_groups) {
    random_numbers random(2);
    const int sizes[][2] = {{1, 1}, {7, 7}, {7, 1}, {35, 5}, {39, 3}, {33, 11}, {62, 2}};
    for (const auto &size : sizes) {
        for (int pixels : {1, 5, 63, 130, 1000}) verify(make_group(3, pixels, size[0], size[1], true, random));
    }
}

TEST(group_norm_pools_of_any_size) {
    random_numbers random(3);
    for (int threads : pool_sizes) {
        verify(make_group(1, 50, 320, 32, true, random), threads);
        verify(make_group(3, 21, 35, 5, false, random), threads);
        verify(make_group(1, 9, 6, 2, false, random), threads);
    }
}

TEST(group_norm_with_a_mean_far_above_the_spread) {
    random_numbers random(4);
    for (double mean : {-1000.0, 1000.0}) {
        for (int channels : {32, 320, 1280}) {
            for (int pixels : {1, 64, 400}) verify(make_group(2, pixels, channels, 32, true, random, {mean, 1}));
        }
    }
}

// One pixel that lies far out must not cost the others their digits, wherever it is. It costs its run some: 64 squares
// of 1e6 summed in float32, each rounded by up to 2^-24 of 32e6 on average: 1.2e-4 of the variance, half of that of its
// root.
TEST(group_norm_with_an_outlying_pixel) {
    random_numbers random(5);
    for (int pixel : {0, 63, 64, 19999}) {
        group_problem p = make_group(1, 20000, 8, 4, false, random);
        for (size_t c = 0; c < 8; c++) p.x[(size_t)pixel * 8 + c] = c % 2 == 0 ? 1000.0f : -300.0f;
        verify(p, 1, 6e-5);
    }
}

TEST(group_norm_of_equal_and_tiny_values) {
    random_numbers random(6);
    verify(make_group(1, 30, 64, 32, false, random, {0.3, 0}));
    verify(make_group(1, 30, 64, 32, false, random, {0, 1e-6}));
    verify(make_group(1, 30, 64, 32, true, random, {0, 1e6}));
}

// Sums over up to 2560 channels in 4 to 16 lanes: 1e-6 of the largest result for mean and spread alike.
TEST(layer_norm_of_any_width) {
    random_numbers random(7);
    for (int channels : {1, 3, 5, 7, 13, 17, 31, 33, 320, 640, 768, 1024, 1280, 2560}) {
        for (int rows : {1, 3, 17}) verify(make_layer(rows, channels, random), 1e-6);
    }
}

TEST(layer_norm_pools_of_any_size) {
    random_numbers random(8);
    for (int threads : pool_sizes) {
        for (int rows : {1, 5, 77}) verify(make_layer(rows, 45, random), 1e-6, threads);
    }
}

TEST(layer_norm_with_a_mean_far_above_the_spread) {
    random_numbers random(9);
    for (double mean : {-1000.0, 1000.0}) {
        for (int channels : {13, 320, 768, 1280, 2560}) verify(make_layer(5, channels, random, {mean, 1}), 1e-5);
    }
}

TEST(layer_norm_of_equal_and_tiny_values) {
    random_numbers random(10);
    verify(make_layer(3, 70, random, {0.25, 0}), 1e-6);
    verify(make_layer(3, 70, random, {0, 1e-6}), 1e-6);
    verify(make_layer(3, 70, random, {0, 1e6}), 1e-6);
}

TEST(no_number_stays_in_its_group_and_row) {
    random_numbers random(11);
    group_problem g = make_group(2, 20, 24, 4, true, random);
    g.x[(size_t)((20 + 5) * 24 + 8)] = NAN;  // second image, second group
    layer_problem l = make_layer(9, 24, random);
    l.x[(size_t)(4 * 24 + 23)] = NAN;
    for (const aq::kernel_set *kernels : kernel_sets()) {
        describe("%s", kernels->name);
        const std::vector<float> grouped = run_pool(kernels->group_norm, g.args, &aq::group_norm_args::y, 2 * 20 * 24,
                                                    kernels->group_norm_scratch(g.args), 1);
        for (int i = 0; i < 2 * 20 * 24; i++) {
            CHECK(isnan(grouped[(size_t)i]) == (i >= 20 * 24 && i % 24 / 6 == 1));
        }
        const std::vector<float> rows = run_pool(kernels->layer_norm, l.args, &aq::layer_norm_args::y, 9 * 24, 0, 1);
        for (int i = 0; i < 9 * 24; i++) CHECK(isnan(rows[(size_t)i]) == (i / 24 == 4));
    }
}
