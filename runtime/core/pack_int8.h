/* Packs the 8-bit weights of sums; used by pack_int8.c. */
#ifndef TEXTGEN_PACK_INT8_H
#define TEXTGEN_PACK_INT8_H

#include "pack_layers.h"

/* One part of the sums of an lstm or a gru, and where it is packed. */
typedef struct {
    const textgen_tensor *tensor, *scales;
    const int *gates; /* the gate of each sum, or -1 */
    size_t inputs;    /* without padding */
    size_t block;     /* columns of a block: those of all sums, or only of those with a gate */
    int8_t *weights;  /* of the first input in the first block */
    size_t rows;      /* of a block: inputs and units with padding */
    float factor;     /* of the scales */
} textgen_int8_part;

/* Pack a part. Its factors are taken from the network's memory. */
int32_t textgen_pack_int8_part(textgen_packing *pack, const textgen_int8_part *from,
                               textgen_int8_factors *factors);

/* Copy the weights of one sum to its column of a block [inputs / 4][block][4], and add them up. Return false if
 * they exceed their bounds. stride: the distance of two weights. */
bool textgen_pack_int8_sum(const int8_t *weights, size_t stride, size_t inputs, int8_t *column, size_t block,
                           int32_t *total);

/* Read the scales of a weight into `rows`. */
int32_t textgen_read_int8_scales(textgen_packing *pack, const textgen_tensor *scales);

/* Fail because weights exceed their bounds. */
int32_t textgen_fail_int8_bound(const textgen_packing *pack, const textgen_tensor *tensor);

static inline const int8_t *textgen_int8_values(const textgen_tensor *tensor) {
    return (const int8_t *)tensor->raw.data;
}

#endif
