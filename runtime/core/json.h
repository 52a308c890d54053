/* JSON as RFC 8259 has it, without a tree: a text is checked as a whole, and then walked.
 *
 * It takes what Python's json.loads takes, but neither NaN, nor numbers that do not fit in a float64, nor
 * brackets more than TEXTGEN_JSON_DEPTH deep. Strings may hold escapes of lone surrogates, as Python's may. */
#ifndef TEXTGEN_JSON_H
#define TEXTGEN_JSON_H

#include "core.h"

enum {
    TEXTGEN_JSON_DEPTH = 64,
    TEXTGEN_JSON_DIGITS = 4300 /* of an integer; Python has this limit */
};

typedef enum {
    TEXTGEN_JSON_NULL,
    TEXTGEN_JSON_FALSE,
    TEXTGEN_JSON_TRUE,
    TEXTGEN_JSON_NUMBER,
    TEXTGEN_JSON_STRING,
    TEXTGEN_JSON_ARRAY,
    TEXTGEN_JSON_OBJECT
} textgen_json_kind;

/* `text` is how it stands in the file: of a string, array or object what is between quotes or brackets. */
typedef struct {
    textgen_json_kind kind;
    textgen_view text;
    textgen_view whole; /* with quotes or brackets */
} textgen_json;

/* Read a whole text, which must be UTF-8; false if it is not JSON. */
bool textgen_json_read(textgen_view text, textgen_json *value);

/* The next item of an array's `text`, which loses it; false at the end. */
bool textgen_json_item(textgen_view *items, textgen_json *value);

/* The next member of an object's `text`, which loses it; false at the end. */
bool textgen_json_member(textgen_view *members, textgen_json *key, textgen_json *value);

/* The next character of a string's `text`, which loses it; -1 at the end. A lone surrogate is returned as it
 * is. */
int32_t textgen_json_character(textgen_view *string);

/* Whether a value is a string of these characters, which are ASCII. */
bool textgen_json_is(const textgen_json *value, const char *text);

/* Whether a value is an integer, without fraction and exponent. One that is too large becomes INT64_MAX or
 * -INT64_MAX. */
bool textgen_json_integer(const textgen_json *value, int64_t *integer);

/* A value as it stands in a message: a string in quotes, anything else as JSON. Returns `room`. */
const char *textgen_json_quote(const textgen_json *value, char room[TEXTGEN_QUOTED]);

#endif
