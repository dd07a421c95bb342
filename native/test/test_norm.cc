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

group_problem make_group(int images, int pixels, int channels, int groups, random_numbers &random, spread s = {}) {
    group_problem p;
    p.x = random.values((int64_t)images * pixels * channels, s.size);
    for (float &x : p.x) x += (float)s.mean;
    p.weight = random.values(channels);
    p.bias = random.values(channels);
    p.args = {p.x.data(), nullptr, p.weight.data(), p.bias.data(), images, pixels, channels, groups, 1e-5f, nullptr, 0};
    return p;
}

std::vector<float> factors(const aq::kernel_set &kernels, const aq::group_norm_args &g, int threads) {
    return run_pool(kernels.group_norm, g, &aq::group_norm_args::factors, 2 * g.images * g.channels,
                    kernels.group_norm_scratch(g), threads);
}

// x * scale + offset in float32, as the kernels do it that read x next.
std::vector<float> apply(const aq::group_norm_args &g, const std::vector<float> &factors) {
    std::vector<float> y;
    for (int64_t i = 0; i < g.images * g.pixels * g.channels; i++) {
        const int64_t channel = i / (g.pixels * g.channels) * g.channels + i % g.channels;
        y.push_back(fmaf(g.x[i], factors[(size_t)channel], factors[(size_t)(g.images * g.channels + channel)]));
    }
    return y;
}

void verify(const group_problem &p, int threads = 1, double relative = 0) {
    const aq::group_norm_args &g = p.args;
    // A multiply-add of x finishes a result, with a scale and an offset that rounded once each: 4 half units of the
    // largest such term; five times that for the moments, float32 sums over 64 pixels.
    double term = 1;
    const doubles expected = reference_group_norm(g, &term);
    for (const aq::kernel_set *kernels : kernel_sets()) {
        describe("%s %d x %d pixels x %d channels, %d groups, %d threads", kernels->name, (int)g.images, (int)g.pixels,
                 (int)g.channels, (int)g.groups, threads);
        const std::vector<float> y = apply(g, factors(*kernels, g, threads));
        if (relative > 0) CHECK_CLOSE(y, expected, relative);
        else CHECK_NEAR(y, expected, 24 * half_ulp * term);
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
            verify(make_group(2, pixels, channels, 32, random));
        }
    }
}

TEST(group_norm_of_odd_groups) {
    random_numbers random(2);
    const int sizes[][2] = {{1, 1}, {7, 7}, {7, 1}, {35, 5}, {39, 3}, {33, 11}, {62, 2}};
    for (const auto &size : sizes) {
        for (int pixels : {1, 5, 63, 130, 1000}) verify(make_group(3, pixels, size[0], size[1], random));
    }
}

TEST(group_norm_pools_of_any_size) {
    random_numbers random(3);
    for (int threads : pool_sizes) {
        verify(make_group(1, 50, 320, 32, random), threads);
        verify(make_group(3, 21, 35, 5, random), threads);
        verify(make_group(1, 9, 6, 2, random), threads);
    }
}

TEST(group_norm_from_sums_over_parts) {
    random_numbers random(7);
    for (int parts : {1, 3, 20}) {
        group_problem p = make_group(2, 60, 35, 5, random);
        std::vector<double> sums((size_t)(2 * parts * 2 * 35));
        for (size_t i = 0; i < p.x.size(); i++) {
            const size_t channel = i % 35, pixel = i / 35 % 60, image = i / 35 / 60;
            double *part = sums.data() + (image * (size_t)parts + pixel % (size_t)parts) * 2 * 35;
            part[channel] += p.x[i];
            part[35 + channel] += (double)p.x[i] * p.x[i];
        }
        p.args.sums = sums.data();
        p.args.parts = parts;
        for (int threads : {1, 3}) verify(p, threads);
    }
}

TEST(group_norm_with_a_mean_far_above_the_spread) {
    random_numbers random(4);
    for (double mean : {-1000.0, 1000.0}) {
        for (int channels : {32, 320, 1280}) {
            for (int pixels : {1, 64, 400}) verify(make_group(2, pixels, channels, 32, random, {mean, 1}));
        }
    }
}

// One pixel that lies far out must not cost the others their digits, wherever it is. It costs its run some: 64 squares
// of 1e6 summed in float32, each rounded by up to 2^-24 of 32e6 on average: 1.2e-4 of the variance, half of that of its
// root.
TEST(group_norm_with_an_outlying_pixel) {
    random_numbers random(5);
    for (int pixel : {0, 63, 64, 19999}) {
        group_problem p = make_group(1, 20000, 8, 4, random);
        for (size_t c = 0; c < 8; c++) p.x[(size_t)pixel * 8 + c] = c % 2 == 0 ? 1000.0f : -300.0f;
        verify(p, 1, 6e-5);
    }
}

TEST(group_norm_of_equal_and_tiny_values) {
    random_numbers random(6);
    verify(make_group(1, 30, 64, 32, random, {0.3, 0}));
    verify(make_group(1, 30, 64, 32, random, {0, 1e-6}));
    verify(make_group(1, 30, 64, 32, random, {0, 1e6}));
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
    group_problem g = make_group(2, 20, 24, 4, random);
    g.x[(size_t)((20 + 5) * 24 + 8)] = NAN;  // second image, second group
    layer_problem l = make_layer(9, 24, random);
    l.x[(size_t)(4 * 24 + 23)] = NAN;
    for (const aq::kernel_set *kernels : kernel_sets()) {
        describe("%s", kernels->name);
        const std::vector<float> grouped = apply(g.args, factors(*kernels, g.args, 1));
        for (int i = 0; i < 2 * 20 * 24; i++) {
            CHECK(isnan(grouped[(size_t)i]) == (i >= 20 * 24 && i % 24 / 6 == 1));
        }
        const std::vector<float> rows = run_pool(kernels->layer_norm, l.args, &aq::layer_norm_args::y, 9 * 24, 0, 1);
        for (int i = 0; i < 9 * 24; i++) CHECK(isnan(rows[(size_t)i]) == (i / 24 == 4));
    }
}
