#define AQ_ISA avx2
#include "kernels/simd/avx2.h"
#include "kernels/table.inl"
