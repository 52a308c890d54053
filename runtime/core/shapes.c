#include "shapes.h"

static int32_t damaged(const textgen_graph *graph, const char *what) {
    return textgen_fail(graph->error, TEXTGEN_DAMAGED_MODEL, "%s", what);
}

static int32_t weights(const textgen_graph *graph, textgen_view name, size_t dimensions,
                       const textgen_tensor **tensor) {
    return textgen_tensors_check(&graph->tensors, name, TEXTGEN_ONNX_FLOAT, dimensions, tensor, graph->error);
}

static bool has_hidden_size(const textgen_node *lstm) {
    for (size_t i = 0; i < lstm->attribute_count && i < TEXTGEN_MAX_ATTRIBUTES; i++) {
        if (textgen_view_is(lstm->attributes[i].name, "hidden_size")) {
            return true;
        }
    }
    return false;
}

/* Describe an LSTM. The shapes of its weights begin with the number of directions. */
static int32_t describe_lstm(const textgen_graph *graph, const textgen_node *node, size_t inputs, size_t units,
                             textgen_layer *layer) {
    static const size_t dimensions[TEXTGEN_LAYER_TENSORS] = {3, 3, 2};
    const int64_t width = (int64_t)units;
    const int64_t expected[TEXTGEN_LAYER_TENSORS][3] = {
        {1, 4 * width, (int64_t)inputs}, {1, 4 * width, width}, {1, 8 * width, 0}};
    char shapes[2][TEXTGEN_LAYER_TENSORS][TEXTGEN_SHAPE_SIZE];
    for (size_t i = 0; i < TEXTGEN_LAYER_TENSORS; i++) {
        const int32_t code = weights(graph, node->inputs[1 + i], dimensions[i], &layer->tensors[i]);
        if (code != TEXTGEN_OK) {
            return code;
        }
    }
    bool valid = true;
    for (size_t i = 0; i < TEXTGEN_LAYER_TENSORS; i++) {
        const int64_t *shape = layer->tensors[i]->shape;
        if (shape[0] != 1) {
            return damaged(graph, "the LSTM weights have several directions; only one is supported");
        }
        for (size_t j = 0; j < dimensions[i]; j++) {
            valid = valid && shape[j] == expected[i][j];
        }
        textgen_format_shape(shape, dimensions[i], shapes[0][i]);
        textgen_format_shape(expected[i], dimensions[i], shapes[1][i]);
    }
    if (!valid) {
        return textgen_fail(graph->error, TEXTGEN_DAMAGED_MODEL,
                            "the LSTM weights have shapes %s, %s and %s; expected %s, %s and %s", shapes[0][0],
                            shapes[0][1], shapes[0][2], shapes[1][0], shapes[1][1], shapes[1][2]);
    }
    if (!has_hidden_size(node)) {
        return damaged(graph, "an LSTM node has no hidden_size attribute");
    }
    layer->kind = TEXTGEN_LSTM;
    layer->name = node->name;
    layer->inputs = inputs;
    layer->outputs = units;
    return TEXTGEN_OK;
}

int32_t textgen_shapes_describe(const textgen_graph *graph, const textgen_nodes *nodes,
                                textgen_description *description) {
    textgen_layer *embedding = &description->layers[0];
    textgen_layer *linear = &description->layers[nodes->lstm_count + 1];
    int32_t code = weights(graph, nodes->matmul->inputs[1], 2, &linear->tensors[0]);
    if (code == TEXTGEN_OK) {
        code = weights(graph, nodes->add->inputs[1], 1, &linear->tensors[1]);
    }
    if (code == TEXTGEN_OK) {
        code = weights(graph, nodes->gather->inputs[0], 2, &embedding->tensors[0]);
    }
    if (code != TEXTGEN_OK) {
        return code;
    }
    linear->kind = TEXTGEN_LINEAR;
    linear->name = nodes->matmul->name;
    linear->inputs = (size_t)linear->tensors[0]->shape[0];
    linear->outputs = (size_t)linear->tensors[0]->shape[1];
    embedding->kind = TEXTGEN_EMBEDDING;
    embedding->name = nodes->gather->name;
    embedding->inputs = (size_t)embedding->tensors[0]->shape[0];
    embedding->outputs = (size_t)embedding->tensors[0]->shape[1];
    size_t inputs = embedding->outputs;
    for (size_t i = 0; i < nodes->lstm_count; i++) {
        code = describe_lstm(graph, nodes->lstms[i], inputs, linear->inputs, &description->layers[i + 1]);
        if (code != TEXTGEN_OK) {
            return code;
        }
        inputs = linear->inputs;
    }
    if (embedding->inputs != linear->outputs || linear->tensors[1]->shape[0] != (int64_t)linear->outputs) {
        return damaged(graph, "the embedding, output weights and output bias have different vocabulary sizes");
    }
    description->layer_count = nodes->lstm_count + 2;
    description->state_count = TEXTGEN_STATE_ARRAYS;
    for (size_t i = 0; i < TEXTGEN_STATE_ARRAYS; i++) {
        description->state[i].layers = nodes->lstm_count;
        description->state[i].units = linear->inputs;
    }
    description->vocabulary = linear->outputs;
    return TEXTGEN_OK;
}
