// The table of kernel sets and the choice among them.
#include "kernel_run.h"

using namespace test;
using aq::isa;

TEST(portable_kernels_are_always_there) {
    CHECK(aq::cpu_supports(isa::portable));
    CHECK(aq::find_kernels(isa::portable) != nullptr);
}

TEST(every_set_is_what_it_says_and_complete) {
    const char *const names[] = {"", "portable", "neon", "avx2", "avx512"};
    for (const aq::kernel_set *k : kernel_sets()) {
        describe("%s", k->name);
        CHECK(strcmp(k->name, names[(int)k->set]) == 0);
        CHECK(aq::find_kernels(k->set) == k);
        CHECK(aq::cpu_supports(k->set));
        CHECK(k->gemm && k->winograd && k->attention && k->group_norm && k->layer_norm && k->silu);
        CHECK(k->gemm_scratch && k->winograd_scratch && k->attention_scratch && k->group_norm_scratch &&
              k->expand_rows);
    }
}

TEST(unknown_sets_are_not_found) {
    CHECK(aq::find_kernels((isa)0) == nullptr);
    CHECK(aq::find_kernels((isa)99) == nullptr);
    CHECK(!aq::cpu_supports((isa)99));
}

TEST(the_widest_vectors_win) {
    const aq::kernel_set *expected = nullptr;
    for (isa set : {isa::avx512, isa::avx2, isa::neon, isa::portable}) {
        if (expected == nullptr) expected = aq::find_kernels(set);
    }
    CHECK(&aq::best_kernels() == expected);
}

TEST(detection_agrees_with_the_compiler) {
#if defined(__GNUC__) && defined(__x86_64__)
    __builtin_cpu_init();
    const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    CHECK(aq::cpu_supports(isa::avx2) == avx2);
    CHECK(aq::cpu_supports(isa::avx512) == avx512);
    CHECK(!aq::cpu_supports(isa::neon));
#elif defined(__aarch64__)
    CHECK(aq::cpu_supports(isa::neon));
    CHECK(!aq::cpu_supports(isa::avx2) && !aq::cpu_supports(isa::avx512));
#endif
}

// For the log: which sets the other tests force here.
TEST(list_of_sets_that_run_here) {
    for (const aq::kernel_set *k : kernel_sets()) printf("runs here: %s\n", k->name);
    CHECK(!kernel_sets().empty());
}
