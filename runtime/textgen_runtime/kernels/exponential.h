/* e to the power of many numbers, to the same last bit on every processor. */

#ifndef TEXTGEN_EXPONENTIAL_H
#define TEXTGEN_EXPONENTIAL_H

#include <stddef.h>

/* Choose what this processor runs fastest; once, before the first call below. */
void choose_exponentials(void);

/* Replace each value, 0 or less or -infinity, by e to its power; below -700 that is 0. */
void exponentials(double *values, ptrdiff_t count);

#endif
