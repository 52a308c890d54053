/* Protobuf's wire format: iterates over the fields of a message, in file order. */
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
    uint64_t integer;           /* the value of a varint */
    textgen_view bytes;         /* the value of all other types */
    const unsigned char *start; /* the first byte of the field in the file */
} textgen_field;

typedef struct {
    const unsigned char *next, *end;
    const char *problem; /* why the last field could not be read */
} textgen_wire;

textgen_wire textgen_wire_of(textgen_view message);

/* Read the next field. Return 1, 0 at the end of the message, or -1 if the field is damaged. ONNX does not use
 * groups, so they count as damaged. */
int textgen_wire_next(textgen_wire *wire, textgen_field *field);

/* Read a varint of at most 64 bits. Return false if it is incomplete or longer. */
bool textgen_wire_varint(textgen_wire *wire, uint64_t *value);

/* Convert a varint to protobuf's signed types. */
int64_t textgen_wire_int64(uint64_t value);
int32_t textgen_wire_int32(uint64_t value);

#endif
