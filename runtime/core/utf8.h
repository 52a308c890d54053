/* UTF-8 as the Unicode Standard defines it: no surrogates, no overlong forms, at most U+10FFFF. */
#ifndef TEXTGEN_UTF8_H
#define TEXTGEN_UTF8_H

#include "core.h"

enum { TEXTGEN_UTF8_BYTES = 4, TEXTGEN_CODE_POINTS = 0x110000 };

/* Return the character at `*offset`, which is within the text, and move `*offset` past it. Return -1 and leave
 * `*offset` unchanged if the bytes are not valid UTF-8. */
int32_t textgen_utf8_next(textgen_view text, size_t *offset);

/* Write a character that is not a surrogate. Return the number of bytes, at most TEXTGEN_UTF8_BYTES. */
size_t textgen_utf8_write(uint32_t character, char *text);

bool textgen_utf8_valid(textgen_view text);

/* Return the number of characters of a valid text. */
size_t textgen_utf8_length(textgen_view text);

#endif
