/* From a file's graph to a description of its network: a list of layers.
 *
 * The graph must match those of textgen-train node for node, because any other may compute something else. Such
 * a graph fails with TEXTGEN_UNKNOWN_GRAPH. A matching graph with missing, damaged or wrongly sized weights
 * fails with TEXTGEN_DAMAGED_MODEL.
 *
 * To add a kind of layer, such as a simpler recurrent cell, change these places. In the core:
 *   model.h, model.c           textgen_layer_kind and its name; the comments on `tensors` and states
 *   match.c, match.h           call a function that matches its nodes, as in match_recurrent.c
 *   match_weights.c            how many of its tensors are weights, and which of them may have 8 bits
 *   shapes.c                   check the shapes of its weights, and describe its state arrays
 *   pack_plan.c                the sizes of its packed weights, which limit the memory
 *   pack_layers.c, pack_int8.c reorder its weights for the kernel; declared in pack_layers.h
 *   pack.c                     call this in pack_all; fill_state; textgen_network_step_bytes
 *   kernels/kernel_body.h      its kernel, in `textgen_kernels` of kernels/kernels.h, too;
 *                              `KERNELS` in kernels/kernels.c
 *   kernels/int8_body.h        its kernel for 8-bit weights, in kernels/int8_kernels.h, too
 *   forward.c                  call the kernel
 *   textgen.h                  the comments on the kinds of layers
 * slots.c, stream.c and generate.c know only the sizes of the state arrays. In textgen_runtime:
 *   model_file/network.py      its class, with its state arrays, and its entry in `CELLS`
 *   engines/c_core.pxd         its kernel, if tests call it
 * In textgen_train:
 *   recipe.py                  its name in `CELLS`
 *   presets.py                 its sizes in `CELL_PRESETS`; without them, its presets are a KeyError
 *   models/cells.py            its torch module, and its entry in `CELLS`; textgen_train/__init__.py
 *   export/layer_weights.py    its description in `LAYERS`, the names of its weights in `PARAMETERS`
 *   export/onnx_graph.py       a function in `WRITERS` that writes its nodes
 *   export/model_weights.py    a function in `_READERS` that reads its weights from a file
 *   textgen_train/options.py   without 8-bit weights: refuse `quantize`, also in export/quantizer.py
 *   export/quantized_graph.py  with 8-bit weights: which of its matrices have them
 *   cli/_fine_tuning.py        `nearest_preset`, which compares the numbers of weights
 * In the documentation: docs/model-file.md, docs/training-reference.md, docs/quantization.md and
 *   docs/api.md. */
#ifndef TEXTGEN_MODEL_H
#define TEXTGEN_MODEL_H

#include "onnx_reader.h"

/* The ONNX operator set of model files; the exporter reads it from here. */
enum { TEXTGEN_OPSET = 17 };

typedef enum { TEXTGEN_EMBEDDING, TEXTGEN_LSTM, TEXTGEN_GRU, TEXTGEN_CONV, TEXTGEN_LINEAR } textgen_layer_kind;

enum {
    TEXTGEN_LAYER_TENSORS = 3,
    TEXTGEN_LAYER_SCALES = 2,
    TEXTGEN_MAX_STATE_ARRAYS = TEXTGEN_MAX_VALUES - 1, /* the graph has one more input, the token */
    TEXTGEN_STATE_NAME_SIZE = 24,
    TEXTGEN_MAX_DILATION = 65536
};

typedef struct {
    textgen_layer_kind kind;
    textgen_view name; /* of its node */
    size_t inputs, outputs;
    size_t dilation; /* conv: how many steps before the input its second input is; 0 for other layers */
    bool residual;   /* the layer's input is added to its output */
    /* embedding: weights [inputs][outputs].
     * lstm: input weights [4 * outputs][inputs], recurrent weights [4 * outputs][outputs], bias [8 * outputs]:
     *   the input bias followed by the recurrent bias. Gates are in ONNX's order: input, output, forget, cell.
     * gru: the same with three gates, update, reset, hidden; bias [6 * outputs].
     * conv: weights [2 * inputs][2 * outputs], bias [2 * outputs]. Rows: the input `dilation` steps before,
     *   then the input of this step. Columns: the filter, then its gate.
     * linear: weights [inputs][outputs], bias [outputs]. */
    const textgen_tensor *tensors[TEXTGEN_LAYER_TENSORS];
    /* If the weights have 8 bits: the scales of tensors[0] and tensors[1], where these are weights, one for
     * each row of an embedding, an lstm or a gru, and one for each column of a linear layer. */
    const textgen_tensor *scales[TEXTGEN_LAYER_SCALES];
} textgen_layer;

/* One array of the state: the graph's float32 input `name` [rows][batch][units]. The graph's output "next_" +
 * name is its next value. The rows of `hidden` and `cell` are the layers. The rows of inputs_0, inputs_1, ...
 * are the last inputs of one convolution, the oldest first. */
typedef struct {
    char name[TEXTGEN_STATE_NAME_SIZE];
    size_t rows, units;
} textgen_state_array;

typedef struct {
    textgen_layer layers[TEXTGEN_MAX_LAYERS + 2]; /* from the token to the logits; all but two of one kind */
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
int32_t textgen_model_match(const textgen_onnx *file, textgen_description *description, textgen_error *error);

const char *textgen_layer_kind_name(textgen_layer_kind kind);

/* Copy `count` values of a float32 tensor in a description, starting at index `first`. Fails on NaN and
 * infinity. */
int32_t textgen_tensor_floats(const textgen_tensor *tensor, size_t first, size_t count, float *values,
                              textgen_error *error);

#endif
