/* From a file's graph to a description of its network: a list of layers.
 *
 * The graph must match those of textgen-train node for node, because any other may compute something else. Such
 * a graph fails with TEXTGEN_UNKNOWN_GRAPH. A matching graph with missing, damaged or wrongly sized weights
 * fails with TEXTGEN_DAMAGED_MODEL.
 *
 * The layers between the embedding and the output are LSTMs. Other kinds, which textgen-train trains for
 * comparisons, are unknown here: onnxruntime runs them. */
#ifndef TEXTGEN_MODEL_H
#define TEXTGEN_MODEL_H

#include "onnx_reader.h"

/* The ONNX operator set of model files; the exporter reads it from here. */
enum { TEXTGEN_OPSET = 17 };

typedef enum { TEXTGEN_EMBEDDING, TEXTGEN_LSTM, TEXTGEN_LINEAR } textgen_layer_kind;

enum {
    TEXTGEN_LAYER_TENSORS = 3,
    TEXTGEN_LAYER_SCALES = 2,
    TEXTGEN_MAX_STATE_ARRAYS = TEXTGEN_MAX_VALUES - 1, /* the graph has one more input, the token */
    TEXTGEN_STATE_NAME_SIZE = 24
};

typedef struct {
    textgen_layer_kind kind;
    textgen_view name; /* of its node */
    size_t inputs, outputs;
    bool residual; /* the layer's input is added to its output */
    /* embedding: weights [inputs][outputs].
     * lstm: input weights [4 * outputs][inputs], recurrent weights [4 * outputs][outputs], bias [8 * outputs]:
     *   the input bias followed by the recurrent bias. Gates are in ONNX's order: input, output, forget, cell.
     * linear: weights [inputs][outputs], bias [outputs]. */
    const textgen_tensor *tensors[TEXTGEN_LAYER_TENSORS];
    /* If the weights have 8 bits: the scales of tensors[0] and tensors[1], where these are weights, one for
     * each row of an embedding or an lstm, and one for each column of a linear layer. */
    const textgen_tensor *scales[TEXTGEN_LAYER_SCALES];
} textgen_layer;

/* One array of the state: the graph's float32 input `name` [rows][batch][units]. The graph's output "next_" +
 * name is its next value. The rows of `hidden` and `cell` are the layers. */
typedef struct {
    char name[TEXTGEN_STATE_NAME_SIZE];
    size_t rows, units;
} textgen_state_array;

typedef struct {
    textgen_layer layers[TEXTGEN_MAX_LAYERS + 2]; /* from the token to the logits */
    size_t layer_count;
    textgen_state_array state[TEXTGEN_MAX_STATE_ARRAYS];
    size_t state_count;
    size_t vocabulary;
    int bits;             /* of all weights but the biases, 32 for float32, or 8 */
    size_t scales;        /* how many values the scales have in total */
    textgen_arena *arena; /* that of the file */
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
