/* The kernels of one instruction set. kernels.c includes this file for each set and defines
 *
 *   NAME(x)  the name x, with a suffix for the set
 *   WIDTH    floats in a vector: 16, 8, 4, or 1 for plain C
 *   TARGET   the function attribute that selects the set
 *   VNNI     for WIDTH 16: the set has its products of bytes
 *
 * The same macro has the same definition in all sets, apart from these four. */

#include "vector_body.h"

/* The vectors of a block, and of a group of units. So many of a block are summed at once for one lane that they
 * fit in the registers, and hide the latency of an addition. */
#define BLOCK_VECTORS (TEXTGEN_BLOCK / WIDTH)
#define GROUP_VECTORS (TEXTGEN_GROUP / WIDTH)
#define ONE_LANE_VECTORS (WIDTH == 16 ? 4 : 8)

/* Each block of weights serves so many lanes before the next one. For one lane, the activations of so many
 * blocks follow each other, so that their long chains of operations overlap. */
#define MAX_LANES 24
#ifdef TEXTGEN_SMALL
#define BLOCKS_AT_ONCE 1
#else
#define BLOCKS_AT_ONCE 4
#endif

#include "float_body.h"
#include "int8_body.h"

/* sums[lane][BLOCK] += the products of the inputs of some lanes with a block of weights. sum: the number of its
 * first sum. */
TARGET INLINE void NAME(add)(const textgen_packed_layer *layer, const textgen_int8_factors *factors,
                             ptrdiff_t sum, const char *weights, const char *inputs, const float *scales,
                             ptrdiff_t count, float *sums, ptrdiff_t lanes) {
    if (layer->bits == 8) {
        NAME(add_dots)(sums, factors->scales + sum, factors->offsets + sum, (const int8_t *)weights,
                       (const uint8_t *)inputs, scales, count, lanes);
    } else {
        NAME(add_products)(sums, (const float *)(const void *)weights, (const float *)(const void *)inputs,
                           count, lanes);
    }
}

TARGET static void NAME(lstm)(const textgen_packed_layer *layer, const float *const *gate_inputs,
                              const void *input, const float *input_scales, float *hidden, float *cell,
                              void *scratch, ptrdiff_t lanes) {
    const ptrdiff_t inputs = layer->inputs, units = layer->outputs, size = layer->bits / 8;
    const bool is_single = TEXTGEN_LANES(lanes) == 1;
    const ptrdiff_t stride = is_single ? TEXTGEN_GROUP : units, block = is_single ? BLOCKS_AT_ONCE : 1;
    float gates[MAX_LANES * TEXTGEN_BLOCK];
    lanes = TEXTGEN_LANES(lanes);
    /* The other blocks still need the hidden state of the step before. */
    if (layer->bits == 8) {
        NAME(quantize)(hidden, lanes * units, 1.0f, scratch);
    } else {
        memcpy(scratch, hidden, (size_t)(lanes * units) * sizeof *hidden);
    }
    for (ptrdiff_t first = 0; first < units; first += block * TEXTGEN_GROUP) {
        const ptrdiff_t left = (units - first) / TEXTGEN_GROUP, blocks = left < block ? left : block;
        for (ptrdiff_t lane = 0; lane < lanes; lane += MAX_LANES) {
            const ptrdiff_t count = lanes - lane < MAX_LANES ? lanes - lane : MAX_LANES;
            for (ptrdiff_t i = 0; i < blocks; i++) {
                const ptrdiff_t sum = (first / TEXTGEN_GROUP + i) * TEXTGEN_BLOCK;
                const char *weights = (const char *)layer->weights + sum * (inputs + units) * size;
                float *to = gates + i * TEXTGEN_BLOCK;
                for (ptrdiff_t j = 0; j < count; j++) {
                    memcpy(to + j * TEXTGEN_BLOCK, gate_inputs[lane + j] + sum, TEXTGEN_BLOCK * sizeof *to);
                }
                if (inputs) {
                    NAME(add)(layer, &layer->input, sum, weights, (const char *)input + lane * inputs * size,
                              input_scales + lane, inputs, to, count);
                }
                NAME(add)(layer, &layer->hidden, sum, weights + inputs * TEXTGEN_BLOCK * size,
                          (const char *)scratch + lane * units * size, NULL, units, to, count);
            }
            const ptrdiff_t offset = lane * units + first;
            if (layer->bits == 8) {
                NAME(update_int8)(gates, cell + offset, hidden + offset, stride, count * blocks);
            } else {
                NAME(update_float)(gates, cell + offset, hidden + offset, stride, count * blocks);
            }
        }
    }
}

TARGET static void NAME(linear)(const textgen_packed_layer *layer, const void *input, const float *input_scales,
                                float *output, ptrdiff_t lanes) {
    const ptrdiff_t inputs = layer->inputs, outputs = layer->outputs, size = layer->bits / 8;
    float sums[MAX_LANES * TEXTGEN_BLOCK];
    lanes = TEXTGEN_LANES(lanes);
    for (ptrdiff_t sum = 0; sum < outputs; sum += TEXTGEN_BLOCK) {
        for (ptrdiff_t lane = 0; lane < lanes; lane += MAX_LANES) {
            const ptrdiff_t count = lanes - lane < MAX_LANES ? lanes - lane : MAX_LANES;
            for (ptrdiff_t i = 0; i < count; i++) {
                memcpy(sums + i * TEXTGEN_BLOCK, layer->bias + sum, TEXTGEN_BLOCK * sizeof *sums);
            }
            NAME(add)(layer, &layer->input, sum, (const char *)layer->weights + sum * inputs * size,
                      (const char *)input + lane * inputs * size, input_scales + lane, inputs, sums, count);
            for (ptrdiff_t i = 0; i < count; i++) {
                memcpy(output + (lane + i) * outputs + sum, sums + i * TEXTGEN_BLOCK,
                       TEXTGEN_BLOCK * sizeof *sums);
            }
        }
    }
}

/* Its products of float32 numbers are exact in float64, so they may be fused or not. The compiler uses the
 * vectors of the set. */
TARGET static void NAME(project)(const double *weights, const double *bias, const float *rows, ptrdiff_t inputs,
                                 ptrdiff_t count, float *products, ptrdiff_t stride) {
    for (ptrdiff_t row = 0; row < count; row++) {
        double sums[TEXTGEN_BLOCK] = {0};
        for (ptrdiff_t i = 0; i < inputs; i++) {
            const double input = (double)rows[row * inputs + i];
            /* One-hot rows are almost all zeros. */
            for (ptrdiff_t j = 0; input != 0.0 && j < TEXTGEN_BLOCK; j++) {
                sums[j] += weights[i * TEXTGEN_BLOCK + j] * input;
            }
        }
        for (ptrdiff_t j = 0; j < TEXTGEN_BLOCK; j++) {
            products[row * stride + j] = (float)(sums[j] + bias[j]);
        }
    }
}

TARGET static uint32_t NAME(sum)(const void *values, ptrdiff_t bytes) {
    integers sums[4], total;
    uint32_t elements[WIDTH], result = 0;
    memset(sums, 0, sizeof sums);
    for (ptrdiff_t i = 0; i < bytes; i += 16 * WIDTH) {
        UNROLL for (int v = 0; v < 4; v++) {
            sums[v] += NAME(load_bytes)((const char *)values + i + 4 * v * WIDTH);
        }
    }
    total = sums[0] + sums[1] + sums[2] + sums[3];
    memcpy(elements, &total, sizeof total);
    for (int i = 0; i < WIDTH; i++) {
        result += elements[i];
    }
    return result;
}

#undef NAME
#undef WIDTH
#undef TARGET
#undef VNNI
