// A small test harness; each file that includes it becomes one executable.
//
//     TEST(adds) { CHECK(1 + 1 == 2); }
//
// Words on the command line pick the tests whose names contain one of them.
#pragma once

#include <math.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <vector>

namespace test {

struct test_case {
    const char *name;
    void (*run)();
};

inline std::vector<test_case> &cases() {
    static std::vector<test_case> all;
    return all;
}

struct registration {
    registration(const char *name, void (*run)()) { cases().push_back({name, run}); }
};

inline int failures = 0;   // of the running test
inline double worst = 0;   // its largest error as a share of the limit
inline char context[256];  // what it is doing, printed with a failure

#if defined(__GNUC__)
__attribute__((format(printf, 1, 2)))
#endif
inline void
describe(const char *format, ...) {
    va_list values;
    va_start(values, format);
    vsnprintf(context, sizeof context, format, values);
    va_end(values);
}

// Where a check stands, for its message.
struct place {
    const char *file;
    int line;
    const char *what;

    bool fail(const char *detail) const {
        if (++failures <= 10) printf("%s:%d: %s: %s [%s]\n", file, line, what, detail, context);
        return false;
    }
};

inline bool check(bool holds, const place &at) { return holds || at.fail("does not hold"); }

// Whether |actual - expected| <= limit everywhere; a value that is no number is never close.
template <class A, class E> bool check_near(const A &actual, const E &expected, double limit, const place &at) {
    if (actual.size() != expected.size()) return at.fail("sizes differ");
    double most = 0;
    size_t where = 0;
    for (size_t i = 0; i < expected.size(); i++) {
        const double error = fabs((double)actual[i] - (double)expected[i]);
        if (error > most || isnan(error)) {
            most = error;
            where = i;
            if (isnan(error)) break;
        }
    }
    if (limit > 0 && most / limit > worst) worst = most / limit;
    if (most <= limit) return true;
    char detail[160];
    snprintf(detail, sizeof detail, "element %zu is %.9g instead of %.9g, off by %.3g, limit %.3g", where,
             (double)actual[where], (double)expected[where], most, limit);
    return at.fail(detail);
}

// The same with a limit relative to max |expected|.
template <class A, class E> bool check_close(const A &actual, const E &expected, double limit, const place &at) {
    double largest = 0;
    for (const auto x : expected) largest = fmax(largest, fabs((double)x));
    return check_near(actual, expected, limit * largest, at);
}

// The same numbers on every machine: SplitMix64 (Steele, Lea and Flood, OOPSLA 2014).
class random_numbers {
public:
    explicit random_numbers(uint64_t seed) : state(seed) {}

    uint64_t bits() {
        uint64_t z = state += 0x9e3779b97f4a7c15u;
        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
        z = (z ^ z >> 27) * 0x94d049bb133111ebu;
        return z ^ z >> 31;
    }
    int between(int first, int last) { return first + (int)(bits() % (uint64_t)(last - first + 1)); }
    bool coin() { return (bits() & 1) != 0; }
    // Evenly spread over [-size, size).
    float even(double size) { return (float)(((double)(bits() >> 11) * 0x1p-52 - 1) * size); }

    std::vector<float> values(int64_t count, double size = 1) {
        std::vector<float> v((size_t)count);
        for (float &x : v) x = even(size);
        return v;
    }

private:
    uint64_t state;
};

inline int run_all(int words, char **word) {
    int passed = 0, failed = 0;
    for (const test_case &c : cases()) {
        bool wanted = words == 0;
        for (int i = 0; i < words; i++) wanted = wanted || strstr(c.name, word[i]) != nullptr;
        if (!wanted) continue;
        failures = 0;
        worst = 0;
        context[0] = 0;
        c.run();
        if (worst > 0) printf("%-6s %s (largest error %.2g of its limit)\n", failures ? "FAILED" : "ok", c.name, worst);
        else printf("%-6s %s\n", failures ? "FAILED" : "ok", c.name);
        fflush(stdout);
        (failures ? failed : passed)++;
    }
    printf("%d passed, %d failed\n", passed, failed);
    return failed > 0 || passed == 0 ? 1 : 0;
}

}  // namespace test

#define TEST(name)                                                    \
    static void test_##name();                                        \
    static const test::registration enrol_##name(#name, test_##name); \
    static void test_##name()

#define AQ_PLACE(what) (test::place{__FILE__, __LINE__, what})
#define CHECK(condition) test::check((condition), AQ_PLACE(#condition))
#define CHECK_NEAR(actual, expected, limit) test::check_near(actual, expected, limit, AQ_PLACE(#actual))
#define CHECK_CLOSE(actual, expected, limit) test::check_close(actual, expected, limit, AQ_PLACE(#actual))

int main(int count, char **words) { return test::run_all(count - 1, words + 1); }
