#include "writer.h"

#include <string.h>

/* Put the bits of a number, little-endian. */
static void put_float(textgen_output *to, float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    for (int i = 0; i < 32 && to->data; i += 8) {
        to->data[to->size + (size_t)i / 8] = (unsigned char)(bits >> i);
    }
    to->size += sizeof bits;
}

/* Put a matrix of the network as a tensor. ONNX has a row of a layer's weights for each gate of each unit, and
 * two biases, which are added: the second one is zero. */
static void put_matrix(textgen_output *to, const textgen_matrix *matrix, const float *values,
                       textgen_sizes sizes) {
    /* By textgen_matrix_kind. In a layer, u stands for its gates, and e for its inputs. Field 1 is a dimension,
     * 2 the type float32, 8 the name, and 9 the values. */
    static const char *const heads[] = {"1=v 1=e 2=1 8'embedding'",       "1=1 1=u 1=e 2=1 8'input_#'",
                                        "1=1 1=u 1=e 2=1 8'recurrent_#'", "1=1 1=u 2=1 8'bias_#'",
                                        "1=u 1=v 2=1 8'output_weights'",  "1=v 2=1 8'output_bias'"};
    const bool is_bias = matrix->kind == TEXTGEN_LAYER_BIAS;
    const bool is_layer =
        is_bias || matrix->kind == TEXTGEN_INPUT_WEIGHTS || matrix->kind == TEXTGEN_RECURRENT_WEIGHTS;
    const size_t columns = is_layer                         ? sizes.units
                           : matrix->kind == TEXTGEN_TOKENS ? sizes.embedding
                                                            : sizes.vocabulary;
    const size_t rows = (size_t)matrix->rows, stride = (size_t)matrix->columns, gate = stride / 4;
    const size_t tensor = to->size;
    if (is_layer) {
        sizes.units *= is_bias ? 8 : 4;
        sizes.embedding = rows;
    }
    textgen_onnx_put(to, heads[matrix->kind], &sizes, (size_t)matrix->layer);
    const size_t raw = to->size;
    for (size_t i = 0; is_layer && i < 4 * columns * rows; i++) {
        const size_t row = i % rows, column = i / rows;
        put_float(to, values[row * stride + column / columns * gate + column % columns]);
    }
    for (size_t i = 0; is_bias && i < 4 * columns; i++) {
        put_float(to, 0.0f);
    }
    for (size_t i = 0; !is_layer && i < rows * columns; i++) {
        put_float(to, values[i / columns * stride + i % columns]);
    }
    textgen_onnx_wrap(to, 9, raw);
    textgen_onnx_wrap(to, 5, tensor);
}

static void put_text(textgen_output *to, size_t number, const char *text) {
    const size_t start = to->size, size = strlen(text);
    if (to->data) {
        memcpy(to->data + start, text, size);
    }
    to->size += size;
    textgen_onnx_wrap(to, number, start);
}

size_t textgen_write_model(const textgen_run *run, const char *const *metadata, size_t entries,
                           unsigned char *file) {
    const textgen_network_shape shape = textgen_run_shape(run);
    const textgen_sizes sizes = {.layers = (size_t)shape.layers,
                                 .units = (size_t)shape.units,
                                 .embedding = (size_t)shape.embedding,
                                 .vocabulary = (size_t)shape.vocabulary,
                                 .residual = shape.residual,
                                 .bits = 32};
    textgen_output to = {file, 0};
    textgen_onnx_put(&to, "1=9 2'textgen'", &sizes, 0);
    const size_t graph = to.size;
    textgen_onnx_put_graph(&to, &sizes);
    for (ptrdiff_t i = 0; i < textgen_matrix_count(&shape); i++) {
        const textgen_matrix matrix = textgen_matrix_at(&shape, i);
        put_matrix(&to, &matrix, textgen_run_weights(run) + matrix.offset, sizes);
    }
    const size_t axis = to.size;
    textgen_onnx_put(&to, "1=1 2=7 8'direction_axis'", &sizes, 0);
    const size_t raw = to.size;
    if (file) {
        memcpy(file + raw, "\1\0\0\0\0\0\0\0", 8);
    }
    to.size += 8;
    textgen_onnx_wrap(&to, 9, raw);
    textgen_onnx_wrap(&to, 5, axis);
    textgen_onnx_wrap(&to, 7, graph);
    textgen_onnx_put(&to, "8(1'' 2=17)", &sizes, 0);
    for (size_t i = 0; i + 1 < entries; i += 2) {
        const size_t start = to.size;
        put_text(&to, 1, metadata[i]);
        put_text(&to, 2, metadata[i + 1]);
        textgen_onnx_wrap(&to, 14, start);
    }
    return to.size;
}
