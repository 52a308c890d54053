/* Which instruction sets this processor and its operating system can run. */
#ifndef TEXTGEN_PROCESSOR_H
#define TEXTGEN_PROCESSOR_H

#include "../exact.h"

#include <stdbool.h>

/* Functions for several instruction sets can be compiled into one file. */
#if TEXTGEN_VECTORS && defined(__x86_64__)
#define TEXTGEN_X86 1
#else
#define TEXTGEN_X86 0
#endif

#if TEXTGEN_X86
/* AVX2 and FMA. */
bool textgen_has_avx2(void);
/* AVX-512 F, DQ, BW and VL, beside the above. */
bool textgen_has_avx512(void);
#endif

#endif
