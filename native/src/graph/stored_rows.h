// An activation of one image that waits between passes over its bands: rows in half precision, each taken and given
// back by itself, and the sums over all of them that GroupNorm needs.
#pragma once

#include <memory>
#include <vector>

#include "graph/memory.h"
#include "graph/nodes.h"

namespace aq {

// A band of rows and the window of rows around it that a pass computes on, in rows of what the pass makes.
struct band {
    int64_t begin, end;            // of the band
    int64_t window, window_count;  // first row and number
};

class stored_rows {
public:
    // Without `keep` rows are only added to the sums.
    stored_rows(const extent &shape, bool keep);

    const extent &shape() const { return shape_; }
    image_sums sums() const { return {sums_.data(), shape_.pixels()}; }

    // Memory for rows; throws std::bad_alloc.
    void make(int64_t begin, int64_t end);

    // Gives back all rows before `end`.
    void drop(int64_t end);

    // Of all rows of such an activation.
    static uint64_t bytes(const extent &shape);

    friend ggml_tensor *save(graph &g, ggml_tensor *x, stored_rows &to, const band &now);
    friend ggml_tensor *load(graph &g, const stored_rows &from, const band &now, int64_t height);

private:
    halves_args row(int64_t y, float *x) const;

    extent shape_;
    bool keep_;
    std::vector<std::unique_ptr<pages>> rows_;  // scales of the pixels, then their halves
    std::vector<double> sums_;
};

// A node that gives the window of `now`, whose rows count as those of a picture of `height` rows: twice or half as many
// as `from` has, or the same number.
ggml_tensor *load(graph &g, const stored_rows &from, const band &now, int64_t height);

// A node that stores the band's rows of x, which is its window.
ggml_tensor *save(graph &g, ggml_tensor *x, stored_rows &to, const band &now);

}  // namespace aq
