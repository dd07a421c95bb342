// The same layers by ggml's own operations, on tensors laid out as it wants them: images in NCHW; queries, keys and
// values already split into heads, keys and values already F16. No norm, bias or residual is asked of it.
#pragma once

#include <math.h>

#include <memory>
#include <string>
#include <vector>

#include "ggml-cpu.h"
#include "ggml.h"
#include "graph/memory.h"
#include "layers.h"
#include "ring.h"

namespace bench {

enum class peer_way { conv_2d, conv_2d_direct, mul_mat, flash_attention };

// ggml's pool, whose threads sleep between graphs so as not to disturb other measurements. It wakes them within the
// time measured, some ten microseconds.
class peer_pool {
public:
    explicit peer_pool(int threads) : threads_(threads) {
        ggml_cpu_init();
        ggml_threadpool_params params = ggml_threadpool_params_default(threads);
        params.poll = 0;
        pool_.reset(ggml_threadpool_new(&params));
    }
    int threads() const { return threads_; }
    ggml_threadpool *get() const { return pool_.get(); }

private:
    struct release {
        void operator()(ggml_threadpool *p) const { ggml_threadpool_free(p); }
    };
    int threads_;
    std::unique_ptr<ggml_threadpool, release> pool_;
};

// One layer as a graph.
class peer {
public:
    peer(peer_way way, const layer &l, int64_t batch, weight_ring &weights, peer_pool &pool, buffer &memory)
        : ring_(weights), context_(ggml_init({64 * ggml_tensor_overhead() + ggml_graph_overhead(), nullptr, true})) {
        graph_ = ggml_new_graph(context_.get());
        ggml_build_forward_expand(graph_, build(way, l, batch));
        size_t bytes = 0;
        each([&](ggml_tensor *t) {
            if (t != weights_ && t->view_src == nullptr) bytes += (ggml_nbytes(t) + 63) / 64 * 64;
        });
        const uint64_t available = aq::available_memory();
        fits_ = available == 0 || bytes < available;
        if (!fits_) return;
        uint8_t *at = memory.bytes(bytes);
        each([&](ggml_tensor *t) {
            if (t == weights_ || t->view_src != nullptr) return;
            t->data = at;
            at += (ggml_nbytes(t) + 63) / 64 * 64;
            if (t->op != GGML_OP_NONE) return;
            std::vector<float> values((size_t)ggml_nelements(t));
            fill_random(values.data(), (int64_t)values.size(), 1);
            ggml_quantize_chunk(t->type, values.data(), t->data, 0, ggml_nrows(t), t->ne[0], nullptr);
        });
        plan_ = ggml_graph_plan(graph_, pool.threads(), pool.get());
        work_.resize(plan_.work_size);
        plan_.work_data = work_.data();
    }

    bool fits() const { return fits_; }

    double run() {
        if (weights_ != nullptr) weights_->data = (void *)ring_.next(rows_, cols_);
        each([&](ggml_tensor *t) {
            if (t->view_src != nullptr) t->data = (char *)t->view_src->data + t->view_offs;
        });
        const steady::time_point start = steady::now();
        ggml_graph_compute(graph_, &plan_);
        return seconds_since(start);
    }

private:
    template <class Visit>
    void each(Visit visit) {
        ggml_context *c = context_.get();
        for (ggml_tensor *t = ggml_get_first_tensor(c); t != nullptr; t = ggml_get_next_tensor(c, t)) visit(t);
    }

    ggml_tensor *build(peer_way way, const layer &l, int64_t batch) {
        ggml_context *c = context_.get();
        if (way == peer_way::flash_attention) {
            const int64_t width = l.inputs / l.heads;
            ggml_tensor *q = ggml_new_tensor_4d(c, GGML_TYPE_F32, width, l.width, l.heads, batch);
            ggml_tensor *k = ggml_new_tensor_4d(c, GGML_TYPE_F16, width, l.keys, l.heads, batch);
            ggml_tensor *v = ggml_new_tensor_4d(c, GGML_TYPE_F16, width, l.keys, l.heads, batch);
            return ggml_flash_attn_ext(c, q, k, v, nullptr, 1 / sqrtf((float)width), 0, 0);
        }
        rows_ = l.outputs;
        if (way == peer_way::mul_mat) {
            cols_ = l.inputs;
            weights_ = ggml_new_tensor_2d(c, ring_.type(), l.inputs, l.outputs);
            return ggml_mul_mat(c, weights_, ggml_new_tensor_2d(c, GGML_TYPE_F32, l.inputs, l.width * batch));
        }
        cols_ = 9 * l.inputs;
        weights_ = ggml_new_tensor_4d(c, ring_.type(), 3, 3, l.inputs, l.outputs);
        ggml_tensor *x = ggml_new_tensor_4d(c, GGML_TYPE_F32, l.width, l.height, l.inputs, batch);
        if (l.upsample == 2) x = ggml_upscale(c, x, 2, GGML_SCALE_MODE_NEAREST);
        if (way == peer_way::conv_2d_direct) return ggml_conv_2d_direct(c, weights_, x, l.stride, l.stride, 1, 1, 1, 1);
        return ggml_conv_2d(c, weights_, x, l.stride, l.stride, 1, 1, 1, 1);
    }

    struct release {
        void operator()(ggml_context *c) const { ggml_free(c); }
    };
    weight_ring &ring_;
    std::unique_ptr<ggml_context, release> context_;
    ggml_cgraph *graph_;
    ggml_tensor *weights_ = nullptr;
    int64_t rows_ = 0, cols_ = 0;
    ggml_cplan plan_ = {};
    std::vector<uint8_t> work_;
    bool fits_ = false;
};

}  // namespace bench
