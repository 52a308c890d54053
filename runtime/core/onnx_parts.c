#include "onnx_parts.h"

#include "utf8.h"

static int32_t damaged(const textgen_source *source, const unsigned char *place, const char *reason) {
    return textgen_fail(source->error, TEXTGEN_DAMAGED_MODEL,
                        "cannot read it as an ONNX model (at byte %zu: %s)", (size_t)(place - source->start),
                        reason);
}

int32_t textgen_source_fail(const textgen_source *source, const textgen_field *field, const char *reason) {
    return damaged(source, field->place, reason);
}

bool textgen_source_next(const textgen_source *source, textgen_wire *wire, textgen_field *field,
                         int32_t *code) {
    if (*code != TEXTGEN_OK) {
        return false;
    }
    char counted[TEXTGEN_COUNTED];
    const int found = textgen_wire_next(wire, field);
    if (found < 0) {
        *code = damaged(source, field->place, wire->damage);
    } else if (found > 0 && ++*source->fields > TEXTGEN_MAX_FIELDS) {
        *code = textgen_fail(source->error, TEXTGEN_TOO_LARGE, "it has more than %s fields",
                             textgen_count(TEXTGEN_MAX_FIELDS, counted));
    }
    return *code == TEXTGEN_OK && found > 0;
}

static int32_t expect(const textgen_source *source, const textgen_field *field, textgen_wire_type type) {
    return field->type == type ? TEXTGEN_OK : damaged(source, field->place, "a field is of another type");
}

int32_t textgen_source_enter(const textgen_source *source, const textgen_field *field, textgen_wire *message) {
    *message = textgen_wire_of(field->bytes);
    return expect(source, field, TEXTGEN_WIRE_BYTES);
}

int32_t textgen_source_int64(const textgen_source *source, const textgen_field *field, int64_t *value) {
    *value = textgen_wire_int64(field->integer);
    return expect(source, field, TEXTGEN_WIRE_VARINT);
}

int32_t textgen_source_int32(const textgen_source *source, const textgen_field *field, int32_t *value) {
    *value = textgen_wire_int32(field->integer);
    return expect(source, field, TEXTGEN_WIRE_VARINT);
}

int32_t textgen_source_bytes(const textgen_source *source, const textgen_field *field, textgen_view *bytes) {
    *bytes = field->bytes;
    return expect(source, field, TEXTGEN_WIRE_BYTES);
}

int32_t textgen_source_text(const textgen_source *source, const textgen_field *field, textgen_view *text) {
    const int32_t code = textgen_source_bytes(source, field, text);
    if (code == TEXTGEN_OK && !textgen_utf8_valid(*text)) {
        return damaged(source, field->place, "a text is not UTF-8");
    }
    return code;
}

int32_t textgen_source_name(const textgen_source *source, const textgen_field *field, textgen_view *name) {
    const int32_t code = textgen_source_text(source, field, name);
    if (code == TEXTGEN_OK && name->size > TEXTGEN_MAX_NAME_BYTES) {
        *source->beyond_limits = "256 bytes in a name";
    }
    return code;
}

int32_t textgen_source_message(const textgen_source *source, const textgen_field *field,
                               textgen_view *message) {
    if (message->data != NULL) {
        return damaged(source, field->place, "a part is there twice");
    }
    return textgen_source_bytes(source, field, message);
}
