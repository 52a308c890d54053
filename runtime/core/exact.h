/* Compiler settings for files whose arithmetic must give the same results with every compiler. */
#ifndef TEXTGEN_EXACT_H
#define TEXTGEN_EXACT_H

#include <float.h>

/* These flags change results and hide NaN, and no pragma can undo them. */
#if defined(__FAST_MATH__) || defined(__ASSOCIATIVE_MATH__) || defined(__RECIPROCAL_MATH__) ||                 \
    defined(_M_FP_FAST) || (defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__ > 0)
#error "textgen needs exact arithmetic: compile without -ffast-math or its parts (add -fno-fast-math)"
#endif
/* 16 differs from 0 only for half precision. */
#if FLT_EVAL_METHOD != 0 && FLT_EVAL_METHOD != 16
#error "textgen needs arithmetic without excess precision: on 32-bit x86 compile with -msse2 -mfpmath=sse"
#endif

/* ROUND(product): force a product to be rounded before it is added to anything, so that the compiler cannot
 * fuse the two operations. The pragmas for this are not enough: clang ignores them under -ffp-contract=fast,
 * and gcc does not support the standard one. An empty assembly statement works with all flags. */
#if defined(__wasm__) && !defined(__wasm_relaxed_simd__)
#define TEXTGEN_ROUND(product) ((void)0) /* has no fused multiply-add */
#elif defined(__wasm__)
#define TEXTGEN_ROUND(product) __asm__("" : "+r"(product))
#elif (defined(__GNUC__) || defined(__clang__)) && defined(__SSE2__)
#define TEXTGEN_ROUND(product) __asm__("" : "+x"(product))
#elif (defined(__GNUC__) || defined(__clang__)) && (defined(__aarch64__) || defined(__ARM_NEON))
#define TEXTGEN_ROUND(product) __asm__("" : "+w"(product))
#elif defined(__GNUC__) || defined(__clang__)
#define TEXTGEN_ROUND(product) __asm__("" : "+m"(product)) /* through memory, on any other processor */
#else
#pragma STDC FP_CONTRACT OFF
#define TEXTGEN_ROUND(product) ((void)0)
#endif

/* The same for products that were stored in an array. Loops that store and use them remain vectorizable. */
#if (defined(__wasm__) && !defined(__wasm_relaxed_simd__)) || !(defined(__GNUC__) || defined(__clang__))
#define TEXTGEN_ROUND_ARRAY(products) ((void)(products))
#else
#define TEXTGEN_ROUND_ARRAY(products) __asm__("" : : "r"(products) : "memory")
#endif

/* clang has no macros that reveal -fassociative-math and -freciprocal-math, but these pragmas undo them. */
#if defined(__clang__)
#pragma clang fp reassociate(off)
#if __clang_major__ >= 19
#pragma clang fp reciprocal(off)
#endif
#endif

/* Nothing here uses floating-point traps or errno. Without these options they would prevent gcc from
 * vectorising exact arithmetic. */
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("no-trapping-math", "no-math-errno")
#endif

#if defined(__GNUC__) || defined(__clang__)
#define TEXTGEN_INLINE static inline __attribute__((always_inline))
#define TEXTGEN_PREFETCH(address) __builtin_prefetch((const void *)(address))
#else
#define TEXTGEN_INLINE static inline
#define TEXTGEN_PREFETCH(address) ((void)0)
#endif

/* A function that others in its file call several times. TEXTGEN_SMALL makes the program smaller, and slightly
 * slower. */
#if defined(TEXTGEN_SMALL) && (defined(__GNUC__) || defined(__clang__))
#define TEXTGEN_SHARED static __attribute__((noinline))
#else
#define TEXTGEN_SHARED TEXTGEN_INLINE
#endif

/* Whether the compiler has vector types, and the processor is one for which the core uses them: x86-64, ARM64
 * or WebAssembly. Define TEXTGEN_PLAIN_C to compile without them. */
#if (defined(__GNUC__) || defined(__clang__)) && !defined(TEXTGEN_PLAIN_C) &&                                  \
    (defined(__x86_64__) || defined(__aarch64__) && !defined(__AARCH64EB__) || defined(__wasm_simd128__))
#define TEXTGEN_VECTORS 1
#else
#define TEXTGEN_VECTORS 0
#endif

#endif
