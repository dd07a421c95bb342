// Attention against double precision. Results are averages of the values with weights that sum to 1. Scores here are
// of size 1, so a float32 score, and with it a weight, is good to about 1e-6; the limit is 1e-5 of the largest result.
#include "kernel_run.h"
#include "reference.h"

using namespace test;

namespace {

constexpr double limit = 1e-5;

struct problem {
    std::vector<float> q, k, v;
    aq::attention_args args;

    int64_t outputs() const { return args.batch * args.queries * args.heads * args.head_width; }
};

// Scores of about `logit`: products of even numbers have a spread of sqrt(width) / 3 times both sizes.
problem make(int batch, int heads, int width, int queries, int keys, bool causal, random_numbers &random,
             double logit = 1) {
    const double size = sqrt(3 * logit);
    problem p;
    p.q = random.values((int64_t)batch * queries * heads * width, size);
    p.k = random.values((int64_t)batch * keys * heads * width, size);
    p.v = random.values((int64_t)batch * keys * heads * width);
    p.args = {p.q.data(), p.k.data(), p.v.data(), nullptr, batch, queries, keys, heads, width, causal};
    return p;
}

std::vector<float> run(const problem &p, const aq::kernel_set &kernels, int threads, const int32_t *cancel = nullptr) {
    const aq::attention_args &t = p.args;
    describe("%s batch %d heads %d width %d queries %d keys %d%s, %d threads", kernels.name, (int)t.batch, (int)t.heads,
             (int)t.head_width, (int)t.queries, (int)t.keys, t.causal ? " causal" : "", threads);
    return run_pool(kernels.attention, t, &aq::attention_args::out, p.outputs(), kernels.attention_scratch(t), threads,
                    cancel);
}

void verify(const problem &p, int threads = 1) {
    const doubles expected = reference_attention(p.args);
    for (const aq::kernel_set *kernels : kernel_sets()) CHECK_CLOSE(run(p, *kernels, threads), expected, limit);
}

}  // namespace

TEST(any_number_of_queries_and_keys) {
    random_numbers random(1);
    for (int width : {1, 8, 40}) {
        for (int queries : {1, 7, 77, 97, 300}) {
            for (int keys : {1, 7, 77, 97, 300}) {
                for (bool causal : {false, true}) verify(make(2, 3, width, queries, keys, causal, random));
            }
        }
    }
}

TEST(head_widths_of_the_models) {
    random_numbers random(2);
    const int sizes[][2] = {{1, 77}, {7, 300}, {77, 77}, {97, 1}, {300, 97}, {195, 513}};
    for (int width : {3, 13, 31, 33, 64, 80, 160, 512}) {
        for (const auto &size : sizes) {
            for (bool causal : {false, true}) verify(make(1, 2, width, size[0], size[1], causal, random));
        }
    }
}

TEST(pools_of_any_size) {
    random_numbers random(3);
    for (int threads : pool_sizes) {
        verify(make(2, 5, 40, 200, 77, false, random), threads);
        verify(make(1, 12, 64, 77, 77, true, random), threads);
        verify(make(1, 1, 8, 1, 5, false, random), threads);
    }
}

// The maximum of the running softmax rises, or falls, with every block of keys.
TEST(scores_that_grow_and_shrink_along_the_keys) {
    random_numbers random(4);
    for (double slope : {-0.05, 0.05, 1.0}) {
        problem p = make(1, 2, 8, 5, 1100, false, random);
        for (size_t i = 0; i < p.k.size(); i++) p.k[i] = (float)(slope * (double)(i / 16));
        for (float &x : p.q) x = 0.25f + x * 1e-3f;
        // Scores reach slope 1100 * 8 * 0.25 / sqrt(8) = 778 slope; a float32 holds that to 4e-5 slope.
        const doubles expected = reference_attention(p.args);
        for (const aq::kernel_set *kernels : kernel_sets()) {
            CHECK_NEAR(run(p, *kernels, 1), expected, fmax(1e-5, 4e-4 * fabs(slope)));
        }
    }
}

TEST(huge_scores) {
    random_numbers random(5);
    for (int width : {40, 64, 160, 512}) {
        for (bool causal : {false, true}) {
            const problem p = make(2, 2, width, 33, 300, causal, random, 1e4);
            const doubles expected = reference_attention(p.args);
            // Rounding moves scores of some 1e4 by 0.01; here the best one leads by more than 10, so it takes all.
            for (const aq::kernel_set *kernels : kernel_sets()) CHECK_CLOSE(run(p, *kernels, 1), expected, limit);
        }
    }
}

TEST(no_number_in_one_query_stays_there) {
    random_numbers random(6);
    for (int bad : {0, 6, 40, 96}) {
        problem p = make(1, 2, 40, 97, 300, false, random);
        const std::vector<float> q = p.q;
        for (const aq::kernel_set *kernels : kernel_sets()) {
            p.q = q;
            p.args.q = p.q.data();
            std::vector<float> clean = run(p, *kernels, 1);
            p.q[(size_t)(bad * 80 + 11)] = NAN;
            const std::vector<float> out = run(p, *kernels, 1);
            bool same = true, told = true;
            for (size_t i = 0; i < out.size(); i++) {
                if ((int)i / 80 == bad && i % 80 < 40) told = told && isnan(out[i]);
                else same = same && out[i] == clean[i];
            }
            CHECK(same);
            CHECK(told);
        }
    }
}

TEST(no_number_in_a_later_head_or_batch_stays_there) {
    random_numbers random(7);
    problem p = make(2, 2, 8, 20, 30, false, random);
    for (size_t i = 0; i < 8; i++) p.v[(30 + 4) * 16 + 8 + i] = NAN;
    for (const aq::kernel_set *kernels : kernel_sets()) {
        const std::vector<float> out = run(p, *kernels, 1);
        for (size_t i = 0; i < out.size(); i++) CHECK(isnan(out[i]) == (i / 320 == 1 && i % 16 >= 8));
    }
}

TEST(cancelled_before_it_starts) {
    random_numbers random(8);
    const problem p = make(1, 2, 40, 300, 300, false, random);
    const int32_t cancel = 1;
    for (const aq::kernel_set *kernels : kernel_sets()) {
        for (float x : run(p, *kernels, 2, &cancel)) CHECK(untouched(x));
    }
}
