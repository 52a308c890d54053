/* From matched nodes to layers, once the shapes of all weights are seen to agree. */
#ifndef TEXTGEN_SHAPES_H
#define TEXTGEN_SHAPES_H

#include "graph.h"
#include "model.h"

/* The nodes that have weights. */
typedef struct {
    const textgen_node *gather, *product, *add;
    const textgen_node *lstms[TEXTGEN_MAX_LAYERS]; /* from the input up */
    size_t lstm_count;
} textgen_nodes;

/* Fill in all of the description but the names of the state. */
int32_t textgen_shapes_describe(const textgen_graph *graph, const textgen_nodes *nodes,
                                textgen_description *description);

#endif
