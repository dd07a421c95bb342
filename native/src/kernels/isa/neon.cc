#define AQ_ISA neon
#include "kernels/simd/neon.h"
#include "kernels/table.inl"
