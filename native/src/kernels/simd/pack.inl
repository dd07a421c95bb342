// Panels: `width` rows side by side, [k][width], so that a tile kernel reads vectors across rows.
namespace aq::AQ_ISA {

// Hands out pieces of a thread's scratch; with no memory behind it, it only measures.
struct scratch_space {
    float *base;
    int64_t used;

    float *take(int64_t count) {
        float *piece = base != nullptr ? base + used : nullptr;
        used += round_up(count, 16);
        return piece;
    }
};

// panel[k * width + row] = rows[row][k] for k < depth.
template <int width> static inline void pack_rows(const float *const *rows, int64_t depth, float *panel) {
    static_assert(width % 4 == 0, "panels are transposed 4 x 4");
    const float *from[width];
    for (int row = 0; row < width; row++) from[row] = rows[row];
    int64_t k = 0;
    for (; k + 4 <= depth; k += 4, panel += 4 * width) {
        for (int row = 0; row < width; row += 4) transpose4x4(from + row, panel + row, width);
        for (int row = 0; row < width; row++) from[row] += 4;
    }
    for (; k < depth; k++, panel += width) {
        for (int row = 0; row < width; row++) panel[row] = *from[row]++;
    }
}

}  // namespace aq::AQ_ISA
