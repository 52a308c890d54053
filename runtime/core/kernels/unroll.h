/* The function attributes and loop pragmas of the kernels. */
#ifndef TEXTGEN_UNROLL_H
#define TEXTGEN_UNROLL_H

#include "../exact.h"

#define INLINE TEXTGEN_INLINE
#if defined(__GNUC__) || defined(__clang__)
#define NOINLINE static __attribute__((noinline))
#else
#define NOINLINE static
#endif

#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#define UNROLL_TWICE _Pragma("clang loop unroll_count(2)")
#elif defined(__GNUC__)
#define UNROLL _Pragma("GCC unroll 64")
#define UNROLL_TWICE _Pragma("GCC unroll 2")
#else
#define UNROLL
#define UNROLL_TWICE
#endif

#endif
