/* The messages of ONNX that make up a model file, one function each. */
#ifndef TEXTGEN_ONNX_PARTS_H
#define TEXTGEN_ONNX_PARTS_H

#include "onnx_reader.h"
#include "wire.h"

/* What reading a file needs everywhere. */
typedef struct {
    const unsigned char *start; /* of the file: errors say at which byte */
    const textgen_error *error;
    const char **beyond_limits; /* see textgen_onnx */
    size_t *fields;             /* how many were read */
} textgen_source;

/* The next field of a message. False at its end, or if `*code` is no longer TEXTGEN_OK; a damaged field sets
 * it. */
bool textgen_source_next(const textgen_source *source, textgen_wire *wire, textgen_field *field, int32_t *code);

/* What a field holds. Each fails if the field is of another type than this. */
int32_t textgen_source_enter(const textgen_source *source, const textgen_field *field, textgen_wire *message);
int32_t textgen_source_int64(const textgen_source *source, const textgen_field *field, int64_t *value);
int32_t textgen_source_int32(const textgen_source *source, const textgen_field *field, int32_t *value);
int32_t textgen_source_bytes(const textgen_source *source, const textgen_field *field, textgen_view *bytes);
int32_t textgen_source_text(const textgen_source *source, const textgen_field *field, textgen_view *text);
/* A text of limited length. */
int32_t textgen_source_name(const textgen_source *source, const textgen_field *field, textgen_view *name);
/* A message that may be there once; data of `message` is NULL before. */
int32_t textgen_source_message(const textgen_source *source, const textgen_field *field, textgen_view *message);
/* An error in a field. */
int32_t textgen_source_fail(const textgen_source *source, const textgen_field *field, const char *reason);

int32_t textgen_count_names(const textgen_source *source, const textgen_field *node, size_t *inputs,
                            size_t *outputs);
/* `names` has room for the node's inputs, of which there are `inputs`, and for its outputs behind them. */
int32_t textgen_read_node(const textgen_source *source, const textgen_field *field, textgen_view *names,
                          size_t inputs, textgen_node *node);
int32_t textgen_read_tensor(const textgen_source *source, const textgen_field *field, textgen_tensor *tensor);
int32_t textgen_read_value(const textgen_source *source, const textgen_field *field, textgen_value *value);
int32_t textgen_read_property(const textgen_source *source, const textgen_field *field,
                              textgen_property *property);

#endif
