namespace aq::AQ_ISA {

static void silu(const silu_args &s, const worker &w) {
    const int64_t last = s.count * (w.index + 1) / w.count;
    int64_t i = s.count * w.index / w.count;
    for (; i + lanes <= last; i += lanes) store(s.y + i, silu(load(s.x + i)));
    if (i < last) store_part(s.y + i, silu(load_part(s.x + i, last - i)), last - i);
}

}  // namespace aq::AQ_ISA
