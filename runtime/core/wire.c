#include "wire.h"

enum { MAX_FIELD_NUMBER = (1 << 29) - 1 };

textgen_wire textgen_wire_of(textgen_view message) {
    textgen_wire wire = {message.data, message.data, NULL};
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

static int damaged(textgen_wire *wire, const char *problem) {
    wire->problem = problem;
    return -1;
}

static int take_bytes(textgen_wire *wire, uint64_t size, textgen_view *bytes) {
    if (size > (size_t)(wire->end - wire->next)) {
        return damaged(wire, "a field is longer than its message");
    }
    bytes->data = wire->next;
    bytes->size = (size_t)size;
    wire->next += (size_t)size;
    return 1;
}

int textgen_wire_next(textgen_wire *wire, textgen_field *field) {
    if (wire->next >= wire->end) {
        return 0;
    }
    uint64_t tag;
    uint64_t size;
    field->start = wire->next;
    field->integer = 0;
    field->bytes = (textgen_view){NULL, 0};
    if (!textgen_wire_varint(wire, &tag)) {
        return damaged(wire, "a field number is damaged");
    }
    if (tag >> 3 == 0 || tag >> 3 > MAX_FIELD_NUMBER) {
        return damaged(wire, "a field number is out of range");
    }
    field->number = (uint32_t)(tag >> 3);
    switch (tag & 7) {
    case TEXTGEN_WIRE_VARINT:
        field->type = TEXTGEN_WIRE_VARINT;
        return textgen_wire_varint(wire, &field->integer) ? 1 : damaged(wire, "an integer is damaged");
    case TEXTGEN_WIRE_64_BITS:
        field->type = TEXTGEN_WIRE_64_BITS;
        return take_bytes(wire, 8, &field->bytes);
    case TEXTGEN_WIRE_32_BITS:
        field->type = TEXTGEN_WIRE_32_BITS;
        return take_bytes(wire, 4, &field->bytes);
    case TEXTGEN_WIRE_BYTES:
        field->type = TEXTGEN_WIRE_BYTES;
        return textgen_wire_varint(wire, &size) ? take_bytes(wire, size, &field->bytes)
                                                : damaged(wire, "a field length is damaged");
    default:
        return damaged(wire, "a field has an unsupported wire type");
    }
}

int64_t textgen_wire_int64(uint64_t value) {
    return value <= INT64_MAX ? (int64_t)value : -(int64_t)(UINT64_MAX - value) - 1;
}

int32_t textgen_wire_int32(uint64_t value) {
    const uint32_t low = (uint32_t)(value & UINT32_MAX);
    return low <= INT32_MAX ? (int32_t)low : -(int32_t)(UINT32_MAX - low) - 1;
}
