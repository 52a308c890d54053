/* The weights of the layers: float32 initializers, or 8-bit ones behind DequantizeLinear nodes. */
#include "match.h"

/* The axis of the scales of an embedding, and of all other weights: that of their rows or columns. */
enum { EMBEDDING_AXIS = 0, AXIS = 1 };

/* The names of the weights of a layer and of their scales. */
enum { LAYER_NAMES = 2 * TEXTGEN_LAYER_TENSORS };

static int32_t unknown(const textgen_graph *graph, const char *what) {
    return textgen_fail(graph->error, TEXTGEN_UNKNOWN_GRAPH, "%s", what);
}

int32_t textgen_match_weight(const textgen_graph *graph, textgen_view name, int64_t axis,
                             textgen_weight *weight) {
    const textgen_node_pattern pattern = {
        .type = "DequantizeLinear", .inputs = 2, .integers = {{"axis", axis}}};
    const textgen_node *node = textgen_graph_producer(graph, name);
    weight->values = name;
    weight->scales = (textgen_view){NULL, 0};
    if (node == NULL || !textgen_view_is(node->type, pattern.type)) {
        return TEXTGEN_OK;
    }
    const int32_t code = textgen_graph_match_node(graph, name, &pattern, &node);
    if (code != TEXTGEN_OK) {
        return code;
    }
    /* Without the attribute, the axis is 1. */
    if (axis != 1 && !textgen_node_has_attribute(node, "axis")) {
        return unknown(graph, "a DequantizeLinear node has no axis");
    }
    if (node->inputs[1].size == 0) {
        return unknown(graph, "a DequantizeLinear node has no scales");
    }
    weight->values = node->inputs[0];
    weight->scales = node->inputs[1];
    return TEXTGEN_OK;
}

static bool has_8_bits(const textgen_weight *weight) { return weight->scales.size > 0; }

/* Find the initializers of the weights of a layer. The biases always have 32 bits. */
static int32_t match_layer(const textgen_graph *graph, textgen_layer_nodes *layer, size_t *quantized) {
    int32_t code = TEXTGEN_OK;
    for (size_t i = 0; code == TEXTGEN_OK && i < TEXTGEN_LAYER_SCALES; i++) {
        if (layer->kind != TEXTGEN_CONV || i == 0) {
            code = textgen_match_weight(graph, layer->weights[i].values, AXIS, &layer->weights[i]);
            *quantized += has_8_bits(&layer->weights[i]);
        }
    }
    return code;
}

/* Find the initializers of all weights, and check that all have the same number of bits. */
static int32_t match_all(const textgen_graph *graph, textgen_nodes *nodes) {
    size_t quantized;
    int32_t code = textgen_match_weight(graph, nodes->gather->inputs[0], EMBEDDING_AXIS, &nodes->embedding);
    quantized = (size_t)has_8_bits(&nodes->embedding) + has_8_bits(&nodes->output);
    for (size_t i = 0; code == TEXTGEN_OK && i < nodes->layer_count; i++) {
        code = match_layer(graph, &nodes->layers[i], &quantized);
    }
    nodes->bits = quantized > 0 ? 8 : 32;
    nodes->node_count += quantized;
    if (code != TEXTGEN_OK || quantized == 0) {
        return code;
    }
    if (nodes->layers[0].kind == TEXTGEN_CONV) {
        return unknown(graph, "convolutions with 8-bit weights are not supported");
    }
    return quantized == 2 + TEXTGEN_LAYER_SCALES * nodes->layer_count
               ? TEXTGEN_OK
               : unknown(graph, "some weights have 8 bits, and others have 32");
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
    size_t count = 0;
    count = add_names(names, count, &nodes->embedding);
    count = add_names(names, count, &nodes->output);
    names[count++].name = nodes->add->inputs[1];
    for (size_t i = 0; i < nodes->layer_count; i++) {
        const textgen_layer_nodes *layer = &nodes->layers[i];
        const size_t tensors = layer->kind == TEXTGEN_CONV ? 2 : TEXTGEN_LAYER_TENSORS;
        for (size_t j = 0; j < tensors; j++) {
            count = add_names(names, count, &layer->weights[j]);
        }
    }
    for (size_t i = 0; i < count; i++) {
        names[i].index = i;
    }
    if (textgen_names_sort(names, count) != NULL) {
        return unknown(graph, "several layers share weights");
    }
    int32_t code = TEXTGEN_OK;
    for (size_t i = 0; code == TEXTGEN_OK && i < count; i++) {
        code = textgen_graph_check_initializer(graph, names[i].name);
        for (size_t j = 0; j < file->input_count; j++) {
            if (code == TEXTGEN_OK && textgen_views_equal(names[i].name, file->inputs[j].name)) {
                return unknown(graph, "a weight is also a graph input");
            }
        }
    }
    return code;
}

int32_t textgen_match_weights(const textgen_graph *graph, textgen_nodes *nodes) {
    int32_t code = match_all(graph, nodes);
    if (code != TEXTGEN_OK) {
        return code;
    }
    textgen_name *names =
        textgen_allocate(graph->file->arena, LAYER_NAMES * (nodes->layer_count + 1), sizeof(*names));
    code = names == NULL ? textgen_out_of_memory(graph->error) : check_names(graph, nodes, names);
    textgen_release(names);
    return code;
}
