// The layers of each network, derived from its architecture, equal ones counted.
#pragma once

#include <stdint.h>
#include <stdio.h>

#include <string>
#include <vector>

namespace bench {

enum class kind { conv, linear, attention };
constexpr const char *kind_names[] = {"3x3 convolution", "linear, 1x1", "attention"};

struct layer {
    kind what;
    int64_t inputs, outputs;  // channels; of attention: of all heads together
    int64_t height, width;    // of the input; a linear layer has `width` rows, attention `width` queries
    int stride = 1, upsample = 1;
    bool normed = false;  // reads its input through GroupNorm and SiLU
    int64_t keys = 0, heads = 0;
    bool gated = false;  // half of the outputs are gates of the other half

    bool operator==(const layer &) const = default;

    int64_t out_height() const { return (height * upsample + stride - 1) / stride; }
    int64_t out_width() const { return (width * upsample + stride - 1) / stride; }

    // Of one image, computed directly; an addition and a multiplication are two.
    double flops() const {
        if (what == kind::attention) return 4.0 * (double)(width * keys * inputs);
        const int64_t taps = what == kind::conv ? 9 : 1;
        return 2.0 * (double)(out_height() * out_width() * taps * inputs * outputs);
    }

    std::string name() const {
        char text[64];
        const long long in = inputs, out = outputs, rows = width;
        if (what == kind::conv) {
            const char *variant = upsample == 2 ? "up" : stride == 2 ? "/2" : "  ";
            snprintf(text, sizeof text, "3x3 %s %4lld > %4lld   %lldx%lld", variant, in, out, (long long)out_width(),
                     (long long)out_height());
        } else if (what == kind::linear) {
            snprintf(text, sizeof text, "linear %4lld > %5lld  %lld", in, out, rows);
        } else {
            snprintf(text, sizeof text, "attention %2lldx%-3lld     %lldx%lld", (long long)heads, in / (long long)heads,
                     rows, (long long)keys);
        }
        return text;
    }
};

struct counted_layer {
    layer what;
    int count;
};

class network {
public:
    std::vector<counted_layer> layers;  // in the order in which they first run

    void add(const layer &l) {
        for (counted_layer &known : layers) {
            if (known.what == l) {
                known.count++;
                return;
            }
        }
        layers.push_back({l, 1});
    }
    void conv(int64_t inputs, int64_t outputs, int64_t side, bool normed, int stride = 1, int upsample = 1) {
        add({kind::conv, inputs, outputs, side, side, stride, upsample, normed});
    }
    void linear(int64_t rows, int64_t inputs, int64_t outputs) { add({kind::linear, inputs, outputs, 1, rows}); }
    void gated(int64_t rows, int64_t inputs, int64_t outputs) {
        add({kind::linear, inputs, outputs, 1, rows, 1, 1, false, 0, 0, true});
    }
    void attention(int64_t queries, int64_t keys, int64_t width, int64_t heads) {
        add({kind::attention, width, width, 1, queries, 1, 1, false, keys, heads});
    }
    // `time` 0: a VAE's.
    void resnet(int64_t inputs, int64_t outputs, int64_t side, int64_t time) {
        conv(inputs, outputs, side, true);
        if (time > 0) linear(1, time, outputs);
        if (inputs != outputs) linear(side * side, inputs, outputs);
        conv(outputs, outputs, side, true);
    }
};

// What the UNets of the family differ in.
struct unet_family {
    int64_t side;                    // of the latent
    std::vector<int64_t> widths;     // channels of each level
    std::vector<int> depths;         // transformer blocks at each level
    int64_t heads, head_width;       // one of them is 0
    int64_t context, label;          // widths of the text's hidden states and of SDXL's vector, or 0
};

inline const unet_family sd15 = {64, {320, 640, 1280, 1280}, {1, 1, 1, 0}, 8, 0, 768, 0};
inline const unet_family sd21 = {96, {320, 640, 1280, 1280}, {1, 1, 1, 0}, 0, 64, 1024, 0};
inline const unet_family sdxl = {128, {320, 640, 1280}, {0, 2, 10}, 0, 64, 2048, 2816};

// A call for one image and one prompt of 77 tokens.
inline network unet(const unet_family &f) {
    network n;
    const int64_t time = 4 * f.widths[0];
    const int levels = (int)f.widths.size();
    int64_t side = f.side, channels = f.widths[0];
    const auto transformer = [&](int depth) {
        if (depth == 0) return;
        const int64_t rows = side * side, heads = f.heads > 0 ? f.heads : channels / f.head_width;
        n.linear(rows, channels, channels);
        for (int i = 0; i < depth; i++) {
            for (int j = 0; j < 4; j++) n.linear(rows, channels, channels);
            n.attention(rows, rows, channels, heads);
            for (int j = 0; j < 2; j++) n.linear(rows, channels, channels);
            for (int j = 0; j < 2; j++) n.linear(77, f.context, channels);
            n.attention(rows, 77, channels, heads);
            n.gated(rows, channels, 8 * channels);
            n.linear(rows, 4 * channels, channels);
        }
        n.linear(rows, channels, channels);
    };

    n.linear(1, f.widths[0], time);
    n.linear(1, time, time);
    if (f.label > 0) {
        n.linear(1, f.label, time);
        n.linear(1, time, time);
    }
    n.conv(4, channels, side, false);
    std::vector<int64_t> skips = {channels};
    for (int level = 0; level < levels; level++) {
        for (int i = 0; i < 2; i++) {
            n.resnet(channels, f.widths[level], side, time);
            channels = f.widths[level];
            transformer(f.depths[level]);
            skips.push_back(channels);
        }
        if (level + 1 == levels) break;
        n.conv(channels, channels, side, false, 2);
        side = (side + 1) / 2;
        skips.push_back(channels);
    }
    n.resnet(channels, channels, side, time);
    transformer(f.depths.back() > 0 ? f.depths.back() : f.depths[levels - 2]);
    n.resnet(channels, channels, side, time);
    for (int level = levels - 1; level >= 0; level--) {
        for (int i = 0; i < 3; i++) {
            n.resnet(channels + skips.back(), f.widths[level], side, time);
            skips.pop_back();
            channels = f.widths[level];
            transformer(f.depths[level]);
        }
        if (level == 0) break;
        n.conv(channels, channels, side, false, 1, 2);
        side *= 2;
    }
    n.conv(channels, 4, side, true);
    return n;
}

// From a latent of side x side.
inline network vae_decoder(int64_t side) {
    network n;
    int64_t channels = 512;
    const int64_t rows = side * side;
    n.linear(rows, 4, 4);
    n.conv(4, channels, side, false);
    n.resnet(channels, channels, side, 0);
    for (int i = 0; i < 4; i++) n.linear(rows, channels, channels);
    n.attention(rows, rows, channels, 1);
    n.resnet(channels, channels, side, 0);
    for (const int64_t width : {512, 512, 256, 128}) {
        for (int i = 0; i < 3; i++) {
            n.resnet(channels, width, side, 0);
            channels = width;
        }
        if (width == 128) break;
        n.conv(channels, channels, side, false, 1, 2);
        side *= 2;
    }
    n.conv(channels, 3, side, true);
    return n;
}

}  // namespace bench
