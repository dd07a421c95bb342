// Outputs of a UNet's units that one call leaves for later ones, of one image: each branch of a guided run has its own.
#pragma once

#include <stdint.h>

#include <memory>
#include <unordered_map>
#include <vector>

namespace aq {

class unet;

class feature_cache {
public:
    explicit feature_cache(std::shared_ptr<unet> of) : of(std::move(of)) {}

    const std::shared_ptr<unet> of;

    // Whether a unit's output is stored that fits a latent of this size.
    bool holds(int unit, int32_t height, int32_t width) const;

    // Room for a unit's output, kept from call to call; all of another size is dropped. It holds the output once it is
    // filled. Throws failure(AQ_OUT_OF_MEMORY).
    void reserve(int unit, int64_t floats, int32_t height, int32_t width);
    void fill(int unit, const float *values);

    // The output of a unit that is held, `floats` of them.
    const float *values(int unit, int64_t floats) const;

private:
    struct entry {
        std::vector<float> values;
        bool filled = false;
    };
    int32_t height_ = 0, width_ = 0;
    std::unordered_map<int, entry> entries_;
};

}  // namespace aq
