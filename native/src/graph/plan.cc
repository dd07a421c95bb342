#include "graph/plan.h"

#include <algorithm>
#include <utility>

#include "graph/failure.h"
#include "graph/nodes.h"

namespace aq {

int add_unit(unit_list &units, std::string name, aq_unit_kind kind, int parent, bool skippable) {
    units.push_back({std::move(name), kind, parent, skippable});
    return (int)units.size() - 1;
}

void check_actions(const unit_list &units, const action_list &actions) {
    std::vector<int> idle(units.size(), -1);  // the whole, not computed, that a unit is or is a part of
    for (size_t i = 0; i < actions.size(); i++) {
        const unit &u = units[i];
        if (u.parent >= 0) idle[i] = idle[(size_t)u.parent];
        if (idle[i] >= 0 && actions[i] != AQ_COMPUTE) {
            throw failure(AQ_INVALID_ARGUMENT, "unit '" + u.name + "' is a part of '" + units[(size_t)idle[i]].name +
                                                   "', which is not computed: plan one of them");
        }
        if (is_skip(actions[i]) && !u.skippable) {
            throw failure(AQ_INVALID_ARGUMENT,
                          "unit '" + u.name + "' cannot be skipped: its output has another shape than its input");
        }
        if (actions[i] == AQ_SKIP_UNPOPPED && u.kind != AQ_UNIT_RESNET) {
            throw failure(AQ_INVALID_ARGUMENT,
                          "unit '" + u.name + "' is no resnet and has no skip connection to leave");
        }
        if (actions[i] == AQ_REUSE || is_skip(actions[i])) idle[i] = (int)i;
    }
}

ggml_tensor *plan::exchanged(int unit, aq_action action, ggml_tensor *computed) {
    if (action == AQ_REUSE) {
        // What it was to be computed from is dropped with it; only the shape is of use.
        extent shape = extent_of(computed);
        shape.images = images_;
        ggml_tensor *t = graph_.input(shape);
        reused_.push_back({unit, t});
        return t;
    }
    if (action == AQ_STORE) {
        if (computed->op == GGML_OP_NONE) computed = copy(graph_, computed);  // made of parts that are not computed
        graph_.keep(computed);
        stored_.push_back({unit, computed});
    }
    return computed;
}

ggml_tensor *plan::added(ggml_tensor *x, ggml_tensor *y) {
    const int64_t images = std::max(x->ne[3], y->ne[3]);
    return add(graph_, repeat(graph_, x, images), repeat(graph_, y, images));
}

aq_unet_work count_work(const graph &g, const unit_list &units, const std::vector<plan::exchange> &reused) {
    std::vector<bool> replaced(units.size());
    for (const plan::exchange &e : reused) replaced[(size_t)e.unit] = g.needs(e.tensor);
    aq_unet_work work = {};
    for (size_t i = 0; i < units.size(); i++) {
        const unit &u = units[i];
        if (u.parent >= 0 && replaced[(size_t)u.parent]) replaced[i] = true;
        if (!u.works()) continue;
        if (replaced[i]) work.reused++;
        else if (g.runs((int)i)) work.run++;
        else work.skipped++;
    }
    work.multiply_adds = g.flops() / 2;
    return work;
}

}  // namespace aq
