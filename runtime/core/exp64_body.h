/* The exponential for one size of vectors; exp64.c includes it once for each and defines
 *
 *   NAME(x)  x with the instruction set's name appended
 *   WIDE     float64 in a vector, or 1 for plain C
 *   TARGET   what tells the compiler to use the set
 */

#if WIDE == 1
typedef double NAME(wide);
typedef uint64_t NAME(integers);
#else
typedef double NAME(wide) __attribute__((vector_size(8 * WIDE)));
typedef uint64_t NAME(integers) __attribute__((vector_size(8 * WIDE)));
#endif

#define wide NAME(wide)
#define integers NAME(integers)

/* All bits of an element where x > -700, below which e to its power counts as 0. */
TARGET TEXTGEN_INLINE integers NAME(above)(wide x) {
#if WIDE == 1
    return (uint64_t)0 - (uint64_t)(x > -700.0);
#else
    return (integers)(x > -700.0);
#endif
}

/* a + b * c, rounded twice. */
TARGET TEXTGEN_INLINE wide NAME(plus)(wide a, wide b, wide c) {
    wide product = b * c;
    TEXTGEN_ROUND(product);
    return a + product;
}

/* x is taken apart into n ln 2 + r with |r| <= ln 2 / 2 (Cody and Waite 1980, chapter 6: ln 2 in two parts, so
 * that r is exact); e to the r is its Taylor polynomial of degree 13, whose remainder is below 1e-17. */
TARGET TEXTGEN_INLINE wide NAME(exponential)(wide x) {
    const wide zero = {0}, one = zero + 1.0;
    const wide round_by = zero + 6755399441055744.0; /* 1.5 * 2^52: adding it leaves no fraction */
    const wide shifted = NAME(plus)(round_by, x, zero + 1.4426950408889634);
    const wide n = shifted - round_by;
    const wide high = NAME(plus)(x, n, zero - 6.93147180369123816490e-01);
    const wide r = NAME(plus)(high, n, zero - 1.90821492927058770002e-10);
    integers bits;
    wide e, power;
    e = NAME(plus)(one, r, zero + 1.0 / 13);
    e = NAME(plus)(one, r * e, zero + 1.0 / 12);
    e = NAME(plus)(one, r * e, zero + 1.0 / 11);
    e = NAME(plus)(one, r * e, zero + 1.0 / 10);
    e = NAME(plus)(one, r * e, zero + 1.0 / 9);
    e = NAME(plus)(one, r * e, zero + 1.0 / 8);
    e = NAME(plus)(one, r * e, zero + 1.0 / 7);
    e = NAME(plus)(one, r * e, zero + 1.0 / 6);
    e = NAME(plus)(one, r * e, zero + 1.0 / 5);
    e = NAME(plus)(one, r * e, zero + 1.0 / 4);
    e = NAME(plus)(one, r * e, zero + 1.0 / 3);
    e = NAME(plus)(one, r * e, zero + 1.0 / 2);
    e = NAME(plus)(one, r, e);
    /* The low bits of `shifted` are n; as an exponent they are 2 to the n. */
    memcpy(&bits, &shifted, sizeof bits);
    bits = (bits + 1023) << 52;
    memcpy(&power, &bits, sizeof power);
    e = e * power;
    memcpy(&bits, &e, sizeof bits);
    bits = bits & NAME(above)(x);
    memcpy(&e, &bits, sizeof e);
    return e;
}

TARGET static void NAME(exponentials)(double *values, size_t count) {
    wide part = {0}, last;
    size_t i;
    if (count < WIDE) {
        memcpy(&part, values, count * sizeof *values);
        part = NAME(exponential)(part);
        memcpy(values, &part, count * sizeof *values);
        return;
    }
    /* The last vector overlaps the one before it, and is loaded before that is replaced. */
    memcpy(&last, values + count - WIDE, sizeof last);
    for (i = 0; i + WIDE < count; i += WIDE) {
        memcpy(&part, values + i, sizeof part);
        part = NAME(exponential)(part);
        memcpy(values + i, &part, sizeof part);
    }
    last = NAME(exponential)(last);
    memcpy(values + count - WIDE, &last, sizeof last);
}

#undef wide
#undef integers
#undef NAME
#undef WIDE
#undef TARGET
