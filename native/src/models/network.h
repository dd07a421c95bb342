// What every network has: the engine that it runs on, the weights that it borrows from, and graphs kept for the shapes
// of its last calls.
#pragma once

#include <algorithm>
#include <array>
#include <memory>
#include <utility>
#include <vector>

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

// Keeps the graphs of the last `capacity` keys, two as prompts of two lengths need them: a second call of such a key
// builds and allocates nothing.
template <class Built, class Key, size_t capacity = 2> class graph_cache {
public:
    template <class Build> Built &get(network &owner, const Key &key, Build build) {
        owner.last = nullptr;
        const auto found = std::find_if(kept_.begin(), kept_.end(), [&](const entry &e) { return e.key == key; });
        if (found != kept_.end()) {
            std::rotate(kept_.begin(), found, found + 1);
            kept_.front().built->nodes->take_memory();
        } else {
            if (kept_.size() == capacity) kept_.pop_back();  // its memory first
            Built built = build();
            kept_.insert(kept_.begin(), {key, std::make_unique<Built>(std::move(built))});
        }
        owner.last = kept_.front().built->nodes.get();
        return *kept_.front().built;
    }

    bool contains(const Key &key) const {
        return std::any_of(kept_.begin(), kept_.end(), [&](const entry &e) { return e.key == key; });
    }

    void clear(network &owner) {
        owner.last = nullptr;
        kept_.clear();
    }

private:
    struct entry {
        Key key;
        std::unique_ptr<Built> built;
    };
    std::vector<entry> kept_;  // the last one used first
};

}  // namespace aq
