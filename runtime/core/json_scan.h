/* JSON syntax: each function moves a cursor past the text that it matches. */
#ifndef TEXTGEN_JSON_SCAN_H
#define TEXTGEN_JSON_SCAN_H

#include "core.h"

typedef struct {
    const unsigned char *next, *end;
} textgen_json_cursor;

void textgen_json_skip_space(textgen_json_cursor *at);

/* Skip `byte` and return true if it is the next one. */
bool textgen_json_accept(textgen_json_cursor *at, char byte);

/* Read an escape after its backslash and return its character. A surrogate pair is one character. Return -1 if
 * it is not a valid escape. */
int32_t textgen_json_escape(textgen_json_cursor *at);

/* Skip space and one complete value. Return false if there is no valid value. */
bool textgen_json_skip_value(textgen_json_cursor *at);

#endif
