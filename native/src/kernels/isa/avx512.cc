#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // GCC 12's own intrinsics
#pragma GCC diagnostic ignored "-Wuninitialized"        // the same, with sanitizers
#endif
#define AQ_ISA avx512
#include "kernels/simd/avx512.h"
#include "kernels/table.inl"
