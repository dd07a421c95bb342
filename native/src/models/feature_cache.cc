#include "models/feature_cache.h"

#include <string.h>

#include "graph/failure.h"
#include "graph/memory.h"

namespace aq {

bool feature_cache::holds(int unit, int32_t height, int32_t width) const {
    const auto found = entries_.find(unit);
    return height == height_ && width == width_ && found != entries_.end() && found->second.filled;
}

void feature_cache::reserve(int unit, int64_t floats, int32_t height, int32_t width) {
    if (height != height_ || width != width_) entries_.clear();
    height_ = height;
    width_ = width;
    entry &e = entries_[unit];
    if (e.values.size() == (size_t)floats) return;
    const uint64_t available = available_memory();
    if (available != 0 && (uint64_t)floats * sizeof(float) > available) {
        throw failure(AQ_OUT_OF_MEMORY, "no memory to store the outputs of units; use a plan that stores fewer");
    }
    e.values.resize((size_t)floats);
}

void feature_cache::fill(int unit, const float *values) {
    entry &e = entries_.at(unit);
    memcpy(e.values.data(), values, e.values.size() * sizeof(float));
    e.filled = true;
}

const float *feature_cache::values(int unit, int64_t floats) const {
    const entry &e = entries_.at(unit);
    if (e.values.size() != (size_t)floats) throw failure(AQ_INTERNAL, "a stored output has another shape");
    return e.values.data();
}

}  // namespace aq
