/* The exponential function and the natural logarithm in float64, equal to the last bit on every processor. */
#ifndef TEXTGEN_EXP_H
#define TEXTGEN_EXP_H

#include <stdbool.h>
#include <stddef.h>

#define TEXTGEN_LN2 0.69314718055994530942

typedef const struct textgen_exp64 {
    /* Convert values to float64, [count]. */
    void (*widen)(const float *values, size_t count, double *results);
    /* Return the largest of values, -infinity if there are none, or NaN if one of them is. */
    double (*largest)(const double *values, size_t count);
    /* Write exp((x - shift) / divisor) for each value x to `results`, [count], other memory; with `cumulate`,
     * the sums up to each of them. Return the sum. The arguments of exp are 0 or less, or -infinity; below -700
     * the result is 0. */
    double (*exponentials)(const double *values, size_t count, double shift, double divisor, bool cumulate,
                           double *results);
} *textgen_exp64;

/* Return the implementation for the kernels of this name, or the fastest one of this processor if `kernels` is
 * NULL. All give the same results. A processor may run slower for a while after wider vectors than those of the
 * kernels. The search takes tens of microseconds on a virtual machine, so callers keep the pointer. */
textgen_exp64 textgen_find_exp64(const char *kernels);

/* Return log(x). x is finite and more than 0. The error is less than 1 ulp. */
double textgen_log64(double x);

#endif
