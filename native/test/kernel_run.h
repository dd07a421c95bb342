// Calls kernels as a pool of threads does, and watches what they write.
#pragma once

#include <new>

#include "check.h"
#include "kernels/kernels.h"

namespace test {

// Every kernel set that this build and this processor can run.
inline std::vector<const aq::kernel_set *> kernel_sets() {
    std::vector<const aq::kernel_set *> found;
    for (aq::isa set : {aq::isa::portable, aq::isa::neon, aq::isa::avx2, aq::isa::avx512}) {
        if (const aq::kernel_set *kernels = aq::find_kernels(set)) found.push_back(kernels);
    }
    return found;
}

constexpr int pool_sizes[] = {1, 2, 3, 4, 7, 16};

// Memory behind each buffer that must stay as it was; AddressSanitizer watches better without.
#if defined(__SANITIZE_ADDRESS__)
#define AQ_ADDRESS_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define AQ_ADDRESS_SANITIZER 1
#endif
#endif
#if defined(AQ_ADDRESS_SANITIZER)
constexpr int64_t guard_floats = 0;
#else
constexpr int64_t guard_floats = 64;
#endif

// One thread's scratch: exactly `floats` floats at a multiple of 64 bytes, full of NaN (0xFF bytes), which spreads from
// whatever a kernel reads before it writes.
class scratch {
public:
    explicit scratch(int64_t floats)
        : bytes((size_t)floats * 4),
          guarded(bytes + guard_floats * 4),
          memory((unsigned char *)::operator new(guarded, std::align_val_t(64))) {
        fill();
    }
    scratch(const scratch &) = delete;
    scratch &operator=(const scratch &) = delete;
    ~scratch() { ::operator delete(memory, std::align_val_t(64)); }

    void fill() { memset(memory, 0xFF, guarded); }
    float *data() { return (float *)(void *)memory; }
    bool guard_intact() const {
        for (size_t i = bytes; i < guarded; i++) {
            if (memory[i] != 0xFF) return false;
        }
        return true;
    }

private:
    size_t bytes, guarded;
    unsigned char *memory;
};

// Outputs start as this NaN, which no arithmetic on proper inputs yields.
inline uint32_t float_bits(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}
inline float float_from_bits(uint32_t bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}
constexpr uint32_t untouched_bits = 0x7fe5a5a5;
inline bool untouched(float x) { return float_bits(x) == untouched_bits; }

// Runs all threads of a pool of `count` one after the other, each with an output of `size` floats of its own, checks
// that no two write the same element and returns the union; what nobody wrote is `untouched`.
template <class Kernel, class Args>
std::vector<float> run_pool(Kernel kernel, Args args, float *Args::*output, int64_t size, int64_t scratch_floats,
                            int count, const int32_t *cancel = nullptr) {
    const float start = float_from_bits(untouched_bits);
    std::vector<float> all((size_t)size, start), own((size_t)(size + guard_floats));
    scratch memory(scratch_floats);
    bool once = true, guards = true;
    for (int index = 0; index < count; index++) {
        own.assign(own.size(), start);
        memory.fill();
        args.*output = own.data();
        kernel(args, aq::worker{index, count, memory.data(), cancel});
        guards = guards && memory.guard_intact();
        for (size_t i = 0; i < own.size(); i++) {
            if (untouched(own[i])) continue;
            if (i >= all.size()) {
                guards = false;
            } else {
                once = once && untouched(all[i]);
                all[i] = own[i];
            }
        }
    }
    check(once, AQ_PLACE("each element is written by one thread"));
    check(guards, AQ_PLACE("nothing is written behind output and scratch"));
    return all;
}

}  // namespace test
