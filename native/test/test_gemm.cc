// Matrix products and direct convolutions against double precision. The limit, 1e-5 of the largest result, is the
// project's: float32 sums of up to 23040 products in blocks of about 256, or whole ones of up to 1280, stay an order of
// magnitude below it.
#include "gemm_problem.h"

using namespace test;

namespace {

constexpr double limit = 1e-5;

void verify(const shape &s, format stored, const extras &with, random_numbers &random, int threads = 1) {
    const problem p = make(s, stored, with, random);
    for (const aq::kernel_set *kernels : kernel_sets()) {
        describe_problem(kernels->name, s, stored, with, threads);
        run(p, kernels->gemm, kernels->gemm_scratch(p.g), threads, limit);
    }
}

}  // namespace

TEST(linear_sizes_around_tiles_and_blocks) {
    random_numbers random(1);
    for (int rows : {1, 3, 5, 7, 13, 17, 31, 33}) {
        for (int outputs : {1, 3, 5, 13, 31, 33}) {
            for (int channels : {1, 3, 7, 17, 33}) verify(linear(rows, channels, outputs), format::f32, {}, random);
        }
    }
    for (int rows : {191, 192, 193, 400}) verify(linear(rows, 19, 23), format::f16, {}, random);
    for (int outputs : {639, 640, 641, 1283}) verify(linear(11, 19, outputs), format::f16, {}, random);
    for (int channels : {255, 256, 257, 513}) verify(linear(11, channels, 23), format::f16, {}, random);
}

TEST(weights_of_every_type_at_odd_addresses) {
    random_numbers random(2);
    for (format stored : {format::f32, format::f16, format::bf16}) {
        for (int channels : {1, 3, 13, 31, 33, 257, 300}) verify(linear(5, channels, 37), stored, {}, random);
        for (int channels : {1, 3, 13, 33, 70}) verify(same3x3(1, 4, 3, channels, 21), stored, {}, random);
    }
    // Blocks of the sum begin inside a quantised block where kernel size and block don't divide each other.
    for (format stored : {format::toy32, format::toy256}) {
        for (int channels : {256, 512, 1280}) verify(linear(5, channels, 37), stored, {}, random);
        for (int kernel : {2, 3, 5, 7}) {
            verify(convolution(1, 5, 4, 256, 9, kernel, 1, kernel / 2, kernel / 2), stored, {}, random);
        }
    }
    for (int channels : {32, 96, 160, 320}) verify(same3x3(1, 4, 3, channels, 21), format::toy32, {}, random);
}

// Whole panels of these are transposed as they are stored, other rows expanded.
TEST(quantised_weights_that_are_transposed) {
    random_numbers random(17);
    for (format stored : {format::q8_0, format::q4_0, format::q4_k}) {
        for (int outputs : {15, 32, 70}) {
            for (int channels : {256, 512, 768, 1280}) verify(linear(7, channels, outputs), stored, {}, random);
            verify(convolution(1, 5, 4, 256, outputs, 3, 2, 1, 1), stored, {}, random);
            verify(convolution(1, 5, 4, 256, outputs, 2, 1, 0, 1), stored, {}, random);
        }
        if (stored == format::q4_k) continue;
        for (int channels : {32, 96, 416}) verify(linear(7, channels, 70), stored, {}, random);
        for (int channels : {32, 96, 160}) verify(same3x3(1, 4, 3, channels, 70), stored, {}, random);
    }
}

TEST(windows) {
    random_numbers random(3);
    for (int channels : {1, 3, 4, 13, 16, 31, 33}) {
        for (const auto &side : {std::pair<int, int>{1, 1}, {1, 5}, {3, 3}, {7, 5}, {13, 8}}) {
            const int h = side.first, w = side.second, images = channels % 3 + 1;
            verify(same3x3(images, h, w, channels, 17), format::f16, {}, random);
            verify(convolution(images, h, w, channels, 17, 1, 1, 0, 0), format::f16, {}, random);
            verify(convolution(images, h, w, channels, 17, 2, 1, 0, 1), format::f16, {}, random);
            verify(convolution(images, h, w, channels, 17, 2, 1, 1, 0), format::f16, {}, random);
            verify(convolution(images, h, w, channels, 17, 3, 2, 1, 1), format::f16, {}, random);
            verify(convolution(images, h, w, channels, 5, 7, 1, 3, 3), format::f16, {}, random);
            if (h >= 2 && w >= 2) verify(convolution(images, h, w, channels, 17, 2, 2, 0, 0), format::f16, {}, random);
            if (h >= 2 && w >= 2) verify(convolution(images, h, w, channels, 17, 3, 2, 0, 1), format::f16, {}, random);
        }
    }
}

TEST(upsampling_to_even_and_odd_sizes) {
    random_numbers random(4);
    for (int channels : {1, 3, 12, 33}) {
        for (int h : {1, 2, 5, 6, 13}) {
            for (int w : {1, 2, 7, 8}) verify(upsampled(2, h, w, channels, 19, 3), format::f16, {}, random);
        }
        verify(upsampled(1, 5, 6, channels, 19, 1), format::f16, {}, random);
    }
}

TEST(bias_activation_residual_and_wide_rows) {
    random_numbers random(5);
    for (activation act : {activation::none, activation::silu, activation::gelu, activation::quick_gelu,
                           activation::relu, activation::leaky_relu, activation::relu_of_sum}) {
        for (int mask = 0; mask < 8; mask++) {
            extras with;
            with.gain = mask % 3 == 0 ? 0.2f : 1;
            with.bias = (mask & 1) != 0;
            with.image_bias = (mask & 2) != 0;
            with.residual = (mask & 4) != 0;
            with.act = act;
            for (int gap : {0, 1, 5}) {
                with.gap = gap;
                verify(same3x3(3, 3, 5, 13, 37), format::f16, with, random, 3);
                verify(linear(14, 70, 33), format::bf16, with, random);
            }
        }
    }
}

TEST(values_and_gates) {
    random_numbers random(22);
    extras with;
    with.act = activation::geglu;
    for (int outputs : {2, 6, 26, 62, 66, 130, 640, 2560}) {
        for (int mask = 0; mask < 4; mask++) {
            with.bias = (mask & 1) != 0;
            with.gap = mask;
            with.ranks = (mask & 2) != 0 ? std::vector<int>{4, 3} : std::vector<int>{};
            for (int threads : {1, 2, 3, 7}) verify(linear(13, 40, outputs), format::f16, with, random, threads);
        }
    }
    with = {};
    with.act = activation::geglu;
    with.bias = true;
    for (int rows : {1, 12, 200}) verify(linear(rows, 1280, 320), format::f16, with, random, 2);
    for (format stored : {format::f32, format::bf16, format::toy256, format::q8_0, format::q4_k}) {
        verify(linear(31, 512, 192), stored, with, random, 2);
    }
    with.norm = with.silu = true;
    verify(linear(31, 64, 70), format::f16, with, random, 2);
}

TEST(normalised_inputs) {
    random_numbers random(20);
    extras normed, with_silu;
    normed.norm = with_silu.norm = with_silu.silu = true;
    for (const extras &with : {normed, with_silu}) {
        for (int channels : {1, 7, 33, 320}) {
            verify(linear(13, channels, 17), format::f16, with, random);
            verify(same3x3(2, 5, 7, channels, 17), format::f16, with, random);
            verify(convolution(2, 6, 7, channels, 9, 3, 2, 0, 1), format::f16, with, random);
            verify(upsampled(2, 7, 9, channels, 9, 3), format::f16, with, random);
        }
    }
}

TEST(terms_beside_the_product) {
    random_numbers random(21);
    extras with;
    with.bias = with.residual = true;
    with.act = activation::quick_gelu;
    const std::vector<int> ranks[] = {{1}, {4}, {16, 3}, {64, 128, 5}, {700}};
    for (const std::vector<int> &r : ranks) {
        with.ranks = r;
        with.gap = (int)r.size() - 1;
        for (int threads : {1, 3}) {
            verify(linear(1, 40, 5), format::f16, with, random, threads);
            verify(linear(35, 33, 70), format::f32, with, random, threads);
            verify(linear(200, 800, 650), format::f16, with, random, threads);
            verify(linear(13, 512, 37), format::toy256, with, random, threads);
            verify(convolution(2, 6, 7, 60, 9, 3, 2, 1, 1), format::f16, with, random, threads);
            verify(upsampled(2, 7, 9, 12, 9, 3), format::f16, with, random, threads);
            extras normed = with;
            normed.norm = normed.silu = true;
            verify(same3x3(2, 5, 7, 70, 17), format::f16, normed, random, threads);
            // No product at all: what the terms give alone.
            verify(linear(35, 0, 70), format::f32, with, random, threads);
        }
    }
}

TEST(pools_of_any_size) {
    random_numbers random(6);
    extras with;
    with.bias = with.image_bias = with.residual = true;
    with.act = activation::silu;
    with.gap = 3;
    for (int threads : pool_sizes) {
        verify(linear(1, 300, 1), format::f16, with, random, threads);
        verify(linear(2, 33, 1300), format::f16, with, random, threads);
        verify(linear(400, 33, 3), format::f16, with, random, threads);
        verify(linear(77, 320, 150), format::toy32, with, random, threads);
        verify(same3x3(2, 9, 11, 40, 70), format::f32, with, random, threads);
        verify(upsampled(1, 13, 10, 7, 33, 3), format::bf16, with, random, threads);
    }
}

TEST(random_shapes_and_options) {
    random_numbers random(7);
    for (int i = 0; i < 400; i++) {
        shape s = {};
        aq::window &v = s.view;
        const bool up = random.between(0, 3) == 0;
        v.kernel_h = random.between(1, 4);
        v.kernel_w = random.between(1, 4);
        if (up) v.kernel_h = v.kernel_w = random.coin() ? 3 : 1;
        s.images = random.between(1, 3);
        s.channels = random.coin() ? random.between(1, 70) : 32 * random.between(1, 4);
        s.outputs = random.between(1, 70);
        v.stride = up ? 1 : random.between(1, 3);
        v.upsample = up ? 2 : 1;
        v.pad_top = up ? v.kernel_h / 2 : random.between(0, v.kernel_h - 1);
        v.pad_left = up ? v.kernel_w / 2 : random.between(0, v.kernel_w - 1);
        v.in_h = random.between(1, 9);
        v.in_w = random.between(1, 9);
        // Up to all windows that still see a pixel.
        v.out_h = up ? 2 * v.in_h - random.between(0, 1) : random.between(1, (v.in_h - 1 + v.pad_top) / v.stride + 1);
        v.out_w = up ? 2 * v.in_w - random.between(0, 1) : random.between(1, (v.in_w - 1 + v.pad_left) / v.stride + 1);
        extras with;
        with.bias = random.coin();
        with.image_bias = random.coin();
        with.residual = random.coin();
        with.act = (activation)random.between(0, (int)activation::relu_of_sum);
        with.gap = random.between(0, 4);
        format stored = (format)random.between(0, (int)format::q4_k);
        if ((int64_t)s.channels * v.kernel_h * v.kernel_w % block_size(stored) != 0) stored = format::f16;
        verify(s, stored, with, random, pool_sizes[random.between(0, 5)]);
    }
}

// Layers of SD 1.5, 2.1 and SDXL with few rows: text towers, embeddings, attention, feed-forward, convolutions.
TEST(layer_shapes_of_the_models) {
    random_numbers random(8);
    extras with;
    with.bias = with.residual = true;
    const int linears[][2] = {{320, 1280}, {1280, 1280}, {2816, 1280}, {768, 320},  {1024, 640},   {2048, 640},
                              {320, 2560}, {1280, 320},  {640, 5120},  {2560, 640}, {1280, 10240}, {5120, 1280},
                              {768, 3072}, {3072, 768},  {1024, 4096}, {1280, 5120}};
    for (const auto &layer : linears) {
        verify(linear(7, layer[0], layer[1]), layer[0] % 256 == 0 ? format::toy256 : format::f16, with, random);
    }
    const int convolutions[][2] = {{4, 320},    {320, 320}, {320, 4},   {960, 320}, {640, 640},
                                   {1920, 640}, {4, 512},   {512, 512}, {256, 128}, {128, 3}};
    for (const auto &layer : convolutions) verify(same3x3(1, 2, 3, layer[0], layer[1]), format::f16, with, random);
    verify(same3x3(1, 1, 2, 2560, 1280), format::f16, with, random);
    verify(convolution(1, 6, 7, 320, 320, 3, 2, 1, 1), format::f16, with, random);
    verify(convolution(1, 6, 7, 128, 128, 3, 2, 0, 1), format::f32, with, random);
    verify(upsampled(1, 4, 3, 512, 512, 3), format::f16, with, random);
    verify(convolution(2, 3, 3, 2560, 1280, 1, 1, 0, 0), format::f16, with, random);
    verify(convolution(1, 5, 5, 8, 8, 1, 1, 0, 0), format::f32, with, random);
}

TEST(no_number_in_one_row_leaves_the_others_alone) {
    random_numbers random(9);
    problem p = make(linear(20, 50, 40), format::f16, {}, random);
    p.a[7 * 50 + 3] = NAN;
    for (const aq::kernel_set *kernels : kernel_sets()) {
        describe("%s", kernels->name);
        const std::vector<float> c =
            run_pool(kernels->gemm, p.g, &aq::gemm_args::c, output_size(p.g), kernels->gemm_scratch(p.g), 1);
        for (int i = 0; i < 20 * 40; i++) CHECK(isnan(c[(size_t)i]) == (i / 40 == 7));
    }
}

TEST(cancelled_before_it_starts) {
    random_numbers random(10);
    extras with;
    with.gap = 3;
    const problem p = make(linear(500, 512, 200), format::toy256, with, random);
    const int32_t cancel = 1;
    for (const aq::kernel_set *kernels : kernel_sets()) {
        describe("%s", kernels->name);
        for (int threads : pool_sizes) {
            const std::vector<float> c = run_pool(kernels->gemm, p.g, &aq::gemm_args::c, output_size(p.g),
                                                  kernels->gemm_scratch(p.g), threads, &cancel);
            for (float x : c) CHECK(untouched(x));
        }
    }
}

TEST(cancelled_on_the_way) {
    random_numbers random(11);
    const problem p = make(linear(3, 1024, 2000), format::toy256, {}, random);
    for (const aq::kernel_set *kernels : kernel_sets()) {
        describe("%s", kernels->name);
        int32_t cancel = 0;
        expand_calls = 0;
        raise_on_expand = &cancel;
        run_pool(kernels->gemm, p.g, &aq::gemm_args::c, output_size(p.g), kernels->gemm_scratch(p.g), 1, &cancel);
        raise_on_expand = nullptr;
        // The whole product expands each of 2000 rows at least once.
        CHECK(expand_calls > 0 && expand_calls <= 1000);
    }
}
