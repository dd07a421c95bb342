namespace aq::AQ_ISA {

static int64_t group_norm_scratch(const group_norm_args &g) { return 4 * round_up(g.channels, 16); }

// Adds the values and squares of pixels to the sums of each channel.
static void add_pixels(const float *x, int64_t stride, int64_t pixels, int64_t channels, double *sum, double *square) {
    constexpr int64_t run = 64;
    for (int64_t p = 0; p < pixels; p += run, x += run * stride) {
        const int64_t count = smaller(run, pixels - p);
        for (int64_t c = 0; c < channels; c += lanes) {
            const int64_t n = smaller(lanes, channels - c);
            const auto read = [&](int64_t i) {
                return n == lanes ? load(x + i * stride + c) : load_part(x + i * stride + c, n);
            };
            run_sums sums = start_run(read(0));
            for (int64_t i = 1; i < count; i++) add_to_run(sums, read(i));
            add_run(sums, count, n, sum + c, square + c);
        }
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

        double *sum = own, *square = own + padded;
        for (int64_t c = 0; c < channels; c++) sum[c] = square[c] = 0;
        if (g.sums == nullptr) add_pixels(x, g.channels, g.pixels, channels, sum, square);
        for (int64_t part = 0; part < g.parts; part++) {
            const double *values = g.sums + (image * g.parts + part) * 2 * g.channels + begin;
            for (int64_t c = 0; c < channels; c++) {
                sum[c] += values[c];
                square[c] += values[g.channels + c];
            }
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

// Over all vectors of a row, the last of which may be a part.
template <class Each> static inline void over_row(int64_t channels, const Each &each) {
    int64_t c = 0;
    for (; c + lanes <= channels; c += lanes) each(c, lanes);
    if (c < channels) each(c, channels - c);
}

static void layer_norm(const layer_norm_args &l, const worker &w) {
    const int64_t first = l.rows * w.index / w.count, last = l.rows * (w.index + 1) / w.count;
    // Copies: what is stored might change the originals, for all that a compiler knows.
    const int64_t channels = l.channels;
    const float *weight = l.weight, *bias = l.bias;
    const auto read = [](const float *p, int64_t n) { return n == lanes ? load(p) : load_part(p, n); };
    for (int64_t row = first; row < last; row++) {
        const float *x = l.x + row * channels;
        float *y = l.y + row * channels;
        vf sum = set1(0.0f);
        over_row(channels, [&](int64_t c, int64_t n) { sum = sum + read(x + c, n); });
        const vf mean = set1(horizontal_sum(sum) / (float)channels);
        // What rounding took from the mean comes back as `rest`, the mean of x - mean. Lanes beyond the end would count
        // as -mean each, so the last part goes through memory.
        vf difference = set1(0.0f), square = set1(0.0f);
        over_row(channels, [&](int64_t c, int64_t n) {
            vf d = read(x + c, n) - mean;
            if (n < lanes) {
                float lane[lanes];
                store(lane, d);
                d = load_part(lane, n);
            }
            difference = difference + d;
            square = fma(d, d, square);
        });
        const float rest = horizontal_sum(difference) / (float)channels;
        const float moment = horizontal_sum(square) / (float)channels;
        const float variance = moment > rest * rest ? moment - rest * rest : 0.0f;
        const vf factor = set1(1.0f / sqrtf(variance + l.epsilon)), away = set1(rest);
        over_row(channels, [&](int64_t c, int64_t n) {
            const vf v = fma((read(x + c, n) - mean - away) * factor, read(weight + c, n), read(bias + c, n));
            if (n == lanes) store(y + c, v);
            else store_part(y + c, v, n);
        });
    }
}

}  // namespace aq::AQ_ISA
