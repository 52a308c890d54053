/* The activations over arrays of one instruction set; see kernel_body.h and int8_body.h. */

TARGET static void NAME(sigmoid)(float *values, ptrdiff_t count) {
    for (ptrdiff_t i = 0; i < count; i += WIDTH) {
        NAME(store)(values + i, NAME(sigmoid_of)(NAME(load)(values + i)));
    }
}

TARGET static void NAME(tanh)(float *values, ptrdiff_t count) {
    for (ptrdiff_t i = 0; i < count; i += WIDTH) {
        NAME(store)(values + i, NAME(tanh_of)(NAME(load)(values + i)));
    }
}
