/* The model file, an ONNX file of an LSTM network: its metadata, its graph, and the sizes and weights of its
 * layers.
 *
 * Two steps read a file. textgen_onnx_read reads protobuf: the metadata and the tensors of any graph. Then
 * textgen_onnx_describe writes the graph that textgen-train writes for a network of these sizes, compares it
 * with that of the file byte by byte, because any other node may compute something else, and finds the tensors
 * by their names. Results are views of the file and tables of bounded size. All that is not needed is skipped.
 *
 * Field numbers are those of onnx.proto. */
#ifndef TEXTGEN_ONNX_H
#define TEXTGEN_ONNX_H

#include "core.h"

#include <string.h>

/* Limits. With them, the tables take less than 1 MB. */
enum {
    TEXTGEN_MAX_LAYERS = 1024,
    TEXTGEN_MAX_TENSORS = 5 * TEXTGEN_MAX_LAYERS + 6,
    TEXTGEN_MAX_PROPERTIES = 4096, /* metadata_props */
    TEXTGEN_MAX_DIMENSIONS = 3,
    TEXTGEN_MAX_SIZE = 1 << 28 /* of units, inputs and symbols, so that products with small numbers fit */
};

/* Values of onnx.proto's TensorProto.DataType. */
enum { TEXTGEN_ONNX_FLOAT = 1, TEXTGEN_ONNX_INT8 = 3, TEXTGEN_ONNX_INT64 = 7 };

/* An initializer, as the file declares it until textgen_onnx_describe has checked it. */
typedef struct {
    textgen_view name;
    uint64_t type;                          /* a TensorProto.DataType */
    uint64_t shape[TEXTGEN_MAX_DIMENSIONS]; /* the first dimensions */
    size_t dimensions;                      /* may exceed TEXTGEN_MAX_DIMENSIONS */
    textgen_view raw;                       /* raw_data, little-endian */
    size_t offset;                          /* of the tensor in the file */
    bool elsewhere;                         /* the values are in another field, or in another file */
} textgen_tensor;

typedef struct {
    textgen_view key, value;
} textgen_property;

typedef struct {
    textgen_view content, graph;
    textgen_tensor *tensors;
    textgen_property *properties;
    size_t tensor_count, property_count;
    bool has_operators;   /* those of model files, and no others */
    uint64_t parameters;  /* number of float32 and int8 values in the tensors, without scales */
    textgen_arena *arena; /* for these tables and all that is made of them */
} textgen_onnx;

/* Read a file. On success the metadata is complete. file: only its `arena` is set. */
int32_t textgen_onnx_read(textgen_view content, textgen_onnx *file, textgen_error *error);

/* Return the value of a metadata property; its data is NULL if there is none. If a key is repeated, the last
 * value counts. */
textgen_view textgen_onnx_property(const textgen_onnx *file, const char *key);

/* Fail with TEXTGEN_DAMAGED_MODEL. offset: in the file, or SIZE_MAX if the part is missing. name: of the part,
 * one that the core knows, or empty. */
int32_t textgen_damaged(size_t offset, const char *part, textgen_view name, textgen_error *error);

/* The sizes of a network. */
typedef struct {
    size_t layers, units, embedding, vocabulary;
    bool residual; /* the input of each layer but the first is added to its output */
    int bits;      /* of all weights but the biases, 32 for float32, or 8 */
} textgen_sizes;

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
    textgen_layer *layers; /* [sizes.layers + 2], from the token to the logits */
    uint64_t bytes;        /* of the weights in the file */
    textgen_arena *arena;  /* that of the file */
} textgen_description;

/* Compare a file's graph, and check everything but the values of tensors. The description points into
 * `file`. Fails with TEXTGEN_UNKNOWN_GRAPH if the graph is another one. */
int32_t textgen_onnx_describe(const textgen_onnx *file, textgen_description *description, textgen_error *error);

/* Return the bits of a value of a float32 tensor, and the value. */
static inline uint32_t textgen_tensor_bits(const textgen_tensor *tensor, size_t index) {
    const unsigned char *bytes = tensor->raw.data + index * 4;
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

static inline float textgen_tensor_float(const textgen_tensor *tensor, size_t index) {
    const uint32_t bits = textgen_tensor_bits(tensor, index);
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* Fail because of the values of a tensor. */
int32_t textgen_tensor_damaged(const textgen_tensor *tensor, textgen_error *error);

/* A message, or a part of one, that is written. */
typedef struct {
    unsigned char *data; /* NULL only counts the bytes */
    size_t size;
} textgen_output;

/* Put the fields of a template. 1'text' is a field 1 with a text, 1=2 one with a number, and 1(...) one with a
 * message, of fields. u, v, e and l are the numbers of units, symbols, values of an embedding and layers. {...}
 * is there for each layer. [?...] is there with 8-bit weights if ? is 8, for several layers if it is s, and for
 * a layer with a residual connection if it is r. In texts, # is the number of the layer: see put_sign. */
void textgen_onnx_put(textgen_output *to, const char *from, const textgen_sizes *sizes, size_t layer);

/* Put all fields of the graph of a network but its tensors. */
void textgen_onnx_put_graph(textgen_output *to, const textgen_sizes *sizes);

/* Make a field of all that follows `start`. */
void textgen_onnx_wrap(textgen_output *to, size_t number, size_t start);

#endif
