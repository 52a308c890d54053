#include "match.h"

#include <string.h>

/* The number of units that the output weights declare; not checked yet. */
static int64_t declared_units(const textgen_graph *graph, textgen_view name) {
    const textgen_tensor *tensor = textgen_tensors_find(&graph->tensors, name);
    return tensor && tensor->dimensions > 0 ? tensor->shape[0] : 0;
}

/* Match the layer that has the output `value`, with its residual connection. */
static int32_t match_layer(const textgen_graph *graph, textgen_view value, int64_t units,
                           textgen_layer_nodes *layer) {
    const textgen_node *producer = textgen_graph_producer(graph, value), *add = NULL;
    memset(layer, 0, sizeof *layer);
    if (textgen_view_is(producer->type, "Add")) {
        TEXTGEN_TRY(
            textgen_graph_match_node(graph, value, &(textgen_node_pattern){.type = "Add", .inputs = 2}, &add));
        value = add->inputs[0];
    }
    TEXTGEN_TRY(textgen_match_recurrent(graph, value, units, layer));
    layer->residual = add != NULL;
    layer->node_count += layer->residual;
    return add && !textgen_views_equal(add->inputs[1], layer->input)
               ? textgen_unknown_graph(graph, "unexpected inputs of an Add node")
               : TEXTGEN_OK;
}

static bool is_layer_output(const textgen_node *producer) {
    return producer && (textgen_view_is(producer->type, "Squeeze") || textgen_view_is(producer->type, "Add"));
}

/* Match the layers, from the last to the first. `*value` is the output of the last, and becomes the input of
 * the first. */
static int32_t match_layers(const textgen_graph *graph, int64_t units, textgen_view *value,
                            textgen_nodes *nodes) {
    textgen_layer_nodes layer;
    char formatted[2][TEXTGEN_NUMBER_SIZE];
    while (is_layer_output(textgen_graph_producer(graph, *value))) {
        if (nodes->layer_count >= graph->file->node_count) {
            return textgen_fail(graph->error, TEXTGEN_DAMAGED_MODEL,
                                "the graph has a cycle: export the model again");
        }
        TEXTGEN_TRY(match_layer(graph, *value, units, &layer));
        if (nodes->layer_count < TEXTGEN_MAX_LAYERS) {
            nodes->layers[nodes->layer_count] = layer;
        }
        nodes->layer_count++;
        nodes->node_count += layer.node_count;
        *value = layer.input;
    }
    if (nodes->layer_count > TEXTGEN_MAX_LAYERS) {
        return textgen_fail(graph->error, TEXTGEN_TOO_LARGE,
                            "the model has %s LSTM layers; at most %s are supported",
                            textgen_format_number(nodes->layer_count, formatted[0]),
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

int32_t textgen_match_nodes(const textgen_graph *graph, textgen_nodes *nodes) {
    const textgen_node_pattern add = {.type = "Add", .inputs = 2}, matmul = {.type = "MatMul", .inputs = 2};
    const textgen_node_pattern gather = {.type = "Gather", .inputs = 2, .integers = {{"axis", 0}}};
    nodes->node_count = 3;
    TEXTGEN_TRY(textgen_graph_match_node(graph, textgen_view_of("logits"), &add, &nodes->add));
    TEXTGEN_TRY(textgen_graph_match_node(graph, nodes->add->inputs[0], &matmul, &nodes->matmul));
    TEXTGEN_TRY(textgen_match_weight(graph, nodes->matmul->inputs[1], 1, &nodes->output));
    textgen_view value = nodes->matmul->inputs[0];
    TEXTGEN_TRY(match_layers(graph, declared_units(graph, nodes->output.values), &value, nodes));
    TEXTGEN_TRY(textgen_graph_match_node(graph, value, &gather, &nodes->gather));
    if (!textgen_view_is(nodes->gather->inputs[1], "token") || nodes->layer_count == 0) {
        return textgen_unknown_graph(graph, "unexpected connections of the input token");
    }
    if (nodes->layers[0].residual) {
        return textgen_unknown_graph(graph, "the first layer has a residual connection");
    }
    TEXTGEN_TRY(textgen_match_shared_arrays(graph, nodes));
    TEXTGEN_TRY(textgen_match_weights(graph, nodes));
    return graph->file->node_count != nodes->node_count
               ? textgen_unknown_graph(graph, "the graph has unexpected nodes")
               : TEXTGEN_OK;
}
