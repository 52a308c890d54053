/* Sorts float64 numbers. */
#ifndef TEXTGEN_SORT_H
#define TEXTGEN_SORT_H

#include <stddef.h>

/* Sort numbers in ascending order. None is negative, -0.0 or NaN. Both arrays are
 * [textgen_sort_room(count)]. scratch: temporary. */
void textgen_sort(double *values, size_t count, double *scratch);

/* Blocks of so many values are sorted without a loop, which takes much code. */
#ifdef TEXTGEN_SMALL
enum { TEXTGEN_SORT_BLOCK = 1 };
#else
enum { TEXTGEN_SORT_BLOCK = 8 };
#endif

/* Return `count`, rounded up to whole blocks. */
static inline size_t textgen_sort_room(size_t count) {
    return (count + TEXTGEN_SORT_BLOCK - 1) / TEXTGEN_SORT_BLOCK * TEXTGEN_SORT_BLOCK;
}

#endif
