// Threads that start a job together, and memory for it.
#pragma once

#include <stdint.h>
#include <string.h>

#include <atomic>
#include <barrier>
#include <chrono>
#include <functional>
#include <memory>
#include <new>
#include <thread>
#include <vector>

#include "kernels/kernels.h"

namespace bench {

using steady = std::chrono::steady_clock;

inline double seconds_since(steady::time_point start) {
    return std::chrono::duration<double>(steady::now() - start).count();
}

// At a multiple of 64 bytes, as large as the largest use so far. What it held is lost when it grows.
class buffer {
public:
    uint8_t *bytes(size_t size) {
        if (size > size_) {
            memory_.reset();
            memory_.reset((uint8_t *)::operator new(size, std::align_val_t(64)));
            size_ = size;
            memset(memory_.get(), 0, size);
        }
        return memory_.get();
    }
    float *floats(int64_t count) { return (float *)(void *)bytes((size_t)count * sizeof(float)); }

private:
    struct release {
        void operator()(uint8_t *p) const { ::operator delete(p, std::align_val_t(64)); }
    };
    std::unique_ptr<uint8_t, release> memory_;
    size_t size_ = 0;
};

class team {
public:
    explicit team(int threads) : size_(threads), gate_(threads) {
        for (int i = 1; i < threads; i++) {
            members_.emplace_back([this, i] {
                for (;;) {
                    gate_.arrive_and_wait();
                    if (job_ == nullptr) return;
                    work(i);
                }
            });
        }
    }
    team(const team &) = delete;
    team &operator=(const team &) = delete;
    ~team() {
        job_ = nullptr;
        gate_.arrive_and_wait();
        for (std::thread &member : members_) member.join();
    }

    int size() const { return size_; }

    // Seconds from when all threads are awake to when the last one is done. Between runs they sleep, so that nothing
    // else that is measured meanwhile shares a core with them.
    double run(const std::function<void(const aq::worker &)> &job, int64_t scratch_floats) {
        constexpr int64_t line = 16;  // an odd number of cache lines apart, threads do not fall on the same cache sets
        stride_ = (scratch_floats + line - 1) / line * line + 17 * line;
        scratch_memory_.floats(stride_ * size_);
        job_ = &job;
        awake_ = done_ = 0;
        gate_.arrive_and_wait();
        const steady::time_point start = work(0);
        while (done_ < size_) std::this_thread::yield();
        return seconds_since(start);
    }

private:
    steady::time_point work(int index) {
        awake_++;
        while (awake_ < size_) std::this_thread::yield();
        const steady::time_point start = steady::now();
        (*job_)({index, size_, scratch_memory_.floats(0) + index * stride_, nullptr});
        done_++;
        return start;
    }

    int size_;
    std::barrier<> gate_;
    std::vector<std::thread> members_;
    const std::function<void(const aq::worker &)> *job_ = nullptr;
    std::atomic<int> awake_ = 0, done_ = 0;
    buffer scratch_memory_;
    int64_t stride_ = 0;
};

}  // namespace bench
