/* The C library's exp differs in the last bit from one system to the next, and a draw must not. This one
 * consists of additions and multiplications alone, which IEEE 754 rounds alike everywhere as long as the
 * compiler fuses none of them: then any vector width gives the same numbers. */

#include "exp64.h"
#include "exact.h"
#include "kernels/processor.h"

#include <stdint.h>
#include <string.h>

#if TEXTGEN_X86
#define NAME(x) x##_avx2
#define WIDE 4
#define TARGET __attribute__((target("avx2")))
#include "exp64_body.h"
#endif

#define NAME(x) x##_baseline
#if TEXTGEN_VECTORS
#define WIDE 2
#else
#define WIDE 1
#endif
#define TARGET
#include "exp64_body.h"

textgen_exp64 textgen_find_exp64(void) {
#if TEXTGEN_X86
    if (textgen_has_avx2()) {
        return exponentials_avx2;
    }
#endif
    return exponentials_baseline;
}
