/* The C library's exp differs between systems in the last bit, which could change a draw. This one uses only
 * additions and multiplications. IEEE 754 defines their rounding, so as long as the compiler does not fuse
 * them, every system and vector width gives the same results. */

#include "exp64.h"
#include "kernels/processor.h"

#include <stdint.h>
#include <string.h>

/* TEXTGEN_SMALL makes the program smaller, and slower. */
#if defined(TEXTGEN_SMALL)
#define AT_ONCE(vectors) 1
#else
#define AT_ONCE(vectors) (vectors)
#endif

#if TEXTGEN_AVX512
#define NAME(x) x##64_avx512
#define WIDTH 8
#define VECTORS AT_ONCE(4)
#define TARGET __attribute__((target("avx512f,avx512dq,avx512bw,avx512vl")))
#include "exp64_body.h"
#endif

#if TEXTGEN_X86
#define NAME(x) x##64_avx2
#define WIDTH 4
#define VECTORS AT_ONCE(8)
#define TARGET __attribute__((target("avx2")))
#include "exp64_body.h"
#endif

#define NAME(x) x##64_baseline
#if TEXTGEN_VECTORS
#define WIDTH 2
#else
#define WIDTH 1
#endif
#define VECTORS AT_ONCE(4)
#define TARGET
#include "exp64_body.h"

#if TEXTGEN_X86
static bool is(const char *kernels, const char *name) { return kernels && strcmp(kernels, name) == 0; }
#endif

textgen_exp64 textgen_find_exp64(const char *kernels) {
#if TEXTGEN_AVX512
    if (textgen_has_avx512() && !is(kernels, "avx2") && !is(kernels, "baseline")) {
        return exponentials64_avx512;
    }
#endif
#if TEXTGEN_X86
    if (textgen_has_avx2() && !is(kernels, "baseline")) {
        return exponentials64_avx2;
    }
#else
    (void)kernels;
#endif
    return exponentials64_baseline;
}
