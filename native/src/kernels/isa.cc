#include "kernels/isa.h"

#if defined(__x86_64__) || defined(_M_X64)
#define AQ_X86 1
#if defined(_MSC_VER)
#include <intrin.h>
#else
#include <cpuid.h>
#endif
#endif

namespace aq {

#if defined(AQ_X86)
namespace {

struct registers {
    unsigned eax, ebx, ecx, edx;
};

registers cpuid(unsigned leaf, unsigned subleaf) {
    registers r = {0, 0, 0, 0};
#if defined(_MSC_VER)
    int words[4];
    __cpuidex(words, (int)leaf, (int)subleaf);
    r = {(unsigned)words[0], (unsigned)words[1], (unsigned)words[2], (unsigned)words[3]};
#else
    __get_cpuid_count(leaf, subleaf, &r.eax, &r.ebx, &r.ecx, &r.edx);
#endif
    return r;
}

// Register state that the operating system saves: without it wide registers trap even where the processor has them.
unsigned long long saved_state() {
#if defined(_MSC_VER)
    return _xgetbv(0);
#else
    unsigned low, high;
    __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return ((unsigned long long)high << 32) | low;
#endif
}

bool bit(unsigned word, int index) { return (word >> index & 1) != 0; }

bool has_avx2() {
    const registers basic = cpuid(1, 0);
    const bool osxsave = bit(basic.ecx, 27), fma = bit(basic.ecx, 12), f16c = bit(basic.ecx, 29);
    if (!osxsave || !fma || !f16c || (saved_state() & 0x6) != 0x6) return false;
    return bit(cpuid(7, 0).ebx, 5);
}

bool has_avx512() {
    if (!has_avx2() || (saved_state() & 0xe6) != 0xe6) return false;
    const unsigned features = cpuid(7, 0).ebx;
    const bool f = bit(features, 16), dq = bit(features, 17), bw = bit(features, 30), vl = bit(features, 31);
    return f && dq && bw && vl;
}

}  // namespace
#endif

bool cpu_supports(isa set) {
    switch (set) {
        case isa::portable: return true;
#if defined(AQ_X86)
        case isa::avx2: return has_avx2();
        case isa::avx512: return has_avx512();
#endif
#if defined(__aarch64__) || defined(_M_ARM64)
        case isa::neon: return true;
#endif
        default: return false;
    }
}

}  // namespace aq
