#include "model.h"

#include "graph.h"
#include "shapes.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { INPUTS = 3, OUTPUTS = 3, LSTM_INPUTS = 7, LSTM_OUTPUTS = 3 };

static const char *const input_names[INPUTS] = {"token", "hidden", "cell"};
static const char *const output_names[OUTPUTS] = {"logits", "next_hidden", "next_cell"};

static int32_t unknown(const textgen_graph *graph, const char *what) {
    return textgen_fail(graph->error, TEXTGEN_UNKNOWN_GRAPH, "%s", what);
}

static bool has_value(const textgen_value *values, size_t count, const char *name) {
    for (size_t i = 0; i < count; i++) {
        if (textgen_view_is(values[i].name, name)) {
            return true;
        }
    }
    return false;
}

/* Check the operator set, and the names of the graph's inputs and outputs. */
static int32_t check_interface(const textgen_onnx *file, const textgen_error *error) {
    char quoted[TEXTGEN_QUOTE_SIZE];
    if (file->exceeded_limit != NULL) {
        return textgen_fail(error, TEXTGEN_TOO_LARGE, "the graph has more than %s", file->exceeded_limit);
    }
    if (file->opset_count != 1) {
        return textgen_fail(error, TEXTGEN_UNKNOWN_GRAPH, "the model imports %zu operator sets; expected 1",
                            file->opset_count);
    }
    if (file->opset_domain.size > 0 || file->opset_version != TEXTGEN_OPSET) {
        return textgen_fail(error, TEXTGEN_UNKNOWN_GRAPH,
                            "the operator set is %s, version %" PRId64
                            "; expected '' (the ONNX default), version %d",
                            textgen_quote(file->opset_domain, quoted), file->opset_version, TEXTGEN_OPSET);
    }
    if (file->sparse) {
        return textgen_fail(error, TEXTGEN_UNKNOWN_GRAPH, "sparse weights are not supported");
    }
    bool known = file->input_count == INPUTS;
    for (size_t i = 0; i < INPUTS; i++) {
        known = known && has_value(file->inputs, file->input_count, input_names[i]);
    }
    if (!known) {
        return textgen_fail(error, TEXTGEN_UNKNOWN_GRAPH,
                            "unexpected graph inputs; expected token, hidden and cell");
    }
    for (size_t i = 0; i < OUTPUTS; i++) {
        known = known && has_value(file->outputs, file->output_count, output_names[i]);
    }
    return known ? TEXTGEN_OK
                 : textgen_fail(error, TEXTGEN_UNKNOWN_GRAPH,
                                "unexpected graph outputs; expected logits, next_hidden and next_cell");
}

/* The number of units that the output weights declare; not checked yet. */
static int64_t declared_units(const textgen_graph *graph, textgen_view name) {
    const textgen_tensor *tensor = textgen_tensors_find(&graph->tensors, name);
    return tensor == NULL || tensor->dimensions == 0 ? 0 : tensor->shape[0];
}

/* Match the Squeeze node that has the output `name`, and the LSTM node before it. Squeeze removes the axis of
 * the LSTM's directions. */
static int32_t match_lstm(const textgen_graph *graph, textgen_view name, int64_t units,
                          const textgen_node **lstm) {
    const textgen_node_pattern squeeze_pattern = {"Squeeze", 2, NULL, 0, NULL, NULL};
    const textgen_node_pattern lstm_pattern = {"LSTM", LSTM_INPUTS, "hidden_size",
                                               units,  "direction", "forward"};
    const textgen_node *squeeze;
    const textgen_tensor *axes = NULL;
    int64_t axis = 0;
    int32_t code = textgen_graph_match_node(graph, name, &squeeze_pattern, &squeeze);
    if (code == TEXTGEN_OK) {
        code = textgen_graph_check_initializer(graph, squeeze->inputs[1]);
    }
    if (code == TEXTGEN_OK) {
        code = textgen_tensors_check(&graph->tensors, squeeze->inputs[1], TEXTGEN_ONNX_INT64, 1, &axes,
                                     graph->error);
    }
    if (code == TEXTGEN_OK && axes->shape[0] == 1) {
        code = textgen_tensor_integer(axes, &axis, graph->error);
    }
    if (code == TEXTGEN_OK && axis != 1) {
        return unknown(graph, "a Squeeze node must remove axis 1");
    }
    if (code == TEXTGEN_OK) {
        code = textgen_graph_match_node(graph, squeeze->inputs[0], &lstm_pattern, lstm);
    }
    if (code == TEXTGEN_OK &&
        ((*lstm)->output_count != LSTM_OUTPUTS ||
         !textgen_views_equal((*lstm)->outputs[0], squeeze->inputs[0]) || (*lstm)->inputs[4].size > 0)) {
        return unknown(graph, "unexpected inputs or outputs of an LSTM node");
    }
    return code;
}

/* Match the LSTMs, from the last to the first. `*value` is the output of the last, and becomes the input of the
 * first. */
static int32_t match_lstms(const textgen_graph *graph, int64_t units, textgen_view *value,
                           textgen_nodes *nodes) {
    const textgen_node *producer;
    char formatted[2][TEXTGEN_NUMBER_SIZE];
    while ((producer = textgen_graph_producer(graph, *value)) != NULL &&
           textgen_view_is(producer->type, "Squeeze")) {
        const textgen_node *lstm;
        if (nodes->lstm_count >= graph->file->node_count) {
            return textgen_fail(graph->error, TEXTGEN_DAMAGED_MODEL, "the graph has a cycle");
        }
        const int32_t code = match_lstm(graph, *value, units, &lstm);
        if (code != TEXTGEN_OK) {
            return code;
        }
        if (nodes->lstm_count < TEXTGEN_MAX_LAYERS) {
            nodes->lstms[nodes->lstm_count] = lstm;
        }
        nodes->lstm_count++;
        *value = lstm->inputs[0];
    }
    if (nodes->lstm_count > TEXTGEN_MAX_LAYERS) {
        return textgen_fail(graph->error, TEXTGEN_TOO_LARGE,
                            "the model has %s LSTM layers; at most %s are supported",
                            textgen_format_number(nodes->lstm_count, formatted[0]),
                            textgen_format_number(TEXTGEN_MAX_LAYERS, formatted[1]));
    }
    /* Reverse the order: the first layer comes first. */
    for (size_t i = 0; i < nodes->lstm_count / 2; i++) {
        const textgen_node *lower = nodes->lstms[nodes->lstm_count - 1 - i];
        nodes->lstms[nodes->lstm_count - 1 - i] = nodes->lstms[i];
        nodes->lstms[i] = lower;
    }
    return TEXTGEN_OK;
}

/* Check that each layer reads and writes its part of a state array. `index` is 0 for hidden, 1 for cell. */
static int32_t match_state(const textgen_graph *graph, const textgen_nodes *nodes, size_t index) {
    const size_t layers = nodes->lstm_count;
    textgen_view read = nodes->lstms[0]->inputs[5 + index];
    textgen_view written = nodes->lstms[0]->outputs[1 + index];
    bool fits = true;
    if (layers > 1) {
        const textgen_node_pattern split_pattern = {"Split", 1, "axis", 0, NULL, NULL};
        const textgen_node_pattern concat_pattern = {"Concat", layers, "axis", 0, NULL, NULL};
        const textgen_node *split = NULL;
        const textgen_node *concat = NULL;
        int32_t code = textgen_graph_match_node(graph, read, &split_pattern, &split);
        if (code == TEXTGEN_OK) {
            code = textgen_graph_match_node(graph, textgen_view_of(output_names[1 + index]), &concat_pattern,
                                            &concat);
        }
        if (code != TEXTGEN_OK) {
            return code;
        }
        fits = split->output_count == layers && concat->output_count == 1;
        for (size_t i = 0; fits && i < layers; i++) {
            fits = textgen_views_equal(split->outputs[i], nodes->lstms[i]->inputs[5 + index]) &&
                   textgen_views_equal(concat->inputs[i], nodes->lstms[i]->outputs[1 + index]);
        }
        read = split->inputs[0];
        written = concat->outputs[0];
    }
    if (!fits || !textgen_view_is(read, input_names[1 + index]) ||
        !textgen_view_is(written, output_names[1 + index])) {
        return textgen_fail(graph->error, TEXTGEN_UNKNOWN_GRAPH, "unexpected connections of the %s state",
                            input_names[1 + index]);
    }
    return TEXTGEN_OK;
}

/* Check that all weights are initializers, and that no two layers share one. Shared weights would be copied for
 * each layer, so a small file could exhaust the memory. weights: a buffer of 3 * lstm_count + 3 names. */
static int32_t check_names(const textgen_graph *graph, const textgen_nodes *nodes, textgen_name *weights) {
    size_t count = 0;
    weights[count++].name = nodes->gather->inputs[0];
    weights[count++].name = nodes->matmul->inputs[1];
    weights[count++].name = nodes->add->inputs[1];
    for (size_t i = 0; i < nodes->lstm_count; i++) {
        for (size_t j = 1; j < 4; j++) {
            weights[count++].name = nodes->lstms[i]->inputs[j];
        }
    }
    for (size_t i = 0; i < count; i++) {
        weights[i].index = i;
    }
    if (textgen_names_sort(weights, count) != NULL) {
        return unknown(graph, "several layers share weights");
    }
    int32_t code = TEXTGEN_OK;
    for (size_t i = 0; code == TEXTGEN_OK && i < count; i++) {
        code = textgen_graph_check_initializer(graph, weights[i].name);
        for (size_t j = 0; j < INPUTS; j++) {
            if (code == TEXTGEN_OK && textgen_view_is(weights[i].name, input_names[j])) {
                return unknown(graph, "a weight is also a graph input");
            }
        }
    }
    return code;
}

static int32_t check_weights(const textgen_graph *graph, const textgen_nodes *nodes) {
    textgen_name *weights = calloc(3 * nodes->lstm_count + 3, sizeof(*weights));
    const int32_t code =
        weights == NULL ? textgen_out_of_memory(graph->error) : check_names(graph, nodes, weights);
    free(weights);
    return code;
}

/* Match all nodes, from the logits to the token. */
static int32_t match_nodes(const textgen_graph *graph, textgen_nodes *nodes) {
    const textgen_node_pattern add_pattern = {"Add", 2, NULL, 0, NULL, NULL};
    const textgen_node_pattern matmul_pattern = {"MatMul", 2, NULL, 0, NULL, NULL};
    const textgen_node_pattern gather_pattern = {"Gather", 2, "axis", 0, NULL, NULL};
    textgen_view value = {NULL, 0};
    int32_t code = textgen_graph_match_node(graph, textgen_view_of(output_names[0]), &add_pattern, &nodes->add);
    if (code == TEXTGEN_OK) {
        code = textgen_graph_match_node(graph, nodes->add->inputs[0], &matmul_pattern, &nodes->matmul);
    }
    if (code == TEXTGEN_OK) {
        value = nodes->matmul->inputs[0];
        code = match_lstms(graph, declared_units(graph, nodes->matmul->inputs[1]), &value, nodes);
    }
    if (code == TEXTGEN_OK) {
        code = textgen_graph_match_node(graph, value, &gather_pattern, &nodes->gather);
    }
    if (code == TEXTGEN_OK &&
        (!textgen_view_is(nodes->gather->inputs[1], input_names[0]) || nodes->lstm_count == 0)) {
        return unknown(graph, "unexpected connections of the input token");
    }
    for (size_t index = 0; code == TEXTGEN_OK && index < TEXTGEN_STATE_ARRAYS; index++) {
        code = match_state(graph, nodes, index);
    }
    /* Each LSTM has a Squeeze. If there are several LSTMs, each state array has a Split and a Concat. */
    const size_t expected = 3 + 2 * nodes->lstm_count + (nodes->lstm_count > 1 ? 4 : 0);
    if (code == TEXTGEN_OK && graph->file->node_count != expected) {
        return unknown(graph, "the graph has unexpected nodes");
    }
    return code == TEXTGEN_OK ? check_weights(graph, nodes) : code;
}

/* Check that the declared types and shapes of the inputs agree with the weights. Other runtimes need them. */
static int32_t check_declared(const textgen_graph *graph, const textgen_description *description) {
    const int64_t layers = (int64_t)description->state[0].layers;
    const int64_t units = (int64_t)description->state[0].units;
    bool valid = true;
    for (size_t i = 0; i < graph->file->input_count; i++) {
        const textgen_value *value = &graph->file->inputs[i];
        if (textgen_view_is(value->name, input_names[0])) {
            valid = valid && value->type == TEXTGEN_ONNX_INT64 && value->dimensions == 2 &&
                    value->shape[0] == 0 && value->shape[1] == 0;
        } else {
            valid = valid && value->type == TEXTGEN_ONNX_FLOAT && value->dimensions == 3 &&
                    value->shape[0] == layers && value->shape[1] == 0 && value->shape[2] == units;
        }
    }
    return valid ? TEXTGEN_OK
                 : unknown(graph, "the declared types or shapes of the graph inputs do not match the weights");
}

int32_t textgen_model_match(const textgen_onnx *file, textgen_description *description,
                            const textgen_error *error) {
    textgen_graph graph;
    textgen_nodes nodes;
    memset(&nodes, 0, sizeof(nodes));
    memset(description, 0, sizeof(*description));
    int32_t code = check_interface(file, error);
    if (code != TEXTGEN_OK) {
        return code;
    }
    code = textgen_graph_create(file, &graph, error);
    if (code == TEXTGEN_OK) {
        code = match_nodes(&graph, &nodes);
    }
    if (code == TEXTGEN_OK) {
        code = textgen_shapes_describe(&graph, &nodes, description);
    }
    for (size_t i = 0; code == TEXTGEN_OK && i < TEXTGEN_STATE_ARRAYS; i++) {
        description->state[i].name = input_names[1 + i];
    }
    if (code == TEXTGEN_OK) {
        code = check_declared(&graph, description);
    }
    textgen_graph_free(&graph);
    return code;
}

const char *textgen_layer_kind_name(textgen_layer_kind kind) {
    return kind == TEXTGEN_EMBEDDING ? "embedding" : kind == TEXTGEN_LSTM ? "lstm" : "linear";
}
