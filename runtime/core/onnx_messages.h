/* Readers for the protobuf messages in a model file, one function per message. Errors stay in the reader. */
#ifndef TEXTGEN_ONNX_MESSAGES_H
#define TEXTGEN_ONNX_MESSAGES_H

#include "onnx_reader.h"
#include "wire.h"

/* Count the inputs and outputs of a node. */
void textgen_count_names(textgen_reader *reader, const textgen_field *node, size_t *inputs, size_t *outputs);
/* names: memory for the names of the node's inputs, `inputs` of them, followed by those of its outputs. */
void textgen_read_node(textgen_reader *reader, const textgen_field *field, textgen_view *names, size_t inputs,
                       textgen_node *node);
void textgen_read_tensor(textgen_reader *reader, const textgen_field *field, textgen_tensor *tensor);
void textgen_read_value(textgen_reader *reader, const textgen_field *field, textgen_value *value);
void textgen_read_property(textgen_reader *reader, const textgen_field *field, textgen_property *property);

#endif
