namespace aq::AQ_ISA {

static void geglu(const geglu_args &g, const worker &w) {
    const int64_t first = g.rows * w.index / w.count, last = g.rows * (w.index + 1) / w.count;
    for (int64_t row = first; row < last; row++) {
        const float *x = g.x + row * 2 * g.channels, *gate = x + g.channels;
        float *y = g.y + row * g.channels;
        int64_t c = 0;
        for (; c + lanes <= g.channels; c += lanes) store(y + c, load(x + c) * gelu(load(gate + c)));
        const int64_t n = g.channels - c;
        if (n > 0) store_part(y + c, load_part(x + c, n) * gelu(load_part(gate + c, n)), n);
    }
}

static void silu(const silu_args &s, const worker &w) {
    const int64_t last = s.count * (w.index + 1) / w.count;
    int64_t i = s.count * w.index / w.count;
    for (; i + lanes <= last; i += lanes) store(s.y + i, silu(load(s.x + i)));
    if (i < last) store_part(s.y + i, silu(load_part(s.x + i, last - i)), last - i);
}

}  // namespace aq::AQ_ISA
