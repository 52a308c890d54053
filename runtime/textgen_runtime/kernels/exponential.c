/* The C library's exp differs in the last bit from one system to the next, and a draw must not. This one is
 * additions and multiplications alone, which IEEE 754 rounds alike everywhere, as long as the compiler fuses none
 * of them (-ffp-contract=off): then any vector width gives the same numbers.
 */

#include "exponential.h"

#include <stdint.h>
#include <string.h>

#if defined(__GNUC__) || defined(__clang__)
#define INLINE static inline __attribute__((always_inline))
#else
#define INLINE static inline
#endif

/* x is taken apart into n ln 2 + r with |r| <= ln 2 / 2 (Cody and Waite 1980, chapter 6: ln 2 in two parts, so
 * that r is exact); e to the r is its Taylor polynomial of degree 13, whose remainder is below 1e-17. */
INLINE double exponential(double x) {
    const double round_by = 6755399441055744.0; /* 1.5 * 2^52: adding it leaves no fraction */
    const double shifted = x * 1.4426950408889634 + round_by;
    const double n = shifted - round_by;
    const double r = (x - n * 6.93147180369123816490e-01) - n * 1.90821492927058770002e-10;
    uint64_t bits;
    double e, power;
    e = 1.0 + r * (1.0 / 13);
    e = 1.0 + r * e * (1.0 / 12);
    e = 1.0 + r * e * (1.0 / 11);
    e = 1.0 + r * e * (1.0 / 10);
    e = 1.0 + r * e * (1.0 / 9);
    e = 1.0 + r * e * (1.0 / 8);
    e = 1.0 + r * e * (1.0 / 7);
    e = 1.0 + r * e * (1.0 / 6);
    e = 1.0 + r * e * (1.0 / 5);
    e = 1.0 + r * e * (1.0 / 4);
    e = 1.0 + r * e * (1.0 / 3);
    e = 1.0 + r * e * (1.0 / 2);
    e = 1.0 + r * e;
    /* The low bits of `shifted` are n; as an exponent they are 2 to the n. */
    memcpy(&bits, &shifted, sizeof bits);
    bits = (bits + 1023) << 52;
    memcpy(&power, &bits, sizeof power);
    return x > -700.0 ? e * power : 0.0;
}

#define EXPONENTIALS(name)                               \
    static void name(double *values, ptrdiff_t count) {  \
        for (ptrdiff_t i = 0; i < count; i++) {          \
            values[i] = exponential(values[i]);          \
        }                                                \
    }

EXPONENTIALS(exponentials_baseline)

static void (*chosen)(double *values, ptrdiff_t count) = exponentials_baseline;

#if (defined(__GNUC__) || defined(__clang__)) && defined(__x86_64__)

__attribute__((target("avx2"))) EXPONENTIALS(exponentials_avx2)

void choose_exponentials(void) {
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx2")) {
        chosen = exponentials_avx2;
    }
}

#else

void choose_exponentials(void) {}

#endif

void exponentials(double *values, ptrdiff_t count) { chosen(values, count); }
