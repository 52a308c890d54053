/* Every instruction set's kernels, and which of them this processor can run.
 *
 * The sets are named by hand and chosen at run time with the compiler's own processor check, because the
 * compilers' automatic cloning needs a loader that only some systems have. A compiler without vector types
 * gets plain C.
 */

#include "kernels.h"

#include <string.h>

#if defined(__GNUC__) || defined(__clang__)
#define INLINE static inline __attribute__((always_inline))
#define APART static __attribute__((noinline))
#define VECTOR_TYPES 1
#else
#define INLINE static inline
#define APART static
#define VECTOR_TYPES 0
#endif

#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#elif defined(__GNUC__)
#define UNROLL _Pragma("GCC unroll 64")
#else
#define UNROLL
#endif

#define KERNELS(set, title) {title, step_##set, score_##set, stream_##set, sigmoid_##set, tanh_##set}

#if VECTOR_TYPES && (defined(__x86_64__) || defined(__i386__))
#define X86 1
#else
#define X86 0
#endif

#if X86
#define NAME(x) x##_avx512
#define LANES 16
#define TARGET __attribute__((target("avx512f,avx512dq,avx512vl,avx512bw,fma")))
#define ALONE 4
#define TOGETHER 2
#include "kernel_body.h"
#undef NAME
#undef LANES
#undef TARGET
#undef ALONE
#undef TOGETHER

#define NAME(x) x##_avx2
#define LANES 8
#define TARGET __attribute__((target("avx2,fma")))
#define ALONE 8
#define TOGETHER 2
#include "kernel_body.h"
#undef NAME
#undef LANES
#undef TARGET
#undef ALONE
#undef TOGETHER
#endif

/* SSE2 on x86-64, NEON on ARM64, or what else the compiler makes of vectors of four. */
#define NAME(x) x##_baseline
#if VECTOR_TYPES
#define LANES 4
#else
#define LANES 1
#endif
#define TARGET
#define ALONE 8
#define TOGETHER 2
#include "kernel_body.h"

int available_kernels(const Kernels **kernels, int room) {
    int count = 0;
    static const Kernels baseline = KERNELS(baseline, "baseline");
#if X86
    static const Kernels avx512 = KERNELS(avx512, "avx512");
    static const Kernels avx2 = KERNELS(avx2, "avx2");
    __builtin_cpu_init();
    if (count < room && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw")) {
        kernels[count++] = &avx512;
    }
    if (count < room && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
        kernels[count++] = &avx2;
    }
#endif
    if (count < room) {
        kernels[count++] = &baseline;
    }
    return count;
}
