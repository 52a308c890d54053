/* The model file, an ONNX file of an LSTM network: its metadata, the nodes and tensors that it must have, and
 * the sizes and weights of its layers.
 *
 * Two steps read a file. textgen_onnx_read reads protobuf: the metadata and the tensors of any graph. Then
 * textgen_onnx_describe compares the nodes of the graph with those that textgen-train writes for a network of
 * these sizes, because any other node may compute something else, and finds the tensors by their names. Results
 * are views of the file and tables of bounded size. Nothing is recursive. All that is not needed is skipped.
 *
 * Field numbers are those of onnx.proto. */
#ifndef TEXTGEN_ONNX_H
#define TEXTGEN_ONNX_H

#include "core.h"
#include "memory.h"

/* The ONNX operator set of model files; the exporter reads it from here. */
enum { TEXTGEN_OPSET = 17 };

/* Limits. With them, the tables take less than 1 MB. */
enum {
    TEXTGEN_MAX_LAYERS = 1024,
    TEXTGEN_MAX_TENSORS = 4096,
    TEXTGEN_MAX_VALUES = 64,       /* inputs of the graph, and outputs */
    TEXTGEN_MAX_PROPERTIES = 4096, /* metadata_props */
    TEXTGEN_MAX_DIMENSIONS = 3,
    TEXTGEN_MAX_SIZE = 1 << 28 /* of units, inputs and symbols, so that products with small numbers fit */
};

/* Values of onnx.proto's TensorProto.DataType. */
enum { TEXTGEN_ONNX_FLOAT = 1, TEXTGEN_ONNX_INT8 = 3, TEXTGEN_ONNX_INT64 = 7 };

/* An initializer, as the file declares it until textgen_onnx_describe has checked it. */
typedef struct {
    textgen_view name;
    int32_t type;                          /* a TensorProto.DataType */
    int64_t shape[TEXTGEN_MAX_DIMENSIONS]; /* the first dimensions */
    size_t dimensions;                     /* may exceed TEXTGEN_MAX_DIMENSIONS */
    textgen_view raw;                      /* raw_data, little-endian */
    size_t offset;                         /* of the tensor in the file */
    bool elsewhere;                        /* the values are in another field, or in another file */
} textgen_tensor;

/* An input or output of the graph. */
typedef struct {
    textgen_view name;
    int32_t type;
    int64_t shape[TEXTGEN_MAX_DIMENSIONS]; /* the first dimensions; 0 for a dynamic one */
    size_t dimensions;                     /* may exceed TEXTGEN_MAX_DIMENSIONS */
} textgen_value;

typedef struct {
    textgen_view key, value;
} textgen_property;

typedef struct {
    textgen_view content, graph;
    textgen_tensor *tensors;
    textgen_name *names; /* of the tensors, sorted */
    textgen_value *inputs, *outputs;
    textgen_property *properties;
    size_t tensor_count, input_count, output_count, property_count;
    bool too_large;       /* the graph has more tensors, inputs or outputs than the tables */
    bool other_operators; /* an operator set other than that of model files, or sparse tensors */
    uint64_t parameters;  /* number of float32 and int8 values in the tensors */
    textgen_arena *arena; /* for these tables and all that is made of them; NULL for the heap */
} textgen_onnx;

/* Read a file. On success the metadata is complete, and the caller frees `file` with textgen_onnx_free.
 *
 * file: only its `arena` is set. */
int32_t textgen_onnx_read(textgen_view content, textgen_onnx *file, textgen_error *error);
void textgen_onnx_free(textgen_onnx *file);

/* Return the value of a metadata property; its data is NULL if there is none. If a key is repeated, the last
 * value counts. */
textgen_view textgen_onnx_property(const textgen_onnx *file, const char *key);

/* Fail with TEXTGEN_DAMAGED_MODEL. offset: in the file, or SIZE_MAX. name: of the part, or empty. */
int32_t textgen_damaged(size_t offset, const char *part, textgen_view name, textgen_error *error);

/* The sizes of a network. */
typedef struct {
    size_t layers, units, embedding, vocabulary;
    bool residual; /* the input of each layer but the first is added to its output */
    int bits;      /* of all weights but the biases, 32 for float32, or 8 */
} textgen_sizes;

/* A node that a model file must have. Lists of names are apart by a space; their signs are explained in
 * onnx.c. */
typedef struct {
    const char *type, *name, *inputs, *outputs;
    const char *attribute; /* its only attribute, an integer, or NULL */
    int64_t value;         /* of the attribute */
    size_t layer;
} textgen_node;

/* Get the next node in the order of the file. Return false at the end. place: zeros before the first call. */
typedef struct {
    size_t step, layer;
} textgen_place;
bool textgen_onnx_next_node(const textgen_sizes *sizes, textgen_place *place, textgen_node *node);

/* Write a name of a list of a node, and return its length; 0 at the end of the list. */
enum { TEXTGEN_NAME_SIZE = 48 };
size_t textgen_node_name(const textgen_sizes *sizes, const textgen_node *node, const char *list, size_t index,
                         char name[TEXTGEN_NAME_SIZE]);

typedef enum { TEXTGEN_EMBEDDING, TEXTGEN_LSTM, TEXTGEN_LINEAR } textgen_layer_kind;

enum { TEXTGEN_LAYER_TENSORS = 3, TEXTGEN_LAYER_SCALES = 2 };

typedef struct {
    textgen_layer_kind kind;
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

typedef struct {
    textgen_sizes sizes;
    textgen_layer layers[TEXTGEN_MAX_LAYERS + 2]; /* from the token to the logits */
    size_t layer_count;                           /* sizes.layers + 2 */
    size_t scales;                                /* how many values the scales have in total */
    textgen_arena *arena;                         /* that of the file */
} textgen_description;

/* Compare a file's graph, and check everything but the values of the weights. The description points into
 * `file`. Fails with TEXTGEN_UNKNOWN_GRAPH if the graph is another one. */
int32_t textgen_onnx_describe(const textgen_onnx *file, textgen_description *description, textgen_error *error);

/* Copy `count` values of a float32 tensor in a description, starting at index `first`. Fails on NaN and
 * infinity. */
int32_t textgen_tensor_floats(const textgen_tensor *tensor, size_t first, size_t count, float *values,
                              textgen_error *error);

/* Fail because of the values of a tensor. */
int32_t textgen_tensor_damaged(const textgen_tensor *tensor, textgen_error *error);

/* Return whether no value is NaN or infinite. */
bool textgen_all_finite(const float *values, size_t count);

#endif
