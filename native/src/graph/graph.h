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

class graph {
public:
    using operation = std::function<void(ggml_tensor *output, const worker &)>;

    explicit graph(engine &on);

    ggml_tensor *input(const extent &shape);

    // What a profile says of a node; nodes of one name are added up.
    struct work {
        std::string name;
        double flops;  // counted as direct work
    };

    // A node that fills its output from `sources` (at most 9), every thread calling `run`; `scratch` in floats.
    ggml_tensor *node(work what, const extent &shape, std::initializer_list<ggml_tensor *> sources, int64_t scratch,
                      operation run);

    // A tensor beside the output that can be read after a run.
    void keep(ggml_tensor *t) { ggml_set_output(t); }

    // Ends building: plans and allocates the memory of all tensors. Throws failure(AQ_OUT_OF_MEMORY).
    void allocate(ggml_tensor *output);

    // Computes the output. Throws failure(AQ_CANCELLED).
    void run();

    // Whether the last run reached its end.
    bool complete() const { return complete_; }

    // A table of where the time of a complete run went, by names of nodes, longest first.
    std::string profile() const;

    const engine &host() const { return engine_; }
    ggml_tensor *output() const { return output_; }

private:
    using clock = std::chrono::steady_clock;

    struct step {
        graph *owner;
        work what;
        operation run;
        clock::time_point started;  // in the last run
    };
    static void call(ggml_tensor *output, int index, int count, void *userdata);

    template <auto release> struct releaser {
        template <class T> void operator()(T *p) const { release(p); }
    };

    engine &engine_;
    std::unique_ptr<ggml_context, releaser<ggml_free>> context_;
    std::unique_ptr<ggml_gallocr, releaser<ggml_gallocr_free>> memory_;
    std::vector<std::unique_ptr<step>> steps_;  // in the order in which they run
    int64_t scratch_ = 0;                       // floats that the neediest step wants for each thread
    ggml_cgraph *nodes_ = nullptr;
    ggml_tensor *output_ = nullptr;
    ggml_cplan plan_ = {};
    std::vector<uint8_t> work_;
    clock::time_point ended_;
    bool complete_ = false;
};

}  // namespace aq
