/* Detects the instruction sets that the processor and the operating system support. */
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

/* Define TEXTGEN_SMALL for a smaller program, without the kernels for AVX-512 and for several lanes at once.
 * The texts are the same. */
#if TEXTGEN_X86 && !defined(TEXTGEN_SMALL)
#define TEXTGEN_AVX512 1
#else
#define TEXTGEN_AVX512 0
#endif

#if TEXTGEN_X86
/* AVX2 and FMA. */
bool textgen_has_avx2(void);
/* AVX2, FMA, and AVX-512 F, DQ, BW and VL. */
bool textgen_has_avx512(void);
/* The same, and AVX-512 VNNI. */
bool textgen_has_avx512vnni(void);
#endif

#endif
