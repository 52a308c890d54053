#include "graph.h"

int32_t textgen_unknown_graph(const textgen_graph *graph, const char *what) {
    return textgen_fail(graph->error, TEXTGEN_UNKNOWN_GRAPH, "%s", what);
}

static int32_t fail_duplicate(const textgen_graph *graph, textgen_view name) {
    char quoted[TEXTGEN_QUOTE_SIZE];
    return textgen_fail(graph->error, TEXTGEN_DAMAGED_MODEL,
                        "the value %s has two producers: export the model again", textgen_quote(name, quoted));
}

static int32_t index_producers(textgen_graph *graph) {
    const textgen_onnx *file = graph->file;
    size_t count = 0;
    for (size_t i = 0; i < file->node_count; i++) {
        for (size_t j = 0; j < file->nodes[i].output_count; j++) {
            /* An empty name is an omitted optional output. */
            const textgen_view name = file->nodes[i].outputs[j];
            if (name.size > 0) {
                graph->producers[count].name = name;
                graph->producers[count++].index = i;
            }
        }
    }
    graph->producer_count = count;
    const textgen_name *duplicate = textgen_names_sort(graph->producers, count);
    if (duplicate) {
        return fail_duplicate(graph, duplicate->name);
    }
    for (size_t i = 0; i < file->tensor_count; i++) {
        if (textgen_graph_producer(graph, file->tensors[i].name)) {
            return fail_duplicate(graph, file->tensors[i].name);
        }
    }
    for (size_t i = 0; i < file->input_count; i++) {
        if (textgen_graph_producer(graph, file->inputs[i].name)) {
            return fail_duplicate(graph, file->inputs[i].name);
        }
    }
    return TEXTGEN_OK;
}

int32_t textgen_graph_create(const textgen_onnx *file, textgen_graph *graph, textgen_error *error) {
    size_t outputs = 0;
    graph->file = file;
    graph->error = error;
    graph->producer_count = 0;
    for (size_t i = 0; i < file->node_count; i++) {
        outputs += file->nodes[i].output_count;
    }
    graph->producers = textgen_allocate(file->arena, outputs + 1, sizeof *graph->producers);
    TEXTGEN_TRY(textgen_tensors_create(file, &graph->tensors, error));
    return graph->producers ? index_producers(graph) : textgen_out_of_memory(error);
}

void textgen_graph_free(textgen_graph *graph) {
    textgen_release(graph->tensors.names);
    textgen_release(graph->producers);
}

const textgen_node *textgen_graph_producer(const textgen_graph *graph, textgen_view name) {
    const textgen_name *found = textgen_names_find(graph->producers, graph->producer_count, name);
    return found ? &graph->file->nodes[found->index] : NULL;
}

static bool attributes_fit(const textgen_node *node, const textgen_node_pattern *pattern) {
    for (size_t i = 0; i < node->attribute_count; i++) {
        if (i == TEXTGEN_MAX_ATTRIBUTES) {
            return false;
        }
        const textgen_attribute *found = &node->attributes[i];
        bool integer = false;
        for (size_t j = 0; j < TEXTGEN_PATTERN_INTEGERS; j++) {
            integer = integer ||
                      (pattern->integers[j].name && textgen_view_is(found->name, pattern->integers[j].name) &&
                       found->text.size == 0 && found->integer == pattern->integers[j].value);
        }
        const bool text = pattern->text_attribute && textgen_view_is(found->name, pattern->text_attribute) &&
                          textgen_view_is(found->text, pattern->text);
        if (!integer && !text) {
            return false;
        }
    }
    return true;
}

int32_t textgen_graph_match_node(const textgen_graph *graph, textgen_view name,
                                 const textgen_node_pattern *pattern, const textgen_node **node) {
    char quoted[TEXTGEN_QUOTE_SIZE];
    const textgen_node *found = *node = textgen_graph_producer(graph, name);
    if (!found || !textgen_view_is(found->type, pattern->type) ||
        (found->domain.size > 0 && !textgen_view_is(found->domain, "ai.onnx"))) {
        return textgen_fail(graph->error, TEXTGEN_UNKNOWN_GRAPH, "the value %s is not the output of a %s node",
                            textgen_quote(name, quoted), pattern->type);
    }
    if (found->input_count != pattern->inputs || !attributes_fit(found, pattern)) {
        return textgen_fail(graph->error, TEXTGEN_UNKNOWN_GRAPH, "unexpected inputs or attributes of a %s node",
                            pattern->type);
    }
    return TEXTGEN_OK;
}

bool textgen_node_has_attribute(const textgen_node *node, const char *name) {
    for (size_t i = 0; i < node->attribute_count && i < TEXTGEN_MAX_ATTRIBUTES; i++) {
        if (textgen_view_is(node->attributes[i].name, name)) {
            return true;
        }
    }
    return false;
}

int32_t textgen_graph_check_initializer(const textgen_graph *graph, textgen_view name) {
    char quoted[TEXTGEN_QUOTE_SIZE];
    if (name.size == 0 || textgen_graph_producer(graph, name)) {
        return textgen_fail(graph->error, TEXTGEN_UNKNOWN_GRAPH, "the weights %s are not an initializer",
                            textgen_quote(name, quoted));
    }
    return TEXTGEN_OK;
}

int32_t textgen_graph_integer(const textgen_graph *graph, textgen_view name, int64_t *value) {
    const textgen_tensor *tensor;
    *value = 0;
    TEXTGEN_TRY(textgen_graph_check_initializer(graph, name));
    TEXTGEN_TRY(textgen_tensors_check(&graph->tensors, name, TEXTGEN_ONNX_INT64, 1, &tensor, graph->error));
    return tensor->shape[0] == 1 ? textgen_tensor_integer(tensor, value, graph->error) : TEXTGEN_OK;
}
