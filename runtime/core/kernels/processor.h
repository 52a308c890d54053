/* What the kernels need of the compiler: instruction sets, function attributes, loop pragmas and constants. */
#ifndef TEXTGEN_PROCESSOR_H
#define TEXTGEN_PROCESSOR_H

#include "../exact.h"

#include <stdbool.h>

/* Whether one file can contain functions for several x86-64 instruction sets. */
#if TEXTGEN_VECTORS && defined(__x86_64__)
#define TEXTGEN_X86 1
#else
#define TEXTGEN_X86 0
#endif

/* Define TEXTGEN_SMALL for a smaller program, without the kernels for AVX-512 and for several lanes at once,
 * and without those that only benchmarks call. The texts are the same. */
#if TEXTGEN_X86 && !defined(TEXTGEN_SMALL)
#define TEXTGEN_AVX512 1
#else
#define TEXTGEN_AVX512 0
#endif

#if TEXTGEN_VECTORS && defined(__aarch64__)
#define TEXTGEN_NEON 1
#else
#define TEXTGEN_NEON 0
#endif

#if TEXTGEN_X86
/* Whether the processor and the operating system support AVX2 and FMA, and the same with AVX-512 F, DQ, BW and
 * VL.
 */
bool textgen_has_avx2(void);
bool textgen_has_avx512(void);
#endif

#define INLINE TEXTGEN_INLINE
#define SHARED TEXTGEN_SHARED
#if defined(__GNUC__) || defined(__clang__)
#define NOINLINE static __attribute__((noinline))
#else
#define NOINLINE static
#endif

#define PRAGMA(text) _Pragma(#text)

/* Engines of WebAssembly load values in the order of the code. With several iterations at once, all loads come
 * first and do not fit in the registers. */
#if defined(__wasm__)
#define UNROLL _Pragma("clang loop unroll(full)")
#define UNROLL_BY(count) _Pragma("clang loop unroll(disable)")
#elif defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#define UNROLL_BY(count) PRAGMA(clang loop unroll_count(count))
#elif defined(__GNUC__)
#define UNROLL _Pragma("GCC unroll 64")
#define UNROLL_BY(count) PRAGMA(GCC unroll count)
#else
#define UNROLL
#define UNROLL_BY(count)
#endif

/* Return an array of constants. For WebAssembly, hide from the compiler that they are constants, so that the
 * code loads them: engines make a constant vector from integers wherever it is used, which takes longer. */
INLINE const void *textgen_loaded(const void *constants) {
#if defined(__wasm__)
    __asm__("" : "+r"(constants));
#endif
    return constants;
}

#endif
