#include "graph/resnet.h"

namespace aq {

namespace {

resnet read(const layer_reader &from, int64_t inputs, const char *norm1, const char *conv1, const char *norm2,
            const char *conv2, const char *skip) {
    resnet r;
    r.norm1 = from.group_norm(norm1, inputs);
    r.conv1 = from.conv(conv1, inputs, 0);
    r.norm2 = from.group_norm(norm2, r.conv1.outputs);
    r.conv2 = from.conv(conv2, r.conv1.outputs, r.conv1.outputs);
    if (from.has_conv(skip) || inputs != r.outputs()) {
        r.skip = from.conv(skip, inputs, r.outputs());
    }
    return r;
}

}  // namespace

ggml_tensor *resnet::build(graph &g, ggml_tensor *x, ggml_tensor *time_embedding) const {
    epilogue with_time, with_skip;
    if (time && time_embedding != nullptr) {
        with_time.image_bias = repeat(g, linear(g, time_embedding, *time), x->ne[3]);
    }
    ggml_tensor *h = conv(g, group_norm(g, x, norm1, epsilon, true), conv1, with_time);
    with_skip.residual = skip ? conv(g, x, *skip) : x;
    return conv(g, group_norm(g, h, norm2, epsilon, true), conv2, with_skip);
}

resnet read_unet_resnet(const layer_reader &from, int64_t inputs, int64_t time_width) {
    resnet r = read(from, inputs, "in_layers.0", "in_layers.2", "out_layers.0", "out_layers.3", "skip_connection");
    r.time = from.linear("emb_layers.1", time_width, r.conv1.outputs);
    r.epsilon = 1e-5f;
    return r;
}

resnet read_vae_resnet(const layer_reader &from, int64_t inputs) {
    resnet r = read(from, inputs, "norm1", "conv1", "norm2", "conv2", "nin_shortcut");
    r.epsilon = 1e-6f;
    return r;
}

}  // namespace aq
