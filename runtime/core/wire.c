#include "wire.h"

#include "onnx_reader.h"
#include "utf8.h"

/* FIRST_BYTE: of the field ir_version, with which ONNX files usually begin. */
enum { FIRST_BYTE = 0x08, MAX_FIELD_NUMBER = (1 << 29) - 1 };

textgen_wire textgen_wire_of(textgen_view message) {
    textgen_wire wire = {message.data, message.data};
    if (message.size > 0) {
        wire.end += message.size;
    }
    return wire;
}

bool textgen_wire_varint(textgen_wire *wire, uint64_t *value) {
    uint64_t result = 0;
    if (wire->next < wire->end && *wire->next < 0x80) {
        *value = *wire->next++;
        return true;
    }
    for (unsigned shift = 0; shift < 64 && wire->next < wire->end; shift += 7) {
        const unsigned char byte = *wire->next++;
        /* Only one bit of the tenth byte fits into 64 bits. */
        if (shift == 63 && byte > 1) {
            return false;
        }
        result |= (uint64_t)(byte & 0x7F) << shift;
        if (byte < 0x80) {
            *value = result;
            return true;
        }
    }
    return false;
}

int64_t textgen_wire_int64(uint64_t value) {
    return value <= INT64_MAX ? (int64_t)value : -(int64_t)(UINT64_MAX - value) - 1;
}

/* Read a field. Return what is wrong with it, or NULL. ONNX does not use groups, so they count as damaged. */
static const char *read_field(textgen_wire *wire, textgen_field *field) {
    uint64_t tag, size = 0;
    field->start = wire->next;
    field->integer = 0;
    field->bytes = (textgen_view){NULL, 0};
    if (!textgen_wire_varint(wire, &tag)) {
        return "a field number is damaged";
    }
    if (tag >> 3 == 0 || tag >> 3 > MAX_FIELD_NUMBER) {
        return "a field number is out of range";
    }
    field->number = (uint32_t)(tag >> 3);
    field->type = (textgen_wire_type)(tag & 7);
    switch (field->type) {
    case TEXTGEN_WIRE_VARINT:
        return textgen_wire_varint(wire, &field->integer) ? NULL : "an integer is damaged";
    case TEXTGEN_WIRE_BYTES:
        if (!textgen_wire_varint(wire, &size)) {
            return "a field length is damaged";
        }
        break;
    case TEXTGEN_WIRE_64_BITS:
        size = 8;
        break;
    case TEXTGEN_WIRE_32_BITS:
        size = 4;
        break;
    default:
        return "a field has an unsupported wire type";
    }
    if (size > (size_t)(wire->end - wire->next)) {
        return "a field is longer than its message";
    }
    field->bytes = (textgen_view){wire->next, (size_t)size};
    wire->next += (size_t)size;
    return NULL;
}

void textgen_reader_fail(textgen_reader *reader, const textgen_field *field, const char *reason) {
    const bool is_onnx = *reader->start == FIRST_BYTE;
    reader->code = textgen_fail(reader->error, TEXTGEN_DAMAGED_MODEL, "the file is %s (at byte %zu, %s): %s",
                                is_onnx ? "cut short or damaged" : "not an ONNX model",
                                (size_t)(field->start - reader->start), reason,
                                is_onnx ? "copy or export it again" : "choose an ONNX file");
}

bool textgen_reader_next(textgen_reader *reader, textgen_wire *wire, textgen_field *field) {
    if (reader->code != TEXTGEN_OK || wire->next >= wire->end) {
        return false;
    }
    char formatted[TEXTGEN_NUMBER_SIZE];
    const char *problem = read_field(wire, field);
    if (problem) {
        textgen_reader_fail(reader, field, problem);
    } else if (++reader->fields > TEXTGEN_MAX_FIELDS) {
        reader->code = textgen_fail(reader->error, TEXTGEN_TOO_LARGE, "the file has more than %s fields",
                                    textgen_format_number(TEXTGEN_MAX_FIELDS, formatted));
    }
    return reader->code == TEXTGEN_OK;
}

static void expect(textgen_reader *reader, const textgen_field *field, textgen_wire_type type) {
    if (field->type != type) {
        textgen_reader_fail(reader, field, "a field has the wrong wire type");
    }
}

textgen_wire textgen_reader_enter(textgen_reader *reader, const textgen_field *field) {
    expect(reader, field, TEXTGEN_WIRE_BYTES);
    return textgen_wire_of(field->bytes);
}

void textgen_reader_int64(textgen_reader *reader, const textgen_field *field, int64_t *value) {
    expect(reader, field, TEXTGEN_WIRE_VARINT);
    *value = textgen_wire_int64(field->integer);
}

void textgen_reader_int32(textgen_reader *reader, const textgen_field *field, int32_t *value) {
    const uint32_t low = (uint32_t)(field->integer & UINT32_MAX);
    expect(reader, field, TEXTGEN_WIRE_VARINT);
    *value = low <= INT32_MAX ? (int32_t)low : -(int32_t)(UINT32_MAX - low) - 1;
}

void textgen_reader_bytes(textgen_reader *reader, const textgen_field *field, textgen_view *bytes) {
    expect(reader, field, TEXTGEN_WIRE_BYTES);
    *bytes = field->bytes;
}

void textgen_reader_text(textgen_reader *reader, const textgen_field *field, textgen_view *text) {
    textgen_reader_bytes(reader, field, text);
    if (reader->code == TEXTGEN_OK && !textgen_utf8_valid(*text)) {
        textgen_reader_fail(reader, field, "a text is not valid UTF-8");
    }
}

void textgen_reader_name(textgen_reader *reader, const textgen_field *field, textgen_view *name) {
    textgen_reader_text(reader, field, name);
    if (name->size > TEXTGEN_MAX_NAME_BYTES) {
        reader->exceeded_limit = "256 bytes in one of its names";
    }
}

void textgen_reader_message(textgen_reader *reader, const textgen_field *field, textgen_view *message) {
    if (message->data) {
        textgen_reader_fail(reader, field, "a field that may occur only once is repeated");
    } else {
        textgen_reader_bytes(reader, field, message);
    }
}
