/* Reads the subset of ONNX that model files use, from protobuf's wire format.
 *
 * The result consists of views into the file and of tables whose sizes are bounded. Nothing is recursive, and
 * fields that are not needed are skipped. Field numbers are those of onnx.proto. */
#ifndef TEXTGEN_ONNX_READER_H
#define TEXTGEN_ONNX_READER_H

#include "core.h"

/* A layer has 2 nodes, 3 tensors and 17 inputs and outputs of nodes; the tables take 4 MB at most. */
enum {
    TEXTGEN_MAX_LAYERS = 1024,
    TEXTGEN_MAX_NODES = 4096,
    TEXTGEN_MAX_TENSORS = 4096,
    TEXTGEN_MAX_VALUES = 64,       /* inputs or outputs of the graph */
    TEXTGEN_MAX_PROPERTIES = 4096, /* metadata_props */
    TEXTGEN_MAX_DIMENSIONS = 8,
    TEXTGEN_MAX_ATTRIBUTES = 8,   /* of one node */
    TEXTGEN_MAX_NAMES = 32768,    /* inputs and outputs of all nodes together */
    TEXTGEN_MAX_NAME_BYTES = 256, /* of a name in the graph */
    TEXTGEN_MAX_FIELDS = 1 << 19  /* that are read in all */
};

enum { TEXTGEN_ONNX_FLOAT = 1, TEXTGEN_ONNX_INT64 = 7 };

typedef struct {
    textgen_view name;
    int32_t type;                          /* one of onnx.proto's TensorProto.DataType */
    int64_t shape[TEXTGEN_MAX_DIMENSIONS]; /* as declared, which may be anything */
    size_t dimensions;                     /* as declared; may be more than have room in `shape` */
    textgen_view raw;                      /* raw_data: little-endian */
    textgen_view floats;                   /* float_data, packed: little-endian */
    textgen_view integers;                 /* int64_data, packed: varints */
    bool external;                         /* its values are in another file */
    bool scattered;                        /* float_data or int64_data come in several pieces or not packed */
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
    textgen_attribute attributes[TEXTGEN_MAX_ATTRIBUTES];
    size_t attribute_count; /* may be more than have room */
} textgen_node;

/* An input or output of the graph. */
typedef struct {
    textgen_view name;
    int32_t type;
    int64_t shape[TEXTGEN_MAX_DIMENSIONS]; /* 0 for a dimension that is not a number */
    size_t dimensions;                     /* may be more than have room */
} textgen_value;

typedef struct {
    textgen_view key, value;
} textgen_property;

typedef struct {
    textgen_node *nodes;
    textgen_tensor *tensors;
    textgen_value *inputs, *outputs;
    textgen_property *properties;
    /* Of each kind how many the tables hold. */
    size_t node_count, tensor_count, input_count, output_count, property_count;
    size_t opset_count;
    int64_t opset_version; /* of the first */
    textgen_view opset_domain;
    bool sparse; /* there are sparse_initializers */
    /* NULL; or what of the graph goes beyond the limits above, such as "4,096 nodes": the tables hold the first
     * ones. */
    const char *beyond_limits;
    uint64_t parameters; /* float32 values that the tensors hold */
    textgen_view *names; /* what the nodes' inputs and outputs point into */
} textgen_onnx;

/* Read a file's structure. On success the caller frees `file` with textgen_onnx_free. What would have to be
 * merged, such as a second graph, is refused: no program writes it. So is a name that is not UTF-8, and a file
 * of too many fields or metadata entries: all of the metadata is there, or nothing. */
int32_t textgen_onnx_read(textgen_view content, textgen_onnx *file, const textgen_error *error);
void textgen_onnx_free(textgen_onnx *file);

/* The value of a metadata property; data is NULL if there is none. The last of equal keys counts. */
textgen_view textgen_onnx_property(const textgen_onnx *file, const char *key);

#endif
