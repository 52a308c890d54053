/* LSTM layers: a node of the layer, a Squeeze, and parts of the state arrays. */
#include "match.h"

/* The inputs of a node: the layer's input, three weights, sequence lengths, and its parts of the state. */
enum { SEQUENCE_LENGTHS = 4, FIRST_STATE_INPUT = 5 };

const char *const textgen_shared_arrays[TEXTGEN_SHARED_ARRAYS] = {"hidden", "cell"};
static const char *const next_arrays[TEXTGEN_SHARED_ARRAYS] = {"next_hidden", "next_cell"};

/* Match the node of an LSTM that has the output `name`. */
static int32_t match_node(const textgen_graph *graph, textgen_view name, int64_t units,
                          textgen_layer_nodes *layer) {
    const textgen_node_pattern pattern = {.type = "LSTM",
                                          .inputs = FIRST_STATE_INPUT + TEXTGEN_SHARED_ARRAYS,
                                          .integers = {{"hidden_size", units}},
                                          .text_attribute = "direction",
                                          .text = "forward"};
    TEXTGEN_TRY(textgen_graph_match_node(graph, name, &pattern, &layer->node));
    if (layer->node->output_count != 1 + TEXTGEN_SHARED_ARRAYS ||
        !textgen_views_equal(layer->node->outputs[0], name) || layer->node->inputs[SEQUENCE_LENGTHS].size > 0) {
        return textgen_fail(graph->error, TEXTGEN_UNKNOWN_GRAPH,
                            "unexpected inputs or outputs of a node of type %s", pattern.type);
    }
    return TEXTGEN_OK;
}

int32_t textgen_match_recurrent(const textgen_graph *graph, textgen_view output, int64_t units,
                                textgen_layer_nodes *layer) {
    const textgen_node_pattern squeeze_pattern = {.type = "Squeeze", .inputs = 2};
    const textgen_node *squeeze;
    int64_t axis;
    TEXTGEN_TRY(textgen_graph_match_node(graph, output, &squeeze_pattern, &squeeze));
    TEXTGEN_TRY(textgen_graph_integer(graph, squeeze->inputs[1], &axis));
    if (axis != 1) {
        return textgen_unknown_graph(graph, "a Squeeze node must remove axis 1");
    }
    TEXTGEN_TRY(match_node(graph, squeeze->inputs[0], units, layer));
    layer->input = layer->node->inputs[0];
    for (size_t i = 0; i < TEXTGEN_LAYER_TENSORS; i++) {
        layer->weights[i].values = layer->node->inputs[1 + i];
    }
    layer->node_count = 2;
    return TEXTGEN_OK;
}

/* Check that each layer reads and writes its part of a state array. index: of the array. */
static int32_t match_array(const textgen_graph *graph, textgen_nodes *nodes, size_t index) {
    const size_t layers = nodes->layer_count, input = FIRST_STATE_INPUT + index, output = 1 + index;
    textgen_view read = nodes->layers[0].node->inputs[input];
    textgen_view written = nodes->layers[0].node->outputs[output];
    bool fits = true;
    if (layers > 1) {
        const textgen_node_pattern split_pattern = {.type = "Split", .inputs = 1, .integers = {{"axis", 0}}};
        const textgen_node_pattern concat_pattern = {
            .type = "Concat", .inputs = layers, .integers = {{"axis", 0}}};
        const textgen_node *split, *concat;
        TEXTGEN_TRY(textgen_graph_match_node(graph, read, &split_pattern, &split));
        TEXTGEN_TRY(
            textgen_graph_match_node(graph, textgen_view_of(next_arrays[index]), &concat_pattern, &concat));
        fits = split->output_count == layers && concat->output_count == 1;
        for (size_t i = 0; fits && i < layers; i++) {
            fits = textgen_views_equal(split->outputs[i], nodes->layers[i].node->inputs[input]) &&
                   textgen_views_equal(concat->inputs[i], nodes->layers[i].node->outputs[output]);
        }
        read = split->inputs[0];
        written = concat->outputs[0];
        nodes->node_count += 2;
    }
    if (!fits || !textgen_view_is(read, textgen_shared_arrays[index]) ||
        !textgen_view_is(written, next_arrays[index])) {
        return textgen_fail(graph->error, TEXTGEN_UNKNOWN_GRAPH, "unexpected connections of the %s state",
                            textgen_shared_arrays[index]);
    }
    return TEXTGEN_OK;
}

int32_t textgen_match_shared_arrays(const textgen_graph *graph, textgen_nodes *nodes) {
    for (size_t i = 0; i < TEXTGEN_SHARED_ARRAYS; i++) {
        TEXTGEN_TRY(match_array(graph, nodes, i));
    }
    return TEXTGEN_OK;
}
