#include "match.h"

#include <string.h>

static int32_t unknown(const textgen_graph *graph, const char *what) {
    return textgen_fail(graph->error, TEXTGEN_UNKNOWN_GRAPH, "%s", what);
}

const char *textgen_layer_title(textgen_layer_kind kind) {
    return kind == TEXTGEN_LSTM ? "LSTM" : kind == TEXTGEN_GRU ? "GRU" : "convolution";
}

/* The number of units that the output weights declare; not checked yet. */
static int64_t declared_units(const textgen_graph *graph, textgen_view name) {
    const textgen_tensor *tensor = textgen_tensors_find(&graph->tensors, name);
    return tensor == NULL || tensor->dimensions == 0 ? 0 : tensor->shape[0];
}

/* Match the layer that has the output `value`, with its residual connection. */
static int32_t match_layer(const textgen_graph *graph, textgen_view value, int64_t units,
                           textgen_layer_nodes *layer) {
    const textgen_node *producer = textgen_graph_producer(graph, value), *add = NULL;
    int32_t code = TEXTGEN_OK;
    memset(layer, 0, sizeof(*layer));
    if (textgen_view_is(producer->type, "Add")) {
        const textgen_node_pattern add_pattern = {.type = "Add", .inputs = 2};
        code = textgen_graph_match_node(graph, value, &add_pattern, &add);
        if (code != TEXTGEN_OK) {
            return code;
        }
        value = add->inputs[0];
        producer = textgen_graph_producer(graph, value);
    }
    code = producer != NULL && textgen_view_is(producer->type, "Mul")
               ? textgen_match_conv(graph, value, layer)
               : textgen_match_recurrent(graph, value, units, layer);
    if (code == TEXTGEN_OK && add != NULL) {
        layer->residual = true;
        layer->node_count++;
        if (!textgen_views_equal(add->inputs[1], layer->input)) {
            return unknown(graph, "unexpected inputs of an Add node");
        }
    }
    return code;
}

static bool is_layer_output(const textgen_node *producer) {
    return producer != NULL &&
           (textgen_view_is(producer->type, "Squeeze") || textgen_view_is(producer->type, "Mul") ||
            textgen_view_is(producer->type, "Add"));
}

/* Match the layers, from the last to the first. `*value` is the output of the last, and becomes the input of
 * the first. */
static int32_t match_layers(const textgen_graph *graph, int64_t units, textgen_view *value,
                            textgen_nodes *nodes) {
    textgen_layer_nodes layer = {.kind = TEXTGEN_LSTM};
    char formatted[2][TEXTGEN_NUMBER_SIZE];
    while (is_layer_output(textgen_graph_producer(graph, *value))) {
        if (nodes->layer_count >= graph->file->node_count) {
            return textgen_fail(graph->error, TEXTGEN_DAMAGED_MODEL, "the graph has a cycle");
        }
        const int32_t code = match_layer(graph, *value, units, &layer);
        if (code != TEXTGEN_OK) {
            return code;
        }
        if (nodes->layer_count < TEXTGEN_MAX_LAYERS) {
            nodes->layers[nodes->layer_count] = layer;
        }
        nodes->layer_count++;
        nodes->node_count += layer.node_count;
        *value = layer.input;
    }
    if (nodes->layer_count > TEXTGEN_MAX_LAYERS) {
        return textgen_fail(
            graph->error, TEXTGEN_TOO_LARGE, "the model has %s %s layers; at most %s are supported",
            textgen_format_number(nodes->layer_count, formatted[0]), textgen_layer_title(layer.kind),
            textgen_format_number(TEXTGEN_MAX_LAYERS, formatted[1]));
    }
    /* Reverse the order: the first layer comes first. */
    for (size_t i = 0; i < nodes->layer_count / 2; i++) {
        layer = nodes->layers[nodes->layer_count - 1 - i];
        nodes->layers[nodes->layer_count - 1 - i] = nodes->layers[i];
        nodes->layers[i] = layer;
    }
    return TEXTGEN_OK;
}

/* Check that all layers are of one kind, and that the first one has no residual connection. */
static int32_t check_layers(const textgen_graph *graph, const textgen_nodes *nodes) {
    if (nodes->layers[0].residual) {
        return unknown(graph, "the first layer has a residual connection");
    }
    for (size_t i = 1; i < nodes->layer_count; i++) {
        if (nodes->layers[i].kind != nodes->layers[0].kind) {
            return unknown(graph, "the layers are of several kinds");
        }
    }
    if (nodes->layers[0].kind == TEXTGEN_CONV && nodes->layer_count > TEXTGEN_MAX_STATE_ARRAYS) {
        return textgen_fail(graph->error, TEXTGEN_TOO_LARGE, "the model has more than %d convolution layers",
                            (int)TEXTGEN_MAX_STATE_ARRAYS);
    }
    return TEXTGEN_OK;
}

/* Check that each layer reads and writes its part of the state. */
static int32_t match_state(const textgen_graph *graph, textgen_nodes *nodes) {
    int32_t code = textgen_match_shared_arrays(graph, nodes);
    for (size_t i = 0; code == TEXTGEN_OK && i < nodes->layer_count; i++) {
        if (nodes->layers[i].kind == TEXTGEN_CONV) {
            code = textgen_match_inputs(graph, &nodes->layers[i], i);
        }
    }
    return code;
}

int32_t textgen_match_nodes(const textgen_graph *graph, textgen_nodes *nodes) {
    const textgen_node_pattern add_pattern = {.type = "Add", .inputs = 2};
    const textgen_node_pattern matmul_pattern = {.type = "MatMul", .inputs = 2};
    const textgen_node_pattern gather_pattern = {.type = "Gather", .inputs = 2, .integers = {{"axis", 0}}};
    textgen_view value = {NULL, 0};
    int32_t code = textgen_graph_match_node(graph, textgen_view_of("logits"), &add_pattern, &nodes->add);
    nodes->node_count = 3;
    if (code == TEXTGEN_OK) {
        code = textgen_graph_match_node(graph, nodes->add->inputs[0], &matmul_pattern, &nodes->matmul);
    }
    if (code == TEXTGEN_OK) {
        code = textgen_match_weight(graph, nodes->matmul->inputs[1], 1, &nodes->output);
    }
    if (code == TEXTGEN_OK) {
        value = nodes->matmul->inputs[0];
        code = match_layers(graph, declared_units(graph, nodes->output.values), &value, nodes);
    }
    if (code == TEXTGEN_OK) {
        code = textgen_graph_match_node(graph, value, &gather_pattern, &nodes->gather);
    }
    if (code == TEXTGEN_OK &&
        (!textgen_view_is(nodes->gather->inputs[1], "token") || nodes->layer_count == 0)) {
        return unknown(graph, "unexpected connections of the input token");
    }
    if (code == TEXTGEN_OK) {
        code = check_layers(graph, nodes);
    }
    if (code == TEXTGEN_OK) {
        code = match_state(graph, nodes);
    }
    if (code == TEXTGEN_OK) {
        code = textgen_match_weights(graph, nodes);
    }
    if (code == TEXTGEN_OK && graph->file->node_count != nodes->node_count) {
        return unknown(graph, "the graph has unexpected nodes");
    }
    return code;
}
