#define AQ_ISA portable
#include "kernels/simd/portable.h"
#include "kernels/table.inl"
