// Every kernel body, compiled once for each instruction set: the including file defines AQ_ISA and the vector type.
// Nothing here may be shared between instruction sets: a function that the linker merges could run on the wrong CPU.
#include <math.h>

// In the order of use.
// clang-format off
#include "kernels/kernels.h"
#include "kernels/simd/math.inl"
#include "kernels/simd/pack.inl"
#include "kernels/gemm/tile.inl"
#include "kernels/gemm/expand.inl"
#include "kernels/gemm/transposed.inl"
#include "kernels/gemm/gemm.inl"
#include "kernels/gemm/geglu.inl"
#include "kernels/norm/run_sums.inl"
#include "kernels/winograd/transforms.inl"
#include "kernels/winograd/plan.inl"
#include "kernels/winograd/winograd.inl"
#include "kernels/attention/attention.inl"
#include "kernels/norm/norm.inl"
#include "kernels/elementwise/elementwise.inl"
#include "kernels/elementwise/halves.inl"
// clang-format on

#define AQ_STRING_(x) #x
#define AQ_STRING(x) AQ_STRING_(x)

namespace aq::AQ_ISA {

extern const kernel_set table;
const kernel_set table = {
    isa::AQ_ISA,
    AQ_STRING(AQ_ISA),
    gemm,
    winograd,
    attention,
    group_norm,
    channel_sums,
    layer_norm,
    silu,
    to_halves,
    from_halves,
    gemm_scratch,
    winograd_scratch,
    attention_scratch,
    group_norm_scratch,
    expand_rows,
};

}  // namespace aq::AQ_ISA
