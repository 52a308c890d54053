/* Readers for the protobuf messages in a model file, one function per message. */
#ifndef TEXTGEN_ONNX_PARTS_H
#define TEXTGEN_ONNX_PARTS_H

#include "onnx_reader.h"
#include "wire.h"

/* The context of all functions below. */
typedef struct {
    const unsigned char *start; /* of the file; error messages give byte offsets from here */
    const textgen_error *error;
    const char **exceeded_limit; /* see textgen_onnx */
    size_t *fields;              /* number of fields read so far */
} textgen_reader;

/* Read the next field of a message. Return false at its end, or if `*code` is not TEXTGEN_OK. If the field is
 * damaged, set `*code`. */
bool textgen_reader_next(const textgen_reader *reader, textgen_wire *wire, textgen_field *field, int32_t *code);

/* Get the value of a field. Each function fails if the field has another type. */
int32_t textgen_reader_enter(const textgen_reader *reader, const textgen_field *field, textgen_wire *message);
int32_t textgen_reader_int64(const textgen_reader *reader, const textgen_field *field, int64_t *value);
int32_t textgen_reader_int32(const textgen_reader *reader, const textgen_field *field, int32_t *value);
int32_t textgen_reader_bytes(const textgen_reader *reader, const textgen_field *field, textgen_view *bytes);
int32_t textgen_reader_text(const textgen_reader *reader, const textgen_field *field, textgen_view *text);
/* A text of at most TEXTGEN_MAX_NAME_BYTES. */
int32_t textgen_reader_name(const textgen_reader *reader, const textgen_field *field, textgen_view *name);
/* A message that may occur only once. Before the first call the data of `message` is NULL. */
int32_t textgen_reader_message(const textgen_reader *reader, const textgen_field *field, textgen_view *message);
/* Fail because of a field. */
int32_t textgen_reader_fail(const textgen_reader *reader, const textgen_field *field, const char *reason);

/* Count the inputs and outputs of a node. */
int32_t textgen_count_names(const textgen_reader *reader, const textgen_field *node, size_t *inputs,
                            size_t *outputs);
/* names: memory for the names of the node's inputs, `inputs` of them, followed by those of its outputs. */
int32_t textgen_read_node(const textgen_reader *reader, const textgen_field *field, textgen_view *names,
                          size_t inputs, textgen_node *node);
int32_t textgen_read_tensor(const textgen_reader *reader, const textgen_field *field, textgen_tensor *tensor);
int32_t textgen_read_value(const textgen_reader *reader, const textgen_field *field, textgen_value *value);
int32_t textgen_read_property(const textgen_reader *reader, const textgen_field *field,
                              textgen_property *property);

#endif
