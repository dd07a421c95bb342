#include "graph/pick.h"

#include <algorithm>

namespace aq {

int pick_winograd(const gemm_args &product, aq_convolution mode, isa kernels) {
    const window &v = product.view;
    const bool fits = v.kernel_h == 3 && v.kernel_w == 3 && v.stride == 1 && v.pad_top == 1 && v.pad_left == 1 &&
                      v.out_h == v.in_h * v.upsample && v.out_w == v.in_w * v.upsample;
    if (!fits || mode == AQ_CONVOLUTION_DIRECT) return 0;
    if (mode == AQ_CONVOLUTION_AUTO && product.channels < 16) return 0;  // too short a sum to pay for the transforms
    const int32_t side = std::min(v.out_h, v.out_w);
    // Of an upsampling layer the tiles of one parity cover the input; large ones by F(6,2), measured like those below.
    if (v.upsample == 2) return std::min(v.in_h, v.in_w) >= (kernels == isa::avx2 ? 60 : 200) ? 6 : 4;
    if (side < 3) return mode == AQ_CONVOLUTION_WINOGRAD ? 2 : 0;
    if (side <= 8) return 2;
    // F(6,3) needs fewer multiplications, but strips of its larger tiles hold fewer of them, so filters are transformed
    // more often: it pays on large pictures only, and the earlier the longer multiplications take. Measured for all
    // layers of SD 1.5, 2.1, SDXL and the VAE (bench_layers --all-algorithms, see SPEED.md).
    const int64_t large = kernels == isa::avx2 ? 48 * 48 : 96 * 96;
    return (int64_t)v.out_h * v.out_w >= large && side >= 24 ? 6 : 4;
}

}  // namespace aq
