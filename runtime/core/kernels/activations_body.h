/* exp, tanh and the logistic function of vectors. All sets with fused multiply-adds give the same results. */

/* Activations are computed for up to so many vectors at once: each operation on a vector must wait for the one
 * before, while those on other vectors need not. */
#define ACTIVATIONS 8

/* Replace each x of `count` vectors by exp(x), for x in [-87, 0]. x = n ln 2 + r with |r| <= ln 2 / 2 (Cody and
 * Waite 1980, chapter 6: ln 2 in two parts, so that x minus the first is exact). exp(r) is its Taylor
 * polynomial of degree 7, with a remainder below 1e-8. `count` is a constant in all calls. */
TARGET INLINE void NAME(exponentials)(vector *x, const int count) {
    /* log2(e), -ln 2 in two parts, a number whose addition removes the fraction (1.5 * 2^23), 1. */
    static const float values[] = {1.44269504f, -0.693359375f, 2.12194440e-4f, 12582912.0f, 1.0f};
    static const float inverses[] = {1.0f / 7.0f, 1.0f / 6.0f, 1.0f / 5.0f,
                                     1.0f / 4.0f, 1.0f / 3.0f, 1.0f / 2.0f};
    const float *constants = textgen_loaded(values), *factors = textgen_loaded(inverses);
    const vector log2_e = NAME(broadcast)(constants[0]), round_by = NAME(broadcast)(constants[3]);
    const vector ln2_high = NAME(broadcast)(constants[1]), ln2_low = NAME(broadcast)(constants[2]);
    const both one = {.floats = NAME(broadcast)(constants[4])};
    both shifted[ACTIVATIONS];
    vector n[ACTIVATIONS], e[ACTIVATIONS];
    UNROLL for (int v = 0; v < count; v++) { shifted[v].floats = NAME(multiply_add)(x[v], log2_e, round_by); }
    UNROLL for (int v = 0; v < count; v++) { n[v] = shifted[v].floats - round_by; }
    UNROLL for (int v = 0; v < count; v++) { x[v] = NAME(multiply_add)(n[v], ln2_high, x[v]); }
    UNROLL for (int v = 0; v < count; v++) { x[v] = NAME(multiply_add)(n[v], ln2_low, x[v]); }
    UNROLL for (int v = 0; v < count; v++) {
        e[v] = NAME(multiply_add)(x[v], NAME(broadcast)(factors[0]), one.floats);
    }
    UNROLL for (int i = 1; i < 6; i++) {
        UNROLL for (int v = 0; v < count; v++) {
            e[v] = NAME(multiply_add)(e[v] * x[v], NAME(broadcast)(factors[i]), one.floats);
        }
    }
    UNROLL for (int v = 0; v < count; v++) {
        /* The low bits of `shifted` are n. Added to the exponent of 1 they give 2^n. */
        shifted[v].bits = (shifted[v].bits << 23) + one.bits;
        x[v] = NAME(multiply_add)(e[v], x[v], one.floats) * shifted[v].floats;
    }
}

/* Replace each x of `count` vectors by tanh(x / 2) = (1 - t) / (1 + t) with t = exp(-|x|), and the sign of x.
 * The absolute error is below 2e-7; for |x| below 6e-8 the result is 0. NaN stays NaN. */
TARGET INLINE void NAME(tanh_at_once)(vector *x, const int count) {
    static const float values[] = {-86.0f, 1.0f, -0.0f};
    const float *constants = textgen_loaded(values);
    const vector least = NAME(broadcast)(constants[0]), one = NAME(broadcast)(constants[1]);
    const both sign = {.floats = NAME(broadcast)(constants[2])};
    vector t[ACTIVATIONS];
    UNROLL for (int v = 0; v < count; v++) {
        both negative = {.floats = x[v]};
        negative.bits = negative.bits | sign.bits;
        t[v] = NAME(maximum)(least, negative.floats); /* tanh(43) is 1 in float32 */
    }
    NAME(exponentials)(t, count);
    UNROLL for (int v = 0; v < count; v++) {
        const both before = {.floats = x[v]};
        both result = {.floats = (one - t[v]) / (one + t[v])};
        result.bits = result.bits | (before.bits & sign.bits);
        x[v] = result.floats;
    }
}

/* The same. A small program has code for one vector, which a processor can also run for several at once. */
TARGET SHARED void NAME(tanh_of_halves)(vector *x, const int count) {
#ifdef TEXTGEN_SMALL
    for (int v = 0; v < count; v++) {
        NAME(tanh_at_once)(x + v, 1);
    }
#else
    NAME(tanh_at_once)(x, count);
#endif
}

/* sigmoid(x) = (tanh(x / 2) + 1) / 2 */
TARGET INLINE vector NAME(as_sigmoid)(vector tanh_of_half) {
    const vector half = (vector){0} + 0.5f;
    return NAME(multiply_add)(tanh_of_half, half, half);
}
