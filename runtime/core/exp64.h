/* The exponential function in float64, equal to the last bit on every processor. */
#ifndef TEXTGEN_EXP64_H
#define TEXTGEN_EXP64_H

#include <stddef.h>

/* Replace each value x by exp(x). Values are 0 or less, or -infinity; below -700 the result is 0. */
typedef void (*textgen_exp64)(double *values, size_t count);

/* Return the implementation for the kernels of this name, or the fastest one of this processor if `kernels` is
 * NULL. All give the same results. A processor may run slower for a while after wider vectors than those of the
 * kernels. The search takes tens of microseconds on a virtual machine, so callers keep the pointer. */
textgen_exp64 textgen_find_exp64(const char *kernels);

#endif
