/* e to the power of many numbers, to the same last bit on every processor. */
#ifndef TEXTGEN_EXP64_H
#define TEXTGEN_EXP64_H

#include <stddef.h>

/* Replaces each value, 0 or less or -infinity, by e to its power; below -700 that is 0. */
typedef void (*textgen_exp64)(double *values, size_t count);

/* The one that this processor runs fastest. The search takes tens of microseconds on a virtual machine, so
 * callers keep what it finds. All of them give the same numbers. */
textgen_exp64 textgen_find_exp64(void);

#endif
