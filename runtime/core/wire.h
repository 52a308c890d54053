/* Protobuf's wire format: the fields of one message, in the order in which they stand. */
#ifndef TEXTGEN_WIRE_H
#define TEXTGEN_WIRE_H

#include "core.h"

typedef enum {
    TEXTGEN_WIRE_VARINT = 0,
    TEXTGEN_WIRE_64_BITS = 1,
    TEXTGEN_WIRE_BYTES = 2,
    TEXTGEN_WIRE_32_BITS = 5
} textgen_wire_type;

typedef struct {
    uint32_t number;
    textgen_wire_type type;
    uint64_t integer;           /* of a varint */
    textgen_view bytes;         /* of all other types */
    const unsigned char *place; /* where the field begins */
} textgen_field;

typedef struct {
    const unsigned char *next, *end;
    const char *damage; /* why the last field could not be read */
} textgen_wire;

textgen_wire textgen_wire_of(textgen_view message);

/* 1 and the next field, 0 at the end, or -1 if it is damaged. ONNX has no groups, so they count as damage. */
int textgen_wire_next(textgen_wire *wire, textgen_field *field);

/* Read a varint of at most 64 bits; false if it is cut off or longer. */
bool textgen_wire_varint(textgen_wire *wire, uint64_t *value);

/* What protobuf makes of a varint of a signed type. */
int64_t textgen_wire_int64(uint64_t value);
int32_t textgen_wire_int32(uint64_t value);

#endif
