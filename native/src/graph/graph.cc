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

graph::graph(engine &on, std::shared_ptr<arena> in, const adaptation *adapted)
    : engine_(on), adapted_(adapted), arena_(std::move(in)) {
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

namespace {

struct arguments {
    ggml_tensor *all[GGML_MAX_SRC];
    int count = 0;

    explicit arguments(std::initializer_list<ggml_tensor *> sources) {
        for (ggml_tensor *source : sources) {
            if (source != nullptr) all[count++] = source;
        }
    }
};

}  // namespace

graph::step *graph::enrol(work what, int64_t scratch, operation run) {
    if (steps_.size() + 64 >= most_nodes) throw failure(AQ_INVALID_MODEL, "the network has too many layers");
    steps_.push_back(
        std::unique_ptr<step>(new step{this, std::move(what), std::move(run), scratch, unit_, nullptr, {}}));
    return steps_.back().get();
}

ggml_tensor *graph::node(work what, const extent &shape, std::initializer_list<ggml_tensor *> sources, int64_t scratch,
                         operation run) {
    step *s = enrol(std::move(what), scratch, std::move(run));
    arguments args(sources);
    return s->output = ggml_custom_4d(context_.get(), GGML_TYPE_F32, shape.channels, shape.width, shape.height,
                                      shape.images, args.all, args.count, call, GGML_N_TASKS_MAX, s);
}

ggml_tensor *graph::space(const extent &shape) {
    return node({"space", 0}, shape, {}, 0, [](ggml_tensor *, const worker &) {});
}

ggml_tensor *graph::part(work what, ggml_tensor *whole, std::initializer_list<ggml_tensor *> sources, int64_t scratch,
                         operation run) {
    step *s = enrol(std::move(what), scratch, std::move(run));
    arguments args(sources);
    return s->output = ggml_custom_inplace(context_.get(), whole, args.all, args.count, call, GGML_N_TASKS_MAX, s);
}

graph::~graph() {
    if (arena_->holder == this) arena_->holder = nullptr;
}

void graph::offer(const ggml_tensor *t, std::shared_ptr<sums_on_offer> sums) {
    if (!takes_sums_) return;
    sums->step = steps_.size() - 1;
    offers_[t] = std::move(sums);
}

const graph::sums_on_offer *graph::want_sums(const ggml_tensor *t) {
    const auto found = offers_.find(t);
    if (found == offers_.end() || found->second->wanted || found->second->step < sums_read_before_) return nullptr;
    sums_on_offer *offer = found->second.get();
    offer->wanted = true;
    sums_read_before_ = steps_.size() + 1;
    most_sums_ = std::max(most_sums_, (size_t)(offer->parts * 2 * t->ne[0] * t->ne[3]));
    return offer;
}

void graph::keep(ggml_tensor *t) {
    ggml_set_output(t);
    kept_.push_back(t);
}

void graph::finish(ggml_tensor *output) {
    output_ = output;
    ggml_set_output(output);
    needed_.insert(output);
    needed_.insert(kept_.begin(), kept_.end());
    for (size_t i = steps_.size(); i-- > 0;) {
        const ggml_tensor *t = steps_[i]->output;
        if (!needs(t)) continue;
        for (const ggml_tensor *source : t->src) {
            if (source != nullptr) needed_.insert(source);
        }
    }
    std::erase_if(steps_, [&](const auto &s) { return !needs(s->output); });
    // Node by node: ggml walks the sources of a node recursively, and a deep graph would exhaust the stack.
    for (const auto &s : steps_) {
        ggml_build_forward_expand(nodes_, s->output);
        running_.insert(s->unit);
    }
}

int64_t graph::largest_scratch() const {
    int64_t scratch = 0;
    for (const auto &s : steps_) scratch = std::max(scratch, s->scratch);
    return scratch;
}

graph::footprint graph::measure() const {
    const arena own = {decltype(arena::memory)(ggml_gallocr_new(ggml_backend_cpu_buffer_type()))};
    if (!own.memory) throw failure(AQ_OUT_OF_MEMORY, "no memory for a graph");
    size_t bytes = 0;
    ggml_gallocr_reserve_n_size(own.memory.get(), nodes_, nullptr, nullptr, &bytes);
    return {bytes + most_sums_ * sizeof(double), engine::scratch_bytes(largest_scratch(), engine_.threads())};
}

double graph::flops() const {
    double sum = 0;
    for (const auto &s : steps_) sum += s->what.flops;
    return sum;
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

void graph::allocate_within(uint64_t most) {
    const uint64_t bytes = measure().bytes();
    if (most > 0 && bytes > most) {
        throw failure(AQ_OUT_OF_MEMORY,
                      std::to_string(bytes / 1'000'000 + 1) + " MB for activations are needed, more than may be used");
    }
    allocate();
}

void graph::allocate() {
    take_memory();
    sums_.resize(most_sums_);
    plan_ = ggml_graph_plan(nodes_, engine_.threads(), engine_.pool());
    work_.resize(plan_.work_size);
    plan_.work_data = work_.data();
    plan_.abort_callback = cancelled;
    plan_.abort_callback_data = &engine_;
}

void graph::take_memory() {
    if (arena_->holder == this) return;
    arena_->holder = nullptr;  // ggml may free the memory from here on
    for (ggml_tensor *t = ggml_get_first_tensor(context_.get()); t != nullptr;
         t = ggml_get_next_tensor(context_.get(), t)) {
        if (t->buffer == nullptr) continue;  // not from an arena
        t->buffer = nullptr;
        t->data = nullptr;
    }
    if (!arena_->memory) arena_->memory.reset(ggml_gallocr_new(ggml_backend_cpu_buffer_type()));
    ggml_gallocr *memory = arena_->memory.get();
    if (memory == nullptr) throw failure(AQ_OUT_OF_MEMORY, "no memory for a graph");
    const int64_t scratch = largest_scratch();
    size_t bytes = 0;
    ggml_gallocr_reserve_n_size(memory, nodes_, nullptr, nullptr, &bytes);
    const size_t held = ggml_gallocr_get_buffer_size(memory, 0);  // 0 where too small: it was freed
    // Systems hand out memory that they do not have and kill the process later: ask first.
    const uint64_t available = available_memory();
    const size_t workspace = engine_.missing_scratch(scratch), missing = bytes > held ? bytes - held : 0;
    const std::string need = std::to_string((bytes + workspace) >> 20) + " MB for activations are needed";
    if (available != 0 && missing + workspace > available) {
        throw failure(AQ_OUT_OF_MEMORY, need + ", " + std::to_string(available >> 20) +
                                            " MB are available; use a smaller picture or batch");
    }
    if (!ggml_gallocr_reserve(memory, nodes_) || !ggml_gallocr_alloc_graph(memory, nodes_)) {
        throw failure(AQ_OUT_OF_MEMORY, need + "; use a smaller picture or batch");
    }
    engine_.reserve_scratch(scratch);
    arena_->holder = this;
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
