#include "match.h"

#include <stdio.h>
#include <string.h>

/* Find the weights of a layer, `count` tensors, and the scales of those that have 8 bits. */
static int32_t find_weights(const textgen_graph *graph, const textgen_weight *weights, size_t count,
                            const size_t *dimensions, textgen_layer *layer) {
    for (size_t i = 0; i < count; i++) {
        const bool has_8_bits = weights[i].scales.size > 0;
        TEXTGEN_TRY(textgen_tensors_check(&graph->tensors, weights[i].values,
                                          has_8_bits ? TEXTGEN_ONNX_INT8 : TEXTGEN_ONNX_FLOAT, dimensions[i],
                                          &layer->tensors[i], graph->error));
        if (has_8_bits) {
            TEXTGEN_TRY(textgen_tensors_check(&graph->tensors, weights[i].scales, TEXTGEN_ONNX_FLOAT, 1,
                                              &layer->scales[i], graph->error));
        }
    }
    return TEXTGEN_OK;
}

/* Check that a weight has `count` scales, if it has 8 bits. */
static int32_t check_scales(const textgen_graph *graph, const textgen_tensor *scales, size_t count,
                            textgen_description *description) {
    char quoted[TEXTGEN_QUOTE_SIZE], shape[TEXTGEN_SHAPE_SIZE];
    if (!scales) {
        return TEXTGEN_OK;
    }
    description->scales += count;
    return scales->shape[0] == (int64_t)count
               ? TEXTGEN_OK
               : textgen_fail(graph->error, TEXTGEN_DAMAGED_MODEL,
                              "the scales %s have shape %s; expected [%zu]: export the model again",
                              textgen_quote(scales->name, quoted),
                              textgen_format_shape(scales->shape, 1, shape), count);
}

/* Check the scales of all layers, whose weights have the right shapes. */
static int32_t check_all_scales(const textgen_graph *graph, textgen_description *description) {
    const textgen_layer *layers = description->layers;
    const size_t last = description->layer_count - 1;
    TEXTGEN_TRY(check_scales(graph, layers[0].scales[0], layers[0].inputs, description));
    for (size_t i = 1; i < last; i++) {
        for (size_t j = 0; j < TEXTGEN_LAYER_SCALES; j++) {
            TEXTGEN_TRY(
                check_scales(graph, layers[i].scales[j], (size_t)layers[i].tensors[j]->shape[1], description));
        }
    }
    return check_scales(graph, layers[last].scales[0], description->vocabulary, description);
}

/* The shapes that the weights of a layer must have. */
typedef struct {
    size_t count;
    size_t dimensions[TEXTGEN_LAYER_TENSORS];
    int64_t shapes[TEXTGEN_LAYER_TENSORS][3];
} layer_shapes;

static layer_shapes expected_shapes(int64_t inputs, int64_t units) {
    /* The shapes begin with the number of directions. */
    return (layer_shapes){3, {3, 3, 2}, {{1, 4 * units, inputs}, {1, 4 * units, units}, {1, 8 * units}}};
}

enum { SHAPES_SIZE = TEXTGEN_LAYER_TENSORS * (TEXTGEN_SHAPE_SIZE + 8) };

/* Append a shape to a list for an error message. */
static void append_shape(char list[SHAPES_SIZE], const int64_t *shape, size_t dimensions,
                         const char *separator) {
    char formatted[TEXTGEN_SHAPE_SIZE];
    const size_t length = strlen(list);
    snprintf(list + length, SHAPES_SIZE - length, "%s%s", separator,
             textgen_format_shape(shape, dimensions, formatted));
}

static int32_t fail_shapes(const textgen_graph *graph, const layer_shapes *expected,
                           const textgen_layer *layer) {
    char found[SHAPES_SIZE] = "";
    char wanted[SHAPES_SIZE] = "";
    for (size_t i = 0; i < expected->count; i++) {
        const char *separator = i == 0 ? "" : i + 1 == expected->count ? " and " : ", ";
        append_shape(found, layer->tensors[i]->shape, expected->dimensions[i], separator);
        append_shape(wanted, expected->shapes[i], expected->dimensions[i], separator);
    }
    return textgen_fail(graph->error, TEXTGEN_DAMAGED_MODEL,
                        "the LSTM weights have shapes %s; expected %s: export the model again", found, wanted);
}

static int32_t describe_layer(const textgen_graph *graph, const textgen_layer_nodes *nodes, size_t inputs,
                              size_t units, textgen_layer *layer) {
    const layer_shapes expected = expected_shapes((int64_t)inputs, (int64_t)units);
    bool valid = true;
    TEXTGEN_TRY(find_weights(graph, nodes->weights, expected.count, expected.dimensions, layer));
    for (size_t i = 0; i < expected.count; i++) {
        const int64_t *shape = layer->tensors[i]->shape;
        if (shape[0] != 1) {
            return textgen_fail(graph->error, TEXTGEN_DAMAGED_MODEL,
                                "the LSTM weights have several directions; only one is supported");
        }
        for (size_t j = 0; j < expected.dimensions[i]; j++) {
            valid = valid && shape[j] == expected.shapes[i][j];
        }
    }
    if (!valid) {
        return fail_shapes(graph, &expected, layer);
    }
    if (!textgen_node_has_attribute(nodes->node, "hidden_size")) {
        return textgen_fail(graph->error, TEXTGEN_DAMAGED_MODEL, "an LSTM node has no hidden_size attribute");
    }
    layer->kind = TEXTGEN_LSTM;
    layer->name = nodes->node->name;
    layer->inputs = inputs;
    layer->outputs = units;
    layer->residual = nodes->residual;
    return TEXTGEN_OK;
}

/* Describe the embedding and the output layer. */
static int32_t describe_ends(const textgen_graph *graph, const textgen_nodes *nodes, textgen_layer *embedding,
                             textgen_layer *linear) {
    /* TinyCC cannot compile an initializer with a whole structure in it. */
    textgen_weight output[2] = {{{NULL, 0}, {NULL, 0}}};
    const size_t dimensions[] = {2, 1};
    output[0] = nodes->output;
    output[1].values = nodes->add->inputs[1];
    TEXTGEN_TRY(find_weights(graph, output, 2, dimensions, linear));
    TEXTGEN_TRY(find_weights(graph, &nodes->embedding, 1, dimensions, embedding));
    linear->kind = TEXTGEN_LINEAR;
    linear->name = nodes->matmul->name;
    linear->inputs = (size_t)linear->tensors[0]->shape[0];
    linear->outputs = (size_t)linear->tensors[0]->shape[1];
    embedding->kind = TEXTGEN_EMBEDDING;
    embedding->name = nodes->gather->name;
    embedding->inputs = (size_t)embedding->tensors[0]->shape[0];
    embedding->outputs = (size_t)embedding->tensors[0]->shape[1];
    return TEXTGEN_OK;
}

static void describe_state(const textgen_nodes *nodes, textgen_description *description) {
    description->state_count = TEXTGEN_SHARED_ARRAYS;
    for (size_t i = 0; i < description->state_count; i++) {
        textgen_state_array *array = &description->state[i];
        snprintf(array->name, sizeof array->name, "%s", textgen_shared_arrays[i]);
        array->rows = nodes->layer_count;
        array->units = description->layers[1].outputs;
    }
}

int32_t textgen_shapes_describe(const textgen_graph *graph, const textgen_nodes *nodes,
                                textgen_description *description) {
    textgen_layer *embedding = &description->layers[0];
    textgen_layer *linear = &description->layers[nodes->layer_count + 1];
    TEXTGEN_TRY(describe_ends(graph, nodes, embedding, linear));
    for (size_t i = 0; i < nodes->layer_count; i++) {
        const size_t inputs = i == 0 ? embedding->outputs : linear->inputs;
        TEXTGEN_TRY(
            describe_layer(graph, &nodes->layers[i], inputs, linear->inputs, &description->layers[i + 1]));
    }
    if (embedding->inputs != linear->outputs || linear->tensors[1]->shape[0] != (int64_t)linear->outputs) {
        return textgen_fail(graph->error, TEXTGEN_DAMAGED_MODEL,
                            "the embedding, output weights and output bias have different vocabulary sizes");
    }
    description->layer_count = nodes->layer_count + 2;
    description->vocabulary = linear->outputs;
    description->bits = nodes->bits;
    describe_state(nodes, description);
    return check_all_scales(graph, description);
}
