// Instruction sets that kernels are written for.
#pragma once

namespace aq {

enum class isa { portable = 1, neon = 2, avx2 = 3, avx512 = 4 };

// Whether this processor and operating system run code built for `set`.
bool cpu_supports(isa set);

}  // namespace aq
