#include "model.h"

#include "graph.h"
#include "shapes.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { OPSET = 17, INPUTS = 3, OUTPUTS = 3, LSTM_INPUTS = 7, LSTM_OUTPUTS = 3 };

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

/* See that the graph has the operators, the inputs and the outputs that it should have. */
static int32_t check_outside(const textgen_onnx *file, const textgen_error *error) {
    char quoted[TEXTGEN_QUOTED];
    if (file->beyond_limits != NULL) {
        return textgen_fail(error, TEXTGEN_TOO_LARGE, "it has more than %s", file->beyond_limits);
    }
    if (file->opset_count != 1) {
        return textgen_fail(error, TEXTGEN_UNKNOWN_GRAPH, "it has %zu operator sets, not one",
                            file->opset_count);
    }
    if (file->opset_domain.size > 0 || file->opset_version != OPSET) {
        return textgen_fail(error, TEXTGEN_UNKNOWN_GRAPH, "its operator set is %s %" PRId64 ", not '' %d",
                            textgen_quote(file->opset_domain, quoted), file->opset_version, OPSET);
    }
    if (file->sparse) {
        return textgen_fail(error, TEXTGEN_UNKNOWN_GRAPH, "it has sparse weights");
    }
    bool known = file->input_count == INPUTS;
    for (size_t i = 0; i < INPUTS; i++) {
        known = known && has_value(file->inputs, file->input_count, input_names[i]);
    }
    if (!known) {
        return textgen_fail(error, TEXTGEN_UNKNOWN_GRAPH, "its inputs are others");
    }
    for (size_t i = 0; i < OUTPUTS; i++) {
        known = known && has_value(file->outputs, file->output_count, output_names[i]);
    }
    return known ? TEXTGEN_OK : textgen_fail(error, TEXTGEN_UNKNOWN_GRAPH, "its outputs are others");
}

/* The number of units of a layer, as the output weights declare it, which may be anything. */
static int64_t declared_units(const textgen_graph *graph, textgen_view name) {
    const textgen_tensor *tensor = textgen_tensors_find(&graph->tensors, name);
    return tensor == NULL || tensor->dimensions == 0 ? 0 : tensor->shape[0];
}

/* The LSTM behind a Squeeze, which removes the axis of its directions. */
static int32_t match_lstm(const textgen_graph *graph, textgen_view name, int64_t units,
                          const textgen_node **lstm) {
    const textgen_node_form squeeze_form = {"Squeeze", 2, NULL, 0, NULL, NULL};
    const textgen_node_form lstm_form = {"LSTM", LSTM_INPUTS, "hidden_size", units, "direction", "forward"};
    const textgen_node *squeeze;
    const textgen_tensor *axes = NULL;
    int64_t axis = 0;
    int32_t code = textgen_graph_node(graph, name, &squeeze_form, &squeeze);
    if (code == TEXTGEN_OK) {
        code = textgen_graph_stored(graph, squeeze->inputs[1]);
    }
    if (code == TEXTGEN_OK) {
        code = textgen_tensors_check(&graph->tensors, squeeze->inputs[1], TEXTGEN_ONNX_INT64, 1, &axes,
                                     graph->error);
    }
    if (code == TEXTGEN_OK && axes->shape[0] == 1) {
        code = textgen_tensor_integer(axes, &axis, graph->error);
    }
    if (code == TEXTGEN_OK && axis != 1) {
        return unknown(graph, "its Squeeze is of another axis");
    }
    if (code == TEXTGEN_OK) {
        code = textgen_graph_node(graph, squeeze->inputs[0], &lstm_form, lstm);
    }
    if (code == TEXTGEN_OK &&
        ((*lstm)->output_count != LSTM_OUTPUTS ||
         !textgen_views_equal((*lstm)->outputs[0], squeeze->inputs[0]) || (*lstm)->inputs[4].size > 0)) {
        return unknown(graph, "its LSTM has other inputs or outputs");
    }
    return code;
}

/* Follow the LSTMs down from the value `*below`, which becomes what the lowest reads. */
static int32_t match_lstms(const textgen_graph *graph, int64_t units, textgen_view *below,
                           textgen_nodes *nodes) {
    const textgen_node *maker;
    char counted[2][TEXTGEN_COUNTED];
    while ((maker = textgen_graph_maker(graph, *below)) != NULL && textgen_view_is(maker->type, "Squeeze")) {
        const textgen_node *lstm;
        if (nodes->lstm_count >= graph->file->node_count) {
            return textgen_fail(graph->error, TEXTGEN_DAMAGED_MODEL, "its graph goes in a circle");
        }
        const int32_t code = match_lstm(graph, *below, units, &lstm);
        if (code != TEXTGEN_OK) {
            return code;
        }
        if (nodes->lstm_count < TEXTGEN_MAX_LAYERS) {
            nodes->lstms[nodes->lstm_count] = lstm;
        }
        nodes->lstm_count++;
        *below = lstm->inputs[0];
    }
    if (nodes->lstm_count > TEXTGEN_MAX_LAYERS) {
        return textgen_fail(graph->error, TEXTGEN_TOO_LARGE, "its %s layers are too many: at most %s are read",
                            textgen_count(nodes->lstm_count, counted[0]),
                            textgen_count(TEXTGEN_MAX_LAYERS, counted[1]));
    }
    /* From the input up. */
    for (size_t i = 0; i < nodes->lstm_count / 2; i++) {
        const textgen_node *lower = nodes->lstms[nodes->lstm_count - 1 - i];
        nodes->lstms[nodes->lstm_count - 1 - i] = nodes->lstms[i];
        nodes->lstms[i] = lower;
    }
    return TEXTGEN_OK;
}

/* See that each layer reads and writes its own part of an array of the state. `place` is 0 for hidden, 1 for
 * cell. */
static int32_t match_state(const textgen_graph *graph, const textgen_nodes *nodes, size_t place) {
    const size_t layers = nodes->lstm_count;
    textgen_view read = nodes->lstms[0]->inputs[5 + place];
    textgen_view written = nodes->lstms[0]->outputs[1 + place];
    bool fits = true;
    if (layers > 1) {
        const textgen_node_form split_form = {"Split", 1, "axis", 0, NULL, NULL};
        const textgen_node_form join_form = {"Concat", layers, "axis", 0, NULL, NULL};
        const textgen_node *split = NULL;
        const textgen_node *join = NULL;
        int32_t code = textgen_graph_node(graph, read, &split_form, &split);
        if (code == TEXTGEN_OK) {
            code = textgen_graph_node(graph, textgen_view_of(output_names[1 + place]), &join_form, &join);
        }
        if (code != TEXTGEN_OK) {
            return code;
        }
        fits = split->output_count == layers && join->output_count == 1;
        for (size_t i = 0; fits && i < layers; i++) {
            fits = textgen_views_equal(split->outputs[i], nodes->lstms[i]->inputs[5 + place]) &&
                   textgen_views_equal(join->inputs[i], nodes->lstms[i]->outputs[1 + place]);
        }
        read = split->inputs[0];
        written = join->outputs[0];
    }
    if (!fits || !textgen_view_is(read, input_names[1 + place]) ||
        !textgen_view_is(written, output_names[1 + place])) {
        return textgen_fail(graph->error, TEXTGEN_UNKNOWN_GRAPH, "its %s state goes elsewhere",
                            input_names[1 + place]);
    }
    return TEXTGEN_OK;
}

/* See that all weights are stored, and none of them twice in use: each would be copied anew for every layer, so
 * that a small file could fill any memory. `weights` has room for 3 * lstm_count + 3 names. */
static int32_t check_names(const textgen_graph *graph, const textgen_nodes *nodes, textgen_name *weights) {
    size_t count = 0;
    weights[count++].name = nodes->gather->inputs[0];
    weights[count++].name = nodes->product->inputs[1];
    weights[count++].name = nodes->add->inputs[1];
    for (size_t i = 0; i < nodes->lstm_count; i++) {
        for (size_t j = 1; j < 4; j++) {
            weights[count++].name = nodes->lstms[i]->inputs[j];
        }
    }
    for (size_t i = 0; i < count; i++) {
        weights[i].place = i;
    }
    if (textgen_names_sort(weights, count) != NULL) {
        return unknown(graph, "several of its layers share weights");
    }
    int32_t code = TEXTGEN_OK;
    for (size_t i = 0; code == TEXTGEN_OK && i < count; i++) {
        code = textgen_graph_stored(graph, weights[i].name);
        for (size_t j = 0; j < INPUTS; j++) {
            if (code == TEXTGEN_OK && textgen_view_is(weights[i].name, input_names[j])) {
                return unknown(graph, "its weights are also an input");
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

/* Follow the graph from the logits down to the token. */
static int32_t match_nodes(const textgen_graph *graph, textgen_nodes *nodes) {
    const textgen_node_form add_form = {"Add", 2, NULL, 0, NULL, NULL};
    const textgen_node_form product_form = {"MatMul", 2, NULL, 0, NULL, NULL};
    const textgen_node_form gather_form = {"Gather", 2, "axis", 0, NULL, NULL};
    textgen_view below = {NULL, 0};
    int32_t code = textgen_graph_node(graph, textgen_view_of(output_names[0]), &add_form, &nodes->add);
    if (code == TEXTGEN_OK) {
        code = textgen_graph_node(graph, nodes->add->inputs[0], &product_form, &nodes->product);
    }
    if (code == TEXTGEN_OK) {
        below = nodes->product->inputs[0];
        code = match_lstms(graph, declared_units(graph, nodes->product->inputs[1]), &below, nodes);
    }
    if (code == TEXTGEN_OK) {
        code = textgen_graph_node(graph, below, &gather_form, &nodes->gather);
    }
    if (code == TEXTGEN_OK &&
        (!textgen_view_is(nodes->gather->inputs[1], input_names[0]) || nodes->lstm_count == 0)) {
        return unknown(graph, "its tokens go elsewhere");
    }
    for (size_t place = 0; code == TEXTGEN_OK && place < TEXTGEN_STATE_ARRAYS; place++) {
        code = match_state(graph, nodes, place);
    }
    /* Each LSTM has a Squeeze; of several, each array of the state has a Split and a Concat. */
    const size_t expected = 3 + 2 * nodes->lstm_count + (nodes->lstm_count > 1 ? 4 : 0);
    if (code == TEXTGEN_OK && graph->file->node_count != expected) {
        return unknown(graph, "it has other nodes as well");
    }
    return code == TEXTGEN_OK ? check_weights(graph, nodes) : code;
}

/* See that the inputs are declared as the weights have them: other programs go by that. */
static int32_t check_declared(const textgen_graph *graph, const textgen_description *description) {
    const int64_t layers = (int64_t)description->state[0].layers;
    const int64_t units = (int64_t)description->state[0].units;
    bool right = true;
    for (size_t i = 0; i < graph->file->input_count; i++) {
        const textgen_value *value = &graph->file->inputs[i];
        if (textgen_view_is(value->name, input_names[0])) {
            right = right && value->type == TEXTGEN_ONNX_INT64 && value->dimensions == 2 &&
                    value->shape[0] == 0 && value->shape[1] == 0;
        } else {
            right = right && value->type == TEXTGEN_ONNX_FLOAT && value->dimensions == 3 &&
                    value->shape[0] == layers && value->shape[1] == 0 && value->shape[2] == units;
        }
    }
    return right ? TEXTGEN_OK : unknown(graph, "its inputs are declared otherwise than its weights are");
}

int32_t textgen_model_match(const textgen_onnx *file, textgen_description *description,
                            const textgen_error *error) {
    textgen_graph graph;
    textgen_nodes nodes;
    memset(&nodes, 0, sizeof(nodes));
    memset(description, 0, sizeof(*description));
    int32_t code = check_outside(file, error);
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
