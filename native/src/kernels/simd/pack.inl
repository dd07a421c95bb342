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
    int64_t k = 0;
    for (; k + 4 <= depth; k += 4, panel += 4 * width) {
        AQ_UNROLL
        for (int row = 0; row < width; row += 4) {
            const float *from[4];
            AQ_UNROLL
            for (int i = 0; i < 4; i++) from[i] = rows[row + i] + k;
            transpose4x4(from, panel + row, width);
        }
    }
    for (; k < depth; k++, panel += width) {
        for (int row = 0; row < width; row++) panel[row] = rows[row][k];
    }
}

}  // namespace aq::AQ_ISA
