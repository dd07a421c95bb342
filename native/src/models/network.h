// What every network has: the engine that it runs on, the weights that it borrows from, and one graph kept for the
// shape of its last call.
#pragma once

#include <array>
#include <memory>
#include <utility>

#include "graph/graph.h"
#include "graph/weights.h"

namespace aq {

struct network {
    network(std::shared_ptr<engine> on, std::shared_ptr<const weights> from)
        : host(std::move(on)), source(std::move(from)) {}

    std::shared_ptr<engine> host;
    std::shared_ptr<const weights> source;
    const graph *last = nullptr;  // computed by the last call, for its profile
};

// Keeps the graphs of the last two shapes, as prompts of two lengths need them: a second call of such a shape builds
// and allocates nothing.
template <class Built, size_t rank> class graph_cache {
public:
    template <class Build> Built &get(network &owner, const std::array<int64_t, rank> &shape, Build build) {
        owner.last = nullptr;
        if (!recent_.built || recent_.shape != shape) {
            std::swap(recent_, older_);
            if (!recent_.built || recent_.shape != shape) {
                recent_.built.reset();  // its memory first
                recent_ = {shape, std::make_unique<Built>(build())};
            }
        }
        owner.last = recent_.built->nodes.get();
        return *recent_.built;
    }

private:
    struct entry {
        std::array<int64_t, rank> shape = {};
        std::unique_ptr<Built> built;
    };
    entry recent_, older_;
};

}  // namespace aq
