#include "onnx_messages.h"

void textgen_count_names(textgen_reader *reader, const textgen_field *node, size_t *inputs, size_t *outputs) {
    textgen_wire wire = textgen_reader_enter(reader, node);
    textgen_field field;
    *inputs = *outputs = 0;
    while (textgen_reader_next(reader, &wire, &field)) {
        *inputs += field.number == 1;
        *outputs += field.number == 2;
    }
}

static void read_attribute(textgen_reader *reader, const textgen_field *attribute, textgen_attribute *result) {
    textgen_wire wire = textgen_reader_enter(reader, attribute);
    textgen_field field;
    int32_t type;
    while (textgen_reader_next(reader, &wire, &field)) {
        switch (field.number) {
        case 1:
            textgen_reader_name(reader, &field, &result->name);
            break;
        case 3:
            textgen_reader_int64(reader, &field, &result->integer);
            break;
        case 4:
            textgen_reader_bytes(reader, &field, &result->text);
            break;
        case 20:
            textgen_reader_int32(reader, &field, &type);
        }
    }
}

void textgen_read_node(textgen_reader *reader, const textgen_field *field, textgen_view *names, size_t inputs,
                       textgen_node *node) {
    textgen_wire wire = textgen_reader_enter(reader, field);
    textgen_view *next_input = names, *next_output = inputs == 0 ? names : names + inputs;
    textgen_field part;
    node->inputs = next_input;
    node->outputs = next_output;
    while (textgen_reader_next(reader, &wire, &part)) {
        textgen_attribute ignored = {{NULL, 0}, 0, {NULL, 0}};
        switch (part.number) {
        case 1:
            textgen_reader_name(reader, &part, next_input++);
            node->input_count++;
            break;
        case 2:
            textgen_reader_name(reader, &part, next_output++);
            node->output_count++;
            break;
        case 3:
            textgen_reader_name(reader, &part, &node->name);
            break;
        case 4:
            textgen_reader_name(reader, &part, &node->type);
            break;
        case 5:
            read_attribute(reader, &part,
                           node->attribute_count < TEXTGEN_MAX_ATTRIBUTES
                               ? &node->attributes[node->attribute_count]
                               : &ignored);
            node->attribute_count++;
            break;
        case 7:
            textgen_reader_name(reader, &part, &node->domain);
        }
    }
}

static void read_dimension(textgen_reader *reader, const textgen_field *dimension, int64_t *size) {
    textgen_wire wire = textgen_reader_enter(reader, dimension);
    textgen_field field;
    textgen_view name;
    *size = 0;
    while (textgen_reader_next(reader, &wire, &field)) {
        if (field.number == 1) {
            textgen_reader_int64(reader, &field, size);
        } else if (field.number == 2) {
            /* A dimension is a number or a name; the last one counts. */
            *size = 0;
            textgen_reader_name(reader, &field, &name);
        }
    }
}

static void read_tensor_type(textgen_reader *reader, textgen_view type, textgen_value *value) {
    textgen_wire wire = textgen_wire_of(type);
    textgen_field field;
    textgen_view shape = {NULL, 0};
    int64_t ignored;
    while (textgen_reader_next(reader, &wire, &field)) {
        if (field.number == 1) {
            textgen_reader_int32(reader, &field, &value->type);
        } else if (field.number == 2) {
            textgen_reader_message(reader, &field, &shape);
        }
    }
    wire = textgen_wire_of(shape);
    while (textgen_reader_next(reader, &wire, &field)) {
        if (field.number == 1) {
            read_dimension(reader, &field,
                           value->dimensions < TEXTGEN_MAX_DIMENSIONS ? &value->shape[value->dimensions]
                                                                      : &ignored);
            value->dimensions++;
        }
    }
}

void textgen_read_value(textgen_reader *reader, const textgen_field *field, textgen_value *value) {
    textgen_wire wire = textgen_reader_enter(reader, field);
    textgen_field part;
    textgen_view type = {NULL, 0}, tensor_type = {NULL, 0};
    while (textgen_reader_next(reader, &wire, &part)) {
        if (part.number == 1) {
            textgen_reader_name(reader, &part, &value->name);
        } else if (part.number == 2) {
            textgen_reader_message(reader, &part, &type);
        }
    }
    wire = textgen_wire_of(type);
    while (textgen_reader_next(reader, &wire, &part)) {
        if (part.number == 1) {
            textgen_reader_message(reader, &part, &tensor_type);
        }
    }
    read_tensor_type(reader, tensor_type, value);
}

void textgen_read_property(textgen_reader *reader, const textgen_field *field, textgen_property *property) {
    textgen_wire wire = textgen_reader_enter(reader, field);
    textgen_field part;
    /* A missing key or value is an empty text, which also points into the file. */
    property->key = property->value = (textgen_view){wire.next, 0};
    while (textgen_reader_next(reader, &wire, &part)) {
        if (part.number == 1) {
            textgen_reader_text(reader, &part, &property->key);
        } else if (part.number == 2) {
            textgen_reader_text(reader, &part, &property->value);
        }
    }
}

static void add_dimension(textgen_tensor *tensor, uint64_t size) {
    if (tensor->dimensions < TEXTGEN_MAX_DIMENSIONS) {
        tensor->shape[tensor->dimensions] = textgen_wire_int64(size);
    }
    tensor->dimensions++;
}

/* Read dimensions, which are packed or single fields. */
static void read_dimensions(textgen_reader *reader, const textgen_field *field, textgen_tensor *tensor) {
    if (field->type == TEXTGEN_WIRE_VARINT) {
        add_dimension(tensor, field->integer);
        return;
    }
    textgen_wire wire = textgen_reader_enter(reader, field);
    /* Beyond the maximum, the exact number does not matter. */
    while (reader->code == TEXTGEN_OK && wire.next < wire.end && tensor->dimensions <= TEXTGEN_MAX_DIMENSIONS) {
        uint64_t size;
        if (textgen_wire_varint(&wire, &size)) {
            add_dimension(tensor, size);
        } else {
            textgen_reader_fail(reader, field, "a dimension is damaged");
        }
    }
}

/* Read values. They may be one packed field; single fields of type `single`, or several packed ones, are only
 * noted. */
static void read_packed(textgen_reader *reader, const textgen_field *field, textgen_wire_type single,
                        textgen_view *values, bool *scattered) {
    if (field->type == single || (field->type == TEXTGEN_WIRE_BYTES && values->data)) {
        *scattered = true;
    } else {
        textgen_reader_bytes(reader, field, values);
    }
}

void textgen_read_tensor(textgen_reader *reader, const textgen_field *field, textgen_tensor *tensor) {
    textgen_wire wire = textgen_reader_enter(reader, field);
    textgen_field part;
    int32_t location = 0;
    while (textgen_reader_next(reader, &wire, &part)) {
        switch (part.number) {
        case 1:
            read_dimensions(reader, &part, tensor);
            break;
        case 2:
            textgen_reader_int32(reader, &part, &tensor->type);
            break;
        case 4:
            read_packed(reader, &part, TEXTGEN_WIRE_32_BITS, &tensor->floats, &tensor->scattered);
            break;
        case 5:
            tensor->scattered = true;
            break;
        case 7:
            read_packed(reader, &part, TEXTGEN_WIRE_VARINT, &tensor->integers, &tensor->scattered);
            break;
        case 8:
            textgen_reader_name(reader, &part, &tensor->name);
            break;
        case 9:
            textgen_reader_bytes(reader, &part, &tensor->raw);
            break;
        case 14:
            textgen_reader_int32(reader, &part, &location);
        }
    }
    tensor->external = location != 0;
    if (reader->code == TEXTGEN_OK && tensor->floats.size % 4 != 0) {
        textgen_reader_fail(reader, field, "float_data ends within a value");
    }
}
