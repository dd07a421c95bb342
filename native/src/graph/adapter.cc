#include "graph/adapter.h"

#include <math.h>

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <thread>

#include "ggml.h"
#include "graph/failure.h"
#include "graph/memory.h"
#include "kernels/kernels.h"

namespace aq {

namespace {

[[noreturn]] void reject(const std::string &target, const std::string &why) {
    throw failure(AQ_INVALID_MODEL, "the adapter's change of '" + target + "' " + why);
}

// A dense matrix, row by row.
struct matrix {
    int64_t rows, cols;
    std::vector<float> values;
};

matrix expand(const tensor &t) {
    matrix m = {t.matrix.rows, t.matrix.cols, std::vector<float>((size_t)(t.matrix.rows * t.matrix.cols))};
    best_kernels().expand_rows(t.matrix, 0, m.rows, m.values.data());
    return m;
}

matrix transposed(const matrix &m) {
    matrix t = {m.cols, m.rows, std::vector<float>(m.values.size())};
    for (int64_t r = 0; r < m.rows; r++) {
        for (int64_t c = 0; c < m.cols; c++) t.values[(size_t)(c * m.rows + r)] = m.values[(size_t)(r * m.cols + c)];
    }
    return t;
}

// a b
matrix multiply(const matrix &a, const matrix &b) {
    const matrix columns = transposed(b);
    matrix c = {a.rows, b.cols, std::vector<float>((size_t)(a.rows * b.cols))};
    gemm_args args = {};
    args.a = a.values.data();
    args.lda = args.channels = a.cols;
    args.rows = a.rows;
    args.view = {1, 1, 1, 1, 0, 0, 1, (int32_t)a.rows, 1, (int32_t)a.rows};
    args.weights = {(const uint8_t *)columns.values.data(),
                    columns.cols * 4,
                    columns.rows,
                    columns.cols,
                    storage::f32,
                    1,
                    4,
                    nullptr};
    args.c = c.values.data();
    args.ldc = c.cols;
    std::vector<float> scratch((size_t)best_kernels().gemm_scratch(args) + 16);
    float *aligned = (float *)(((uintptr_t)scratch.data() + 63) & ~(uintptr_t)63);
    best_kernels().gemm(args, {0, 1, aligned, nullptr});
    return c;
}

// [outputs][inputs * taps]
matrix expand(const adapter::factor &f, bool outputs_last) {
    if (!f.b) return expand(*f.a);
    matrix a = expand(*f.a), b = expand(*f.b);
    if (!f.core) return multiply(a, b);
    if (outputs_last) a = transposed(a);
    // inner[p][input][tap] = sum_q core[p][q][tap] b[q][input]
    const matrix core = expand(*f.core);
    const int64_t q = b.rows, inputs = b.cols, taps = core.cols / q;
    matrix by_tap = {core.rows * taps, q, std::vector<float>(core.values.size())};
    for (int64_t p = 0; p < core.rows; p++) {
        for (int64_t t = 0; t < taps; t++) {
            for (int64_t j = 0; j < q; j++) {
                by_tap.values[(size_t)((p * taps + t) * q + j)] = core.values[(size_t)((p * q + j) * taps + t)];
            }
        }
    }
    const matrix products = multiply(by_tap, b);  // [p][tap][input]
    matrix inner = {core.rows, inputs * taps, std::vector<float>(products.values.size())};
    for (int64_t p = 0; p < core.rows; p++) {
        for (int64_t t = 0; t < taps; t++) {
            for (int64_t i = 0; i < inputs; i++) {
                inner.values[(size_t)((p * inputs + i) * taps + t)] =
                    products.values[(size_t)((p * taps + t) * inputs + i)];
            }
        }
    }
    return multiply(a, inner);
}

// [outputs][inputs][taps] of [a][b] and [c][d][taps], with outputs a c and inputs b d.
matrix kronecker(const matrix &left, const matrix &right) {
    matrix k = {left.rows * right.rows, left.cols * right.cols, {}};
    k.values.reserve((size_t)(k.rows * k.cols));
    for (int64_t row = 0; row < k.rows; row++) {
        const float *from = right.values.data() + row % right.rows * right.cols;
        for (int64_t b = 0; b < left.cols; b++) {
            const float x = left.values[(size_t)(row / right.rows * left.cols + b)];
            for (int64_t i = 0; i < right.cols; i++) k.values.push_back(x * from[i]);
        }
    }
    return k;
}

// Outputs and inputs * taps of a factor, which need not be expanded for that.
std::pair<int64_t, int64_t> size_of(const adapter::factor &f, bool outputs_last) {
    const stored_matrix &a = f.a->matrix;
    if (!f.b) return {a.rows, a.cols};
    const int64_t outputs = f.core && outputs_last ? a.cols : a.rows;
    const int64_t taps = f.core ? f.core->matrix.cols / f.b->matrix.rows : 1;
    return {outputs, f.b->matrix.cols * taps};
}

void check_factor(const std::string &target, const adapter::factor &f, bool outputs_last) {
    if (!f.a) reject(target, "lacks a part");
    if (!f.b) {
        if (f.core) reject(target, "lacks a part");
        return;
    }
    for (const std::optional<tensor> *t : {&f.a, &f.b, &f.core}) {
        if (*t && (*t)->shape.size() < 2) reject(target, "has a part that is no matrix");
    }
    const int64_t rank = f.core && outputs_last ? f.a->matrix.rows : f.a->matrix.cols;
    const int64_t inner = f.core ? f.core->matrix.rows : f.b->matrix.rows;
    if (rank != inner) reject(target, "has parts of rank " + std::to_string(rank) + " and " + std::to_string(inner));
    if (f.core && (f.core->shape.size() < 3 || f.core->shape[1] != f.b->matrix.rows)) {
        reject(target, "has a core of shape " + to_string(f.core->shape) + " between parts of other ranks");
    }
}

// Which rows of W an adapter's magnitude is for.
bool by_input(const tensor &magnitude, int64_t inputs) {
    return magnitude.shape.size() > 1 && magnitude.shape[0] == 1 && magnitude.shape[1] == inputs;
}

void check_shape(const std::string &target, const adapter::change &c, const std::vector<int64_t> &shape) {
    int64_t count = 1;
    for (const int64_t side : shape) count *= side;
    const int64_t outputs = shape.size() < 2 ? 1 : shape[0];
    const bool outputs_last = c.kind != AQ_ADAPTER_LORA;
    auto [rows, cols] = size_of(c.first, outputs_last);
    if (c.kind == AQ_ADAPTER_LOKR) {
        const auto [more_rows, more_cols] = size_of(c.second, outputs_last);
        rows *= more_rows;
        cols *= more_cols;
    }
    const bool second_fits =
        c.kind != AQ_ADAPTER_LOHA || size_of(c.second, outputs_last) == std::pair<int64_t, int64_t>(rows, cols);
    const bool whole = c.kind == AQ_ADAPTER_FULL || (rows == outputs && shape.size() >= 2);
    // The core of a LoRA is a kernel of its own, so that inputs and windows must fit one by one.
    const bool core_fits = c.kind != AQ_ADAPTER_LORA || !c.first.core || c.first.b->matrix.cols == shape[1];
    if (!second_fits || !whole || rows * cols != count || !core_fits) {
        reject(target, "is for " + std::to_string(rows) + " outputs of " + std::to_string(cols) +
                           " weights, the model's tensor has shape " + to_string(shape));
    }
    if (c.magnitude) {
        const int64_t numbers = c.magnitude->matrix.rows * c.magnitude->matrix.cols;
        if (shape.size() < 2 || numbers != (by_input(*c.magnitude, shape[1]) ? shape[1] : outputs)) {
            reject(target,
                   "has " + std::to_string(numbers) + " magnitudes, the model's tensor has shape " + to_string(shape));
        }
    }
}

matrix difference(const adapter::change &c) {
    const bool outputs_last = c.kind != AQ_ADAPTER_LORA;
    matrix d = expand(c.first, outputs_last);
    if (c.kind == AQ_ADAPTER_LOHA) {
        const matrix other = expand(c.second, outputs_last);
        for (size_t i = 0; i < d.values.size(); i++) d.values[i] *= other.values[i];
    } else if (c.kind == AQ_ADAPTER_LOKR) {
        d = kronecker(d, expand(c.second, outputs_last));
    }
    for (float &x : d.values) x *= c.scale;
    return d;
}

// From the difference d of the weights to that of the decomposed ones: m (W + d) / |W + d| - W.
void decompose(const tensor &magnitude, const std::vector<int64_t> &shape, const float *weights, matrix &d) {
    const int64_t outputs = shape[0], inputs = shape[1], taps = (int64_t)d.values.size() / outputs / inputs;
    const bool inward = by_input(magnitude, inputs);
    const std::vector<float> m = expand(magnitude).values;
    std::vector<double> squares((size_t)(inward ? inputs : outputs));
    const auto norm_of = [&](int64_t i) { return (size_t)(inward ? i / taps % inputs : i / taps / inputs); };
    for (int64_t i = 0; i < (int64_t)d.values.size(); i++) {
        const double x = (double)weights[i] + d.values[(size_t)i];
        squares[norm_of(i)] += x * x;
    }
    for (int64_t i = 0; i < (int64_t)d.values.size(); i++) {
        const size_t n = norm_of(i);
        const double x = (double)weights[i] + d.values[(size_t)i], norm = sqrt(squares[n]);
        d.values[(size_t)i] = norm > 0 ? (float)(m[n] * x / norm - weights[i]) : 0;
    }
}

std::optional<tensor> optional(const aq_tensor &t, const std::string &target) {
    if (t.data == nullptr) return {};
    const tensor result = checked(t, target);
    if (result.matrix.type == storage::other && result.matrix.expand == nullptr) {
        reject(target, "has a part of a type that cannot hold weights");
    }
    return result;
}

adapter::factor read(const aq_adapter_factor &f, const std::string &target) {
    return {optional(f.a, target), optional(f.b, target), optional(f.core, target)};
}

}  // namespace

adapter::adapter(const aq_adapter_change *changes, uint64_t count) {
    for (uint64_t i = 0; i < count; i++) {
        const aq_adapter_change &from = changes[i];
        if (from.target == nullptr) {
            throw failure(AQ_INVALID_ARGUMENT, "change " + std::to_string(i) + " has no target");
        }
        const std::string target = from.target;
        if (from.kind < AQ_ADAPTER_LORA || from.kind > AQ_ADAPTER_FULL) {
            throw failure(AQ_INVALID_ARGUMENT, "kind " + std::to_string(from.kind) + " of a change is unknown");
        }
        if (!isfinite(from.factor)) reject(target, "has a factor that is no number");
        const change c = {(aq_adapter_kind)from.kind, from.factor, read(from.first, target), read(from.second, target),
                          optional(from.magnitude, target)};
        const bool outputs_last = c.kind != AQ_ADAPTER_LORA;
        check_factor(target, c.first, outputs_last);
        if (c.kind == AQ_ADAPTER_LOHA || c.kind == AQ_ADAPTER_LOKR) check_factor(target, c.second, outputs_last);
        if (c.kind == AQ_ADAPTER_LORA && !c.first.b) reject(target, "lacks a part");
        if (c.kind == AQ_ADAPTER_FULL && c.first.b) reject(target, "has a part too many");
        if (!changes_.emplace(target, c).second) reject(target, "is there twice");
    }
}

namespace {

// Adds scale * D of every adapter to `values`, those of a tensor that is called `target`.
void add_changes(const std::string &target, const std::vector<int64_t> &shape, const std::vector<adapter_use> &adapters,
                 float *values) {
    std::vector<std::pair<const adapter::change *, float>> found;
    for (const adapter_use &use : adapters) {
        const auto at = use.what->changes().find(target);
        if (at == use.what->changes().end()) continue;
        check_shape(target, at->second, shape);
        found.emplace_back(&at->second, use.scale);
    }
    if (found.empty()) return;
    std::vector<matrix> differences;  // all of the plain weights, so that their order does not count
    for (const auto &[c, scale] : found) {
        differences.push_back(difference(*c));
        if (c->magnitude) decompose(*c->magnitude, shape, values, differences.back());
    }
    for (size_t n = 0; n < found.size(); n++) {
        const std::vector<float> &d = differences[n].values;
        for (size_t i = 0; i < d.size(); i++) values[i] += found[n].second * d[i];
    }
}

}  // namespace

void merge(const aq_tensor &from, const std::vector<adapter_use> &adapters, float *values, uint64_t count) {
    const std::string name = from.name;
    const tensor t = checked(from, name);
    const uint64_t size = (uint64_t)(t.matrix.rows * t.matrix.cols);
    if (size != count) {
        throw failure(AQ_INVALID_ARGUMENT,
                      "output_count is " + std::to_string(count) + ", the tensor has " + std::to_string(size));
    }
    if (t.matrix.type == storage::other && t.matrix.expand == nullptr) {
        throw failure(AQ_INVALID_MODEL, "tensor '" + name + "' has a type that cannot hold weights");
    }
    best_kernels().expand_rows(t.matrix, 0, t.matrix.rows, values);
    add_changes(name, t.shape, adapters, values);
    if (t.shape.empty() || t.shape[0] % 3 != 0) return;
    std::vector<int64_t> shape = t.shape;
    shape[0] /= 3;
    for (uint64_t third = 0; third < 3; third++) {
        add_changes(name + "/" + std::to_string(third), shape, adapters, values + third * (size / 3));
    }
}

// A changed copy of a matrix.
struct adaptation::copy {
    std::string target;
    tensor from;
    std::vector<uint8_t> bytes;
    stored_matrix matrix = {};

    // As F32 where the plain weights are, else as F16, which holds those of every other type well enough.
    bool wide() const { return from.matrix.type == storage::f32; }
    size_t size() const { return (size_t)(from.matrix.rows * from.matrix.cols) * (wide() ? 4 : 2); }

    void make(const std::vector<adapter_use> &adapters) {
        aq::matrix m = expand(from);
        add_changes(target, from.shape, adapters, m.values.data());
        bytes.resize(size());
        if (wide()) {
            std::copy(m.values.begin(), m.values.end(), (float *)bytes.data());
        } else {
            ggml_fp32_to_fp16_row(m.values.data(), (ggml_fp16_t *)bytes.data(), (int64_t)m.values.size());
        }
        matrix = {bytes.data(),
                  m.cols * (wide() ? 4 : 2),
                  m.rows,
                  m.cols,
                  wide() ? storage::f32 : storage::f16,
                  1,
                  wide() ? 4 : 2,
                  nullptr};
    }
};

namespace {

// A tensor of the model, or a third of one.
std::optional<tensor> find_target(const weights &all, const std::string &target) {
    const tensor *whole = all.find(target);
    if (whole != nullptr) return *whole;
    const size_t slash = target.rfind('/');
    if (slash == std::string::npos || slash + 2 != target.size()) return {};
    const int third = target[slash + 1] - '0';
    whole = all.find(target.substr(0, slash));
    if (third < 0 || third > 2 || whole == nullptr || whole->shape.empty() || whole->shape[0] % 3 != 0) return {};
    tensor part = *whole;
    part.shape[0] /= 3;
    stored_matrix &m = part.matrix;
    if (part.shape.size() < 2) {  // a vector is a row
        if (m.cols / 3 % m.block != 0) return {};
        m.cols /= 3;
        m.row_bytes /= 3;
        m.data += third * m.row_bytes;
    } else {
        m.rows /= 3;
        m.data += third * m.rows * m.row_bytes;
    }
    part.data = m.data;
    return part;
}

adaptation::low_rank term_of(const adapter::change &c, const tensor &of, float scale) {
    const tensor &up = *c.first.a, &down = *c.first.b;
    const int32_t kernel_h = of.shape.size() == 4 ? (int32_t)of.shape[2] : 1;
    const int32_t kernel_w = of.shape.size() == 4 ? (int32_t)of.shape[3] : 1;
    adaptation::low_rank term;
    term.scale = scale * c.scale;
    term.up = up.matrix;
    term.down.matrix = down.matrix;
    term.down.inputs = of.shape[1];
    term.down.outputs = down.matrix.rows;
    product_layer *windowed = &term.down;
    if (c.first.core) {
        term.core = product_layer{};
        term.core->matrix = c.first.core->matrix;
        term.core->inputs = down.matrix.rows;
        term.core->outputs = c.first.core->matrix.rows;
        windowed = &*term.core;
    }
    windowed->kernel_h = kernel_h;
    windowed->kernel_w = kernel_w;
    return term;
}

// Runs job(0) to job(count - 1) on threads, and throws what one of them threw.
template <class Job> void in_parallel(size_t count, int threads, Job job) {
    std::atomic<size_t> next = 0;
    std::exception_ptr thrown;
    std::mutex gate;
    const auto work = [&] {
        try {
            for (size_t i = next++; i < count; i = next++) job(i);
        } catch (...) {
            const std::lock_guard<std::mutex> lock(gate);
            thrown = std::current_exception();
            next = count;
        }
    };
    std::vector<std::thread> helpers;
    try {
        for (size_t i = 1; i < std::min(count, (size_t)threads); i++) helpers.emplace_back(work);
    } catch (const std::exception &) {
        // the threads that there are do it all
    }
    work();
    for (std::thread &helper : helpers) helper.join();
    if (thrown) std::rethrow_exception(thrown);
}

}  // namespace

adaptation::adaptation(std::vector<adapter_use> adapters, const weights &all, const std::string &prefix, int threads)
    : adapters_(std::move(adapters)) {
    std::unordered_map<std::string, std::vector<std::pair<const adapter::change *, float>>> found;
    for (const adapter_use &use : adapters_) {
        for (const auto &[target, c] : use.what->changes()) {
            if (target.starts_with(prefix)) found[target].emplace_back(&c, use.scale);
        }
    }
    size_t bytes = 0;
    for (const auto &[target, changes] : found) {
        const std::optional<tensor> of = find_target(all, target);
        if (!of) continue;
        if (of->matrix.type == storage::other && of->matrix.expand == nullptr) continue;
        for (const auto &[c, scale] : changes) check_shape(target, *c, of->shape);
        if (of->shape.size() < 2) {
            aq::matrix m = expand(*of);
            add_changes(target, of->shape, adapters_, m.values.data());
            vectors_.emplace(target, std::move(m.values));
            continue;
        }
        // Of the others, no thin product gives the same: LoHa and LoKr have ranks near the layer's own in the files
        // that are made, DoRA scales the weights too, and a full difference has no factors. A changed copy costs memory
        // but no time.
        const bool thin = changes.size() <= most_terms && std::all_of(changes.begin(), changes.end(), [](auto &entry) {
                              return entry.first->kind == AQ_ADAPTER_LORA && !entry.first->magnitude;
                          });
        layer &l = layers_[target];
        if (thin) {
            for (const auto &[c, scale] : changes) l.terms.push_back(term_of(*c, *of, scale));
        } else {
            copies_.push_back(std::make_unique<copy>(copy{target, *of, {}}));
            bytes += copies_.back()->size();
        }
    }
    const uint64_t available = available_memory();
    if (available != 0 && bytes > available) {
        throw failure(AQ_OUT_OF_MEMORY, std::to_string(bytes >> 20) + " MB for adapted weights are needed, " +
                                            std::to_string(available >> 20) + " MB are available; merge the adapters");
    }
    in_parallel(copies_.size(), threads, [&](size_t i) { copies_[i]->make(adapters_); });
    for (const auto &made : copies_) layers_[made->target].matrix = made->matrix;
}

adaptation::~adaptation() = default;

const adaptation::layer *adaptation::find(const std::string &name) const {
    const auto found = layers_.find(name);
    return found == layers_.end() ? nullptr : &found->second;
}

const std::vector<float> &adaptation::vector(const std::string &name, const std::vector<float> &plain) const {
    const auto found = vectors_.find(name);
    return found == vectors_.end() || found->second.size() != plain.size() ? plain : found->second;
}

}  // namespace aq
