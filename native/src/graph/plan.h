// Units of a network, the parts that a call may leave out, and what one call does with each of them.
#pragma once

#include <string>
#include <vector>

#include "graph/graph.h"

namespace aq {

struct unit {
    std::string name;  // as in the model file, without the network's prefix
    aq_unit_kind kind;
    int parent;      // the unit that this one is a part of, or -1
    bool skippable;  // its output has the shape of its input

    // Whether it does work beside that of its parts.
    bool works() const { return kind != AQ_UNIT_BLOCK && kind != AQ_UNIT_TRANSFORMER_BLOCK; }
};

// Units in the order in which they run, each before its parts; a unit is named by its place here.
using unit_list = std::vector<unit>;

// Adds a unit; returns its place.
int add_unit(unit_list &units, std::string name, aq_unit_kind kind, int parent, bool skippable);

// One action a unit; empty: all are computed.
using action_list = std::vector<uint8_t>;

inline bool is_skip(uint8_t action) { return action == AQ_SKIP || action == AQ_SKIP_UNPOPPED; }

// Throws failure(AQ_INVALID_ARGUMENT) when a unit is left out whose output has another shape than its input, or when
// something is asked of a part of a unit that is not computed.
void check_actions(const unit_list &units, const action_list &actions);

// Follows the actions while a graph is built. Whatever no computed unit needs is dropped when the graph is finished.
class plan {
public:
    // `images`: of a stored tensor that is put in place of a unit's output. The actions must outlive the plan.
    plan(graph &g, const action_list &actions, int64_t images) : graph_(g), actions_(actions), images_(images) {}

    // A unit's tensor that comes from a cache before a run, or goes to it afterwards.
    struct exchange {
        int unit;
        ggml_tensor *tensor;  // [.., images], or of one image that stands for all
    };

    // The output of a unit: what `compute()` gives or a stored one; `input`, if it is skipped.
    template <class Compute> ggml_tensor *output(int unit, ggml_tensor *input, Compute compute) {
        const aq_action action = action_of(unit);
        if (is_skip(action)) return input;
        const graph::scope mine(graph_, unit);
        return exchanged(unit, action, compute());
    }

    // x plus the output of a unit; `compute(residual)` adds the residual to it, unless that is NULL.
    template <class Compute> ggml_tensor *sum(int unit, ggml_tensor *x, Compute compute) {
        const aq_action action = action_of(unit);
        if (is_skip(action)) return x;
        const graph::scope mine(graph_, unit);
        if (action == AQ_COMPUTE) return compute(x);
        return added(x, exchanged(unit, action, compute(nullptr)));
    }

    // Whether a resnet is skipped so that its skip connection stays for the next one.
    bool leaves_connection(int unit) const { return action_of(unit) == AQ_SKIP_UNPOPPED; }

    const std::vector<exchange> &stored() const { return stored_; }
    const std::vector<exchange> &reused() const { return reused_; }

private:
    aq_action action_of(int unit) const { return actions_.empty() ? AQ_COMPUTE : (aq_action)actions_[(size_t)unit]; }
    ggml_tensor *exchanged(int unit, aq_action action, ggml_tensor *computed);
    ggml_tensor *added(ggml_tensor *x, ggml_tensor *y);

    graph &graph_;
    const action_list &actions_;
    int64_t images_;
    std::vector<exchange> stored_, reused_;
};

// How many units of a finished graph run, are reused or in one that is, or do neither; parts and wholes that do no work
// of their own are not counted.
aq_unet_work count_work(const graph &g, const unit_list &units, const std::vector<plan::exchange> &reused);

}  // namespace aq
