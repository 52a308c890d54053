/* Compiles learn_body.h once for each instruction set, and chooses a set at run time. The names differ from
 * those of the kernels that generate, which textgen-embed writes to the same file. */

#ifndef _DEFAULT_SOURCE
#define _DEFAULT_SOURCE
#endif

#include "learn.h"

#include "kernels/processor.h"

#include "kernels/kernels.h"

#include <math.h>
#include <string.h>

#if TEXTGEN_AVX512 && defined(__linux__)
#define TEXTGEN_AMX 1
#include <sys/syscall.h>
#include <unistd.h>
#else
#define TEXTGEN_AMX 0
#endif

#if TEXTGEN_X86
#include <cpuid.h>
#include <immintrin.h>
#elif TEXTGEN_NEON
#include <arm_neon.h>
#elif TEXTGEN_VECTORS
#include <wasm_simd128.h>
#endif

#if TEXTGEN_AVX512
#define NAME(x) x##_learn_avx512
#define WIDTH 16
#define TARGET __attribute__((target("avx512f,avx512dq,avx512vl,avx512bw,fma")))
#include "learn_body.h"
#endif

#if TEXTGEN_X86
#define NAME(x) x##_learn_avx2
#define WIDTH 8
#define TARGET __attribute__((target("avx2,fma")))
#include "learn_body.h"
#endif

#define NAME(x) x##_learn_baseline
#define WIDTH (TEXTGEN_VECTORS ? 4 : 1)
#define TARGET
#include "learn_body.h"

#if TEXTGEN_AVX512
#include "learn_bfloat16.h"
#endif

/* products: the suffix of the products, packing: that of the functions that pack their matrices. */
#define LEARN_KERNELS(name, packing, products, set)                                                            \
    static const textgen_learn_kernels kernels_##products = {name,                                             \
                                                             pack_##packing,                                   \
                                                             pack_transposed_##packing,                        \
                                                             multiply_##products,                              \
                                                             multiply_transposed_##products,                   \
                                                             cells_forward_##set,                              \
                                                             cells_backward_##set,                             \
                                                             exponentials_of_##set,                            \
                                                             scale_##set,                                      \
                                                             combine_##set,                                    \
                                                             add_##set,                                        \
                                                             squares_##set,                                    \
                                                             drop_##set,                                       \
                                                             adamw_##set}

#if TEXTGEN_AVX512
LEARN_KERNELS("avx512", learn_avx512, learn_avx512, learn_avx512);
LEARN_KERNELS("avx512bf16", bfloat16, avx512bf16, learn_avx512);
#if TEXTGEN_AMX
LEARN_KERNELS("amx", bfloat16, amx, learn_avx512);
#endif
#endif
#if TEXTGEN_X86
LEARN_KERNELS("avx2", learn_avx2, learn_avx2, learn_avx2);
#endif
LEARN_KERNELS("baseline", learn_baseline, learn_baseline, learn_baseline);

#if TEXTGEN_AVX512
/* Whether the processor has instructions for bfloat16: Intel 64 and IA-32 Architectures Software Developer's
 * Manual, volume 2A, CPUID. */
static bool has_avx512bf16(void) {
    unsigned a, b, c, d;
    return textgen_has_avx512() && __get_cpuid_count(7, 1, &a, &b, &c, &d) && a >> 5 & 1;
}
#endif

#if TEXTGEN_AMX
/* Linux saves the tiles of a process only after a request: Documentation/arch/x86/xstate.rst. It fails without
 * AMX. */
static bool has_amx(void) {
    enum { REQUEST = 0x1023, TILES = 18 };
    unsigned a, b, c, d;
    return has_avx512bf16() && __get_cpuid_count(7, 0, &a, &b, &c, &d) && d >> 22 & 1 && d >> 24 & 1 &&
           syscall(SYS_arch_prctl, REQUEST, TILES) == 0;
}
#endif

const textgen_learn_kernels *textgen_find_learn_kernels(const char *name, bool is_bfloat16) {
#define CHOOSE(label, set, is_supported)                                                                       \
    if ((!name || strcmp(name, label) == 0) && (is_supported)) {                                               \
        return &kernels_##set;                                                                                 \
    }
    if (is_bfloat16) {
#if TEXTGEN_AMX
        CHOOSE("amx", amx, has_amx())
#endif
#if TEXTGEN_AVX512
        CHOOSE("avx512bf16", avx512bf16, has_avx512bf16())
#endif
        return NULL;
    }
#if TEXTGEN_AVX512
    CHOOSE("avx512", learn_avx512, textgen_has_avx512())
#endif
#if TEXTGEN_X86
    CHOOSE("avx2", learn_avx2, textgen_has_avx2())
#endif
    CHOOSE("baseline", learn_baseline, true)
    return NULL;
}
