/* A graph's nodes, found by what they make. */
#ifndef TEXTGEN_GRAPH_H
#define TEXTGEN_GRAPH_H

#include "tensors.h"

typedef struct {
    const textgen_onnx *file;
    textgen_tensors tensors;
    textgen_name *makers; /* outputs of nodes; the place is that of the node */
    size_t maker_count;
    const textgen_error *error;
} textgen_graph;

/* Which inputs and attributes a node must have. An attribute may be left out. */
typedef struct {
    const char *type;
    size_t inputs;
    const char *attribute; /* of an integer; NULL for none */
    int64_t integer;
    const char *text_attribute; /* of a text; NULL for none */
    const char *text;
} textgen_node_form;

/* Fails if tensors have the same name, or a value is made twice. The caller calls textgen_graph_free,
 * also after an error. */
int32_t textgen_graph_create(const textgen_onnx *file, textgen_graph *graph, const textgen_error *error);
void textgen_graph_free(textgen_graph *graph);

/* The node that makes a value; NULL if none does. */
const textgen_node *textgen_graph_maker(const textgen_graph *graph, textgen_view name);

/* The same, but it must be of a form; any other is an unknown graph. */
int32_t textgen_graph_node(const textgen_graph *graph, textgen_view name, const textgen_node_form *form,
                           const textgen_node **node);

/* See that a value is neither left out nor made by a node, so that it can only be a stored tensor. */
int32_t textgen_graph_stored(const textgen_graph *graph, textgen_view name);

#endif
