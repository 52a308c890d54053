#include "pack_int8.h"

#include "exact.h"
#include "tensors.h"

#include <float.h>

int32_t textgen_read_int8_scales(textgen_packing *pack, const textgen_tensor *scales) {
    char quoted[TEXTGEN_QUOTE_SIZE];
    const size_t count = (size_t)scales->shape[0];
    const int32_t code = textgen_tensor_floats(scales, 0, count, pack->rows, pack->error);
    for (size_t i = 0; code == TEXTGEN_OK && i < count; i++) {
        /* Some processors replace numbers below FLT_MIN by 0. */
        if (pack->rows[i] < FLT_MIN) {
            return textgen_fail(
                pack->error, TEXTGEN_DAMAGED_MODEL,
                "the scales %s contain a number that is not positive, or too small: quantize the model again",
                textgen_quote(scales->name, quoted));
        }
    }
    return code;
}

int32_t textgen_fail_int8_bound(const textgen_packing *pack, const textgen_tensor *tensor) {
    char quoted[TEXTGEN_QUOTE_SIZE];
    return textgen_fail(pack->error, TEXTGEN_DAMAGED_MODEL,
                        "the weights %s exceed the limits of 8-bit weights: quantize the model again",
                        textgen_quote(tensor->name, quoted));
}

bool textgen_pack_int8_sum(const int8_t *weights, size_t stride, size_t inputs, int8_t *column, size_t block,
                           int32_t *total) {
    int even = 0;
    *total = 0;
    for (size_t i = 0; i < inputs; i++) {
        const int weight = weights[i * stride], pair = i % 2 ? even + weight : weight;
        if (weight < -TEXTGEN_INT8_LEVELS || pair < -TEXTGEN_INT8_PAIR_BOUND ||
            pair > TEXTGEN_INT8_PAIR_BOUND) {
            return false;
        }
        column[i / 4 * 4 * block + i % 4] = (int8_t)weight;
        *total += weight;
        even = weight;
    }
    return true;
}

int32_t textgen_pack_int8_part(textgen_packing *pack, const textgen_int8_part *from,
                               textgen_int8_factors *factors) {
    const size_t groups = pack->padded_units / TEXTGEN_GROUP;
    float *scales = textgen_pack_reserve(pack, groups * from->block);
    int32_t *offsets = (int32_t *)(void *)textgen_pack_reserve(pack, groups * from->block);
    size_t first = 0;
    const int32_t code = textgen_read_int8_scales(pack, from->scales);
    factors->scales = scales;
    factors->offsets = offsets;
    for (size_t sum = 0; code == TEXTGEN_OK && sum < TEXTGEN_SUMS; sum++) {
        for (size_t unit = 0; from->gates[sum] >= 0 && unit < pack->units; unit++) {
            const size_t row = (size_t)from->gates[sum] * pack->units + unit, group = unit / TEXTGEN_GROUP;
            const size_t column = first + unit % TEXTGEN_GROUP, place = group * from->block + column;
            int8_t *to = from->weights + group * from->rows * from->block + 4 * column;
            int32_t total;
            if (!textgen_pack_int8_sum(textgen_int8_values(from->tensor) + row * from->inputs, 1, from->inputs,
                                       to, from->block, &total)) {
                return textgen_fail_int8_bound(pack, from->tensor);
            }
            scales[place] = pack->rows[row] * from->factor;
            offsets[place] = -pack->network->kernels->int8->zero * total;
        }
        first += from->gates[sum] >= 0 || from->block == TEXTGEN_BLOCK ? TEXTGEN_GROUP : 0;
    }
    return code;
}
