#include "graph/engine.h"

#include <new>
#include <string>

#include "graph/failure.h"

namespace aq {

namespace {

const kernel_set &kernels_for(isa set) {
    if ((int)set == AQ_ISA_AUTO) return best_kernels();
    const kernel_set *found = find_kernels(set);
    if (found == nullptr) {
        throw failure(AQ_INVALID_ARGUMENT,
                      "instruction set " + std::to_string((int)set) + " is not available here; use 0 to pick the best");
    }
    return *found;
}

}  // namespace

engine::engine(int threads, isa set, aq_convolution convolution)
    : threads_(threads), kernels_(&kernels_for(set)), convolution_(convolution) {
    ggml_threadpool_params params = ggml_threadpool_params_default(threads);
    pool_ = ggml_threadpool_new(&params);
    if (pool_ == nullptr) throw failure(AQ_OUT_OF_MEMORY, "no memory for " + std::to_string(threads) + " threads");
}

engine::~engine() { ggml_threadpool_free(pool_); }

void engine::reserve_scratch(int64_t floats) {
    if (floats <= scratch_floats_) return;
    constexpr int64_t line = 16;  // one cache line
    // An odd number of lines apart, threads do not fall on the same cache sets.
    const int64_t each = (floats + line - 1) / line * line + 17 * line;
    std::unique_ptr<float[]> memory(new (std::nothrow) float[(size_t)(each * threads_ + line)]);
    if (!memory) throw failure(AQ_OUT_OF_MEMORY, "no memory for the workspace of the kernels");
    scratch_memory_ = std::move(memory);
    scratch_ = (float *)(((uintptr_t)scratch_memory_.get() + 63) & ~(uintptr_t)63);
    scratch_floats_ = each;
}

}  // namespace aq
