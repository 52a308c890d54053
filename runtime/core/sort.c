/* A merge sort. Logits are in random order, so a processor would mispredict half of the branches that depend on
 * a comparison. Here comparisons only select values and move indices.
 *
 * The bits of numbers that are not negative have the same order as the numbers, and integers are compared
 * faster. */
#include "sort.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

static inline uint64_t get(const double *value) {
    uint64_t bits;
    memcpy(&bits, value, sizeof bits);
    return bits;
}

static inline void put(double *value, uint64_t bits) { memcpy(value, &bits, sizeof bits); }

#ifdef TEXTGEN_SMALL

static void sort_block(double *values) { (void)values; }

#else

static inline void order(uint64_t *low, uint64_t *high) {
    const uint64_t a = *low, b = *high;
    *low = a < b ? a : b;
    *high = a < b ? b : a;
}

/* Sort 8 values with Batcher's odd-even merging network (K. Batcher, Sorting networks and their applications,
 * 1968). */
static void sort_block(double *values) {
    /* Not an array, so that the values stay in registers. */
    uint64_t a = get(values), b = get(values + 1), c = get(values + 2), d = get(values + 3);
    uint64_t e = get(values + 4), f = get(values + 5), g = get(values + 6), h = get(values + 7);
    order(&a, &b), order(&c, &d), order(&e, &f), order(&g, &h);
    order(&a, &c), order(&b, &d), order(&e, &g), order(&f, &h);
    order(&b, &c), order(&f, &g);
    order(&a, &e), order(&b, &f), order(&c, &g), order(&d, &h);
    order(&c, &e), order(&d, &f);
    order(&b, &c), order(&d, &e), order(&f, &g);
    put(values, a), put(values + 1, b), put(values + 2, c), put(values + 3, d);
    put(values + 4, e), put(values + 5, f), put(values + 6, g), put(values + 7, h);
}

#endif

/* Merge two sorted parts of `values`, [half] and [count - half], where half is at most count / 2. The smallest
 * values are merged from the front, and at the same time the largest from the back. In `half` steps neither
 * side can reach the end of a part. */
static void merge(const double *values, size_t half, size_t count, double *merged) {
    size_t left = 0, right = half, left_end = half, right_end = count, i = 0;
    for (; i < half; i++) {
        const uint64_t a = get(values + left), b = get(values + right);
        const uint64_t y = get(values + left_end - 1), z = get(values + right_end - 1);
        put(merged + i, b < a ? b : a);
        put(merged + count - 1 - i, z < y ? y : z);
        right += b < a;
        left += !(b < a);
        left_end -= z < y;
        right_end -= !(z < y);
    }
    for (; i < count - half; i++) {
        const int take_left = left < left_end && (right == right_end || values[left] < values[right]);
        merged[i] = values[take_left ? left++ : right++];
    }
}

static void sort_blocks(double *values, size_t blocks, double *scratch) {
    const size_t half = blocks / 2 * TEXTGEN_SORT_BLOCK, count = blocks * TEXTGEN_SORT_BLOCK;
    if (blocks == 1) {
        sort_block(values);
        return;
    }
    sort_blocks(values, blocks / 2, scratch);
    sort_blocks(values + half, blocks - blocks / 2, scratch);
    merge(values, half, count, scratch);
    memcpy(values, scratch, count * sizeof *values);
}

void textgen_sort(double *values, size_t count, double *scratch) {
    const size_t room = textgen_sort_room(count);
    for (size_t i = count; i < room; i++) {
        values[i] = INFINITY;
    }
    if (count > 0) {
        sort_blocks(values, room / TEXTGEN_SORT_BLOCK, scratch);
    }
}
