// Resnets at full picture size with little memory: in passes over bands of rows. A pass that makes what a GroupNorm
// reads takes its sums over the whole picture, so the pass that applies the GroupNorm has exact statistics and bands
// leave no seams. Between passes activations wait as stored_rows, or are computed again from what they came from.
#pragma once

#include <optional>

#include "graph/resnet.h"
#include "graph/stored_rows.h"

namespace aq {

enum class resampling { none, up, down };

// One step of an autoencoder's half: a convolution, a resnet, or both.
struct band_unit {
    const product_layer *before = nullptr;
    resampling change = resampling::none;  // by `before`
    const resnet *block = nullptr;
};

// The end of a decoder: conv(silu(norm(x))).
struct band_end {
    const norm_layer *norm;
    const product_layer *conv;
};

// How one is computed.
struct band_plan {
    int64_t bands, rows;              // each but the last band has that many rows of the output
    bool store_before, store_middle;  // what `before` and the resnet's first convolution make, or compute it again
    uint64_t bytes;                   // of buffers, at most; without the kernels' workspace
    double work;                      // multiply-adds of the convolutions
};

// The plan of least work that takes at most `budget` bytes; that of least memory if none does. `input` is one image.
band_plan plan_bands(const band_unit &unit, const extent &input, uint64_t budget);
band_plan plan_bands(const band_end &end, const extent &input, uint64_t budget);

// Band `index` of an output of `height` rows, with at least `halo` rows on both sides in its window but where the
// picture ends. All windows of a pass have the same size, so that one graph serves them.
band band_at(const band_plan &plan, int64_t height, int64_t halo, int64_t index);

extent output_of(const band_unit &unit, const extent &input);

// Runs a unit, giving its input back row by row.
stored_rows run_bands(engine &on, const band_unit &unit, const band_plan &plan, stored_rows input);

// Runs an end, whose output goes to `planes`, [channels][height][width].
void run_bands(engine &on, const band_end &end, const band_plan &plan, stored_rows input, float *planes);

}  // namespace aq
