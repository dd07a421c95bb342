// Times the kernels on every distinct layer shape of the UNets of SD 1.5 (512 x 512), SD 2.1 (768 x 768) and SDXL
// (1024 x 1024) and of the VAE decoder (512 x 512), alone or next to ggml's operations. Build and run it by
//
//     cmake -S . -B build-bench -DAQUARELLE_BENCH=ON -DAQUARELLE_SKIP_TESTS=ON && cmake --build build-bench -j
//     build-bench/native/bench/bench_layers --family sd15 --threads 2
//
// This builds ggml for the processor of the building machine, as stable-diffusion.cpp does by default; the first line
// printed says for which.
//
// Layers do what they do in a network: they expand weights from memory, read through GroupNorm and SiLU where the
// network does and add bias and residual. Time is the median of turns taken with all others measured for that shape.
#include <stdlib.h>

#include <algorithm>

#include "graph/pick.h"
#include "peak.h"
#include "peers.h"
#include "race.h"

namespace {

using namespace bench;

struct options {
    int threads = std::max(1, (int)std::thread::hardware_concurrency());
    int batch = 1;
    std::string family, filter;
    const aq::kernel_set *kernels = &aq::best_kernels();
    ggml_type type = GGML_TYPE_F16;
    bool all_algorithms = false, ggml = false, quick = false;
};

const char *const usage =
    "bench_layers [--threads N] [--family sd15|sd21|sdxl|vae] [--filter TEXT] [--isa NAME] [--type f16|f32|q8_0|q4_K]\n"
    "             [--batch N] [--all-algorithms] [--ggml] [--quick]\n"
    "  --filter TEXT      only layers whose name contains TEXT: \"3x3\", \"64x64\", \"320>640\"\n"
    "  --isa NAME         avx512, avx2, neon or portable instead of the best of this processor\n"
    "  --all-algorithms   also times each 3x3 convolution directly and by every transform\n"
    "  --ggml             also times ggml's operations on the same shapes\n"
    "  --quick            three rounds for each shape, enough to see that all works\n";

[[noreturn]] void refuse(const std::string &why) {
    fprintf(stderr, "bench_layers: %s; see --help\n", why.c_str());
    exit(2);
}

const aq::kernel_set *kernels_named(const std::string &name) {
    for (const aq::isa set : {aq::isa::portable, aq::isa::neon, aq::isa::avx2, aq::isa::avx512}) {
        const aq::kernel_set *found = aq::find_kernels(set);
        if (found != nullptr && name == found->name) return found;
    }
    refuse("--isa: this processor or build has no '" + name + "'");
}

ggml_type type_named(const std::string &name) {
    for (const ggml_type type : {GGML_TYPE_F16, GGML_TYPE_F32, GGML_TYPE_Q8_0, GGML_TYPE_Q4_K}) {
        if (name == ggml_type_name(type)) return type;
    }
    refuse("--type: no '" + name + "'");
}

int number(const std::string &option, const std::string &text) {
    const int n = atoi(text.c_str());
    if (n < 1 || n > 512) refuse(option + ": a number from 1 to 512, not '" + text + "'");
    return n;
}

options read_options(int count, char **words) {
    options o;
    for (int i = 1; i < count; i++) {
        const std::string option = words[i];
        const auto value = [&]() -> std::string {
            if (i + 1 >= count) refuse(option + ": needs a value");
            return words[++i];
        };
        if (option == "--help") {
            fputs(usage, stdout);
            exit(0);
        } else if (option == "--threads") {
            o.threads = number(option, value());
        } else if (option == "--batch") {
            o.batch = number(option, value());
        } else if (option == "--family") {
            o.family = value();
            if (o.family != "sd15" && o.family != "sd21" && o.family != "sdxl" && o.family != "vae") {
                refuse("--family: no '" + o.family + "'");
            }
        } else if (option == "--filter") {
            o.filter = value();
        } else if (option == "--isa") {
            o.kernels = kernels_named(value());
        } else if (option == "--type") {
            o.type = type_named(value());
        } else if (option == "--all-algorithms") {
            o.all_algorithms = true;
        } else if (option == "--ggml") {
            o.ggml = true;
        } else if (option == "--quick") {
            o.quick = true;
        } else {
            refuse("unknown option '" + option + "'");
        }
    }
    return o;
}

// What all layers are measured with.
struct bench_state {
    explicit bench_state(const options &o)
        : opt(o),
          workers(o.threads),
          pool(o.threads),
          weights(o.type),
          f16(o.type == GGML_TYPE_F16 ? nullptr : new weight_ring(GGML_TYPE_F16)) {}

    // F16 for rows that are no whole blocks of the type asked for.
    weight_ring &ring(int64_t cols) { return weights.fits(cols) || !f16 ? weights : *f16; }
    weight_ring &ring_of_convolutions_in_ggml() { return f16 && ggml_is_quantized(weights.type()) ? *f16 : weights; }

    const options &opt;
    team workers;
    peer_pool pool;
    weight_ring weights;
    std::unique_ptr<weight_ring> f16;
    buffer input, keys, values, output, residual, bias, factors, peer1, peer2;
};

float *random_floats(buffer &b, int64_t count) {
    float *values = b.floats(count);
    fill_random(values, count, 1);
    return values;
}

int64_t weight_columns(const layer &l) { return l.what == kind::conv ? 9 * l.inputs : l.inputs; }

aq::gemm_args product_args(bench_state &s, const layer &l) {
    const int taps = l.what == kind::conv ? 3 : 1, pad = taps / 2;
    const int64_t batch = s.opt.batch, rows = batch * l.out_height() * l.out_width();
    aq::gemm_args g = {};
    g.a = random_floats(s.input, batch * l.height * l.width * l.inputs);
    g.lda = g.channels = l.inputs;
    g.rows = rows;
    if (l.normed) {
        g.scale = random_floats(s.factors, 2 * batch * l.inputs);
        g.offset = g.scale + batch * l.inputs;
        g.silu = true;
    }
    g.view = {taps,
              taps,
              l.stride,
              l.upsample,
              pad,
              pad,
              (int32_t)l.height,
              (int32_t)l.width,
              (int32_t)l.out_height(),
              (int32_t)l.out_width()};
    g.weights = s.ring(weight_columns(l)).matrix(l.outputs, weight_columns(l));
    g.c = s.output.floats(rows * l.outputs);
    g.ldc = g.ldr = l.gated ? l.outputs / 2 : l.outputs;
    g.act = l.gated ? aq::activation::geglu : aq::activation::none;
    g.bias = random_floats(s.bias, l.outputs);
    if (l.inputs == l.outputs && l.stride * l.upsample == 1) g.residual = random_floats(s.residual, rows * l.outputs);
    return g;
}

// `tile` 0 is the direct product.
contender product_by(bench_state &s, const aq::gemm_args &args, int tile) {
    const aq::kernel_set &k = *s.opt.kernels;
    std::string name = args.view.kernel_h == 1 ? "gemm" : "direct";
    if (tile > 0) name = "F(" + std::to_string(tile) + (args.view.upsample == 2 ? ",2)" : ",3)");
    const int64_t scratch = tile == 0 ? k.gemm_scratch(args) : k.winograd_scratch(args, tile);
    return {name,
            [&s, &k, now = args, tile, scratch]() mutable {
                now.weights.data = s.ring(now.weights.cols).next(now.weights.rows, now.weights.cols);
                const auto job = [&](const aq::worker &w) {
                    if (tile == 0) k.gemm(now, w);
                    else k.winograd(now, tile, w);
                };
                return s.workers.run(job, scratch);
            },
            {}};
}

contender attention_by(bench_state &s, const layer &l) {
    const aq::kernel_set &k = *s.opt.kernels;
    const int64_t batch = s.opt.batch;
    aq::attention_args t = {};
    t.q = random_floats(s.input, batch * l.width * l.inputs);
    t.k = random_floats(s.keys, batch * l.keys * l.inputs);
    t.v = random_floats(s.values, batch * l.keys * l.inputs);
    t.out = s.output.floats(batch * l.width * l.inputs);
    t.batch = batch;
    t.queries = l.width;
    t.keys = l.keys;
    t.heads = l.heads;
    t.head_width = l.inputs / l.heads;
    const int64_t scratch = k.attention_scratch(t);
    return {"blocked",
            [&s, &k, t, scratch] { return s.workers.run([&](const aq::worker &w) { k.attention(t, w); }, scratch); },
            {}};
}

contender fma_peak(bench_state &s, double *flops) {
    *flops = 0;
    return {"peak",
            [&s, flops] {
                std::vector<double> done((size_t)s.workers.size());
                const auto job = [&](const aq::worker &w) {
                    done[(size_t)w.index] = fma_loop(s.opt.kernels->set, 100000, w.scratch);
                };
                const double seconds = s.workers.run(job, 64);
                *flops = 0;
                for (const double d : done) *flops += d;
                return seconds;
            },
            {}};
}

struct row {
    layer what;
    int count;
    double flops, seconds, fastest_seconds, peer_seconds, peak;  // for one call of the layer; peak in flops per second
};

// All algorithms that can compute the product, the one that networks use first.
std::vector<int> tiles_for(const bench_state &s, const layer &l, const aq::gemm_args &args) {
    std::vector<int> tiles = {aq::pick_winograd(args, AQ_CONVOLUTION_AUTO, s.opt.kernels->set)};
    if (!s.opt.all_algorithms || l.what != kind::conv || l.stride == 2) return tiles;
    for (const int tile : l.upsample == 2 ? std::vector<int>{0, 4, 6} : std::vector<int>{0, 2, 4, 6}) {
        if (tile != tiles[0]) tiles.push_back(tile);
    }
    return tiles;
}

row measure(bench_state &s, const counted_layer &counted) {
    const layer &l = counted.what;
    double peak_flops;
    std::vector<contender> all = {fma_peak(s, &peak_flops)};
    if (l.what == kind::attention) {
        all.push_back(attention_by(s, l));
    } else {
        const aq::gemm_args args = product_args(s, l);
        for (const int tile : tiles_for(s, l, args)) all.push_back(product_by(s, args, tile));
    }
    const size_t own = all.size();
    std::vector<std::unique_ptr<peer>> peers;
    std::string others;
    if (l.what != kind::attention && s.ring(weight_columns(l)).type() != s.opt.type) others = "  (f16 weights)";
    if (s.opt.ggml) {
        const auto meet = [&](const char *name, peer_way way, weight_ring &ring, buffer &memory) {
            peers.push_back(std::make_unique<peer>(way, l, s.opt.batch, ring, s.pool, memory));
            peer *p = peers.back().get();
            if (p->fits()) all.push_back({name, [p] { return p->run(); }, {}});
            else others += std::string("  (no memory for ") + name + ")";
        };
        if (l.what == kind::conv) {
            meet("conv_2d", peer_way::conv_2d, s.ring_of_convolutions_in_ggml(), s.peer1);
            meet("conv_2d_direct", peer_way::conv_2d_direct, s.ring_of_convolutions_in_ggml(), s.peer2);
        } else if (l.what == kind::linear) {
            meet("mul_mat", peer_way::mul_mat, s.ring(l.inputs), s.peer1);
        } else {
            meet("flash_attn", peer_way::flash_attention, s.weights, s.peer1);
        }
    }
    race(all, 3, s.opt.quick ? 0 : 1);

    row r = {l, counted.count, l.flops() * s.opt.batch, all[1].median(), all[1].median(), 0, 0};
    r.peak = peak_flops / all[0].best();
    for (size_t i = 1; i < all.size(); i++) {
        const double seconds = all[i].median(), best = all[i].best();
        char text[96];
        if (i < own) r.fastest_seconds = std::min(r.fastest_seconds, seconds);
        else r.peer_seconds = r.peer_seconds == 0 ? seconds : std::min(r.peer_seconds, seconds);
        if (i == 1) continue;
        snprintf(text, sizeof text, "  %s %.2f/%.2f", all[i].name.c_str(), seconds * 1e3, best * 1e3);
        others += text;
        if (i < own) continue;
        snprintf(text, sizeof text, " x%.1f", seconds / r.seconds);
        others += text;
    }
    if (r.fastest_seconds < r.seconds) {
        for (size_t i = 1; i < own; i++) {
            if (all[i].median() == r.fastest_seconds) others += "  <- " + all[i].name;
        }
    }
    const double speed = r.flops / r.seconds;
    printf("%-30s %5d  %-8s %9.3f %9.3f %8.1f %6.0f%% %s\n", l.name().c_str(), r.count, all[1].name.c_str(),
           r.seconds * 1e3, all[1].best() * 1e3, speed / 1e9, 100 * speed / r.peak, others.c_str());
    fflush(stdout);
    return r;
}

void print_sums(const bench_state &s, const std::vector<row> &rows) {
    struct sum {
        int count = 0;
        double flops = 0, seconds = 0, fastest = 0, peer = 0, at_peak = 0;
        void add(const row &r) {
            count += r.count;
            flops += r.count * r.flops;
            seconds += r.count * r.seconds;
            fastest += r.count * r.fastest_seconds;
            peer += r.count * r.peer_seconds;
            at_peak += r.count * r.flops / r.peak;
        }
    };
    sum all;
    for (const row &r : rows) all.add(r);
    const auto print = [&](const char *name, const sum &t) {
        printf("%-30s %5d  %-8s %9.1f %8.1f%% %8.1f %6.0f%% ", name, t.count, "", t.seconds * 1e3,
               100 * t.seconds / all.seconds, t.flops / t.seconds / 1e9, 100 * t.at_peak / t.seconds);
        if (s.opt.all_algorithms) printf("  fastest of each: %.1f", t.fastest * 1e3);
        if (s.opt.ggml) printf("  ggml's fastest: %.1f (x%.1f)", t.peer * 1e3, t.peer / t.seconds);
        printf("\n");
    };
    printf("%-30s %5s  %-8s %9s %9s\n", "sum of a call", "count", "", "ms", "share");
    for (const kind what : {kind::conv, kind::linear, kind::attention}) {
        sum t;
        for (const row &r : rows) {
            if (r.what.what == what) t.add(r);
        }
        if (t.count > 0) print(kind_names[(int)what], t);
    }
    print("all", all);
    const auto by_peak = [](const row &a, const row &b) { return a.peak < b.peak; };
    const auto [low, high] = std::minmax_element(rows.begin(), rows.end(), by_peak);
    printf("FMA peak beside these: %.1f to %.1f GFLOP/s%s\n\n", low->peak / 1e9, high->peak / 1e9,
           high->peak > 1.15 * low->peak ? ": the machine was not quiet" : "");
}

std::string without_spaces(std::string text) {
    std::erase(text, ' ');
    return text;
}

// Returns whether there was any layer to measure.
bool measure_family(bench_state &s, const char *title, const network &n) {
    std::vector<counted_layer> chosen;
    for (const counted_layer &l : n.layers) {
        if (without_spaces(l.what.name()).find(without_spaces(s.opt.filter)) != std::string::npos) chosen.push_back(l);
    }
    if (chosen.empty()) return false;
    std::stable_sort(chosen.begin(), chosen.end(),
                     [](const counted_layer &a, const counted_layer &b) { return a.what.what < b.what.what; });
    printf("%s, batch %d\n", title, s.opt.batch);
    printf("%-30s %5s  %-8s %9s %9s %8s %7s  %s\n", "layer (size of the output)", "count", "by", "ms", "best",
           "GFLOP/s", "of peak", s.opt.ggml || s.opt.all_algorithms ? "others, ms median/best" : "");
    std::vector<row> rows;
    for (const counted_layer &l : chosen) rows.push_back(measure(s, l));
    print_sums(s, rows);
    return true;
}

}  // namespace

int main(int count, char **words) {
    const options o = read_options(count, words);
    bench_state s(o);
    printf("%s kernels, %d threads, %s weights", o.kernels->name, o.threads, ggml_type_name(o.type));
    if (o.ggml) {
        printf("; ggml with%s%s%s%s",
               ggml_cpu_has_avx512() ? " AVX-512"
               : ggml_cpu_has_avx2() ? " AVX2"
                                     : "",
               ggml_cpu_has_neon() ? " NEON" : "", ggml_cpu_has_llamafile() ? " llamafile" : "",
               ggml_cpu_has_avx2() || ggml_cpu_has_neon() ? "" : " the plain processor: no fair opponent");
    }
    printf("\n\n");
    const struct {
        const char *family, *title;
        network layers;
    } families[] = {{"sd15", "SD 1.5 UNet, 512 x 512", unet(sd15)},
                    {"sd21", "SD 2.1 UNet, 768 x 768", unet(sd21)},
                    {"sdxl", "SDXL UNet, 1024 x 1024", unet(sdxl)},
                    {"vae", "VAE decoder, 512 x 512", vae_decoder(64)}};
    bool any = false;
    for (const auto &f : families) {
        if (o.family.empty() || o.family == f.family) any = measure_family(s, f.title, f.layers) || any;
    }
    if (!any) refuse("--filter: no layer's name contains '" + o.filter + "'");
    return 0;
}
