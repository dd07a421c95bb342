#include "kernels/kernels.h"

namespace aq {

// Best first; each row enrols one instruction set for the picker, the tests and the benchmark.
#define AQ_ROWS(row) AQ_ROW_AVX512(row) AQ_ROW_AVX2(row) AQ_ROW_NEON(row) row(portable)

#if defined(AQ_HAVE_AVX512)
#define AQ_ROW_AVX512(row) row(avx512)
#else
#define AQ_ROW_AVX512(row)
#endif
#if defined(AQ_HAVE_AVX2)
#define AQ_ROW_AVX2(row) row(avx2)
#else
#define AQ_ROW_AVX2(row)
#endif
#if defined(AQ_HAVE_NEON)
#define AQ_ROW_NEON(row) row(neon)
#else
#define AQ_ROW_NEON(row)
#endif

#define AQ_DECLARE(name)           \
    namespace name {               \
    extern const kernel_set table; \
    }
AQ_ROWS(AQ_DECLARE)

#define AQ_ADDRESS(name) &name::table,
static const kernel_set *const tables[] = {AQ_ROWS(AQ_ADDRESS)};

const kernel_set *find_kernels(isa set) {
    for (const kernel_set *table : tables) {
        if (table->set == set && cpu_supports(set)) return table;
    }
    return nullptr;
}

const kernel_set &best_kernels() {
    for (const kernel_set *table : tables) {
        if (cpu_supports(table->set)) return *table;
    }
    return portable::table;
}

int64_t winograd_tiles(const window &view, int outputs) {
    const int64_t step = (int64_t)view.upsample * outputs, parities = (int64_t)view.upsample * view.upsample;
    return parities * ((view.out_h + step - 1) / step) * ((view.out_w + step - 1) / step);
}

}  // namespace aq
