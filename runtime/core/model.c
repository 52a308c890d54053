#include "model.h"

#include "match.h"

#include <inttypes.h>
#include <string.h>

static const char token_name[] = "token";
static const char logits_name[] = "logits";
static const char next_prefix[] = "next_";

static bool has_value(const textgen_value *values, size_t count, const char *name) {
    for (size_t i = 0; i < count; i++) {
        if (textgen_view_is(values[i].name, name)) {
            return true;
        }
    }
    return false;
}

/* Whether a graph has an output for the next value of a state array. */
static bool has_next(const textgen_onnx *file, textgen_view name) {
    const size_t prefix = sizeof next_prefix - 1;
    for (size_t i = 0; i < file->output_count; i++) {
        const textgen_view output = file->outputs[i].name;
        if (output.size == prefix + name.size && memcmp(output.data, next_prefix, prefix) == 0 &&
            memcmp(output.data + prefix, name.data, name.size) == 0) {
            return true;
        }
    }
    return false;
}

/* Check the operator set, and that the outputs of the graph are the logits and the next value of each input but
 * the token. */
static int32_t check_interface(const textgen_onnx *file, textgen_error *error) {
    char quoted[TEXTGEN_QUOTE_SIZE];
    if (file->exceeded_limit) {
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
    bool known = has_value(file->outputs, file->output_count, logits_name);
    for (size_t i = 0; known && i < file->input_count; i++) {
        known = textgen_view_is(file->inputs[i].name, token_name) || has_next(file, file->inputs[i].name);
    }
    return known ? TEXTGEN_OK
                 : textgen_fail(
                       error, TEXTGEN_UNKNOWN_GRAPH,
                       "unexpected graph outputs; expected logits and the next value of each state input");
}

/* Check that the inputs of the graph are the token and the state of the layers. */
static int32_t check_inputs(const textgen_graph *graph, const textgen_description *description) {
    const textgen_onnx *file = graph->file;
    bool known = file->input_count == 1 + description->state_count &&
                 has_value(file->inputs, file->input_count, token_name);
    for (size_t i = 0; i < description->state_count; i++) {
        known = known && has_value(file->inputs, file->input_count, description->state[i].name);
    }
    return known ? TEXTGEN_OK
                 : textgen_unknown_graph(
                       graph, "unexpected graph inputs; expected the token and the state of the layers");
}

/* Check that the declared types and shapes of the inputs agree with the weights. Other runtimes need them. */
static int32_t check_declared(const textgen_graph *graph, const textgen_description *description) {
    bool valid = true;
    for (size_t i = 0; i < graph->file->input_count; i++) {
        const textgen_value *value = &graph->file->inputs[i];
        const bool token = textgen_view_is(value->name, token_name);
        valid = valid && value->type == (token ? TEXTGEN_ONNX_INT64 : TEXTGEN_ONNX_FLOAT) &&
                value->dimensions == (token ? 2 : 3) && value->shape[1] == 0 &&
                (!token || value->shape[0] == 0);
        for (size_t j = 0; valid && j < description->state_count; j++) {
            const textgen_state_array *array = &description->state[j];
            valid = !textgen_view_is(value->name, array->name) ||
                    (value->shape[0] == (int64_t)array->rows && value->shape[2] == (int64_t)array->units);
        }
    }
    return valid ? TEXTGEN_OK
                 : textgen_unknown_graph(
                       graph, "the declared types or shapes of the graph inputs do not match the weights");
}

static int32_t match_graph(const textgen_graph *graph, textgen_nodes *nodes, textgen_description *description) {
    TEXTGEN_TRY(textgen_match_nodes(graph, nodes));
    TEXTGEN_TRY(textgen_shapes_describe(graph, nodes, description));
    TEXTGEN_TRY(check_inputs(graph, description));
    return check_declared(graph, description);
}

int32_t textgen_model_match(const textgen_onnx *file, textgen_description *description, textgen_error *error) {
    textgen_graph graph;
    memset(description, 0, sizeof *description);
    description->arena = file->arena;
    TEXTGEN_TRY(check_interface(file, error));
    /* Too large for the stack of a thread. */
    textgen_nodes *nodes = textgen_allocate(file->arena, 1, sizeof *nodes);
    int32_t code = textgen_graph_create(file, &graph, error);
    if (code == TEXTGEN_OK) {
        code = nodes ? match_graph(&graph, nodes, description) : textgen_out_of_memory(error);
    }
    textgen_graph_free(&graph);
    textgen_release(nodes);
    return code;
}

const char *textgen_layer_kind_name(textgen_layer_kind kind) {
    static const char *const names[] = {"embedding", "lstm", "gru", "conv", "linear"};
    return names[kind];
}
