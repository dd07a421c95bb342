#include "graph/stored_rows.h"

namespace aq {

namespace {

uint64_t row_bytes(const extent &shape) {
    return (uint64_t)shape.width * (sizeof(float) + 2 * (uint64_t)shape.channels);
}

}  // namespace

stored_rows::stored_rows(const extent &shape, bool keep)
    : shape_(shape), keep_(keep), rows_((size_t)shape.height), sums_((size_t)(2 * shape.channels)) {}

uint64_t stored_rows::bytes(const extent &shape) { return pages::rounded(row_bytes(shape)) * (uint64_t)shape.height; }

void stored_rows::make(int64_t begin, int64_t end) {
    if (!keep_) return;
    for (int64_t y = begin; y < end; y++) rows_[(size_t)y] = std::make_unique<pages>(row_bytes(shape_));
}

void stored_rows::drop(int64_t end) {
    for (int64_t y = 0; y < end; y++) rows_[(size_t)y].reset();
}

halves_args stored_rows::row(int64_t y, float *x) const {
    float *scales = (float *)(void *)rows_[(size_t)y]->data();
    return {x, (uint8_t *)(scales + shape_.width), scales, shape_.width, shape_.channels};
}

ggml_tensor *load(graph &g, const stored_rows &from, const band &now, int64_t height) {
    extent window = from.shape_;
    const int64_t all = window.height, floats = window.width * window.channels;
    window.height = now.window_count * all / height;
    const kernel_set &kernels = g.host().kernels();
    return g.node({"load rows", 0}, window, {}, 0,
                  [&from, &now, &kernels, all, height, floats, window](ggml_tensor *output, const worker &w) {
                      float *x = (float *)output->data;
                      const int64_t first = now.window * all / height;
                      for (int64_t y = 0; y < window.height; y++) {
                          kernels.from_halves(from.row(first + y, x + y * floats), w);
                      }
                  });
}

ggml_tensor *save(graph &g, ggml_tensor *x, stored_rows &to, const band &now) {
    const kernel_set &kernels = g.host().kernels();
    return g.node({"save rows", 0}, {1, 1, 1, 1}, {x}, 0, [x, &to, &now, &kernels](ggml_tensor *, const worker &w) {
        const extent &shape = to.shape_;
        float *first = (float *)x->data + (now.begin - now.window) * shape.width * shape.channels;
        const int64_t rows = now.end - now.begin;
        for (int64_t y = 0; to.keep_ && y < rows; y++) {
            kernels.to_halves(to.row(now.begin + y, first + y * shape.width * shape.channels), w);
        }
        kernels.channel_sums({first, to.sums_.data(), rows * shape.width, shape.channels}, w);
    });
}

}  // namespace aq
