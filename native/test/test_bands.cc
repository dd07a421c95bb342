// Plans of bands, and rows in half precision.
#include "kernel_run.h"
#include "models/bands.h"

using namespace test;

namespace {

aq::product_layer conv3(int64_t inputs, int64_t outputs) {
    aq::product_layer layer;
    layer.inputs = inputs;
    layer.outputs = outputs;
    layer.kernel_h = layer.kernel_w = 3;
    layer.matrix.rows = outputs;
    layer.matrix.cols = 9 * inputs;
    return layer;
}

aq::resnet block(int64_t inputs, int64_t outputs) {
    aq::resnet r;
    r.conv1 = conv3(inputs, outputs);
    r.conv2 = conv3(outputs, outputs);
    if (inputs != outputs) r.skip = conv3(inputs, outputs);
    return r;
}

}  // namespace

TEST(bands_cover_each_row_once_and_see_their_halo) {
    for (int64_t height : {1, 2, 7, 8, 30, 64, 129}) {
        for (int64_t rows = 1; rows <= height; rows++) {
            for (int64_t halo : {0, 1, 2, 5}) {
                describe("%d rows in bands of %d, halo %d", (int)height, (int)rows, (int)halo);
                aq::band_plan plan = {};
                plan.rows = rows;
                plan.bands = (height + rows - 1) / rows;
                int64_t next = 0;
                for (int64_t i = 0; i < plan.bands; i++) {
                    const aq::band b = aq::band_at(plan, height, halo, i);
                    CHECK(b.begin == next && b.end > b.begin);
                    next = b.end;
                    CHECK(b.window >= 0 && b.window + b.window_count <= height);
                    CHECK(b.window == 0 || b.begin - b.window >= halo);
                    CHECK(b.window + b.window_count == height || b.window + b.window_count - b.end >= halo);
                    CHECK(b.window_count == aq::band_at(plan, height, halo, 0).window_count);
                }
                CHECK(next == height);
            }
        }
    }
}

TEST(a_plan_stays_within_its_budget_and_more_memory_never_means_more_work) {
    const aq::product_layer up = conv3(256, 256);
    const aq::resnet narrow = block(256, 128);
    const aq::band_unit unit = {&up, aq::resampling::up, &narrow};
    const aq::extent input = {256, 512, 512, 1};
    double work = INFINITY;
    for (uint64_t budget = 300'000'000; budget < 4'000'000'000u; budget += 50'000'000) {
        describe("%d MB", (int)(budget / 1'000'000));
        const aq::band_plan plan = aq::plan_bands(unit, input, budget);
        CHECK(plan.bytes <= budget && plan.work <= work);
        CHECK(plan.rows % 2 == 0 && plan.bands * plan.rows >= 1024);
        work = plan.work;
    }
    // All in one band, nothing twice: a convolution of 256 to 256, 256 to 128, 128 to 128 and the skip.
    CHECK(work == 1024.0 * 1024 * 9 * (256 * 256 + 256 * 128 + 128 * 128 + 256 * 128));
    const aq::band_plan least = aq::plan_bands(unit, input, 0);
    CHECK(aq::plan_bands(unit, input, least.bytes).bytes == least.bytes);
    CHECK(aq::plan_bands(unit, input, least.bytes - 1).bytes == least.bytes);
}

TEST(halves_keep_what_half_precision_keeps_and_never_overflow) {
    random_numbers random(11);
    for (int channels : {1, 3, 8, 17, 128}) {
        for (double size : {0.0, 1e-38, 1e-20, 1e-3, 1.0, 7e4, 1e30, 3e38}) {
            const int pixels = 13;
            const std::vector<float> x = random.values(pixels * channels, size);
            for (const aq::kernel_set *kernels : kernel_sets()) {
                for (int threads : pool_sizes) {
                    describe("%s %d channels up to %g, %d threads", kernels->name, channels, size, threads);
                    std::vector<uint8_t> halves(2 * x.size());
                    std::vector<float> scales(pixels), back(x.size(), NAN);
                    const aq::halves_args from = {(float *)x.data(), halves.data(), scales.data(), pixels, channels};
                    aq::halves_args to = from;
                    to.x = back.data();
                    for (int i = 0; i < threads; i++) kernels->to_halves(from, {i, threads, nullptr, nullptr});
                    for (int i = 0; i < threads; i++) kernels->from_halves(to, {i, threads, nullptr, nullptr});
                    for (int p = 0; p < pixels; p++) {
                        double largest = 0;
                        for (int c = 0; c < channels; c++) largest = fmax(largest, fabs(x[p * channels + c]));
                        for (int c = 0; c < channels; c++) {
                            const double value = x[p * channels + c], error = fabs(back[p * channels + c] - value);
                            // Half a unit of 11 bits; below 2^-28 of the largest value as much as there. Float32 has
                            // no scale for pixels below 2^-112, where its own last place is the limit.
                            CHECK(error <= fmax(fabs(value), largest * 0x1p-28) * 0x1p-11 + 0x1p-136);
                        }
                    }
                }
            }
        }
    }
}

TEST(sums_of_parts_are_those_of_the_whole) {
    random_numbers random(12);
    for (int channels : {1, 5, 16, 33, 128}) {
        const int pixels = 301;
        std::vector<float> x = random.values(pixels * channels);
        for (float &v : x) v += 3;
        for (const aq::kernel_set *kernels : kernel_sets()) {
            for (int threads : pool_sizes) {
                describe("%s %d channels, %d threads", kernels->name, channels, threads);
                std::vector<double> sums(2 * channels), expected(2 * channels);
                for (int first = 0, count = 1; first < pixels; first += count, count = 2 * count + 1) {
                    const int64_t part = std::min(count, pixels - first);
                    for (int i = 0; i < threads; i++) {
                        kernels->channel_sums({x.data() + first * channels, sums.data(), part, channels},
                                              {i, threads, nullptr, nullptr});
                    }
                }
                for (size_t i = 0; i < x.size(); i++) {
                    expected[i % channels] += x[i];
                    expected[channels + i % channels] += (double)x[i] * x[i];
                }
                CHECK_CLOSE(sums, expected, 1e-6);
            }
        }
    }
}
