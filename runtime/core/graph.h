/* The nodes of a graph, indexed by the names of their outputs. */
#ifndef TEXTGEN_GRAPH_H
#define TEXTGEN_GRAPH_H

#include "tensors.h"

typedef struct {
    const textgen_onnx *file;
    textgen_tensors tensors;
    textgen_name *producers; /* outputs of nodes, with the index of the node */
    size_t producer_count;
    textgen_error *error;
} textgen_graph;

/* The operator, inputs and attributes that a node must have. The node may omit the attributes, and must not
 * have others. */
enum { TEXTGEN_PATTERN_INTEGERS = 2 };
typedef struct {
    const char *type;
    size_t inputs;
    struct {
        const char *name; /* or NULL */
        int64_t value;
    } integers[TEXTGEN_PATTERN_INTEGERS];
    const char *text_attribute; /* name of a text attribute, or NULL */
    const char *text;
} textgen_node_pattern;

/* Fail with TEXTGEN_UNKNOWN_GRAPH. */
int32_t textgen_unknown_graph(const textgen_graph *graph, const char *what);

/* Index a graph. Fails if two tensors have the same name, or a value has two producers. The caller calls
 * textgen_graph_free, even after a failure. */
int32_t textgen_graph_create(const textgen_onnx *file, textgen_graph *graph, textgen_error *error);
void textgen_graph_free(textgen_graph *graph);

/* Return the node that has this output, or NULL. */
const textgen_node *textgen_graph_producer(const textgen_graph *graph, textgen_view name);

/* Find the node that has this output. Fails with TEXTGEN_UNKNOWN_GRAPH unless it matches the pattern. */
int32_t textgen_graph_match_node(const textgen_graph *graph, textgen_view name,
                                 const textgen_node_pattern *pattern, const textgen_node **node);

/* Whether a node has an attribute of this name. */
bool textgen_node_has_attribute(const textgen_node *node, const char *name);

/* Fails if a value is omitted, or is the output of a node and so cannot be an initializer. */
int32_t textgen_graph_check_initializer(const textgen_graph *graph, textgen_view name);

/* Read an initializer of one int64 value, shape [1]. `*value` is 0 for other shapes. */
int32_t textgen_graph_integer(const textgen_graph *graph, textgen_view name, int64_t *value);

#endif
