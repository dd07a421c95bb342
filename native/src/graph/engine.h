// Threads, instruction set and scratch memory: what the networks of one pipeline share.
#pragma once

#include <stdint.h>

#include <memory>
#include <mutex>

#include "aquarelle.h"
#include "ggml-cpu.h"
#include "kernels/kernels.h"

namespace aq {

class engine {
public:
    // Throws failure when the CPU lacks the instruction set or memory is short.
    engine(int threads, isa set, aq_convolution convolution);
    ~engine();
    engine(const engine &) = delete;
    engine &operator=(const engine &) = delete;

    int threads() const { return threads_; }
    const kernel_set &kernels() const { return *kernels_; }
    ggml_threadpool *pool() const { return pool_; }
    aq_convolution convolution() const { return convolution_; }

    // Of all threads together, where each has `floats`.
    static size_t scratch_bytes(int64_t floats, int threads);

    // Bytes that reserve_scratch would allocate.
    size_t missing_scratch(int64_t floats) const;

    // Makes each thread's scratch at least that large. Throws failure(AQ_OUT_OF_MEMORY).
    void reserve_scratch(int64_t floats);
    float *scratch(int thread) const { return scratch_ + thread * scratch_floats_; }

    // Held during each call.
    std::mutex busy;

    // Of the call in progress; NULL when nobody wants to cancel or watch it.
    aq_control *control = nullptr;

private:
    int threads_;
    const kernel_set *kernels_;
    aq_convolution convolution_;
    ggml_threadpool *pool_;
    std::unique_ptr<float[]> scratch_memory_;
    float *scratch_ = nullptr;
    int64_t scratch_floats_ = 0;
};

}  // namespace aq
