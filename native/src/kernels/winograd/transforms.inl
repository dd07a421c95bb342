// One-dimensional Winograd transforms F(m, r): m outputs of an r-tap filter from m + r - 1 products (Winograd 1980;
// Lavin and Gray, arXiv 1509.09308). `input` is B^T d, `filter` is G g, `output` is A^T p; points come in pairs +-x,
// whose even and odd halves are shared. Values lie `step` vectors apart, so that the same code runs along rows and
// columns.
namespace aq::AQ_ISA {

// Points 0, 1, -1 and infinity.
struct winograd_f2k3 {
    static constexpr int outputs = 2, taps = 3, points = 4;

    static inline void input(const vf *d, int from, vf *t, int step) {
        const vf d0 = d[0], d1 = d[from], d2 = d[2 * from], d3 = d[3 * from];
        t[0] = d0 - d2;
        t[step] = d1 + d2;
        t[2 * step] = d2 - d1;
        t[3 * step] = d1 - d3;
    }

    static inline void filter(const vf *g, int from, vf *u, int step) {
        const vf g0 = g[0], g1 = g[from], g2 = g[2 * from];
        const vf even = set1(0.5f) * (g0 + g2), odd = set1(0.5f) * g1;
        u[0] = g0;
        u[step] = even + odd;
        u[2 * step] = even - odd;
        u[3 * step] = g2;
    }

    static inline void output(const vf *p, int from, vf *y, int step) {
        const vf sum = p[from] + p[2 * from], difference = p[from] - p[2 * from];
        y[0] = p[0] + sum;
        y[step] = difference - p[3 * from];
    }
};

// Points 0, 1, -1, 2, -2 and infinity.
struct winograd_f4k3 {
    static constexpr int outputs = 4, taps = 3, points = 6;

    static inline void input(const vf *d, int from, vf *t, int step) {
        const vf d0 = d[0], d1 = d[from], d2 = d[2 * from], d3 = d[3 * from], d4 = d[4 * from], d5 = d[5 * from];
        const vf even1 = fma(set1(-4.0f), d2, d4), odd1 = fma(set1(-4.0f), d1, d3);
        const vf even2 = d4 - d2, odd2 = set1(2.0f) * (d3 - d1);
        t[0] = fma(set1(4.0f), d0, fma(set1(-5.0f), d2, d4));
        t[step] = even1 + odd1;
        t[2 * step] = even1 - odd1;
        t[3 * step] = even2 + odd2;
        t[4 * step] = even2 - odd2;
        t[5 * step] = fma(set1(4.0f), d1, fma(set1(-5.0f), d3, d5));
    }

    static inline void filter(const vf *g, int from, vf *u, int step) {
        const vf g0 = g[0], g1 = g[from], g2 = g[2 * from];
        const vf even1 = set1(-1.0f / 6) * (g0 + g2), odd1 = set1(-1.0f / 6) * g1;
        const vf even2 = fma(set1(1.0f / 24), g0, set1(1.0f / 6) * g2), odd2 = set1(1.0f / 12) * g1;
        u[0] = set1(0.25f) * g0;
        u[step] = even1 + odd1;
        u[2 * step] = even1 - odd1;
        u[3 * step] = even2 + odd2;
        u[4 * step] = even2 - odd2;
        u[5 * step] = g2;
    }

    static inline void output(const vf *p, int from, vf *y, int step) {
        const vf sum1 = p[from] + p[2 * from], difference1 = p[from] - p[2 * from];
        const vf sum2 = p[3 * from] + p[4 * from], difference2 = p[3 * from] - p[4 * from];
        y[0] = p[0] + sum1 + sum2;
        y[step] = fma(set1(2.0f), difference2, difference1);
        y[2 * step] = fma(set1(4.0f), sum2, sum1);
        y[3 * step] = fma(set1(8.0f), difference2, difference1) + p[5 * from];
    }
};

// Points 0, 1, -1, 2, -2, 1/2, -1/2 and infinity.
struct winograd_f6k3 {
    static constexpr int outputs = 6, taps = 3, points = 8;

    static inline void input(const vf *d, int from, vf *t, int step) {
        const vf d0 = d[0], d1 = d[from], d2 = d[2 * from], d3 = d[3 * from];
        const vf d4 = d[4 * from], d5 = d[5 * from], d6 = d[6 * from], d7 = d[7 * from];
        const vf even1 = fma(set1(-4.25f), d4, d2 + d6), odd1 = fma(set1(-4.25f), d3, d1 + d5);
        const vf even2 = fma(set1(0.25f), d2, fma(set1(-1.25f), d4, d6));
        const vf odd2 = fma(set1(0.5f), d1, fma(set1(-2.5f), d3, set1(2.0f) * d5));
        const vf even3 = fma(set1(4.0f), d2, fma(set1(-5.0f), d4, d6));
        const vf odd3 = fma(set1(2.0f), d1, fma(set1(-2.5f), d3, set1(0.5f) * d5));
        t[0] = fma(set1(5.25f), d4 - d2, d0 - d6);
        t[step] = even1 + odd1;
        t[2 * step] = even1 - odd1;
        t[3 * step] = even2 + odd2;
        t[4 * step] = even2 - odd2;
        t[5 * step] = even3 + odd3;
        t[6 * step] = even3 - odd3;
        t[7 * step] = fma(set1(5.25f), d3 - d5, d7 - d1);
    }

    static inline void filter(const vf *g, int from, vf *u, int step) {
        const vf g0 = g[0], g1 = g[from], g2 = g[2 * from];
        const vf even1 = set1(-2.0f / 9) * (g0 + g2), odd1 = set1(-2.0f / 9) * g1;
        const vf even2 = fma(set1(1.0f / 90), g0, set1(2.0f / 45) * g2), odd2 = set1(1.0f / 45) * g1;
        const vf even3 = fma(set1(32.0f / 45), g0, set1(8.0f / 45) * g2), odd3 = set1(16.0f / 45) * g1;
        u[0] = g0;
        u[step] = even1 + odd1;
        u[2 * step] = even1 - odd1;
        u[3 * step] = even2 + odd2;
        u[4 * step] = even2 - odd2;
        u[5 * step] = even3 + odd3;
        u[6 * step] = even3 - odd3;
        u[7 * step] = g2;
    }

    static inline void output(const vf *p, int from, vf *y, int step) {
        const vf sum1 = p[from] + p[2 * from], difference1 = p[from] - p[2 * from];
        const vf sum2 = p[3 * from] + p[4 * from], difference2 = p[3 * from] - p[4 * from];
        const vf sum3 = p[5 * from] + p[6 * from], difference3 = p[5 * from] - p[6 * from];
        y[0] = p[0] + sum1 + sum2 + sum3;
        y[step] = fma(set1(2.0f), difference2, fma(set1(0.5f), difference3, difference1));
        y[2 * step] = fma(set1(4.0f), sum2, fma(set1(0.25f), sum3, sum1));
        y[3 * step] = fma(set1(8.0f), difference2, fma(set1(0.125f), difference3, difference1));
        y[4 * step] = fma(set1(16.0f), sum2, fma(set1(0.0625f), sum3, sum1));
        y[5 * step] = fma(set1(32.0f), difference2, fma(set1(0.03125f), difference3, difference1)) + p[7 * from];
    }
};

// Points 0, 1, -1, 2 and infinity.
struct winograd_f4k2 {
    static constexpr int outputs = 4, taps = 2, points = 5;

    static inline void input(const vf *d, int from, vf *t, int step) {
        const vf d0 = d[0], d1 = d[from], d2 = d[2 * from], d3 = d[3 * from], d4 = d[4 * from];
        const vf odd = d3 - d1;
        t[0] = fma(set1(2.0f), d0 - d2, odd);
        t[step] = fma(set1(-2.0f), d1, d3 - d2);
        t[2 * step] = fma(set1(2.0f), d1, fma(set1(-3.0f), d2, d3));
        t[3 * step] = odd;
        t[4 * step] = fma(set1(-2.0f), odd, d4 - d2);
    }

    static inline void filter(const vf *g, int from, vf *u, int step) {
        const vf g0 = g[0], g1 = g[from];
        u[0] = set1(0.5f) * g0;
        u[step] = set1(-0.5f) * (g0 + g1);
        u[2 * step] = set1(1.0f / 6) * (g1 - g0);
        u[3 * step] = set1(1.0f / 6) * fma(set1(2.0f), g1, g0);
        u[4 * step] = g1;
    }

    static inline void output(const vf *p, int from, vf *y, int step) {
        const vf sum = p[from] + p[2 * from], difference = p[from] - p[2 * from], two = p[3 * from];
        y[0] = p[0] + sum + two;
        y[step] = fma(set1(2.0f), two, difference);
        y[2 * step] = fma(set1(4.0f), two, sum);
        y[3 * step] = fma(set1(8.0f), two, difference) + p[4 * from];
    }
};

// Points 0, 1, -1, 2, -2, 1/2 and infinity.
struct winograd_f6k2 {
    static constexpr int outputs = 6, taps = 2, points = 7;

    static inline void input(const vf *d, int from, vf *t, int step) {
        const vf d0 = d[0], d1 = d[from], d2 = d[2 * from], d3 = d[3 * from];
        const vf d4 = d[4 * from], d5 = d[5 * from], d6 = d[6 * from];
        const vf odd1 = fma(set1(-0.5f), d3, fma(set1(-4.0f), d2, fma(set1(2.0f), d1, d4)));
        const vf even1 = fma(set1(-0.5f), d4, fma(set1(-4.0f), d3, fma(set1(2.0f), d2, d5)));
        const vf odd2 = fma(set1(2.0f), d4 - d2, d1 - d3), even2 = fma(set1(-0.5f), d4 - d2, d5 - d3);
        t[0] = fma(set1(-0.5f), fma(set1(-5.0f), d2, d4), fma(set1(-5.0f), d3, d5)) -
               fma(set1(-4.0f), d1, set1(2.0f) * d0);
        t[step] = even1 + odd1;
        t[2 * step] = even1 - odd1;
        t[3 * step] = even2 + odd2;
        t[4 * step] = even2 - odd2;
        t[5 * step] = fma(set1(-5.0f), d3, d5) - set1(-4.0f) * d1;
        t[6 * step] = fma(set1(-0.5f), fma(set1(-5.0f), d3, d5), fma(set1(-5.0f), d4, d6)) -
                      fma(set1(-4.0f), d2, set1(2.0f) * d1);
    }

    static inline void filter(const vf *g, int from, vf *u, int step) {
        const vf g0 = g[0], g1 = g[from];
        u[0] = set1(-0.5f) * g0;
        u[step] = set1(-1.0f / 3) * (g0 + g1);
        u[2 * step] = set1(1.0f / 9) * (g0 - g1);
        u[3 * step] = set1(1.0f / 36) * fma(set1(2.0f), g1, g0);
        u[4 * step] = set1(1.0f / 60) * fma(set1(2.0f), g1, set1(-1.0f) * g0);
        u[5 * step] = set1(32.0f / 45) * fma(set1(0.5f), g1, g0);
        u[6 * step] = g1;
    }

    static inline void output(const vf *p, int from, vf *y, int step) {
        const vf sum1 = p[from] + p[2 * from], difference1 = p[from] - p[2 * from];
        const vf sum2 = p[3 * from] + p[4 * from], difference2 = p[3 * from] - p[4 * from],
                 half = p[5 * from];  // of the point 1/2
        y[0] = p[0] + sum1 + sum2 + half;
        y[step] = fma(set1(2.0f), difference2, fma(set1(0.5f), half, difference1));
        y[2 * step] = fma(set1(4.0f), sum2, fma(set1(0.25f), half, sum1));
        y[3 * step] = fma(set1(8.0f), difference2, fma(set1(0.125f), half, difference1));
        y[4 * step] = fma(set1(16.0f), sum2, fma(set1(0.0625f), half, sum1));
        y[5 * step] = fma(set1(32.0f), difference2, fma(set1(0.03125f), half, difference1)) + p[6 * from];
    }
};

}  // namespace aq::AQ_ISA
