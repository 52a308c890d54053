/* The activations of one instruction set; see kernel_body.h. */

/* Set all bits of an element where a > b. The result for NaN is 0. */
TARGET INLINE integers NAME(greater)(vector a, vector b) {
#if WIDTH == 1
    return (uint32_t)0 - (uint32_t)(a > b);
#else
    return (integers)(a > b);
#endif
}

/* exp(x) for x in [-87, 0]. x = n ln 2 + r with |r| <= ln 2 / 2 (Cody and Waite 1980, chapter 6: ln 2 in two
 * parts, so that x minus the first is exact). exp(r) is its Taylor polynomial of degree 7, with a remainder
 * below 1e-8. */
TARGET INLINE vector NAME(exponential)(vector x) {
    const vector zero = {0}, one = zero + 1.0f,
                 round_by = zero + 12582912.0f; /* 1.5 * 2^23: adding it removes the fraction */
    both shifted, power;
    vector n, r, e;
    shifted.floats = MULTIPLY_ADD(x, zero + 1.44269504f, round_by);
    n = shifted.floats - round_by;
    r = MULTIPLY_ADD(n, zero - 0.693359375f, x);
    r = MULTIPLY_ADD(n, zero + 2.12194440e-4f, r);
    e = MULTIPLY_ADD(r, zero + 1.0f / 7.0f, one);
    e = MULTIPLY_ADD(e * r, zero + 1.0f / 6.0f, one);
    e = MULTIPLY_ADD(e * r, zero + 1.0f / 5.0f, one);
    e = MULTIPLY_ADD(e * r, zero + 1.0f / 4.0f, one);
    e = MULTIPLY_ADD(e * r, zero + 1.0f / 3.0f, one);
    e = MULTIPLY_ADD(e * r, zero + 1.0f / 2.0f, one);
    e = MULTIPLY_ADD(e, r, one);
    /* The low bits of `shifted` are n. Shifted into the exponent they give 2^n. */
    power.bits = (shifted.bits + 127) << 23;
    return e * power.floats;
}

/* tanh(x) = (1 - t) / (1 + t) with t = exp(-2|x|), and the sign of x. The absolute error is below 2e-7; for |x|
 * below 3e-8 the result is 0. NaN stays NaN. */
TARGET INLINE vector NAME(tanh_of)(vector x) {
    const vector zero = {0}, limit = zero + 43.0f; /* tanh(43) is 1 in float32 */
    both magnitude, sign, limited, result;
    integers beyond;
    vector t;
    magnitude.floats = x;
    sign.bits = magnitude.bits & 0x80000000u;
    magnitude.bits = magnitude.bits & 0x7fffffffu;
    beyond = NAME(greater)(magnitude.floats, limit);
    limited.floats = limit;
    limited.bits = (limited.bits & beyond) | (magnitude.bits & ~beyond);
    t = NAME(exponential)(limited.floats * -2.0f);
    result.floats = (1.0f - t) / (1.0f + t);
    result.bits = result.bits | sign.bits;
    return result.floats;
}

TARGET INLINE vector NAME(sigmoid_of)(vector x) {
    const vector half = (vector){0} + 0.5f;
    return MULTIPLY_ADD(NAME(tanh_of)(x * 0.5f), half, half);
}
