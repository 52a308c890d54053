/* The weights of the layers: float32 initializers, or 8-bit ones behind DequantizeLinear nodes. */
#include "match.h"

/* The axis of the scales of an embedding, and of all other weights: that of their rows or columns. */
enum { EMBEDDING_AXIS = 0, AXIS = 1 };

/* The names of the weights of a layer and of their scales. */
enum { LAYER_NAMES = 2 * TEXTGEN_LAYER_TENSORS };

int32_t textgen_match_weight(const textgen_graph *graph, textgen_view name, int64_t axis,
                             textgen_weight *weight) {
    const textgen_node_pattern pattern = {
        .type = "DequantizeLinear", .inputs = 2, .integers = {{"axis", axis}}};
    const textgen_node *node = textgen_graph_producer(graph, name);
    weight->values = name;
    weight->scales = (textgen_view){NULL, 0};
    if (!node || !textgen_view_is(node->type, pattern.type)) {
        return TEXTGEN_OK;
    }
    TEXTGEN_TRY(textgen_graph_match_node(graph, name, &pattern, &node));
    /* Without the attribute, the axis is 1. */
    if (axis != 1 && !textgen_node_has_attribute(node, "axis")) {
        return textgen_unknown_graph(graph, "a DequantizeLinear node has no axis");
    }
    if (node->inputs[1].size == 0) {
        return textgen_unknown_graph(graph, "a DequantizeLinear node has no scales");
    }
    weight->values = node->inputs[0];
    weight->scales = node->inputs[1];
    return TEXTGEN_OK;
}

static bool has_8_bits(const textgen_weight *weight) { return weight->scales.size > 0; }

/* Find the initializers of all weights, and check that all but the biases have the same number of bits. */
static int32_t match_all(const textgen_graph *graph, textgen_nodes *nodes) {
    TEXTGEN_TRY(textgen_match_weight(graph, nodes->gather->inputs[0], EMBEDDING_AXIS, &nodes->embedding));
    size_t quantized = (size_t)has_8_bits(&nodes->embedding) + has_8_bits(&nodes->output);
    for (size_t i = 0; i < nodes->layer_count; i++) {
        textgen_weight *weights = nodes->layers[i].weights;
        for (size_t j = 0; j < TEXTGEN_LAYER_SCALES; j++) {
            TEXTGEN_TRY(textgen_match_weight(graph, weights[j].values, AXIS, &weights[j]));
            quantized += has_8_bits(&weights[j]);
        }
    }
    nodes->bits = quantized > 0 ? 8 : 32;
    nodes->node_count += quantized;
    return quantized == 0 || quantized == 2 + TEXTGEN_LAYER_SCALES * nodes->layer_count
               ? TEXTGEN_OK
               : textgen_unknown_graph(graph, "some weights have 8 bits, and others have 32");
}

static size_t add_names(textgen_name *names, size_t count, const textgen_weight *weight) {
    names[count++].name = weight->values;
    if (weight->scales.size > 0) {
        names[count++].name = weight->scales;
    }
    return count;
}

/* Check that all weights are initializers, and that no two layers share one. Shared weights would be copied for
 * each layer, so a small file could exhaust the memory. names: a buffer for those of all weights. */
static int32_t check_names(const textgen_graph *graph, const textgen_nodes *nodes, textgen_name *names) {
    const textgen_onnx *file = graph->file;
    size_t count = add_names(names, 0, &nodes->embedding);
    count = add_names(names, count, &nodes->output);
    names[count++].name = nodes->add->inputs[1];
    for (size_t i = 0; i < nodes->layer_count; i++) {
        const textgen_layer_nodes *layer = &nodes->layers[i];
        for (size_t j = 0; j < TEXTGEN_LAYER_TENSORS; j++) {
            count = add_names(names, count, &layer->weights[j]);
        }
    }
    if (textgen_names_sort(names, count)) {
        return textgen_unknown_graph(graph, "several layers share weights");
    }
    for (size_t i = 0; i < count; i++) {
        TEXTGEN_TRY(textgen_graph_check_initializer(graph, names[i].name));
        for (size_t j = 0; j < file->input_count; j++) {
            if (textgen_views_equal(names[i].name, file->inputs[j].name)) {
                return textgen_unknown_graph(graph, "a weight is also a graph input");
            }
        }
    }
    return TEXTGEN_OK;
}

int32_t textgen_match_weights(const textgen_graph *graph, textgen_nodes *nodes) {
    TEXTGEN_TRY(match_all(graph, nodes));
    textgen_name *names =
        textgen_allocate(graph->file->arena, LAYER_NAMES * (nodes->layer_count + 1), sizeof *names);
    const int32_t code = names ? check_names(graph, nodes, names) : textgen_out_of_memory(graph->error);
    textgen_release(names);
    return code;
}
