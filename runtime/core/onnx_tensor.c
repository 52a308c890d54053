/* Stored tensors. */
#include "onnx_parts.h"

static void add_dimension(textgen_tensor *tensor, uint64_t size) {
    if (tensor->dimensions < TEXTGEN_MAX_DIMENSIONS) {
        tensor->shape[tensor->dimensions] = textgen_wire_int64(size);
    }
    tensor->dimensions++;
}

/* Read dimensions, which are packed or single fields. */
static int32_t read_dimensions(const textgen_reader *reader, const textgen_field *field,
                               textgen_tensor *tensor) {
    if (field->type == TEXTGEN_WIRE_VARINT) {
        add_dimension(tensor, field->integer);
        return TEXTGEN_OK;
    }
    textgen_wire wire;
    const int32_t code = textgen_reader_enter(reader, field, &wire);
    /* Beyond the maximum, the exact number does not matter. */
    while (code == TEXTGEN_OK && wire.next < wire.end && tensor->dimensions <= TEXTGEN_MAX_DIMENSIONS) {
        uint64_t size;
        if (!textgen_wire_varint(&wire, &size)) {
            return textgen_reader_fail(reader, field, "a dimension is damaged");
        }
        add_dimension(tensor, size);
    }
    return code;
}

/* Read values. They may be one packed field; single fields of type `single`, or several packed ones, are only
 * noted. */
static int32_t read_packed(const textgen_reader *reader, const textgen_field *field, textgen_wire_type single,
                           textgen_view *values, bool *scattered) {
    if (field->type == single || (field->type == TEXTGEN_WIRE_BYTES && values->data != NULL)) {
        *scattered = true;
        return TEXTGEN_OK;
    }
    return textgen_reader_bytes(reader, field, values);
}

static int32_t read_part(const textgen_reader *reader, const textgen_field *part, textgen_tensor *tensor) {
    int32_t location;
    int32_t code;
    switch (part->number) {
    case 1:
        return read_dimensions(reader, part, tensor);
    case 2:
        return textgen_reader_int32(reader, part, &tensor->type);
    case 4:
        return read_packed(reader, part, TEXTGEN_WIRE_32_BITS, &tensor->floats, &tensor->scattered);
    case 5:
        tensor->scattered = true;
        return TEXTGEN_OK;
    case 7:
        return read_packed(reader, part, TEXTGEN_WIRE_VARINT, &tensor->integers, &tensor->scattered);
    case 8:
        return textgen_reader_name(reader, part, &tensor->name);
    case 9:
        return textgen_reader_bytes(reader, part, &tensor->raw);
    case 14:
        code = textgen_reader_int32(reader, part, &location);
        tensor->external = location != 0;
        return code;
    default:
        return TEXTGEN_OK;
    }
}

int32_t textgen_read_tensor(const textgen_reader *reader, const textgen_field *field, textgen_tensor *tensor) {
    textgen_wire wire;
    textgen_field part;
    int32_t code = textgen_reader_enter(reader, field, &wire);
    while (textgen_reader_next(reader, &wire, &part, &code)) {
        code = read_part(reader, &part, tensor);
    }
    if (code == TEXTGEN_OK && tensor->floats.size % 4 != 0) {
        return textgen_reader_fail(reader, field, "float_data ends within a value");
    }
    return code;
}
