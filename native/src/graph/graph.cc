#include "graph/graph.h"

#include <stdio.h>

#include <algorithm>
#include <map>
#include <string>
#include <utility>

#include "graph/failure.h"
#include "graph/memory.h"

namespace aq {

namespace {

// Fields of aq_control, which other threads use meanwhile.
int32_t read(const int32_t &field) { return __atomic_load_n(&field, __ATOMIC_RELAXED); }
void write(int32_t &field, int32_t value) { __atomic_store_n(&field, value, __ATOMIC_RELAXED); }
void add(int32_t &field, int32_t value) { __atomic_fetch_add(&field, value, __ATOMIC_RELAXED); }

constexpr size_t most_nodes = 16384;  // an SDXL UNet has about 2,000

bool cancelled(void *data) {
    aq_control *control = ((const engine *)data)->control;
    return control != nullptr && read(control->cancel) != 0;
}

}  // namespace

graph::graph(engine &on) : engine_(on) {
    const size_t bytes = most_nodes * ggml_tensor_overhead() + ggml_graph_overhead_custom(most_nodes, false);
    context_.reset(ggml_init({bytes, nullptr, true}));
    if (!context_) throw failure(AQ_OUT_OF_MEMORY, "no memory for a graph");
    nodes_ = ggml_new_graph_custom(context_.get(), most_nodes, false);
}

ggml_tensor *graph::input(const extent &shape) {
    ggml_tensor *t =
        ggml_new_tensor_4d(context_.get(), GGML_TYPE_F32, shape.channels, shape.width, shape.height, shape.images);
    ggml_set_input(t);
    return t;
}

ggml_tensor *graph::node(work what, const extent &shape, std::initializer_list<ggml_tensor *> sources, int64_t scratch,
                         operation run) {
    if (steps_.size() + 64 >= most_nodes) throw failure(AQ_INVALID_MODEL, "the network has too many layers");
    scratch_ = std::max(scratch_, scratch);
    ggml_tensor *args[GGML_MAX_SRC];
    int count = 0;
    for (ggml_tensor *source : sources) {
        if (source != nullptr) args[count++] = source;
    }
    steps_.push_back(std::unique_ptr<step>(new step{this, std::move(what), std::move(run), {}}));
    ggml_tensor *output = ggml_custom_4d(context_.get(), GGML_TYPE_F32, shape.channels, shape.width, shape.height,
                                         shape.images, args, count, call, GGML_N_TASKS_MAX, steps_.back().get());
    // Node by node: ggml walks the sources of a node recursively, and a deep graph would exhaust the stack.
    ggml_build_forward_expand(nodes_, output);
    return output;
}

void graph::call(ggml_tensor *output, int index, int count, void *userdata) {
    step &s = *(step *)userdata;
    if (index == 0) s.started = clock::now();
    const engine &host = s.owner->engine_;
    aq_control *control = host.control;
    s.run(output, {index, count, host.scratch(index), control != nullptr ? &control->cancel : nullptr});
    if (index == 0 && control != nullptr) {
        add(control->nodes_done, 1);
    }
}

void graph::allocate(ggml_tensor *output) {
    output_ = output;
    ggml_set_output(output);
    memory_.reset(ggml_gallocr_new(ggml_backend_cpu_buffer_type()));
    if (!memory_) throw failure(AQ_OUT_OF_MEMORY, "no memory for a graph");
    size_t bytes = 0;
    ggml_gallocr_reserve_n_size(memory_.get(), nodes_, nullptr, nullptr, &bytes);
    // Systems hand out memory that they do not have and kill the process later: ask first.
    const uint64_t available = available_memory();
    const size_t workspace = engine_.missing_scratch(scratch_);
    const std::string need = std::to_string((bytes + workspace) >> 20) + " MB for activations are needed";
    if (available != 0 && bytes + workspace > available) {
        throw failure(AQ_OUT_OF_MEMORY, need + ", " + std::to_string(available >> 20) +
                                            " MB are available; use a smaller picture or batch");
    }
    if (!ggml_gallocr_reserve(memory_.get(), nodes_) || !ggml_gallocr_alloc_graph(memory_.get(), nodes_)) {
        throw failure(AQ_OUT_OF_MEMORY, need + "; use a smaller picture or batch");
    }
    engine_.reserve_scratch(scratch_);
    plan_ = ggml_graph_plan(nodes_, engine_.threads(), engine_.pool());
    work_.resize(plan_.work_size);
    plan_.work_data = work_.data();
    plan_.abort_callback = cancelled;
    plan_.abort_callback_data = &engine_;
}

void graph::run() {
    aq_control *control = engine_.control;
    if (control != nullptr) {
        write(control->nodes_done, 0);
        write(control->nodes_total, (int32_t)steps_.size());
    }
    complete_ = false;
    const ggml_status status = ggml_graph_compute(nodes_, &plan_);
    ended_ = clock::now();
    // A kernel that sees the request returns early, so a graph that reached its end may still be half computed.
    if (status == GGML_STATUS_ABORTED || cancelled(&engine_)) throw failure(AQ_CANCELLED, "cancelled");
    if (status != GGML_STATUS_SUCCESS) throw failure(AQ_INTERNAL, "ggml could not compute the graph");
    complete_ = true;
}

std::string graph::profile() const {
    struct line {
        int count = 0;
        double seconds = 0, flops = 0;
    };
    std::map<std::string, line> lines;
    double total = 0;
    for (size_t i = 0; i < steps_.size(); i++) {
        // Until the next node starts, so that waiting for the slowest thread counts too.
        const clock::time_point end = i + 1 < steps_.size() ? steps_[i + 1]->started : ended_;
        const double seconds = std::chrono::duration<double>(end - steps_[i]->started).count();
        line &l = lines[steps_[i]->what.name];
        l.count++;
        l.seconds += seconds;
        l.flops += steps_[i]->what.flops;
        total += seconds;
    }
    std::vector<std::pair<std::string, line>> sorted(lines.begin(), lines.end());
    std::sort(sorted.begin(), sorted.end(), [](auto &a, auto &b) { return a.second.seconds > b.second.seconds; });
    std::string text = "      ms   share  GFLOP/s  times  node\n";
    char row[64];
    for (const auto &[name, l] : sorted) {
        snprintf(row, sizeof row, "%8.1f  %5.1f%% %8.0f  %5d  ", l.seconds * 1e3, 100 * l.seconds / total,
                 l.flops / l.seconds / 1e9, l.count);
        text += row + name + "\n";
    }
    snprintf(row, sizeof row, "%8.1f  in all\n", total * 1e3);
    return text + row;
}

}  // namespace aq
