// What every network has: the engine that it runs on, the weights that it borrows from, and one graph kept for the
// shape of its last call.
#pragma once

#include <array>
#include <memory>

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

// Keeps the graph of the last shape: a second call of that shape builds and allocates nothing.
template <class Built, size_t rank> class graph_cache {
public:
    template <class Build> Built &get(network &owner, const std::array<int64_t, rank> &shape, Build build) {
        owner.last = nullptr;
        if (!built_ || shape != shape_) {
            built_.reset();
            built_ = std::make_unique<Built>(build());
            shape_ = shape;
        }
        owner.last = built_->nodes.get();
        return *built_;
    }

private:
    std::unique_ptr<Built> built_;
    std::array<int64_t, rank> shape_ = {};
};

}  // namespace aq
