#include "graph.h"

#include <stdlib.h>

static int32_t made_twice(const textgen_graph *graph, textgen_view name) {
    char quoted[TEXTGEN_QUOTED];
    return textgen_fail(graph->error, TEXTGEN_DAMAGED_MODEL, "its value %s is made twice",
                        textgen_quote(name, quoted));
}

static int32_t find_makers(textgen_graph *graph) {
    const textgen_onnx *file = graph->file;
    size_t count = 0;
    for (size_t i = 0; i < file->node_count; i++) {
        for (size_t j = 0; j < file->nodes[i].output_count; j++) {
            /* An empty name stands for an output that nobody asked for. */
            const textgen_view name = file->nodes[i].outputs[j];
            if (name.size > 0) {
                graph->makers[count].name = name;
                graph->makers[count++].place = i;
            }
        }
    }
    graph->maker_count = count;
    const textgen_name *twice = textgen_names_sort(graph->makers, count);
    if (twice != NULL) {
        return made_twice(graph, twice->name);
    }
    for (size_t i = 0; i < file->tensor_count; i++) {
        if (textgen_graph_maker(graph, file->tensors[i].name) != NULL) {
            return made_twice(graph, file->tensors[i].name);
        }
    }
    for (size_t i = 0; i < file->input_count; i++) {
        if (textgen_graph_maker(graph, file->inputs[i].name) != NULL) {
            return made_twice(graph, file->inputs[i].name);
        }
    }
    return TEXTGEN_OK;
}

int32_t textgen_graph_create(const textgen_onnx *file, textgen_graph *graph, const textgen_error *error) {
    size_t outputs = 0;
    graph->file = file;
    graph->error = error;
    graph->maker_count = 0;
    for (size_t i = 0; i < file->node_count; i++) {
        outputs += file->nodes[i].output_count;
    }
    graph->makers = calloc(outputs + 1, sizeof(*graph->makers));
    const int32_t code = textgen_tensors_create(file, &graph->tensors, error);
    if (code == TEXTGEN_OK && graph->makers == NULL) {
        return textgen_out_of_memory(error);
    }
    return code == TEXTGEN_OK ? find_makers(graph) : code;
}

void textgen_graph_free(textgen_graph *graph) {
    free(graph->makers);
    free(graph->tensors.names);
}

const textgen_node *textgen_graph_maker(const textgen_graph *graph, textgen_view name) {
    const textgen_name *found = textgen_names_find(graph->makers, graph->maker_count, name);
    return found == NULL ? NULL : &graph->file->nodes[found->place];
}

static bool attributes_fit(const textgen_node *node, const textgen_node_form *form) {
    for (size_t i = 0; i < node->attribute_count; i++) {
        if (i == TEXTGEN_MAX_ATTRIBUTES) {
            return false;
        }
        const textgen_attribute *found = &node->attributes[i];
        const bool integer = form->attribute != NULL && textgen_view_is(found->name, form->attribute) &&
                             found->text.size == 0 && found->integer == form->integer;
        const bool text = form->text_attribute != NULL && textgen_view_is(found->name, form->text_attribute) &&
                          textgen_view_is(found->text, form->text);
        if (!integer && !text) {
            return false;
        }
    }
    return true;
}

int32_t textgen_graph_node(const textgen_graph *graph, textgen_view name, const textgen_node_form *form,
                           const textgen_node **node) {
    char quoted[TEXTGEN_QUOTED];
    const textgen_node *found = *node = textgen_graph_maker(graph, name);
    if (found == NULL || !textgen_view_is(found->type, form->type) ||
        (found->domain.size > 0 && !textgen_view_is(found->domain, "ai.onnx"))) {
        return textgen_fail(graph->error, TEXTGEN_UNKNOWN_GRAPH, "%s is not made by a %s",
                            textgen_quote(name, quoted), form->type);
    }
    if (found->input_count != form->inputs || !attributes_fit(found, form)) {
        return textgen_fail(graph->error, TEXTGEN_UNKNOWN_GRAPH, "its %s has other inputs or attributes",
                            form->type);
    }
    return TEXTGEN_OK;
}

int32_t textgen_graph_stored(const textgen_graph *graph, textgen_view name) {
    char quoted[TEXTGEN_QUOTED];
    if (name.size == 0 || textgen_graph_maker(graph, name) != NULL) {
        return textgen_fail(graph->error, TEXTGEN_UNKNOWN_GRAPH, "its weights %s are not stored",
                            textgen_quote(name, quoted));
    }
    return TEXTGEN_OK;
}
