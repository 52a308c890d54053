/* The activations of layers with 8-bit weights; see int8_body.h.
 *
 * They are cheaper and less exact than those of activation_body.h: the rounding of the weights changes the
 * logits more. All operations are separate, so that results are equal to the bit in all instruction sets. */

/* a * b + c, rounded after each operation. */
TARGET INLINE vector NAME(multiply_add)(vector a, vector b, vector c) { return NAME(rounded)(a * b) + c; }

/* Limit values to [-limit, limit]. NaN becomes `limit`. */
TARGET INLINE vector NAME(limit)(vector x, vector limit) { return MAXIMUM(MINIMUM(x, limit), -limit); }

/* tanh(x) is nearly x P(x^2) / Q(x^2) for |x| up to 5, and the value at 5 beyond: the rational function of
 * these degrees with the smallest maximum of the absolute error, which is below 5e-5. The result for NaN is
 * that for infinity. */
#define TANH_LIMIT 5.0f
#define TANH_P0 0.9997998f
#define TANH_P1 0.101587944f
#define TANH_P2 6.514394e-4f
#define TANH_Q1 0.4343434f
#define TANH_Q2 0.012600881f

TARGET SHARED vector NAME(tanh_of)(vector x) {
    const vector zero = {0}, limited = NAME(limit)(x, zero + TANH_LIMIT), square = limited * limited;
    vector p = NAME(multiply_add)(square, zero + TANH_P2, zero + TANH_P1);
    vector q = NAME(multiply_add)(square, zero + TANH_Q2, zero + TANH_Q1);
    p = NAME(multiply_add)(square, p, zero + TANH_P0);
    q = NAME(multiply_add)(square, q, zero + 1.0f);
    return limited * p / q;
}

/* 0.5 + 0.5 tanh(x / 2), with the factors of 0.5 in the constants. The absolute error is below 3e-5. */
TARGET SHARED vector NAME(sigmoid_of)(vector x) {
    const vector zero = {0}, limited = NAME(limit)(x, zero + 2.0f * TANH_LIMIT), square = limited * limited;
    vector p = NAME(multiply_add)(square, zero + TANH_P2 / 64.0f, zero + TANH_P1 / 16.0f);
    vector q = NAME(multiply_add)(square, zero + TANH_Q2 / 16.0f, zero + TANH_Q1 / 4.0f);
    p = NAME(multiply_add)(square, p, zero + TANH_P0 / 4.0f);
    q = NAME(multiply_add)(square, q, zero + 1.0f);
    return limited * p / q + 0.5f;
}

#undef TANH_LIMIT
#undef TANH_P0
#undef TANH_P1
#undef TANH_P2
#undef TANH_Q1
#undef TANH_Q2
