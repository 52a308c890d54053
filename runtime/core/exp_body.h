/* The exponential for one vector width. exp.c includes this file for each width
 * and defines
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

/* How many vectors are computed at once: each operation on a vector must wait
 * for the one before, while those on other vectors need not. */
#ifdef TEXTGEN_SMALL
#define EXP_VECTORS 1
#else
#define EXP_VECTORS (WIDTH == 4 ? 8 : 4)
#endif
#define AT_ONCE (EXP_VECTORS * WIDTH)

/* a + b * c, rounded after each operation. */
TARGET TEXTGEN_INLINE vector NAME(plus)(vector a, vector b, vector c) {
    vector product = b * c;
    TEXTGEN_ROUND(product);
    return a + product;
}

/* Replace each value of EXP_VECTORS vectors by exp(x), x = (value - shift) /
 * divisor = n ln 2 + r with |r| <= ln 2 / 2 (Cody and Waite 1980, chapter 6: ln
 * 2 in two parts, so that r is exact). exp(r) is its Taylor polynomial of
 * degree 13, with a remainder below 1e-17. */
TARGET TEXTGEN_SHARED void NAME(exponential)(vector *x, double shift, double divisor) {
    /* log2(e), -ln 2 in two parts, a number whose addition removes the fraction
     * (1.5 * 2^52), 1. */
    static const double values[] = {1.4426950408889634, -6.93147180369123816490e-01,
                                    -1.90821492927058770002e-10, 6755399441055744.0, 1.0};
    static const double inverses[] = {1.0 / 13, 1.0 / 12, 1.0 / 11, 1.0 / 10, 1.0 / 9, 1.0 / 8,
                                      1.0 / 7,  1.0 / 6,  1.0 / 5,  1.0 / 4,  1.0 / 3, 1.0 / 2};
    const double *constants = textgen_loaded(values), *factors = textgen_loaded(inverses);
    const vector zero = {0}, one = constants[4] - zero, round_by = constants[3] - zero;
    const vector log2_e = constants[0] - zero, ln2_high = constants[1] - zero, ln2_low = constants[2] - zero;
    vector shifted[EXP_VECTORS], r[EXP_VECTORS], e[EXP_VECTORS];
    UNROLL for (int v = 0; v < EXP_VECTORS; v++) {
        x[v] = (x[v] - shift) / divisor;
        shifted[v] = NAME(plus)(round_by, x[v], log2_e);
        const vector n = shifted[v] - round_by;
        const vector high = NAME(plus)(x[v], n, ln2_high);
        r[v] = NAME(plus)(high, n, ln2_low);
        e[v] = NAME(plus)(one, r[v], factors[0] - zero);
    }
    UNROLL for (int i = 1; i < 12; i++) {
        UNROLL for (int v = 0; v < EXP_VECTORS; v++) { e[v] = NAME(plus)(one, r[v] * e[v], factors[i] - zero); }
    }
    UNROLL for (int v = 0; v < EXP_VECTORS; v++) {
        e[v] = NAME(plus)(one, r[v], e[v]);
        integers bits;
        /* The low bits of `shifted` are n. Shifted into the exponent they give 2^n.
         */
        memcpy(&bits, &shifted[v], sizeof bits);
        bits = (bits + 1023) << 52;
        vector power;
        memcpy(&power, &bits, sizeof power);
        e[v] = e[v] * power;
        memcpy(&bits, &e[v], sizeof bits);
        /* Below -700 the result is 0. A comparison gives all bits of an element; in
         * plain C, 1. */
        bits = bits & (WIDTH == 1 ? (integers){0} - (integers)(x[v] > -700.0) : (integers)(x[v] > -700.0));
        memcpy(&x[v], &bits, sizeof bits);
    }
}

#if WIDTH < 8
TARGET static void NAME(widen)(const float *values, size_t count, double *results) {
    for (size_t i = 0; i < count; i++) {
        results[i] = (double)values[i];
    }
}

TARGET TEXTGEN_INLINE double NAME(larger)(double a, double b) { return a > b ? a : b; }

/* Compilers use vector instructions for these loops. A comparison need not wait
 * for the one before. */
TARGET static double NAME(largest)(const double *values, size_t count) {
    enum { PARTS = 16 };
    double parts[PARTS];
    int64_t is_nan = 0;
    for (size_t i = 0; i < count; i++) {
        is_nan |= values[i] != values[i];
    }
    for (size_t j = 0; j < PARTS; j++) {
        parts[j] = -INFINITY;
    }
    for (size_t i = 0; count < PARTS && i < count; i++) {
        parts[0] = NAME(larger)(values[i], parts[0]);
    }
    for (size_t i = 0; count >= PARTS && i < count; i += PARTS) {
        /* The last part may overlap the one before it. */
        const double *part = values + (i + PARTS < count ? i : count - PARTS);
        for (size_t j = 0; j < PARTS; j++) {
            parts[j] = NAME(larger)(part[j], parts[j]);
        }
    }
    UNROLL for (size_t size = PARTS / 2; size > 0; size /= 2) {
        UNROLL for (size_t j = 0; j < size; j++) { parts[j] = NAME(larger)(parts[j + size], parts[j]); }
    }
    return is_nan ? NAN : parts[0];
}
#endif

TARGET static double NAME(exponentials)(const double *values, size_t count, double shift, double divisor,
                                        bool cumulate, double *results) {
    vector part[EXP_VECTORS];
    double numbers[AT_ONCE], sum = 0.0;
    if (count < AT_ONCE) {
        memset(part, 0, sizeof part);
        memcpy(part, values, count * sizeof *values);
    }
    for (size_t i = 0; i < count; i += AT_ONCE) {
        /* The last part may overlap the one before it. */
        const size_t start = i + AT_ONCE <= count || count < AT_ONCE ? i : count - AT_ONCE;
        if (count >= AT_ONCE) {
            memcpy(part, values + start, sizeof part);
        }
        NAME(exponential)(part, shift, divisor);
        memcpy(numbers, part, sizeof part);
        /* Each addition waits for the one before, and meanwhile the processor
         * computes the next part. */
        const size_t end = i + AT_ONCE < count ? i + AT_ONCE : count;
        if (cumulate) {
            for (size_t j = i; j < end; j++) {
                results[j] = sum += numbers[j - start];
            }
        } else {
            for (size_t j = i; j < end; j++) {
                sum += results[j] = numbers[j - start];
            }
        }
    }
    return sum;
}

#undef NAME
#undef WIDTH
#undef TARGET
