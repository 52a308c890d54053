/* From matched nodes to layers, with checks that the shapes of all weights agree. */
#ifndef TEXTGEN_SHAPES_H
#define TEXTGEN_SHAPES_H

#include "match.h"

/* Fill in a description. */
int32_t textgen_shapes_describe(const textgen_graph *graph, const textgen_nodes *nodes,
                                textgen_description *description);

#endif
