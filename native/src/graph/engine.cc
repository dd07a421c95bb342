#include "graph/engine.h"

#include <new>
#include <string>
#include <thread>
#include <vector>

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

// ggml ends the process when it cannot start a thread, so see first whether the system gives that many.
void require_threads(int count) {
    std::mutex gate;
    std::vector<std::thread> started;
    bool enough = true;
    gate.lock();
    try {
        for (int i = 0; i < count; i++) started.emplace_back([&gate] { const std::lock_guard<std::mutex> wait(gate); });
    } catch (const std::exception &) {
        enough = false;
    }
    gate.unlock();
    for (std::thread &thread : started) thread.join();
    if (!enough) {
        throw failure(AQ_OUT_OF_MEMORY,
                      "the system does not start " + std::to_string(count + 1) + " threads; use fewer threads");
    }
}

}  // namespace

engine::engine(int threads, isa set, aq_convolution convolution)
    : threads_(threads), kernels_(&kernels_for(set)), convolution_(convolution) {
    require_threads(threads - 1);
    ggml_threadpool_params params = ggml_threadpool_params_default(threads);
    pool_ = ggml_threadpool_new(&params);
    if (pool_ == nullptr) throw failure(AQ_OUT_OF_MEMORY, "no memory for " + std::to_string(threads) + " threads");
}

engine::~engine() { ggml_threadpool_free(pool_); }

namespace {

constexpr int64_t line = 16;  // one cache line

// An odd number of lines apart, threads do not fall on the same cache sets.
int64_t spaced(int64_t floats) { return (floats + line - 1) / line * line + 17 * line; }

}  // namespace

size_t engine::scratch_bytes(int64_t floats, int threads) {
    return (size_t)(spaced(floats) * threads + line) * sizeof(float);
}

size_t engine::missing_scratch(int64_t floats) const {
    return floats <= scratch_floats_ ? 0 : scratch_bytes(floats, threads_);
}

void engine::reserve_scratch(int64_t floats) {
    if (floats <= scratch_floats_) return;
    const int64_t each = spaced(floats);
    std::unique_ptr<float[]> memory(new (std::nothrow) float[scratch_bytes(floats, threads_) / sizeof(float)]);
    if (!memory) throw failure(AQ_OUT_OF_MEMORY, "no memory for the workspace of the kernels");
    scratch_memory_ = std::move(memory);
    scratch_ = (float *)(((uintptr_t)scratch_memory_.get() + 63) & ~(uintptr_t)63);
    scratch_floats_ = each;
}

}  // namespace aq
