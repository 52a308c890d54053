/* From a file's graph to a description of its network: a list of layers.
 *
 * The graph must match those of textgen-train node for node, because any other may compute something else. Such
 * a graph fails with TEXTGEN_UNKNOWN_GRAPH. A matching graph with missing, damaged or wrongly sized weights
 * fails with TEXTGEN_DAMAGED_MODEL.
 *
 * To add a kind of layer, such as a GRU, change these places:
 *   model.h        textgen_layer_kind, the comment on `tensors`, and the state arrays (a GRU has no `cell`)
 *   model.c        match its nodes, as match_lstm does, and name its state
 *   shapes.c, .h   check the shapes of its weights
 *   pack.h         its packed weights and sizes in textgen_network; pack.c: count its memory
 *   pack_layers.c, .h  reorder its weights for the kernel, as textgen_pack_lstm does
 *   kernels/       its kernel, in textgen_kernels (kernels.h) and kernel_body.h
 *   forward.c      call the kernel in textgen_forward_features
 *   slots.c, stream.c, handles.h  the number of state arrays
 *   textgen.h      the comment on the state
 * In textgen_runtime: model_file/network.py, model_file/graph_names.py, engines/c_core.pxd, engines/core.pyx
 * and cli/info.py. In textgen_train: a module in models/, export/onnx_graph.py, export/layer_weights.py,
 * loop/stateful_trainer.py, recipe.py and cli/. */
#ifndef TEXTGEN_MODEL_H
#define TEXTGEN_MODEL_H

#include "onnx_reader.h"

/* The ONNX operator set of model files; the exporter reads it from here. */
enum { TEXTGEN_OPSET = 17 };

typedef enum { TEXTGEN_EMBEDDING, TEXTGEN_LSTM, TEXTGEN_LINEAR } textgen_layer_kind;

enum { TEXTGEN_LAYER_TENSORS = 3, TEXTGEN_STATE_ARRAYS = 2 };

typedef struct {
    textgen_layer_kind kind;
    textgen_view name; /* of its node */
    size_t inputs, outputs;
    /* embedding: weights [inputs][outputs].
     * lstm: input weights [4 * outputs][inputs], recurrent weights [4 * outputs][outputs], bias [8 * outputs]:
     *   the input bias followed by the recurrent bias. Gates are in ONNX's order: input, output, forget, cell.
     * linear: weights [inputs][outputs], bias [outputs]. */
    const textgen_tensor *tensors[TEXTGEN_LAYER_TENSORS];
} textgen_layer;

/* One array of the recurrent state: the graph's float32 input `name` [layers][batch][units]. The graph's output
 * "next_" + name is its next value. */
typedef struct {
    const char *name;
    size_t layers, units;
} textgen_state_array;

typedef struct {
    textgen_layer layers[TEXTGEN_MAX_LAYERS + 2]; /* from the token to the logits */
    size_t layer_count;
    textgen_state_array state[TEXTGEN_STATE_ARRAYS];
    size_t state_count;
    size_t vocabulary;
} textgen_description;

/* Match a file's graph, and check everything except the values of the weights. The description points into
 * `file`. */
int32_t textgen_model_match(const textgen_onnx *file, textgen_description *description,
                            const textgen_error *error);

const char *textgen_layer_kind_name(textgen_layer_kind kind);

/* Copy `count` values of a float32 tensor in a description, starting at index `first`. Fails on NaN and
 * infinity. */
int32_t textgen_tensor_floats(const textgen_tensor *tensor, size_t first, size_t count, float *values,
                              const textgen_error *error);

#endif
