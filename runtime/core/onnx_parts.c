#include "onnx_parts.h"

#include "utf8.h"

/* The first byte of the field ir_version, with which ONNX files usually begin. */
enum { FIRST_BYTE = 0x08 };

static int32_t damaged(const textgen_reader *reader, const unsigned char *at, const char *reason) {
    return textgen_fail(reader->error, TEXTGEN_DAMAGED_MODEL, "the file is %s (at byte %zu, %s)",
                        *reader->start == FIRST_BYTE ? "cut short or damaged" : "not an ONNX model",
                        (size_t)(at - reader->start), reason);
}

int32_t textgen_reader_fail(const textgen_reader *reader, const textgen_field *field, const char *reason) {
    return damaged(reader, field->start, reason);
}

bool textgen_reader_next(const textgen_reader *reader, textgen_wire *wire, textgen_field *field,
                         int32_t *code) {
    if (*code != TEXTGEN_OK) {
        return false;
    }
    char formatted[TEXTGEN_NUMBER_SIZE];
    const int found = textgen_wire_next(wire, field);
    if (found < 0) {
        *code = damaged(reader, field->start, wire->problem);
    } else if (found > 0 && ++*reader->fields > TEXTGEN_MAX_FIELDS) {
        *code = textgen_fail(reader->error, TEXTGEN_TOO_LARGE, "the file has more than %s fields",
                             textgen_format_number(TEXTGEN_MAX_FIELDS, formatted));
    }
    return *code == TEXTGEN_OK && found > 0;
}

static int32_t expect(const textgen_reader *reader, const textgen_field *field, textgen_wire_type type) {
    return field->type == type ? TEXTGEN_OK : damaged(reader, field->start, "a field has the wrong wire type");
}

int32_t textgen_reader_enter(const textgen_reader *reader, const textgen_field *field, textgen_wire *message) {
    *message = textgen_wire_of(field->bytes);
    return expect(reader, field, TEXTGEN_WIRE_BYTES);
}

int32_t textgen_reader_int64(const textgen_reader *reader, const textgen_field *field, int64_t *value) {
    *value = textgen_wire_int64(field->integer);
    return expect(reader, field, TEXTGEN_WIRE_VARINT);
}

int32_t textgen_reader_int32(const textgen_reader *reader, const textgen_field *field, int32_t *value) {
    *value = textgen_wire_int32(field->integer);
    return expect(reader, field, TEXTGEN_WIRE_VARINT);
}

int32_t textgen_reader_bytes(const textgen_reader *reader, const textgen_field *field, textgen_view *bytes) {
    *bytes = field->bytes;
    return expect(reader, field, TEXTGEN_WIRE_BYTES);
}

int32_t textgen_reader_text(const textgen_reader *reader, const textgen_field *field, textgen_view *text) {
    const int32_t code = textgen_reader_bytes(reader, field, text);
    if (code == TEXTGEN_OK && !textgen_utf8_valid(*text)) {
        return damaged(reader, field->start, "a text is not valid UTF-8");
    }
    return code;
}

int32_t textgen_reader_name(const textgen_reader *reader, const textgen_field *field, textgen_view *name) {
    const int32_t code = textgen_reader_text(reader, field, name);
    if (code == TEXTGEN_OK && name->size > TEXTGEN_MAX_NAME_BYTES) {
        *reader->exceeded_limit = "256 bytes in one of its names";
    }
    return code;
}

int32_t textgen_reader_message(const textgen_reader *reader, const textgen_field *field,
                               textgen_view *message) {
    if (message->data != NULL) {
        return damaged(reader, field->start, "a field that may occur only once is repeated");
    }
    return textgen_reader_bytes(reader, field, message);
}
