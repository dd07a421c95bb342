#include "models/bands.h"

#include <algorithm>
#include <functional>
#include <vector>

namespace aq {

namespace {

// What a pass holds and does.
struct pass {
    uint64_t kept, given, made;  // bytes of stored rows: those it reads and leaves, reads and gives back, stores
    double floats, work;         // tensors at once and multiply-adds, for each row of its window
    int64_t halo;
};

int64_t reach(const product_layer &layer) { return layer.kernel_h / 2; }

double work_of(const product_layer &layer, int64_t width) {
    return (double)layer.matrix.rows * (double)layer.matrix.cols * (double)width;
}

double row_floats(const extent &e) { return (double)e.channels * (double)e.width; }

extent with_channels(extent e, int64_t channels) {
    e.channels = channels;
    return e;
}

extent resampled(const band_unit &unit, extent e) {
    if (unit.change == resampling::up) e = {e.channels, 2 * e.width, 2 * e.height, e.images};
    if (unit.change == resampling::down) e = {e.channels, e.width / 2, e.height / 2, e.images};
    return unit.before != nullptr ? with_channels(e, unit.before->outputs) : e;
}

// Rows beyond a band that the resnet's output needs, and its middle, in a given plan.
int64_t halo_before(const band_unit &unit, bool stored) {
    if (unit.before == nullptr || stored) return 0;
    // Windows of a doubled picture start at whole rows of its source.
    return unit.change == resampling::up ? (reach(*unit.before) + 1) / 2 * 2 : reach(*unit.before);
}

int64_t even_if_up(const band_unit &unit, int64_t rows) {
    return unit.change == resampling::up ? (rows + 1) / 2 * 2 : rows;
}

int64_t middle_halo(const band_unit &unit, bool store_before) {
    return even_if_up(unit, reach(unit.block->conv1) + halo_before(unit, store_before));
}

int64_t output_halo(const band_unit &unit, bool store_before, bool store_middle) {
    const int64_t last = reach(unit.block->conv2), before = halo_before(unit, store_before);
    return even_if_up(unit, store_middle ? std::max(last, before) : last + reach(unit.block->conv1) + before);
}

std::vector<pass> passes_of(const band_unit &unit, const extent &input, bool store_before, bool store_middle) {
    const extent before = resampled(unit, input);
    const bool again = unit.before != nullptr && !store_before;
    uint64_t source = stored_rows::bytes(input);
    double source_floats = row_floats(before), source_work = 0;  // what the resnet reads, loaded or computed again
    std::vector<pass> passes;
    if (unit.before != nullptr) {
        const double floats = source_floats + row_floats(input) * (double)input.height / (double)before.height;
        const double work = work_of(*unit.before, before.width);
        const uint64_t made = store_before ? stored_rows::bytes(before) : 0;
        passes.push_back({again ? source : 0, again ? 0 : source, made, floats, work, halo_before(unit, false)});
        if (again) {
            source_floats = floats;
            source_work = work;
        } else {
            source = made;
        }
    }
    if (unit.block == nullptr) return passes;
    const resnet &r = *unit.block;
    const extent middle = with_channels(before, r.conv1.outputs), output = with_channels(before, r.outputs());
    const double middle_floats = source_floats + row_floats(middle);
    const double middle_work = source_work + work_of(r.conv1, before.width);
    const uint64_t waiting = store_middle ? stored_rows::bytes(middle) : 0;
    passes.push_back({source, 0, waiting, middle_floats, middle_work, middle_halo(unit, store_before)});
    // With a skip convolution the output takes the place of what the resnet read, if it is not larger.
    const bool replaces = r.skip && output.channels <= before.channels;
    const double floats = middle_floats + row_floats(output) * (r.skip && !replaces ? 2 : 1);
    const double work = (store_middle ? source_work : middle_work) + work_of(r.conv2, before.width) +
                        (r.skip ? work_of(*r.skip, before.width) : 0);
    passes.push_back(
        {0, source + waiting, stored_rows::bytes(output), floats, work, output_halo(unit, store_before, store_middle)});
    return passes;
}

int64_t window_rows(const band_plan &plan, int64_t height, int64_t halo) {
    return std::min(height, plan.rows + 2 * halo);
}

band_plan cost(band_plan plan, const std::vector<pass> &passes, int64_t height) {
    plan.bytes = 0;
    plan.work = 0;
    for (const pass &p : passes) {
        const double window = (double)window_rows(plan, height, p.halo);
        // Rows go and come evenly, so most of them wait in the first band or in the last.
        const double part = std::min(1.0, (double)(plan.rows + 2 * p.halo) / (double)height);
        const double first = (double)p.given + part * (double)p.made, last = part * (double)p.given + (double)p.made;
        const double bytes = (double)p.kept + std::max(first, last) + window * p.floats * sizeof(float);
        plan.bytes = std::max(plan.bytes, (uint64_t)bytes);
        plan.work += (double)plan.bands * window * p.work;
    }
    return plan;
}

bool better(const band_plan &a, const band_plan &b, uint64_t budget) {
    if (a.bytes <= budget && b.bytes <= budget) return a.work < b.work;
    return a.bytes < b.bytes;
}

// Of all numbers of bands of an output of `height` rows; `step` rows must stay together.
band_plan best_of(const std::vector<pass> &passes, int64_t height, int64_t step, band_plan start, uint64_t budget) {
    std::optional<band_plan> best;
    for (int64_t parts = 1; parts <= height / step; parts++) {
        band_plan plan = start;
        plan.rows = ((height + parts - 1) / parts + step - 1) / step * step;
        plan.bands = (height + plan.rows - 1) / plan.rows;
        plan = cost(plan, passes, height);
        if (!best || better(plan, *best, budget)) best = plan;
    }
    return *best;
}

struct source {
    stored_rows *rows;
    bool last_use;  // rows can go as soon as no window needs them
};

// Makes `height` rows band by band. `build` gives the tensor of a window, `done` takes it after each band.
void run_pass(engine &on, const band_plan &plan, int64_t height, int64_t halo, const std::vector<source> &sources,
              const std::function<ggml_tensor *(graph &, const band &)> &build, stored_rows *to,
              const std::function<void(const ggml_tensor *, const band &)> &done) {
    band now = band_at(plan, height, halo, 0);
    graph g(on);
    ggml_tensor *result = build(g, now);
    g.allocate(to != nullptr ? save(g, result, *to, now) : result);
    for (int64_t i = 0; i < plan.bands; i++) {
        now = band_at(plan, height, halo, i);
        if (to != nullptr) to->make(now.begin, now.end);
        g.run();
        if (done) done(result, now);
        const int64_t next = i + 1 < plan.bands ? band_at(plan, height, halo, i + 1).window : height;
        for (const source &s : sources) {
            if (s.last_use) s.rows->drop(next * s.rows->shape().height / height);
        }
    }
}

}  // namespace

band_plan plan_bands(const band_unit &unit, const extent &input, uint64_t budget) {
    const int64_t height = resampled(unit, input).height, step = unit.change == resampling::up ? 2 : 1;
    std::optional<band_plan> best;
    for (const bool store_before : {true, false}) {
        if (!store_before && (unit.before == nullptr || unit.block == nullptr)) continue;
        for (const bool store_middle : {true, false}) {
            const band_plan plan = best_of(passes_of(unit, input, store_before, store_middle), height, step,
                                           {0, 0, store_before, store_middle, 0, 0}, budget);
            if (!best || better(plan, *best, budget)) best = plan;
        }
    }
    return *best;
}

band_plan plan_bands(const band_end &end, const extent &input, uint64_t budget) {
    const extent output = with_channels(input, end.conv->outputs);
    const pass only = {0,
                       stored_rows::bytes(input),
                       0,
                       row_floats(input) + row_floats(output),
                       work_of(*end.conv, input.width),
                       reach(*end.conv)};
    return best_of({only}, input.height, 1, {}, budget);
}

band band_at(const band_plan &plan, int64_t height, int64_t halo, int64_t index) {
    const int64_t begin = index * plan.rows, count = window_rows(plan, height, halo);
    const int64_t window = std::clamp(begin - halo, (int64_t)0, height - count);
    return {begin, std::min(begin + plan.rows, height), window, count};
}

extent output_of(const band_unit &unit, const extent &input) {
    const extent before = resampled(unit, input);
    return unit.block != nullptr ? with_channels(before, unit.block->outputs()) : before;
}

stored_rows run_bands(engine &on, const band_unit &unit, const band_plan &plan, stored_rows input) {
    const extent shape = resampled(unit, input.shape());
    const auto convolve = [&](graph &g, const band &now) {
        ggml_tensor *x = load(g, input, now, shape.height);
        switch (unit.change) {
            case resampling::up: return conv_up(g, x, *unit.before, 2 * x->ne[1], 2 * x->ne[2]);
            case resampling::down: return conv_down(g, x, *unit.before, false);
            default: return conv(g, x, *unit.before);
        }
    };
    std::optional<stored_rows> before;
    const bool again = unit.before != nullptr && !plan.store_before;
    if (unit.before != nullptr) {
        before.emplace(shape, plan.store_before);
        run_pass(on, plan, shape.height, halo_before(unit, false), {{&input, plan.store_before}}, convolve, &*before,
                 nullptr);
        if (unit.block == nullptr) return std::move(*before);
    }
    const resnet &r = *unit.block;
    stored_rows &normed = before ? *before : input, &waiting = again ? input : normed;
    const image_sums sums1 = normed.sums();
    const auto source = [&](graph &g, const band &now) {
        return again ? convolve(g, now) : load(g, normed, now, shape.height);
    };
    const auto half = [&](graph &g, ggml_tensor *x) {
        return conv(g, group_norm(g, x, r.norm1, r.epsilon, true, &sums1), r.conv1);
    };

    stored_rows middle(with_channels(shape, r.conv1.outputs), plan.store_middle);
    run_pass(
        on, plan, shape.height, middle_halo(unit, plan.store_before), {{&waiting, false}},
        [&](graph &g, const band &now) { return half(g, source(g, now)); }, &middle, nullptr);

    const image_sums sums2 = middle.sums();
    stored_rows output(with_channels(shape, r.outputs()), true);
    const auto whole = [&](graph &g, const band &now) {
        ggml_tensor *x = source(g, now), *h = plan.store_middle ? load(g, middle, now, shape.height) : half(g, x);
        epilogue with_skip;
        with_skip.residual = r.skip ? conv(g, x, *r.skip) : x;
        return conv(g, group_norm(g, h, r.norm2, r.epsilon, true, &sums2), r.conv2, with_skip);
    };
    run_pass(on, plan, shape.height, output_halo(unit, plan.store_before, plan.store_middle),
             {{&waiting, true}, {&middle, true}}, whole, &output, nullptr);
    return output;
}

void run_bands(engine &on, const band_end &end, const band_plan &plan, stored_rows input, float *planes) {
    const extent shape = input.shape();
    const image_sums sums = input.sums();
    const auto build = [&](graph &g, const band &now) {
        return conv(g, group_norm(g, load(g, input, now, shape.height), *end.norm, 1e-6f, true, &sums), *end.conv);
    };
    const auto write = [&](const ggml_tensor *x, const band &now) {
        const int64_t channels = x->ne[0];
        const float *pixel = values(x) + (now.begin - now.window) * shape.width * channels;
        for (int64_t p = now.begin * shape.width; p < now.end * shape.width; p++) {
            for (int64_t c = 0; c < channels; c++) planes[c * shape.pixels() + p] = *pixel++;
        }
    };
    run_pass(on, plan, shape.height, reach(*end.conv), {{&input, true}}, build, nullptr, write);
}

}  // namespace aq
