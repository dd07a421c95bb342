// Adapters that add terms to a UNet's cross-attentions: IP-Adapter (Ye et al., arXiv 2308.06721), SpeedUpNet (Chai et
// al., arXiv 2312.08887).
#pragma once

#include <memory>
#include <string>

#include "models/unet.h"

namespace aq {

struct attention_adapter {
    std::shared_ptr<unet> of;
    std::shared_ptr<const added_attention> layers;  // apart, so that a UNet's graphs can keep them but not the UNet

    // Tensors of the cross-attention NAME: PREFIX + NAME + ".k.weight" and ".v.weight" [channels, width], and if the
    // first one has them, ".gain" and ".offset" [channels]. Throws failure(AQ_INVALID_MODEL) naming a tensor.
    attention_adapter(std::shared_ptr<unet> unet, std::shared_ptr<const weights> from, const std::string &prefix);
};

}  // namespace aq
