/* Helpers of the set in plain C; see int8_kernels.c. */

/* Sums are unsigned, because these may wrap around. */
INLINE uint32_t add_int8_dots(uint32_t sum, const int8_t *weights, const uint8_t *inputs) {
    int i, dot = 0;
    for (i = 0; i < 4; i++) {
        /* A byte above 127 is negative. */
        dot += weights[i] * (inputs[i] < 128 ? inputs[i] : inputs[i] - 256);
    }
    return sum + (uint32_t)dot;
}

INLINE int32_t signed_int8_sum(uint32_t sum) {
    int32_t value;
    memcpy(&value, &sum, sizeof value);
    return value;
}

#define WIDTH 1
#define ZERO 0
#define WEIGHTS const int8_t *
#define INPUTS const uint8_t *
#define LOAD_WEIGHTS(weights) (weights)
#define ADD_DOTS(sums, weights, inputs) add_int8_dots((sums), (weights), (inputs))
#define TO_FLOATS(sums) ((float)signed_int8_sum(sums))
#define STORE_BYTES(to, x) (*(to) = (uint8_t)(x))
#define MINIMUM(a, b) ((a) < (b) ? (a) : (b))
#define MAXIMUM(a, b) ((a) > (b) ? (a) : (b))
