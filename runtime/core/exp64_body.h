/* The exponential for one vector width. exp64.c includes this file for each width and defines
 *
 *   NAME(x)  the name x, with a suffix for the instruction set
 *   WIDTH    float64 elements in a vector, or 1 for plain C
 *   TARGET   the function attribute that selects the instruction set
 */

#if WIDTH == 1
typedef double NAME(vector);
typedef uint64_t NAME(integers);
#else
typedef double NAME(vector) __attribute__((vector_size(8 * WIDTH)));
typedef uint64_t NAME(integers) __attribute__((vector_size(8 * WIDTH)));
#endif

#define vector NAME(vector)
#define integers NAME(integers)

/* Set all bits of an element where x > -700. Below that the result is 0. */
TARGET TEXTGEN_INLINE integers NAME(above)(vector x) {
#if WIDTH == 1
    return (uint64_t)0 - (uint64_t)(x > -700.0);
#else
    return (integers)(x > -700.0);
#endif
}

/* a + b * c, rounded after each operation. */
TARGET TEXTGEN_INLINE vector NAME(plus)(vector a, vector b, vector c) {
    vector product = b * c;
    TEXTGEN_ROUND(product);
    return a + product;
}

/* x = n ln 2 + r with |r| <= ln 2 / 2 (Cody and Waite 1980, chapter 6: ln 2 in two parts, so that r is exact).
 * exp(r) is its Taylor polynomial of degree 13, with a remainder below 1e-17. */
TARGET TEXTGEN_SHARED vector NAME(exponential)(vector x) {
    const vector zero = {0}, one = zero + 1.0;
    const vector round_by = zero + 6755399441055744.0; /* 1.5 * 2^52: adding it removes the fraction */
    const vector shifted = NAME(plus)(round_by, x, zero + 1.4426950408889634);
    const vector n = shifted - round_by;
    const vector high = NAME(plus)(x, n, zero - 6.93147180369123816490e-01);
    const vector r = NAME(plus)(high, n, zero - 1.90821492927058770002e-10);
    integers bits;
    vector e, power;
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
    /* The low bits of `shifted` are n. Shifted into the exponent they give 2^n. */
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
    vector part = {0}, last;
    size_t i;
    if (count < WIDTH) {
        memcpy(&part, values, count * sizeof *values);
        part = NAME(exponential)(part);
        memcpy(values, &part, count * sizeof *values);
        return;
    }
    /* The last vector may overlap the one before it, so it is loaded before that one is replaced. */
    memcpy(&last, values + count - WIDTH, sizeof last);
    for (i = 0; i + WIDTH < count; i += WIDTH) {
        memcpy(&part, values + i, sizeof part);
        part = NAME(exponential)(part);
        memcpy(values + i, &part, sizeof part);
    }
    last = NAME(exponential)(last);
    memcpy(values + count - WIDTH, &last, sizeof last);
}

#undef vector
#undef integers
#undef NAME
#undef WIDTH
#undef TARGET
