// Winograd convolutions against double precision. The limit, 1e-4 of the largest result, is the project's; measured
// errors reach 3e-5 with F(6,2) and F(6,3), whose transforms multiply by up to 21/4 and 1/90, and less with the others.
#include "gemm_problem.h"

using namespace test;

namespace {

constexpr double limit = 1e-4;

void verify(const shape &s, format stored, const extras &with, random_numbers &random, int threads = 1) {
    const problem p = make(s, stored, with, random);
    for (const aq::kernel_set *kernels : kernel_sets()) {
        for (int tile : {2, 4, 6}) {
            if (s.view.upsample == 2 && tile == 2) continue;
            describe_problem(kernels->name, s, stored, with, threads);
            const size_t end = strlen(context);
            snprintf(context + end, sizeof context - end, ", F(%d)", tile);
            const auto kernel = [&](const aq::gemm_args &g, const aq::worker &w) { kernels->winograd(g, tile, w); };
            run(p, kernel, kernels->winograd_scratch(p.g, tile), threads, limit);
        }
    }
}

shape doubled(int images, int h, int w, int channels, int outputs) {
    return upsampled(images, 2 * h, 2 * w, channels, outputs, 3);
}

}  // namespace

TEST(sizes_around_tiles) {
    random_numbers random(1);
    for (int h : {1, 2, 3, 4, 5, 6, 7, 8, 11, 13}) {
        for (int w : {1, 2, 5, 6, 12, 17}) verify(same3x3(1, h, w, 9, 7), format::f32, {}, random);
    }
}

TEST(channels_and_outputs_around_vectors_and_blocks) {
    random_numbers random(2);
    for (int channels : {1, 3, 4, 7, 8, 15, 16, 17, 33, 127, 128, 129, 260}) {
        verify(same3x3(1, 7, 5, channels, 5), format::f16, {}, random);
    }
    for (int outputs : {1, 3, 4, 15, 16, 17, 31, 32, 33, 63, 65, 130}) {
        verify(same3x3(1, 7, 5, 10, outputs), format::f16, {}, random);
    }
}

TEST(several_images_and_strips) {
    random_numbers random(3);
    verify(same3x3(5, 9, 7, 12, 20), format::f16, {}, random);
    verify(same3x3(2, 50, 47, 12, 20), format::f16, {}, random);   // more tiles than a strip
    verify(same3x3(2, 14, 13, 700, 40), format::f16, {}, random);  // strips cut short by the cache
}

TEST(weights_of_every_type) {
    random_numbers random(4);
    for (format stored : {format::f32, format::f16, format::bf16}) verify(same3x3(2, 9, 8, 21, 19), stored, {}, random);
    verify(same3x3(1, 9, 8, 160, 19), format::toy32, {}, random);
    verify(same3x3(1, 9, 8, 256, 19), format::toy256, {}, random);
    for (format stored : {format::q8_0, format::q4_0, format::q4_k}) {
        verify(same3x3(1, 9, 8, 256, 40), stored, {}, random);
        verify(same3x3(1, 30, 31, 256, 40), stored, {}, random);
        verify(doubled(1, 4, 5, 256, 40), stored, {}, random);
        if (stored != format::q4_k) verify(same3x3(1, 9, 8, 96, 70), stored, {}, random);
    }
}

TEST(both_sides_of_the_product) {
    random_numbers random(5);
    for (int bits = 0; bits < 32; bits++) {
        extras with;
        with.bias = (bits & 1) != 0;
        with.image_bias = (bits & 2) != 0;
        with.residual = (bits & 4) != 0;
        with.norm = (bits & 8) != 0;
        with.silu = (bits & 16) != 0;
        with.gap = bits % 3;
        for (int outputs : {21, 48}) {  // parts of vectors, or whole ones
            verify(same3x3(2, 7, 9, 20, outputs), format::f16, with, random);
            verify(doubled(2, 4, 5, 20, outputs), format::f16, with, random);
        }
    }
    extras with;
    for (activation act : {activation::silu, activation::gelu, activation::quick_gelu, activation::relu,
                           activation::leaky_relu, activation::relu_of_sum}) {
        with.act = act;
        with.gain = act == activation::leaky_relu ? 0.2f : 1;
        verify(same3x3(1, 7, 9, 20, 21), format::f16, with, random);
    }
}

// Whatever the tiles are, their sums together are those of the picture, and each is there once.
TEST(sums_over_tiles) {
    random_numbers random(10);
    extras with;
    with.bias = with.residual = true;
    for (int outputs : {21, 48}) {
        for (const shape &s : {same3x3(2, 13, 15, 20, outputs), doubled(2, 7, 8, 20, outputs)}) {
            const problem p = make(s, format::f16, with, random);
            const size_t pixels = (size_t)(s.view.out_h * s.view.out_w), width = (size_t)outputs;
            for (const aq::kernel_set *kernels : kernel_sets()) {
                for (int tile : {2, 4, 6}) {
                    if (s.view.upsample == 2 && tile == 2) continue;
                    describe_problem(kernels->name, s, format::f16, with, 2);
                    const size_t tiles = (size_t)aq::winograd_tiles(s.view, tile);
                    std::vector<double> sums(2 * tiles * 2 * width, NAN), found(2 * 2 * width), expected(2 * 2 * width);
                    aq::gemm_args g = p.g;
                    g.sums = sums.data();
                    const auto kernel = [&](const aq::gemm_args &a, const aq::worker &w) {
                        kernels->winograd(a, tile, w);
                    };
                    const std::vector<float> c =
                        run_pool(kernel, g, &aq::gemm_args::c, output_size(g), kernels->winograd_scratch(g, tile), 2);
                    for (size_t i = 0; i < sums.size(); i++) {
                        found[i / (tiles * 2 * width) * 2 * width + i % (2 * width)] += sums[i];
                    }
                    for (size_t i = 0; i < c.size(); i++) {
                        double *sum = expected.data() + i / (pixels * width) * 2 * width + i % width;
                        sum[0] += c[i];
                        sum[width] += (double)c[i] * c[i];
                    }
                    // Float32 sums of up to 36 distances, each rounded.
                    const double limit = 36 * ldexp(1, -24) * (double)pixels;
                    for (size_t i = 0; i < found.size(); i++) CHECK(fabs(found[i] - expected[i]) <= limit);
                }
            }
        }
    }
}

TEST(upsampling) {
    random_numbers random(6);
    for (int h : {1, 2, 3, 4, 5, 9}) {
        for (int w : {1, 3, 4, 8, 11}) verify(doubled(1, h, w, 9, 7), format::f32, {}, random);
    }
    verify(doubled(3, 24, 17, 33, 35), format::f16, {}, random);
    verify(doubled(1, 6, 5, 300, 40), format::f16, {}, random);
    // Several strips, two blocks of channels.
    verify(doubled(1, 62, 61, 9, 33), format::f16, {}, random, 3);
    verify(doubled(1, 44, 45, 256, 40), format::q4_k, {}, random);
}

TEST(pools_of_any_size) {
    random_numbers random(7);
    for (int threads : pool_sizes) {
        verify(same3x3(2, 20, 21, 9, 70), format::f16, {}, random, threads);
        verify(same3x3(1, 5, 4, 9, 200), format::f16, {}, random, threads);
        verify(doubled(1, 9, 10, 9, 40), format::f16, {}, random, threads);
    }
}

// Strips, and with them whether filters are kept or come row by row, depend on the number of images; results do not.
TEST(images_together_are_those_alone_to_the_bit) {
    random_numbers random(9);
    for (const shape &s : {same3x3(4, 20, 21, 40, 33), doubled(4, 20, 21, 40, 33)}) {
        const problem p = make(s, format::f16, {}, random);
        const int64_t in = (int64_t)s.view.in_h * s.view.in_w * p.g.lda, rows = p.g.rows / s.images;
        for (const aq::kernel_set *kernels : kernel_sets()) {
            for (int tile : {2, 4, 6}) {
                if (s.view.upsample == 2 && tile == 2) continue;
                describe_problem(kernels->name, s, format::f16, {}, 1);
                const auto kernel = [&](const aq::gemm_args &g, const aq::worker &w) { kernels->winograd(g, tile, w); };
                const auto result = [&](const aq::gemm_args &g) {
                    return run_pool(kernel, g, &aq::gemm_args::c, output_size(g), kernels->winograd_scratch(g, tile),
                                    1);
                };
                const std::vector<float> together = result(p.g);
                for (int i = 0; i < s.images; i++) {
                    aq::gemm_args alone = p.g;
                    alone.a += i * in;
                    alone.rows = rows;
                    const std::vector<float> c = result(alone);
                    CHECK(memcmp(c.data(), together.data() + i * rows * p.g.ldc, c.size() * sizeof(float)) == 0);
                }
            }
        }
    }
}

TEST(layer_shapes_of_the_models) {
    random_numbers random(8);
    extras with;
    with.bias = with.norm = with.silu = true;
    const int shapes[][3] = {{64, 320, 12}, {32, 640, 12}, {16, 1280, 12}, {8, 2560, 12}, {8, 1920, 12}};
    for (const auto &s : shapes) verify(same3x3(1, 12, s[0], s[1], s[2]), format::f16, with, random, 2);
    verify(same3x3(1, 12, 128, 128, 3), format::f16, with, random, 2);
    verify(doubled(1, 8, 16, 1280, 12), format::f16, {}, random, 2);
}

TEST(cancelled_before_it_starts) {
    random_numbers random(9);
    const problem p = make(same3x3(1, 20, 20, 20, 20), format::f16, {}, random);
    const int32_t cancel = 1;
    for (const aq::kernel_set *kernels : kernel_sets()) {
        const auto kernel = [&](const aq::gemm_args &g, const aq::worker &w) { kernels->winograd(g, 4, w); };
        const std::vector<float> c =
            run_pool(kernel, p.g, &aq::gemm_args::c, output_size(p.g), kernels->winograd_scratch(p.g, 4), 1, &cancel);
        CHECK(untouched(c[0]));
    }
}
