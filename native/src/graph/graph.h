// A ggml graph of our kernels with its memory, built once for a shape and run any number of times.
//
// Activations are channels-last: ne = [channels, width, height, images]. Sequences are images of height 1.
#pragma once

#include <stdint.h>

#include <chrono>
#include <functional>
#include <initializer_list>
#include <memory>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "ggml-alloc.h"
#include "ggml-cpu.h"
#include "ggml.h"
#include "graph/engine.h"

namespace aq {

struct extent {
    int64_t channels, width, height, images;

    int64_t pixels() const { return width * height; }
    int64_t count() const { return channels * width * height * images; }
};

inline extent extent_of(const ggml_tensor *t) { return {t->ne[0], t->ne[1], t->ne[2], t->ne[3]}; }
inline const float *values(const ggml_tensor *t) { return (const float *)t->data; }

template <auto release> struct releaser {
    template <class T> void operator()(T *p) const { release(p); }
};

class adaptation;
class graph;

// Memory that graphs take turns in: the values of one last until another one takes it.
struct arena {
    std::unique_ptr<ggml_gallocr, releaser<ggml_gallocr_free>> memory;
    const graph *holder = nullptr;
};

class graph {
public:
    using operation = std::function<void(ggml_tensor *output, const worker &)>;

    // Without an arena of others the graph has one of its own. `adapted` changes its layers, NULL none of them, and
    // must outlive it.
    explicit graph(engine &on, std::shared_ptr<arena> in = std::make_shared<arena>(),
                   const adaptation *adapted = nullptr);
    ~graph();
    graph(const graph &) = delete;
    graph &operator=(const graph &) = delete;

    ggml_tensor *input(const extent &shape);

    // What a profile says of a node; nodes of one name are added up.
    struct work {
        std::string name;
        double flops;  // counted as direct work
    };

    // A node that fills its output from `sources` (at most 9), every thread calling `run`; `scratch` in floats.
    ggml_tensor *node(work what, const extent &shape, std::initializer_list<ggml_tensor *> sources, int64_t scratch,
                      operation run);

    // Memory whose values nothing sets before nodes of `part` do.
    ggml_tensor *space(const extent &shape);

    // A node that fills some of the channels of `whole`, a space or such a node, and stands for `whole` from then on.
    // At most 8 sources.
    ggml_tensor *part(work what, ggml_tensor *whole, std::initializer_list<ggml_tensor *> sources, int64_t scratch,
                      operation run);

    // Nodes made during its life belong to a unit of the network, of which the graph knows no more than the number.
    class scope {
    public:
        scope(graph &g, int unit) : graph_(g), outer_(g.unit_) { g.unit_ = unit; }
        ~scope() { graph_.unit_ = outer_; }
        scope(const scope &) = delete;
        scope &operator=(const scope &) = delete;

    private:
        graph &graph_;
        int outer_;
    };

    // Sums over parts of a tensor that its node takes while it writes it, see group_norm_args. All take turns in
    // `sums`.
    struct sums_on_offer {
        int64_t parts;
        bool wanted = false;  // only then they are taken
        size_t step = 0;
    };

    // From here on GroupNorms use such offers, which saves them a pass. Their sums round otherwise than those of the
    // finished tensor, so this is not for networks in which a stored tensor may stand for a computed one.
    void take_sums_while_writing() { takes_sums_ = true; }

    // By the node made last.
    void offer(const ggml_tensor *t, std::shared_ptr<sums_on_offer> sums);

    // For the node made next; NULL where nothing was offered or others' sums would lie in the same place.
    const sums_on_offer *want_sums(const ggml_tensor *t);
    double *sums() { return sums_.data(); }

    // A tensor beside the output that can be read after a run.
    void keep(ggml_tensor *t);

    // Ends building: drops every node that neither the output nor a kept tensor needs.
    void finish(ggml_tensor *output);

    // After finish: whether a tensor is needed, whether any node of a unit is, and the work of all nodes.
    bool needs(const ggml_tensor *t) const { return needed_.contains(t); }
    bool runs(int unit) const { return running_.contains(unit); }
    double flops() const;

    // After finish: bytes that tensors would take in an arena of their own, and the workspace of all threads.
    struct footprint {
        uint64_t tensors, workspace;

        uint64_t bytes() const { return tensors + workspace; }
    };
    footprint measure() const;

    // After finish: plans and takes the memory of all tensors. Throws failure(AQ_OUT_OF_MEMORY).
    void allocate();
    void allocate(ggml_tensor *output) {
        finish(output);
        allocate();
    }

    // The same with at most `most` bytes of tensors and workspace, or, if that is 0, what is available.
    void allocate_within(uint64_t most);

    // Takes the arena back after another graph had it; inputs are filled after that. Throws failure(AQ_OUT_OF_MEMORY).
    void take_memory();

    // Computes the output. Throws failure(AQ_CANCELLED).
    void run();

    // Whether the last run reached its end.
    bool complete() const { return complete_; }

    // A table of where the time of a complete run went, by names of nodes, longest first.
    std::string profile() const;

    const engine &host() const { return engine_; }
    const adaptation *adapted() const { return adapted_; }
    ggml_tensor *output() const { return output_; }

private:
    using clock = std::chrono::steady_clock;

    struct step {
        graph *owner;
        work what;
        operation run;
        int64_t scratch;  // floats for each thread
        int unit;
        ggml_tensor *output;
        clock::time_point started;  // in the last run
    };
    static void call(ggml_tensor *output, int index, int count, void *userdata);
    step *enrol(work what, int64_t scratch, operation run);

    engine &engine_;
    const adaptation *adapted_;
    std::unique_ptr<ggml_context, releaser<ggml_free>> context_;
    std::shared_ptr<arena> arena_;
    std::vector<std::unique_ptr<step>> steps_;  // in the order in which they run
    bool takes_sums_ = false;
    std::unordered_map<const ggml_tensor *, std::shared_ptr<sums_on_offer>> offers_;
    size_t sums_read_before_ = 0;  // step
    size_t most_sums_ = 0;
    std::vector<double> sums_;
    std::vector<ggml_tensor *> kept_;
    std::unordered_set<const ggml_tensor *> needed_;
    std::unordered_set<int> running_;  // units
    int unit_ = -1;                    // that nodes now belong to; -1 is none
    int64_t largest_scratch() const;

    ggml_cgraph *nodes_ = nullptr;
    ggml_tensor *output_ = nullptr;
    ggml_cplan plan_ = {};
    std::vector<uint8_t> work_;
    clock::time_point ended_;
    bool complete_ = false;
};

}  // namespace aq
