// Adapters (LoRA, LoHa, LoKr, DoRA and full differences; equations in aquarelle.h) and what they make of weights.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "graph/layers.h"

namespace aq {

class adapter {
public:
    struct factor {
        std::optional<tensor> a, b, core;
    };
    struct change {
        aq_adapter_kind kind;
        float scale;  // alpha / rank
        factor first, second;
        std::optional<tensor> magnitude;
    };

    // Throws failure(AQ_INVALID_MODEL) naming the target of a change whose parts do not fit each other.
    adapter(const aq_adapter_change *changes, uint64_t count);

    const std::unordered_map<std::string, change> &changes() const { return changes_; }

private:
    std::unordered_map<std::string, change> changes_;  // by target
};

struct adapter_use {
    std::shared_ptr<const adapter> what;
    float scale;

    bool operator==(const adapter_use &) const = default;
};

// Writes the values of a tensor with all changes of it, or of its thirds, in them. Throws failure: AQ_INVALID_MODEL
// where a change has another shape, AQ_INVALID_ARGUMENT where `count` is not that of its values.
void merge(const aq_tensor &from, const std::vector<adapter_use> &adapters, float *values, uint64_t count);

// What adapters with their scales make of the layers of one network.
class adaptation {
public:
    // scale * up(core(down(x))), to be added to what the layer makes of x.
    struct low_rank {
        product_layer down;
        std::optional<product_layer> core;  // the layer's kernel is here and down a matrix, or it is in down
        stored_matrix up;
        float scale;
    };
    static constexpr size_t most_terms = 5;  // with its other inputs, as many as a node of a graph takes

    struct layer {
        std::vector<low_rank> terms;
        std::optional<stored_matrix> matrix;  // in place of the layer's
    };

    // Of the tensors of `all` whose names begin with `prefix`. Throws failure: AQ_INVALID_MODEL naming a tensor that a
    // change does not fit, or AQ_OUT_OF_MEMORY.
    adaptation(std::vector<adapter_use> adapters, const weights &all, const std::string &prefix, int threads);
    ~adaptation();

    const std::vector<adapter_use> &adapters() const { return adapters_; }

    // NULL for a layer that does not change.
    const layer *find(const std::string &name) const;

    // A bias, or a weight or bias of a norm; `plain` where it does not change.
    const std::vector<float> &vector(const std::string &name, const std::vector<float> &plain) const;

private:
    struct copy;

    std::vector<adapter_use> adapters_;
    std::unordered_map<std::string, layer> layers_;
    std::unordered_map<std::string, std::vector<float>> vectors_;
    std::vector<std::unique_ptr<copy>> copies_;
};

}  // namespace aq
