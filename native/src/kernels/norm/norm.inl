namespace aq::AQ_ISA {

static int64_t group_norm_scratch(const group_norm_args &g) { return 4 * round_up(g.channels, 16); }

// Adds the values and squares of one run of pixels to the sums of each channel. Within the run float32 sums go around
// its first pixel and the run is short, so they keep their digits whatever the mean is.
static inline void add_moments(const float *x, int64_t stride, int64_t pixels, int64_t channels, double *sum,
                               double *square) {
    for (int64_t c = 0; c < channels; c += lanes) {
        const int64_t n = smaller(lanes, channels - c);
        const auto read = [&](const float *p) { return n == lanes ? load(p) : load_part(p, n); };
        const vf base = read(x + c);
        vf s = set1(0.0f), q = set1(0.0f);
        for (int64_t i = 1; i < pixels; i++) {
            const vf d = read(x + i * stride + c) - base;
            s = s + d;
            q = fma(d, d, q);
        }
        float lane_b[lanes], lane_s[lanes], lane_q[lanes];
        store(lane_b, base);
        store(lane_s, s);
        store(lane_q, q);
        for (int64_t i = 0; i < n; i++) {
            const double away = lane_s[i], moved = (double)pixels * lane_b[i];
            sum[c + i] += moved + away;
            square[c + i] += lane_q[i] + lane_b[i] * (moved + 2 * away);
        }
    }
}

static void add_pixels(const float *x, int64_t stride, int64_t pixels, int64_t channels, double *sum, double *square) {
    constexpr int64_t run = 64;
    for (int64_t p = 0; p < pixels; p += run) {
        add_moments(x + p * stride, stride, smaller(run, pixels - p), channels, sum, square);
    }
}

// Each thread takes channels of its own.
static void channel_sums(const channel_sums_args &s, const worker &w) {
    const int64_t vectors = (s.channels + lanes - 1) / lanes;
    const int64_t first = vectors * w.index / w.count * lanes;
    const int64_t last = smaller(vectors * (w.index + 1) / w.count * lanes, s.channels);
    if (first >= last) return;
    add_pixels(s.x + first, s.channels, s.pixels, last - first, s.sums + first, s.sums + s.channels + first);
}

// Each thread takes whole groups, so it needs nobody else's sums.
static void group_norm(const group_norm_args &g, const worker &w) {
    const int64_t width = g.channels / g.groups, items = g.images * g.groups;
    const int64_t first_item = items * w.index / w.count, last_item = items * (w.index + 1) / w.count;
    const int64_t padded = round_up(g.channels, 16);
    double *own = (double *)w.scratch;

    for (int64_t item = first_item; item < last_item;) {
        const int64_t image = item / g.groups, first_group = item % g.groups;
        const int64_t groups = smaller(last_item - item, g.groups - first_group);
        const int64_t begin = first_group * width, channels = groups * width;
        const float *x = g.x + image * g.pixels * g.channels + begin;
        float *scale = g.factors + image * g.channels + begin, *offset = scale + g.images * g.channels;
        item += groups;

        const double *sum = own, *square = own + padded;
        if (g.sums != nullptr) {
            sum = g.sums + image * 2 * g.channels + begin;
            square = sum + g.channels;
        } else {
            for (int64_t c = 0; c < channels; c++) own[c] = own[padded + c] = 0;
            add_pixels(x, g.channels, g.pixels, channels, own, own + padded);
        }
        for (int64_t group = 0; group < groups; group++) {
            const int64_t c0 = group * width;
            const double count = (double)(g.pixels * width);
            double mean = 0, variance = 0;
            for (int64_t c = c0; c < c0 + width; c++) mean += sum[c] / count;
            for (int64_t c = c0; c < c0 + width; c++) variance += square[c] / count;
            variance = variance > mean * mean ? variance - mean * mean : 0.0;
            const double factor = 1.0 / sqrt(variance + (double)g.epsilon);
            for (int64_t c = c0; c < c0 + width; c++) {
                scale[c] = (float)(factor * (double)g.weight[begin + c]);
                offset[c] = (float)((double)g.bias[begin + c] - mean * factor * (double)g.weight[begin + c]);
            }
        }
    }
}

static void layer_norm(const layer_norm_args &l, const worker &w) {
    const int64_t first = l.rows * w.index / w.count, last = l.rows * (w.index + 1) / w.count;
    for (int64_t row = first; row < last; row++) {
        const float *x = l.x + row * l.channels;
        float *y = l.y + row * l.channels;
        const auto over = [&](auto each) {
            for (int64_t c = 0; c < l.channels; c += lanes) each(c, smaller(lanes, l.channels - c));
        };
        const auto read = [](const float *p, int64_t n) { return n == lanes ? load(p) : load_part(p, n); };
        vf sum = set1(0.0f);
        over([&](int64_t c, int64_t n) { sum = sum + read(x + c, n); });
        const vf mean = set1(horizontal_sum(sum) / (float)l.channels);
        // What rounding took from the mean comes back as `rest`, the mean of x - mean. Lanes beyond the end would count
        // as -mean each, so the last part goes through memory.
        vf difference = set1(0.0f), square = set1(0.0f);
        over([&](int64_t c, int64_t n) {
            float lane[lanes] = {0};
            const vf d = read(x + c, n) - mean;
            store(lane, d);
            const vf kept = n == lanes ? d : load_part(lane, n);
            difference = difference + kept;
            square = fma(kept, kept, square);
        });
        const float rest = horizontal_sum(difference) / (float)l.channels;
        const float moment = horizontal_sum(square) / (float)l.channels;
        const float variance = moment > rest * rest ? moment - rest * rest : 0.0f;
        const vf factor = set1(1.0f / sqrtf(variance + l.epsilon)), away = set1(rest);
        over([&](int64_t c, int64_t n) {
            const vf v = fma((read(x + c, n) - mean - away) * factor, read(l.weight + c, n), read(l.bias + c, n));
            if (n == lanes) store(y + c, v);
            else store_part(y + c, v, n);
        });
    }
}

}  // namespace aq::AQ_ISA
