/* The nodes of a graph that form the layers of a network; used by model.c and shapes.c. */
#ifndef TEXTGEN_MATCH_H
#define TEXTGEN_MATCH_H

#include "graph.h"
#include "model.h"

/* The arrays of the state, which have one part for each layer. */
enum { TEXTGEN_SHARED_ARRAYS = 2 };
extern const char *const textgen_shared_arrays[TEXTGEN_SHARED_ARRAYS];

/* The names of the initializer of a weight, and of its scales if it has 8 bits. */
typedef struct {
    textgen_view values, scales;
} textgen_weight;

/* One layer between the embedding and the output. */
typedef struct {
    const textgen_node *node; /* the node that has the name and the weights of the layer */
    textgen_view input;       /* the output of the layer below */
    textgen_weight weights[TEXTGEN_LAYER_TENSORS];
    size_t node_count;
    bool residual;
} textgen_layer_nodes;

typedef struct {
    const textgen_node *gather, *matmul, *add;
    textgen_weight embedding, output;               /* the weights of gather and matmul */
    textgen_layer_nodes layers[TEXTGEN_MAX_LAYERS]; /* the first layer first */
    size_t layer_count;
    size_t node_count; /* of the whole graph */
    int bits;          /* of the weights, 32 or 8 */
} textgen_nodes;

/* Match all nodes of a graph, from the logits to the token. Check that all weights are initializers, and that
 * no two layers share one. */
int32_t textgen_match_nodes(const textgen_graph *graph, textgen_nodes *nodes);

/* Turn the nodes into layers, and check that the shapes of all weights agree. */
int32_t textgen_shapes_describe(const textgen_graph *graph, const textgen_nodes *nodes,
                                textgen_description *description);

/* The functions below are used by these two. */

/* Find the initializers of a weight. 8-bit weights are behind a DequantizeLinear node, whose scales are on an
 * axis. `name` is the name of the weight in the graph. */
int32_t textgen_match_weight(const textgen_graph *graph, textgen_view name, int64_t axis,
                             textgen_weight *weight);

/* Find the initializers of all weights, and how many bits they have. Check that no two layers share one. */
int32_t textgen_match_weights(const textgen_graph *graph, textgen_nodes *nodes);

/* Match the layer whose output is `output`. units: the hidden_size of the layer. */
int32_t textgen_match_recurrent(const textgen_graph *graph, textgen_view output, int64_t units,
                                textgen_layer_nodes *layer);

/* Check that each layer reads and writes its part of each shared array. Count the nodes. */
int32_t textgen_match_shared_arrays(const textgen_graph *graph, textgen_nodes *nodes);

#endif
