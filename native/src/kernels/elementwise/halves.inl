namespace aq::AQ_ISA {

// The power of two that takes `largest` to [2^14, 2^15), as far as float32 has it, and its inverse too.
static inline float scale_to_halves(float largest) {
    uint32_t bits;
    memcpy(&bits, &largest, sizeof bits);
    const int32_t exponent = 127 + 14 + 127 - (int32_t)(bits >> 23 & 0xff);
    bits = (uint32_t)(exponent > 253 ? 253 : exponent) << 23;
    float scale;
    memcpy(&scale, &bits, sizeof scale);
    return scale;
}

static void to_halves(const halves_args &h, const worker &w) {
    const int64_t first = h.pixels * w.index / w.count, last = h.pixels * (w.index + 1) / w.count;
    const int64_t whole = h.channels / lanes * lanes, rest = h.channels - whole;
    for (int64_t pixel = first; pixel < last; pixel++) {
        const float *x = h.x + pixel * h.channels;
        uint8_t *to = h.halves + 2 * pixel * h.channels;
        vf most = set1(0.0f);
        for (int64_t c = 0; c < whole; c += lanes) most = max(most, abs(load(x + c)));
        if (rest > 0) most = max(most, abs(load_part(x + whole, rest)));
        const float scale = scale_to_halves(horizontal_max(most));
        h.scales[pixel] = 1.0f / scale;
        for (int64_t c = 0; c < whole; c += lanes) store_f16(to + 2 * c, load(x + c) * set1(scale));
        if (rest > 0) {
            uint8_t part[2 * lanes];
            store_f16(part, load_part(x + whole, rest) * set1(scale));
            memcpy(to + 2 * whole, part, (size_t)rest * 2);
        }
    }
}

static void from_halves(const halves_args &h, const worker &w) {
    const int64_t first = h.pixels * w.index / w.count, last = h.pixels * (w.index + 1) / w.count;
    for (int64_t pixel = first; pixel < last; pixel++) {
        const vf scale = set1(h.scales[pixel]);
        const auto values = [scale](const uint8_t *p) { return load_f16(p) * scale; };
        expand_halves(h.halves + 2 * pixel * h.channels, h.channels, h.x + pixel * h.channels, values);
    }
}

}  // namespace aq::AQ_ISA
