/* JSON (RFC 8259) without a tree: a text is validated once, and then its values are iterated.
 *
 * The same texts are valid as for Python's json.loads, except that these are refused: NaN; brackets nested
 * deeper than TEXTGEN_JSON_DEPTH; and numbers longer than TEXTGEN_JSON_DIGITS, so that a float64 can hold any
 * integer. As in Python, strings may contain lone surrogates as escapes. */
#ifndef TEXTGEN_JSON_H
#define TEXTGEN_JSON_H

#include "core.h"

enum { TEXTGEN_JSON_DEPTH = 64, TEXTGEN_JSON_DIGITS = 300 };

/* read_value in json.c depends on the order. */
typedef enum {
    TEXTGEN_JSON_NULL,
    TEXTGEN_JSON_FALSE,
    TEXTGEN_JSON_TRUE,
    TEXTGEN_JSON_NUMBER,
    TEXTGEN_JSON_STRING,
    TEXTGEN_JSON_ARRAY,
    TEXTGEN_JSON_OBJECT
} textgen_json_kind;

typedef struct {
    textgen_json_kind kind;
    textgen_view text; /* the value in the file, without the quotes or brackets around it */
} textgen_json;

/* Validate a complete text. Return false if it is not JSON in UTF-8. */
bool textgen_json_read(textgen_view text, textgen_json *value);

/* Remove the next item from `items`, the text of an array. Return false at the end. */
bool textgen_json_item(textgen_view *items, textgen_json *value);

/* Remove the next member from `members`, the text of an object. Return false at the end. */
bool textgen_json_member(textgen_view *members, textgen_json *key, textgen_json *value);

/* Find the members of an object by their names. values: [count]; a missing one becomes null, with a text of
 * NULL, and of a repeated one the last value counts. Return whether the value is an object without other
 * members. */
bool textgen_json_members(const textgen_json *object, const char *const *names, size_t count,
                          textgen_json *values);

/* Return the number of items of an array, or 0 for any other value. */
size_t textgen_json_count(const textgen_json *array);

/* Write a string as UTF-8 to `text`, which has at least the size of the value's text. Return false if the value
 * is not a string, or has a lone surrogate. */
bool textgen_json_utf8(const textgen_json *value, char *text, size_t *size);

/* Return whether a value is a string equal to `text`, which is ASCII. */
bool textgen_json_is(const textgen_json *value, const char *text);

/* Return whether a value is an integer without fraction and exponent. Integers beyond int64 become INT64_MAX or
 * -INT64_MAX. */
bool textgen_json_integer(const textgen_json *value, int64_t *integer);

#endif
