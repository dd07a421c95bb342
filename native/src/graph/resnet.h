// ResBlock: skip(x) + conv2(silu(norm2(conv1(silu(norm1(x))) + time))).
#pragma once

#include <optional>

#include "graph/nodes.h"

namespace aq {

struct resnet {
    norm_layer norm1, norm2;
    product_layer conv1, conv2;
    std::optional<product_layer> time;  // UNet: from silu of the time embedding to a bias of conv1
    std::optional<product_layer> skip;  // where the number of channels changes
    float epsilon = 0;

    int64_t outputs() const { return conv2.outputs; }

    // `time_embedding`: silu already applied, [width, 1, 1, 1], the same for all images, or [width, 1, 1, images]; NULL
    // in a VAE.
    ggml_tensor *build(graph &g, ggml_tensor *x, ggml_tensor *time_embedding) const;
};

// Names of the UNet: in_layers, emb_layers, out_layers, skip_connection.
resnet read_unet_resnet(const layer_reader &from, int64_t inputs, int64_t time_width);

// Names of the VAE: norm1, conv1, norm2, conv2, nin_shortcut.
resnet read_vae_resnet(const layer_reader &from, int64_t inputs);

}  // namespace aq
