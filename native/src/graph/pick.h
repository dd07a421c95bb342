// Which algorithm computes a convolution.
#pragma once

#include "aquarelle.h"
#include "kernels/kernels.h"

namespace aq {

// Side of the output tiles of the Winograd transform that computes this product fastest with these kernels: 2, 4 or 6,
// or 0 for the direct kernel, which does everything else.
int pick_winograd(const gemm_args &product, aq_convolution mode, isa kernels);

}  // namespace aq
