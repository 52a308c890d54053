/* The vectors of one instruction set; see kernel_body.h and int8_body.h. */

#if WIDTH == 1
typedef float NAME(vector);
typedef uint32_t NAME(integers);
#else
typedef float NAME(vector) __attribute__((vector_size(4 * WIDTH)));
typedef uint32_t NAME(integers) __attribute__((vector_size(4 * WIDTH)));
#endif

#define vector NAME(vector)
#define integers NAME(integers)

typedef union {
    vector floats;
    integers bits;
} NAME(both);

#define both NAME(both)

/* memcpy, because arrays may be less aligned than vectors. It compiles to one instruction. */
TARGET INLINE vector NAME(load)(const float *from) {
    vector value;
    memcpy(&value, from, sizeof value);
    return value;
}

TARGET INLINE void NAME(store)(float *to, vector value) { memcpy(to, &value, sizeof value); }

TARGET INLINE vector NAME(broadcast)(float value) { return value - (vector){0}; }

/* Return a product that the compiler cannot fuse with an addition. */
TARGET INLINE vector NAME(rounded)(vector product) {
    TEXTGEN_ROUND(product);
    return product;
}
