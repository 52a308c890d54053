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

/* Match a node without attributes. */
static int32_t match_plain(const textgen_graph *graph, textgen_view name, const char *type, size_t inputs,
                           const textgen_node **node) {
    const textgen_node_pattern pattern = {.type = type, .inputs = inputs};
    return textgen_graph_match_node(graph, name, &pattern, node);
}

/* Match the nodes from the output to the sums of products. */
static int32_t match_gates(const textgen_graph *graph, textgen_view output, textgen_view *sums) {
    const textgen_node_pattern split_pattern = {
        .type = "Split", .inputs = 1, .integers = {{"axis", UNIT_AXIS}}};
    const textgen_node *mul, *filter, *gate, *split;
    TEXTGEN_TRY(match_plain(graph, output, "Mul", 2, &mul));
    TEXTGEN_TRY(match_plain(graph, mul->inputs[0], "Tanh", 1, &filter));
    TEXTGEN_TRY(match_plain(graph, mul->inputs[1], "Sigmoid", 1, &gate));
    TEXTGEN_TRY(textgen_graph_match_node(graph, filter->inputs[0], &split_pattern, &split));
    if (split->output_count != 2 || !textgen_views_equal(split->outputs[0], filter->inputs[0]) ||
        !textgen_views_equal(split->outputs[1], gate->inputs[0]) ||
        !textgen_node_has_attribute(split, "axis")) {
        return textgen_unknown_graph(graph, "unexpected inputs or outputs of a Split node");
    }
    *sums = split->inputs[0];
    return TEXTGEN_OK;
}

/* Match the Slice node that has the output `name`, on axis 0, and read its start and its end. */
static int32_t match_slice(const textgen_graph *graph, textgen_view name, const textgen_node **slice,
                           int64_t *start, int64_t *end) {
    int64_t axis;
    TEXTGEN_TRY(match_plain(graph, name, "Slice", 4, slice));
    TEXTGEN_TRY(textgen_graph_integer(graph, (*slice)->inputs[1], start));
    TEXTGEN_TRY(textgen_graph_integer(graph, (*slice)->inputs[2], end));
    TEXTGEN_TRY(textgen_graph_integer(graph, (*slice)->inputs[3], &axis));
    return axis != 0 ? textgen_unknown_graph(graph, "a Slice node must have axis 0") : TEXTGEN_OK;
}

/* Match the Concat node that has the output `name`. It has two inputs. */
static int32_t match_concat(const textgen_graph *graph, textgen_view name, int64_t axis,
                            const textgen_node **concat) {
    const textgen_node_pattern pattern = {.type = "Concat", .inputs = 2, .integers = {{"axis", axis}}};
    TEXTGEN_TRY(textgen_graph_match_node(graph, name, &pattern, concat));
    return textgen_node_has_attribute(*concat, "axis")
               ? TEXTGEN_OK
               : textgen_unknown_graph(graph, "a Concat node has no axis");
}

int32_t textgen_match_conv(const textgen_graph *graph, textgen_view output, textgen_layer_nodes *layer) {
    const textgen_node *add, *taps, *older;
    textgen_view sums;
    int64_t start, end;
    TEXTGEN_TRY(match_gates(graph, output, &sums));
    TEXTGEN_TRY(match_plain(graph, sums, "Add", 2, &add));
    TEXTGEN_TRY(match_plain(graph, add->inputs[0], "MatMul", 2, &layer->node));
    TEXTGEN_TRY(match_concat(graph, layer->node->inputs[0], UNIT_AXIS, &taps));
    TEXTGEN_TRY(match_slice(graph, taps->inputs[0], &older, &start, &end));
    layer->kind = TEXTGEN_CONV;
    layer->input = taps->inputs[1];
    layer->weights[0].values = layer->node->inputs[1];
    layer->weights[1].values = add->inputs[1];
    layer->buffer = older->inputs[0];
    layer->dilation = start == 0 && end < 0 && end > -(int64_t)TEXTGEN_MAX_DILATION - 1 ? (size_t)-end : 0;
    layer->node_count = CONV_NODES;
    return layer->dilation == 0 ? textgen_unknown_graph(graph, "a Slice node has an unexpected start or end")
                                : TEXTGEN_OK;
}

void textgen_inputs_name(size_t index, char name[TEXTGEN_STATE_NAME_SIZE]) {
    snprintf(name, TEXTGEN_STATE_NAME_SIZE, "inputs_%u", (unsigned)index);
}

int32_t textgen_match_inputs(const textgen_graph *graph, const textgen_layer_nodes *layer, size_t index) {
    char name[TEXTGEN_STATE_NAME_SIZE], next_name[TEXTGEN_STATE_NAME_SIZE + 8];
    const textgen_node *concat, *slice;
    int64_t start, end;
    textgen_inputs_name(index, name);
    snprintf(next_name, sizeof next_name, "next_%s", name);
    TEXTGEN_TRY(match_concat(graph, layer->buffer, 0, &concat));
    TEXTGEN_TRY(match_slice(graph, textgen_view_of(next_name), &slice, &start, &end));
    if (!textgen_view_is(concat->inputs[0], name) || !textgen_views_equal(concat->inputs[1], layer->input) ||
        !textgen_views_equal(slice->inputs[0], layer->buffer) || start != -(int64_t)layer->dilation ||
        end != INT64_MAX) {
        return textgen_fail(graph->error, TEXTGEN_UNKNOWN_GRAPH, "unexpected connections of the %s state",
                            name);
    }
    return TEXTGEN_OK;
}
