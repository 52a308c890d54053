/* What JSON is made of: each function moves a place in a text behind what it finds there. */
#ifndef TEXTGEN_JSON_SCAN_H
#define TEXTGEN_JSON_SCAN_H

#include "core.h"

typedef struct {
    const unsigned char *next, *end;
} textgen_json_cursor;

void textgen_json_skip_space(textgen_json_cursor *at);

/* Skip one byte if it is this one. */
bool textgen_json_accept(textgen_json_cursor *at, char byte);

/* What follows a backslash, of two surrogates the character; -1 if it is no escape. */
int32_t textgen_json_escape(textgen_json_cursor *at);

/* Skip space, a value and all that it contains; false if there is no valid one. */
bool textgen_json_skip_value(textgen_json_cursor *at);

#endif
