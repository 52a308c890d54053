/* For files whose arithmetic must round alike everywhere: what a compiler may not do with it. */
#ifndef TEXTGEN_EXACT_H
#define TEXTGEN_EXACT_H

#include <float.h>

/* No code can undo these flags, which change texts and hide NaN. */
#if defined(__FAST_MATH__) || defined(__ASSOCIATIVE_MATH__) || defined(__RECIPROCAL_MATH__) ||                 \
    defined(_M_FP_FAST) || (defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__ > 0)
#error "textgen needs exact arithmetic: compile without -ffast-math and its parts (add -fno-fast-math)"
#endif
/* 16 says that half precision alone is not widened. */
#if FLT_EVAL_METHOD != 0 && FLT_EVAL_METHOD != 16
#error "textgen needs arithmetic without excess precision: on 32-bit x86 compile with -msse2 -mfpmath=sse"
#endif

/* ROUND(product): round a variable here, so that no addition is fused with its multiplication. The pragmas that
 * should forbid it do not: clang ignores them under -ffp-contract=fast, and gcc has none but its own. A
 * compiler must not look through an empty piece of assembly, whatever its flags are. */
#if defined(__wasm__)
#define TEXTGEN_ROUND(product) ((void)0) /* it has no fused additions */
#elif (defined(__GNUC__) || defined(__clang__)) && defined(__SSE2__)
#define TEXTGEN_ROUND(product) __asm__("" : "+x"(product))
#elif (defined(__GNUC__) || defined(__clang__)) && (defined(__aarch64__) || defined(__ARM_NEON))
#define TEXTGEN_ROUND(product) __asm__("" : "+w"(product))
#elif defined(__GNUC__) || defined(__clang__)
#define TEXTGEN_ROUND(product) __asm__("" : "+m"(product)) /* by way of memory, which every processor has */
#else
#pragma STDC FP_CONTRACT OFF
#define TEXTGEN_ROUND(product) ((void)0)
#endif

/* clang names no macro for -fassociative-math and -freciprocal-math alone, but obeys these. */
#if defined(__clang__)
#pragma clang fp reassociate(off)
#if __clang_major__ >= 19
#pragma clang fp reciprocal(off)
#endif
#endif

/* Traps and error numbers, which nothing here looks at, would keep gcc from making vectors of exact
 * arithmetic. */
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("no-trapping-math", "no-math-errno")
#endif

#if defined(__GNUC__) || defined(__clang__)
#define TEXTGEN_INLINE static inline __attribute__((always_inline))
#else
#define TEXTGEN_INLINE static inline
#endif

/* Whether the compiler has vector types. TEXTGEN_PLAIN_C asks for the code of one that does not. */
#if (defined(__GNUC__) || defined(__clang__)) && !defined(TEXTGEN_PLAIN_C)
#define TEXTGEN_VECTORS 1
#else
#define TEXTGEN_VECTORS 0
#endif

#endif
