/* From matched nodes to layers, with checks that the shapes of all weights agree. */
#ifndef TEXTGEN_SHAPES_H
#define TEXTGEN_SHAPES_H

#include "graph.h"
#include "model.h"

/* The nodes that have weights. */
typedef struct {
    const textgen_node *gather, *matmul, *add;
    const textgen_node *lstms[TEXTGEN_MAX_LAYERS]; /* the first layer first */
    size_t lstm_count;
} textgen_nodes;

/* Fill in a description, except for the names of the state arrays. */
int32_t textgen_shapes_describe(const textgen_graph *graph, const textgen_nodes *nodes,
                                textgen_description *description);

#endif
