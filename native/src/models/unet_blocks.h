// The blocks that a UNet (Rombach et al., arXiv 2112.10752) and the control nets beside it are built of, CompVis names.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "graph/plan.h"
#include "graph/resnet.h"
#include "graph/transformer.h"

namespace aq {

struct downsample {
    product_layer conv;
};

struct upsample {
    product_layer conv;
};

struct unet_module {
    int unit;
    std::variant<resnet, transformer, downsample, upsample, product_layer> layer;
};

struct unet_block {
    int unit;
    std::vector<unet_module> modules;
    bool takes_skip = false;  // the output of an input block beside that of the block before

    // `skip`: what the first layer takes beside x; a skipped layer passes on x alone. `next_skip`: what the next block
    // takes, or NULL.
    ggml_tensor *build(graph &g, plan &p, ggml_tensor *x, ggml_tensor *skip, ggml_tensor *time, const reading &from,
                       const ggml_tensor *next_skip) const;

    // How often it halves its input, and how often it doubles it.
    int downsamples() const;
    int upsamples() const;

    // Channels of the queries of each cross-attention, by units.
    void find_cross_attentions(std::map<int, int64_t> &widths) const;

    // Has the text's keys and values computed, which any graph may read then.
    void compute_text(prompt &text) const;
};

// Reads blocks and adds them and their parts to a network's units.
struct block_reader {
    unit_list &units;
    head_rule heads;
    int64_t context_width, time_width;

    // `channels` go in and are set to what comes out; an empty block has no modules and is no unit.
    unet_block read(const layer_reader &from, const std::string &name, int64_t &channels, int64_t skip_channels) const;

private:
    unet_module read_module(const layer_reader &block, const std::string &number, int parent, int64_t &channels,
                            int64_t skip_channels) const;
};

// What every ResBlock takes of the timestep, and of what is added to its embedding.
struct time_embedding {
    product_layer in, out;
    std::optional<product_layer> label_in, label_out;  // a vector of the picture, of text and sizes in SDXL
    std::optional<product_layer> guidance;             // the guidance embedding of latent consistency models

    static time_embedding read(const layer_reader &from);

    int64_t label_width() const { return label_in ? label_in->inputs : 0; }
    int64_t guidance_width() const { return guidance ? guidance->inputs : 0; }

    struct inputs {
        ggml_tensor *time = nullptr;
        ggml_tensor *label = nullptr, *guidance = nullptr;  // where the network takes them
    };

    // silu already applied
    ggml_tensor *build(graph &g, int64_t images, inputs &to) const;

    // [images] timesteps and vectors, before a run.
    void fill(const inputs &to, const float *timesteps, const float *label, const float *guidance_vectors) const;
};

// Width of the text embedding that the first cross-attention under `prefix` takes; 0 if there is none.
int64_t find_context_width(const weights &all, const std::string &prefix);

// Whether all of `batch` items are the same.
bool all_alike(const float *values, uint64_t count, int32_t batch);

}  // namespace aq
