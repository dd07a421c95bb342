// Elementary functions on vectors.
#if defined(__GNUC__)
#define AQ_UNROLL _Pragma("GCC unroll 16")
#define AQ_UNROLL_STEPS _Pragma("GCC unroll steps_at_once")
#else
#define AQ_UNROLL
#define AQ_UNROLL_STEPS
#endif

namespace aq::AQ_ISA {

// Asks for a cache line that is needed soon, into the second cache; any address will do.
#if defined(__GNUC__)
static inline void prefetch(const void *p) { __builtin_prefetch(p, 0, 2); }
#else
static inline void prefetch(const void *) {}
#endif

static inline int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
static constexpr int64_t round_up(int64_t n, int64_t to) { return (n + to - 1) / to * to; }

// Loads the first n < lanes values, zeros behind them.
static inline vf load_part(const float *p, int64_t n) {
    float lane[lanes] = {0};
    memcpy(lane, p, (size_t)n * sizeof(float));
    return load(lane);
}

static inline void store_part(float *p, vf x, int64_t n) {
    float lane[lanes];
    store(lane, x);
    memcpy(p, lane, (size_t)n * sizeof(float));
}

// Over all lanes, by halves, so that few steps wait for each other.
static inline float horizontal_sum(vf x) {
    float lane[lanes];
    store(lane, x);
    AQ_UNROLL
    for (int half = lanes / 2; half > 0; half /= 2) {
        AQ_UNROLL
        for (int i = 0; i < half; i++) lane[i] += lane[i + half];
    }
    return lane[0];
}

static inline float horizontal_max(vf x) {
    float lane[lanes];
    store(lane, x);
    AQ_UNROLL
    for (int half = lanes / 2; half > 0; half /= 2) {
        AQ_UNROLL
        for (int i = 0; i < half; i++) lane[i] = lane[i + half] > lane[i] ? lane[i + half] : lane[i];
    }
    return lane[0];
}

// 2^x for -126 <= x <= 127, of `count` vectors: 2^n 2^r with n = round(x) and a polynomial whose largest error over 2^r
// is the least that degree 5 allows (7.5e-8, with rounding 2.1e-7). Each step is done for all vectors before the next
// one, so that processors find work without looking far ahead.
template <int count> static inline void exp2_each(vf *x) {
    const vf shift = set1(12582912.0f);  // 1.5 * 2^23: what is left of x beside it is round(x)
    constexpr float factors[] = {1.3276472e-3f, 9.6755415e-3f, 5.5507133e-2f, 2.4022120e-1f, 6.9314697e-1f, 1.0000001f};
    vf n[count], p[count];
    AQ_UNROLL
    for (int i = 0; i < count; i++) n[i] = (x[i] + shift) - shift;
    AQ_UNROLL
    for (int i = 0; i < count; i++) x[i] = x[i] - n[i];
    AQ_UNROLL
    for (int i = 0; i < count; i++) p[i] = set1(factors[0]);
    AQ_UNROLL
    for (int k = 1; k < 6; k++) {
        AQ_UNROLL
        for (int i = 0; i < count; i++) p[i] = fma(p[i], x[i], set1(factors[k]));
    }
    AQ_UNROLL
    for (int i = 0; i < count; i++) x[i] = times_power_of_two(p[i], n[i]);
}

static inline vf exp2(vf x) {
    exp2_each<1>(&x);
    return x;
}

// The same for x <= 0. Below -126 the result is that of -126, about 1e-38, so never subnormal. NaN stays NaN: of two
// operands x86 and the portable min and max return the second one then.
template <int count> static inline void exp2_of_negatives(vf *x) {
    AQ_UNROLL
    for (int i = 0; i < count; i++) x[i] = max(set1(-126.0f), x[i]);
    exp2_each<count>(x);
}

static inline vf exp2_of_negative(vf x) {
    exp2_of_negatives<1>(&x);
    return x;
}

// 1 / (1 + e^-x). The argument of 2^x is rounded, so small results are off by 7e-8 |x| of themselves.
static inline vf sigmoid(vf x) {
    return reciprocal(set1(1.0f) + exp2(min(set1(126.0f), max(set1(-126.0f), x * set1(-1.44269504f)))));
}
static inline vf silu(vf x) { return x * sigmoid(x); }
static inline vf quick_gelu(vf x) { return x * sigmoid(set1(1.702f) * x); }

// erf(x) = 1 - (a1 t + ... + a5 t^5) e^(-x^2), t = 1 / (1 + p |x|): Abramowitz and Stegun 7.1.26, error <= 1.5e-7.
static inline vf erf(vf x) {
    const vf z = min(set1(10.0f), abs(x)), t = reciprocal(fma(set1(0.3275911f), z, set1(1.0f)));
    vf p = set1(1.061405429f);
    p = fma(p, t, set1(-1.453152027f));
    p = fma(p, t, set1(1.421413741f));
    p = fma(p, t, set1(-0.284496736f));
    p = fma(p, t, set1(0.254829592f));
    return copy_sign(set1(1.0f) - p * t * exp2_of_negative(z * z * set1(-1.44269504f)), x);
}

static inline vf gelu(vf x) {
    const vf half = set1(0.5f) * x;
    return fma(half, erf(x * set1(0.70710678f)), half);
}

}  // namespace aq::AQ_ISA
