/* Nodes, inputs and outputs of the graph, and metadata. */
#include "onnx_parts.h"

int32_t textgen_count_names(const textgen_reader *reader, const textgen_field *node, size_t *inputs,
                            size_t *outputs) {
    textgen_wire wire;
    textgen_field field;
    *inputs = *outputs = 0;
    int32_t code = textgen_reader_enter(reader, node, &wire);
    while (textgen_reader_next(reader, &wire, &field, &code)) {
        *inputs += field.number == 1;
        *outputs += field.number == 2;
    }
    return code;
}

static int32_t read_attribute(const textgen_reader *reader, const textgen_field *attribute,
                              textgen_attribute *result) {
    textgen_wire wire;
    textgen_field field;
    int32_t type;
    int32_t code = textgen_reader_enter(reader, attribute, &wire);
    while (textgen_reader_next(reader, &wire, &field, &code)) {
        code = field.number == 1    ? textgen_reader_name(reader, &field, &result->name)
               : field.number == 3  ? textgen_reader_int64(reader, &field, &result->integer)
               : field.number == 4  ? textgen_reader_bytes(reader, &field, &result->text)
               : field.number == 20 ? textgen_reader_int32(reader, &field, &type)
                                    : TEXTGEN_OK;
    }
    return code;
}

int32_t textgen_read_node(const textgen_reader *reader, const textgen_field *field, textgen_view *names,
                          size_t inputs, textgen_node *node) {
    textgen_wire wire;
    textgen_field part;
    textgen_view *next_input = names;
    textgen_view *next_output = inputs == 0 ? names : names + inputs;
    int32_t code = textgen_reader_enter(reader, field, &wire);
    node->inputs = next_input;
    node->outputs = next_output;
    while (textgen_reader_next(reader, &wire, &part, &code)) {
        textgen_attribute ignored = {{NULL, 0}, 0, {NULL, 0}};
        switch (part.number) {
        case 1:
            code = textgen_reader_name(reader, &part, next_input++);
            node->input_count++;
            break;
        case 2:
            code = textgen_reader_name(reader, &part, next_output++);
            node->output_count++;
            break;
        case 3:
            code = textgen_reader_name(reader, &part, &node->name);
            break;
        case 4:
            code = textgen_reader_name(reader, &part, &node->type);
            break;
        case 5:
            code = read_attribute(reader, &part,
                                  node->attribute_count < TEXTGEN_MAX_ATTRIBUTES
                                      ? &node->attributes[node->attribute_count]
                                      : &ignored);
            node->attribute_count++;
            break;
        case 7:
            code = textgen_reader_name(reader, &part, &node->domain);
            break;
        default:
            break;
        }
    }
    return code;
}

static int32_t read_dimension(const textgen_reader *reader, const textgen_field *dimension, int64_t *size) {
    textgen_wire wire;
    textgen_field field;
    textgen_view name;
    *size = 0;
    int32_t code = textgen_reader_enter(reader, dimension, &wire);
    while (textgen_reader_next(reader, &wire, &field, &code)) {
        if (field.number == 1) {
            code = textgen_reader_int64(reader, &field, size);
        } else if (field.number == 2) {
            /* A dimension is a number or a name; the last one counts. */
            *size = 0;
            code = textgen_reader_name(reader, &field, &name);
        }
    }
    return code;
}

static int32_t read_shape(const textgen_reader *reader, textgen_view shape, textgen_value *value) {
    textgen_wire wire = textgen_wire_of(shape);
    textgen_field field;
    int32_t code = TEXTGEN_OK;
    while (textgen_reader_next(reader, &wire, &field, &code)) {
        if (field.number == 1) {
            int64_t ignored;
            code = read_dimension(reader, &field,
                                  value->dimensions < TEXTGEN_MAX_DIMENSIONS ? &value->shape[value->dimensions]
                                                                             : &ignored);
            value->dimensions++;
        }
    }
    return code;
}

static int32_t read_tensor_type(const textgen_reader *reader, textgen_view type, textgen_value *value) {
    textgen_wire wire = textgen_wire_of(type);
    textgen_field field;
    textgen_view shape = {NULL, 0};
    int32_t code = TEXTGEN_OK;
    while (textgen_reader_next(reader, &wire, &field, &code)) {
        code = field.number == 1   ? textgen_reader_int32(reader, &field, &value->type)
               : field.number == 2 ? textgen_reader_message(reader, &field, &shape)
                                   : TEXTGEN_OK;
    }
    return code != TEXTGEN_OK ? code : read_shape(reader, shape, value);
}

int32_t textgen_read_value(const textgen_reader *reader, const textgen_field *field, textgen_value *value) {
    textgen_wire wire;
    textgen_field part;
    textgen_view type = {NULL, 0};
    textgen_view tensor_type = {NULL, 0};
    int32_t code = textgen_reader_enter(reader, field, &wire);
    while (textgen_reader_next(reader, &wire, &part, &code)) {
        code = part.number == 1   ? textgen_reader_name(reader, &part, &value->name)
               : part.number == 2 ? textgen_reader_message(reader, &part, &type)
                                  : TEXTGEN_OK;
    }
    wire = textgen_wire_of(type);
    while (textgen_reader_next(reader, &wire, &part, &code)) {
        if (part.number == 1) {
            code = textgen_reader_message(reader, &part, &tensor_type);
        }
    }
    return code != TEXTGEN_OK ? code : read_tensor_type(reader, tensor_type, value);
}

int32_t textgen_read_property(const textgen_reader *reader, const textgen_field *field,
                              textgen_property *property) {
    textgen_wire wire;
    textgen_field part;
    /* A missing key or value is an empty text, which also points into the file. */
    int32_t code = textgen_reader_enter(reader, field, &wire);
    property->key = property->value = (textgen_view){wire.next, 0};
    while (textgen_reader_next(reader, &wire, &part, &code)) {
        code = part.number == 1   ? textgen_reader_text(reader, &part, &property->key)
               : part.number == 2 ? textgen_reader_text(reader, &part, &property->value)
                                  : TEXTGEN_OK;
    }
    return code;
}
