#include "pack_layers.h"

/* Convert ONNX's matrix [2 * inputs][2 * units] to blocks [groups][2 * padded inputs][BLOCK]. */
static int32_t pack_rows(textgen_packing *pack, const textgen_layer *layer, size_t inputs, float *weights) {
    const size_t units = pack->units;
    for (size_t row = 0; row < 2 * layer->inputs; row++) {
        const size_t place = row < layer->inputs ? row : inputs + row - layer->inputs;
        const int32_t code =
            textgen_tensor_floats(layer->tensors[0], row * 2 * units, 2 * units, pack->rows, pack->error);
        if (code != TEXTGEN_OK) {
            return code;
        }
        for (size_t unit = 0; unit < units; unit++) {
            const size_t group = unit / TEXTGEN_CONV_GROUP, column = unit % TEXTGEN_CONV_GROUP;
            float *block = weights + (group * 2 * inputs + place) * TEXTGEN_BLOCK;
            block[column] = pack->rows[unit];
            block[TEXTGEN_CONV_GROUP + column] = pack->rows[units + unit];
        }
    }
    return TEXTGEN_OK;
}

int32_t textgen_pack_conv(textgen_packing *pack, size_t index) {
    const textgen_layer *layer = &pack->description->layers[index + 1];
    textgen_packed_layer *packed = &pack->network->layers[index];
    /* The output of a layer is padded, that of the embedding is not. */
    const size_t inputs = index ? pack->padded_units : layer->inputs, size = 4 * pack->padded_units * inputs;
    float *weights = textgen_pack_reserve(pack, size),
          *bias = textgen_pack_reserve(pack, 2 * pack->padded_units);
    packed->inputs = (ptrdiff_t)inputs;
    packed->outputs = (ptrdiff_t)pack->padded_units;
    packed->size = (ptrdiff_t)size;
    packed->weights = weights;
    packed->bias = bias;
    int32_t code = pack_rows(pack, layer, inputs, weights);
    if (code == TEXTGEN_OK) {
        code = textgen_tensor_floats(layer->tensors[1], 0, 2 * pack->units, pack->rows, pack->error);
    }
    for (size_t unit = 0; code == TEXTGEN_OK && unit < pack->units; unit++) {
        float *block = bias + unit / TEXTGEN_CONV_GROUP * TEXTGEN_BLOCK + unit % TEXTGEN_CONV_GROUP;
        block[0] = pack->rows[unit];
        block[TEXTGEN_CONV_GROUP] = pack->rows[pack->units + unit];
    }
    return code;
}
