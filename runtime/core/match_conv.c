/* Convolution layers. A layer with the input x and the dilation d is
 *
 *     buffer = Concat(inputs, x)             on the time axis; `inputs` is its state, the last d inputs
 *     next_inputs = Slice(buffer, -d, end)
 *     older = Slice(buffer, 0, -d)           the input d steps before each x
 *     taps = Concat(older, x)                on the axis of the units
 *     filter, gate = Split(Add(MatMul(taps, weights), bias))
 *     output = Mul(Tanh(filter), Sigmoid(gate)) */
#include "match.h"

#include <stdio.h>

enum { CONV_NODES = 10, UNIT_AXIS = 2 };

static int32_t unknown(const textgen_graph *graph, const char *what) {
    return textgen_fail(graph->error, TEXTGEN_UNKNOWN_GRAPH, "%s", what);
}

/* Match a node with one input and without attributes. */
static int32_t match_function(const textgen_graph *graph, textgen_view name, const char *type,
                              const textgen_node **node) {
    const textgen_node_pattern pattern = {.type = type, .inputs = 1};
    return textgen_graph_match_node(graph, name, &pattern, node);
}

/* Match the nodes from the output to the sums of products. */
static int32_t match_gates(const textgen_graph *graph, textgen_view output, textgen_view *sums) {
    const textgen_node_pattern mul_pattern = {.type = "Mul", .inputs = 2};
    const textgen_node_pattern split_pattern = {
        .type = "Split", .inputs = 1, .integers = {{"axis", UNIT_AXIS}}};
    const textgen_node *mul, *filter, *gate, *split = NULL;
    int32_t code = textgen_graph_match_node(graph, output, &mul_pattern, &mul);
    if (code == TEXTGEN_OK) {
        code = match_function(graph, mul->inputs[0], "Tanh", &filter);
    }
    if (code == TEXTGEN_OK) {
        code = match_function(graph, mul->inputs[1], "Sigmoid", &gate);
    }
    if (code == TEXTGEN_OK) {
        code = textgen_graph_match_node(graph, filter->inputs[0], &split_pattern, &split);
    }
    if (code != TEXTGEN_OK) {
        return code;
    }
    if (split->output_count != 2 || !textgen_views_equal(split->outputs[0], filter->inputs[0]) ||
        !textgen_views_equal(split->outputs[1], gate->inputs[0]) ||
        !textgen_node_has_attribute(split, "axis")) {
        return unknown(graph, "unexpected inputs or outputs of a Split node");
    }
    *sums = split->inputs[0];
    return TEXTGEN_OK;
}

/* Match the Slice node that has the output `name`, on axis 0, and read its start and its end. */
static int32_t match_slice(const textgen_graph *graph, textgen_view name, const textgen_node **slice,
                           int64_t *start, int64_t *end) {
    const textgen_node_pattern pattern = {.type = "Slice", .inputs = 4};
    int64_t axis = 1;
    int32_t code = textgen_graph_match_node(graph, name, &pattern, slice);
    if (code == TEXTGEN_OK) {
        code = textgen_graph_integer(graph, (*slice)->inputs[1], start);
    }
    if (code == TEXTGEN_OK) {
        code = textgen_graph_integer(graph, (*slice)->inputs[2], end);
    }
    if (code == TEXTGEN_OK) {
        code = textgen_graph_integer(graph, (*slice)->inputs[3], &axis);
    }
    return code == TEXTGEN_OK && axis != 0 ? unknown(graph, "a Slice node must have axis 0") : code;
}

/* Match the Concat node that has the output `name`. It has two inputs. */
static int32_t match_concat(const textgen_graph *graph, textgen_view name, int64_t axis,
                            const textgen_node **concat) {
    const textgen_node_pattern pattern = {.type = "Concat", .inputs = 2, .integers = {{"axis", axis}}};
    const int32_t code = textgen_graph_match_node(graph, name, &pattern, concat);
    return code == TEXTGEN_OK && !textgen_node_has_attribute(*concat, "axis")
               ? unknown(graph, "a Concat node has no axis")
               : code;
}

int32_t textgen_match_conv(const textgen_graph *graph, textgen_view output, textgen_layer_nodes *layer) {
    const textgen_node_pattern add_pattern = {.type = "Add", .inputs = 2};
    const textgen_node_pattern matmul_pattern = {.type = "MatMul", .inputs = 2};
    const textgen_node *add = NULL, *taps = NULL, *older = NULL;
    textgen_view sums = {NULL, 0};
    int64_t start = 0, end = 0;
    int32_t code = match_gates(graph, output, &sums);
    if (code == TEXTGEN_OK) {
        code = textgen_graph_match_node(graph, sums, &add_pattern, &add);
    }
    if (code == TEXTGEN_OK) {
        code = textgen_graph_match_node(graph, add->inputs[0], &matmul_pattern, &layer->node);
    }
    if (code == TEXTGEN_OK) {
        code = match_concat(graph, layer->node->inputs[0], UNIT_AXIS, &taps);
    }
    if (code == TEXTGEN_OK) {
        code = match_slice(graph, taps->inputs[0], &older, &start, &end);
    }
    if (code != TEXTGEN_OK) {
        return code;
    }
    layer->kind = TEXTGEN_CONV;
    layer->input = taps->inputs[1];
    layer->weights[0].values = layer->node->inputs[1];
    layer->weights[1].values = add->inputs[1];
    layer->buffer = older->inputs[0];
    layer->dilation = start == 0 && end < 0 && end > -(int64_t)TEXTGEN_MAX_DILATION - 1 ? (size_t)-end : 0;
    layer->node_count = CONV_NODES;
    return layer->dilation == 0 ? unknown(graph, "a Slice node has an unexpected start or end") : TEXTGEN_OK;
}

void textgen_inputs_name(size_t index, char name[TEXTGEN_STATE_NAME_SIZE]) {
    snprintf(name, TEXTGEN_STATE_NAME_SIZE, "inputs_%u", (unsigned)index);
}

int32_t textgen_match_inputs(const textgen_graph *graph, const textgen_layer_nodes *layer, size_t index) {
    char name[TEXTGEN_STATE_NAME_SIZE], next_name[TEXTGEN_STATE_NAME_SIZE + 8];
    const textgen_node *concat = NULL, *slice = NULL;
    int64_t start = 0, end = 0;
    textgen_inputs_name(index, name);
    snprintf(next_name, sizeof next_name, "next_%s", name);
    int32_t code = match_concat(graph, layer->buffer, 0, &concat);
    if (code == TEXTGEN_OK) {
        code = match_slice(graph, textgen_view_of(next_name), &slice, &start, &end);
    }
    if (code != TEXTGEN_OK) {
        return code;
    }
    if (!textgen_view_is(concat->inputs[0], name) || !textgen_views_equal(concat->inputs[1], layer->input) ||
        !textgen_views_equal(slice->inputs[0], layer->buffer) || start != -(int64_t)layer->dilation ||
        end != INT64_MAX) {
        return textgen_fail(graph->error, TEXTGEN_UNKNOWN_GRAPH, "unexpected connections of the %s state",
                            name);
    }
    return TEXTGEN_OK;
}
