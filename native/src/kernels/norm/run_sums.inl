// Sums of the values and of the squares of channels over a run of pixels. They are float32 sums of distances from the
// run's first pixel, and runs are short, so they keep their digits whatever the mean is.
namespace aq::AQ_ISA {

struct run_sums {
    vf first, distances, squares;
};

static inline run_sums start_run(vf first) { return {first, set1(0.0f), set1(0.0f)}; }

static inline void add_to_run(run_sums &r, vf x) {
    const vf d = x - r.first;
    r.distances = r.distances + d;
    r.squares = fma(d, d, r.squares);
}

// Adds a run of `pixels` to the sums of its first n channels.
static inline void add_run(const run_sums &r, int64_t pixels, int64_t n, double *sum, double *square) {
    float first[lanes], distances[lanes], squares[lanes];
    store(first, r.first);
    store(distances, r.distances);
    store(squares, r.squares);
    for (int64_t i = 0; i < n; i++) {
        const double away = distances[i], moved = (double)pixels * first[i];
        sum[i] += moved + away;
        square[i] += squares[i] + first[i] * (moved + 2 * away);
    }
}

}  // namespace aq::AQ_ISA
