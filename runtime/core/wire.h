/* Protobuf's wire format: reads the fields of messages in the order of the file, and checks the types of their
 * values. The first error stays in the `code` of a reader, and ends every loop over fields. */
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

/* The rest of a message. */
typedef struct {
    const unsigned char *next, *end;
} textgen_wire;

typedef struct {
    const unsigned char *start; /* of the file; error messages give byte offsets from here */
    textgen_error *error;
    int32_t code;
    size_t fields;              /* number of fields read so far */
    const char *exceeded_limit; /* see textgen_onnx */
} textgen_reader;

textgen_wire textgen_wire_of(textgen_view message);

/* Read a varint of at most 64 bits. Return false if it is incomplete or longer. */
bool textgen_wire_varint(textgen_wire *wire, uint64_t *value);

/* Convert a varint to protobuf's signed type. */
int64_t textgen_wire_int64(uint64_t value);

/* Read the next field of a message. Return false at its end, or after an error. */
bool textgen_reader_next(textgen_reader *reader, textgen_wire *wire, textgen_field *field);

/* Set the error to that of a damaged field. */
void textgen_reader_fail(textgen_reader *reader, const textgen_field *field, const char *reason);

/* Get the value of a field. It is an error if the field has another type. */
textgen_wire textgen_reader_enter(textgen_reader *reader, const textgen_field *field);
void textgen_reader_int64(textgen_reader *reader, const textgen_field *field, int64_t *value);
void textgen_reader_int32(textgen_reader *reader, const textgen_field *field, int32_t *value);
void textgen_reader_bytes(textgen_reader *reader, const textgen_field *field, textgen_view *bytes);
void textgen_reader_text(textgen_reader *reader, const textgen_field *field, textgen_view *text);
/* A text of at most TEXTGEN_MAX_NAME_BYTES. */
void textgen_reader_name(textgen_reader *reader, const textgen_field *field, textgen_view *name);
/* A message that may occur only once. Before the first call the data of `message` is NULL. */
void textgen_reader_message(textgen_reader *reader, const textgen_field *field, textgen_view *message);

#endif
