/* The C library's exp and log differ between systems in the last bit, which
 * could change a draw. These use only operations whose rounding IEEE 754
 * defines, so as long as the compiler does not fuse them, every system and
 * vector width gives the same results. */

#include "exp.h"
#include "kernels/processor.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

#define NAME(x) x##64_baseline
#define WIDTH (TEXTGEN_VECTORS ? 2 : 1)
#define TARGET
#include "exp_body.h"

#if TEXTGEN_X86
#define NAME(x) x##64_avx2
#define WIDTH 4
#define TARGET __attribute__((target("avx2")))
#include "exp_body.h"
#endif

#if TEXTGEN_AVX512
#define NAME(x) x##64_avx512
#define WIDTH 8
#define TARGET __attribute__((target("avx512f,avx512dq,avx512bw,avx512vl")))
#include "exp_body.h"
#endif

textgen_exp64 textgen_find_exp64(const char *kernels) {
    (void)kernels;
#if TEXTGEN_AVX512
    /* Loops over numbers with vectors of 64 bytes are slower: most of their loads
     * cross a cache line. */
    static const struct textgen_exp64 avx512 = {widen64_avx2, largest64_avx2, exponentials64_avx512};
    if ((!kernels || (strcmp(kernels, "avx2") && strcmp(kernels, "baseline"))) && textgen_has_avx512()) {
        return &avx512;
    }
#endif
#if TEXTGEN_X86
    static const struct textgen_exp64 avx2 = {widen64_avx2, largest64_avx2, exponentials64_avx2};
    if ((!kernels || strcmp(kernels, "baseline")) && textgen_has_avx2()) {
        return &avx2;
    }
#endif
    static const struct textgen_exp64 baseline = {widen64_baseline, largest64_baseline,
                                                  exponentials64_baseline};
    return &baseline;
}

/* ln 2 in two parts. The first has 32 significant bits, so its product with an
 * exponent is exact. */
#define LN2_HIGH 6.93147180369123816490e-01
#define LN2_LOW 1.90821492927058770002e-10

/* a * b, rounded. */
static double times(double a, double b) {
    double product = a * b;
    TEXTGEN_ROUND(product);
    return product;
}

/* x = 2^n * (1 + f) with 1 + f from sqrt(1/2) to sqrt(2). With s = f / (2 + f),
 *
 *   log(1 + f) = 2 atanh(s) = 2s + s * R,  R = 2 s^2/3 + 2 s^4/5 + ..., a
 * Taylor series, remainder below 1e-17,
 *
 * and 2s = f - f^2/2 + s * f^2/2, in which only small terms are rounded (as in
 * FreeBSD's msun library). */
double textgen_log64(double x) {
    const uint64_t sqrt_half = 0x3FE6A09E667F3BCD;
    double rest = 0.0, n = 0.0;
    if (x < 2.2250738585072014e-308) {
        x *= 18014398509481984.0; /* 2^54: a subnormal number becomes normal */
        n = -54.0;
    }
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    int64_t exponent = (int64_t)((bits - sqrt_half) >> 52);
    /* Below sqrt(1/2) the difference wraps around. */
    exponent = exponent >= 2048 ? exponent - 4096 : exponent;
    n += (double)exponent;
    bits -= (uint64_t)exponent << 52;
    double f;
    memcpy(&f, &bits, sizeof f);
    f -= 1.0;
    const double s = f / (2.0 + f);
    const double square = times(s, s);
    for (double divisor = 21.0; divisor > 1.0; divisor -= 2.0) {
        rest = 2.0 / divisor + times(rest, square);
    }
    rest = times(rest, square);
    const double half = times(0.5 * f, f);
    rest = times(s, half + rest) + times(n, LN2_LOW);
    return times(n, LN2_HIGH) - ((half - rest) - f);
}
