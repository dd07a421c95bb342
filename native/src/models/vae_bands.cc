// The autoencoder within a budget of memory: the levels, where pictures are large, in bands; the middle, whose
// attention sees all cells, whole.
#include "graph/failure.h"
#include "graph/memory.h"
#include "models/vae.h"

namespace aq {

namespace {

std::string megabytes(uint64_t bytes) { return std::to_string((bytes + 999'999) / 1'000'000) + " MB"; }

band all_of(const extent &shape) { return {0, shape.height, 0, shape.height}; }

// Fills a graph's input from planes, runs it and stores what `output` gives.
stored_rows run_and_store(graph &g, const float *planes, ggml_tensor *input, ggml_tensor *output) {
    stored_rows rows(extent_of(output), true);
    const band all = all_of(rows.shape());
    g.allocate(save(g, output, rows, all));
    rows.make(all.begin, all.end);
    read_planes(planes, input);
    g.run();
    return rows;
}

}  // namespace

// The levels as units. A convolution that changes the size belongs to the resnet behind it.
std::vector<band_unit> vae::units_of(const half &h, bool encodes) {
    std::vector<band_unit> units;
    band_unit next;
    if (encodes) next.before = &h.conv_in;
    for (const level &l : h.levels) {
        for (const resnet &r : l.blocks) {
            next.block = &r;
            units.push_back(next);
            next = {};
        }
        if (!l.resample) continue;
        if (next.before != nullptr) units.push_back(next);
        next = {&*l.resample, encodes ? resampling::down : resampling::up, nullptr};
    }
    if (next.before != nullptr) units.push_back(next);
    return units;
}

vae::course vae::plan(const aq_vae_call &call, bool encodes) {
    const graph::footprint whole = (encodes ? build_encoder(call) : build_decoder(call)).nodes->measure();
    const uint64_t most = call.max_memory > 0 ? call.max_memory : available_memory();
    if (most == 0 || whole.bytes() <= most) return {whole.bytes(), most, true, {}, {}};

    const half &h = encodes ? *encoder_ : *decoder_;
    const uint64_t left = most > whole.workspace ? most - whole.workspace : 0;
    course how = {0, most, false, units_of(h, encodes), {}};
    graph start(*host), end(*host);
    extent shape = {latent_channels(), call.width, call.height, 1};
    if (encodes) shape = {h.conv_in.inputs, call.width * factor(), call.height * factor(), 1};
    ggml_tensor *x = start.input(shape);
    if (!encodes) x = build_start(start, h, x);
    shape = extent_of(x);
    const uint64_t started = stored_rows::bytes(shape);
    for (const band_unit &unit : how.units) {
        how.plans.push_back(plan_bands(unit, shape, left));
        shape = output_of(unit, shape);
    }
    start.finish(copy(start, x));
    how.bytes = start.measure().tensors + started;
    if (encodes) {
        end.finish(build_end(end, h, end.input(shape)));
        how.bytes = std::max(how.bytes, end.measure().tensors + stored_rows::bytes(shape));
    } else {
        how.plans.push_back(plan_bands(band_end{&h.norm_out, &h.conv_out}, shape, left));
    }
    for (const band_plan &p : how.plans) how.bytes = std::max(how.bytes, p.bytes);
    how.bytes += whole.workspace;
    return how;
}

uint64_t vae::estimate(const aq_vae_call &call, bool encodes) { return plan(call, encodes).bytes; }

void vae::run_in_bands(const aq_vae_call &call, bool encodes, const course &how) {
    if (how.bytes > how.most) {
        throw failure(AQ_OUT_OF_MEMORY, megabytes(how.bytes) + " for activations are needed, " + megabytes(how.most) +
                                            " may be used; use a smaller picture");
    }
    const half &h = encodes ? *encoder_ : *decoder_;
    const uint64_t batch = (uint64_t)call.batch, inputs = call.input_count / batch, outputs = call.output_count / batch;
    for (uint64_t image = 0; image < batch; image++) {
        stored_rows x = start_of(call, encodes, call.input + image * inputs);
        for (size_t i = 0; i < how.units.size(); i++) x = run_bands(*host, how.units[i], how.plans[i], std::move(x));
        float *output = call.output + image * outputs;
        if (!encodes) {
            run_bands(*host, band_end{&h.norm_out, &h.conv_out}, how.plans.back(), std::move(x), output);
            continue;
        }
        graph end(*host);
        const band all = all_of(x.shape());
        end.allocate(build_end(end, h, load(end, x, all, x.shape().height)));
        end.run();
        write_planes(end.output(), output, outputs);
    }
}

// An image, or a latent after the decoder's middle.
stored_rows vae::start_of(const aq_vae_call &call, bool encodes, const float *planes) {
    graph g(*host);
    if (encodes) {
        ggml_tensor *image = g.input({encoder_->conv_in.inputs, call.width * factor(), call.height * factor(), 1});
        return run_and_store(g, planes, image, image);
    }
    ggml_tensor *latent = g.input({latent_channels(), call.width, call.height, 1});
    return run_and_store(g, planes, latent, build_start(g, *decoder_, latent));
}

}  // namespace aq
