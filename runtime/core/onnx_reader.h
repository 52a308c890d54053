/* The model file reader: parses the subset of ONNX that model files use, from protobuf's wire format.
 *
 * Its result, textgen_onnx, contains views of the file and tables of bounded size. There is no recursion.
 * Fields that are not needed are skipped. model.c then turns the graph into a textgen_description.
 *
 * Files: wire.c reads protobuf fields, onnx_messages.c the messages of onnx.proto, and onnx_reader.c the file.
 * Field numbers are those of onnx.proto.
 *
 * To add a second file format, write a reader that fills in two structures: the properties of a textgen_onnx,
 * which metadata.c and vocabulary.c read, and a textgen_description (model.h), which pack.c reads. The weights
 * in a description are float32 or int8 values, the `raw` views of textgen_tensor. Call the reader in
 * textgen_model_read (textgen.c), and in ModelFile of the Python runtime (model_file/reader.pyx).
 * Write the format in textgen_train/export. onnxruntime does not run such a file, so build_checked
 * (exporter.py) cannot compare it with that engine. */
#ifndef TEXTGEN_ONNX_READER_H
#define TEXTGEN_ONNX_READER_H

#include "core.h"
#include "memory.h"

/* Limits. A recurrent layer has 2 nodes, or 3 with a residual connection, 3 tensors, and at most 20 node inputs
 * and outputs; with 8-bit weights 2 nodes and 2 tensors more. A convolution has a graph input of its own. The
 * tables take at most 4 MB. */
enum {
    TEXTGEN_MAX_LAYERS = 1024,
    TEXTGEN_MAX_NODES = 4096,
    TEXTGEN_MAX_TENSORS = 4096,
    TEXTGEN_MAX_VALUES = 64,       /* graph inputs, and graph outputs */
    TEXTGEN_MAX_PROPERTIES = 4096, /* metadata_props */
    TEXTGEN_MAX_DIMENSIONS = 8,
    TEXTGEN_MAX_ATTRIBUTES = 8,   /* of one node */
    TEXTGEN_MAX_NAMES = 32768,    /* inputs and outputs of all nodes together */
    TEXTGEN_MAX_NAME_BYTES = 256, /* of one name in the graph */
    TEXTGEN_MAX_FIELDS = 1 << 19  /* protobuf fields read, including repeated reads */
};

/* Values of onnx.proto's TensorProto.DataType. */
enum { TEXTGEN_ONNX_FLOAT = 1, TEXTGEN_ONNX_INT8 = 3, TEXTGEN_ONNX_INT64 = 7 };

/* An initializer. Counts and sizes are those that the file declares, and may be wrong. */
typedef struct {
    textgen_view name;
    int32_t type;                          /* a TensorProto.DataType */
    int64_t shape[TEXTGEN_MAX_DIMENSIONS]; /* the first dimensions */
    size_t dimensions;                     /* may exceed TEXTGEN_MAX_DIMENSIONS */
    textgen_view raw;                      /* raw_data, little-endian */
    textgen_view floats;                   /* packed float_data, little-endian */
    textgen_view integers;                 /* packed int64_data, varints */
    bool external;                         /* the values are in another file */
    bool scattered;                        /* typed data in several parts, not packed, or of 32-bit integers */
} textgen_tensor;

typedef struct {
    textgen_view name;
    int64_t integer;
    textgen_view text;
} textgen_attribute;

typedef struct {
    textgen_view name;
    textgen_view type; /* op_type */
    textgen_view domain;
    const textgen_view *inputs;
    const textgen_view *outputs;
    size_t input_count, output_count;
    textgen_attribute attributes[TEXTGEN_MAX_ATTRIBUTES]; /* the first attributes */
    size_t attribute_count;                               /* may exceed TEXTGEN_MAX_ATTRIBUTES */
} textgen_node;

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
    textgen_node *nodes;
    textgen_tensor *tensors;
    textgen_value *inputs, *outputs;
    textgen_property *properties;
    size_t node_count, tensor_count, input_count, output_count, property_count;
    size_t opset_count;
    int64_t opset_version; /* of the first operator set */
    textgen_view opset_domain;
    bool sparse; /* the graph has sparse_initializers */
    /* The limit that the graph exceeds, such as "4,096 nodes", or NULL. If it exceeds one, the tables hold only
     * the first entries. */
    const char *exceeded_limit;
    uint64_t parameters;  /* number of float32 and int8 values in the tensors */
    textgen_view *names;  /* the memory behind the inputs and outputs of the nodes */
    textgen_arena *arena; /* for these tables and all that is made of them; NULL for the heap */
} textgen_onnx;

/* Parse a file. On success the caller frees `file` with textgen_onnx_free.
 *
 * Refused: messages that protobuf would merge, such as a second graph, which no program writes; names that are
 * not UTF-8; too many fields or metadata entries. On success the metadata is therefore complete.
 *
 * file: only its `arena` is set. */
int32_t textgen_onnx_read(textgen_view content, textgen_onnx *file, textgen_error *error);
void textgen_onnx_free(textgen_onnx *file);

/* Return the value of a metadata property; its data is NULL if there is none. If a key is repeated, the last
 * value counts. */
textgen_view textgen_onnx_property(const textgen_onnx *file, const char *key);

#endif
