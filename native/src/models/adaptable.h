// A network whose layers adapters can change.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "graph/adapter.h"
#include "models/network.h"

namespace aq {

class adaptable : public network {
public:
    adaptable(std::shared_ptr<engine> on, std::shared_ptr<const weights> from, std::string prefix)
        : network(std::move(on), std::move(from)), prefix_(std::move(prefix)) {}
    virtual ~adaptable() = default;

    // See aq_adapt. With the adapters and scales that it has, nothing is done.
    void adapt(std::vector<adapter_use> adapters) {
        if (adapted_ ? adapters == adapted_->adapters() : adapters.empty()) return;
        std::unique_ptr<const adaptation> changed;
        if (!adapters.empty()) {
            changed = std::make_unique<const adaptation>(std::move(adapters), *source, prefix_, host->threads());
        }
        forget_graphs();  // which read from what goes now
        adapted_ = std::move(changed);
    }

protected:
    const adaptation *adapted() const { return adapted_.get(); }
    virtual void forget_graphs() = 0;

private:
    std::string prefix_;  // of the names of its tensors
    std::unique_ptr<const adaptation> adapted_;
};

}  // namespace aq
