/* The function attributes, loop pragmas and constants of the kernels. TEXTGEN_SMALL also leaves out the kernels
 * that only benchmarks and tests call. */
#ifndef TEXTGEN_UNROLL_H
#define TEXTGEN_UNROLL_H

#include "../exact.h"

#define INLINE TEXTGEN_INLINE
#define SHARED TEXTGEN_SHARED
#if defined(__GNUC__) || defined(__clang__)
#define NOINLINE static __attribute__((noinline))
#else
#define NOINLINE static
#endif

/* A small build does not contain the function. It is still mentioned, so that compilers do not report it. */
#ifdef TEXTGEN_SMALL
#define ONLY_MEASURED(function) (0 ? (function) : 0)
#else
#define ONLY_MEASURED(function) (function)
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
