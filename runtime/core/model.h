/* From a file's graph to the description of the network in it: a list of layers.
 *
 * The graph must be one that textgen-train writes, node for node. Any other may mean something else and is an
 * unknown graph. A known graph with something missing, damaged or of the wrong size is a damaged model. */
#ifndef TEXTGEN_MODEL_H
#define TEXTGEN_MODEL_H

#include "onnx_reader.h"

typedef enum { TEXTGEN_EMBEDDING, TEXTGEN_LSTM, TEXTGEN_LINEAR } textgen_layer_kind;

enum { TEXTGEN_LAYER_TENSORS = 3, TEXTGEN_STATE_ARRAYS = 2 };

typedef struct {
    textgen_layer_kind kind;
    textgen_view name; /* of its node */
    size_t inputs, outputs;
    /* embedding: weights [inputs][outputs].
     * lstm: input weights [4 * outputs][inputs], recurrent weights [4 * outputs][outputs], bias [8 * outputs],
     *   that is the input's and the recurrence's; gates in ONNX's order: input, output, forget, cell.
     * linear: weights [inputs][outputs], bias [outputs]. */
    const textgen_tensor *tensors[TEXTGEN_LAYER_TENSORS];
} textgen_layer;

/* One array of the state: the graph's float32 input `name` [layers][batch][units], whose next value is its
 * output "next_" + name. */
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

/* Match a file's graph; all but the values of the weights is checked. The description points into `file`. */
int32_t textgen_model_match(const textgen_onnx *file, textgen_description *description,
                            const textgen_error *error);

const char *textgen_layer_kind_name(textgen_layer_kind kind);

/* Copy `count` values of a float32 tensor that a description names, from number `first` on. Fails on NaN and
 * infinity. */
int32_t textgen_tensor_floats(const textgen_tensor *tensor, size_t first, size_t count, float *values,
                              const textgen_error *error);

#endif
