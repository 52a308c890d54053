/* UTF-8 as the Unicode Standard defines it: no surrogates, no longer form than needed, at most U+10FFFF. */
#ifndef TEXTGEN_UTF8_H
#define TEXTGEN_UTF8_H

#include "core.h"

enum { TEXTGEN_UTF8_BYTES = 4, TEXTGEN_CODE_POINTS = 0x110000 };

/* The character at `place`, which must be within the text, and move `place` behind it; -1, and `place`
 * stays, if the bytes there are not UTF-8. */
int32_t textgen_utf8_next(textgen_view text, size_t *place);

/* Write a character, which must not be a surrogate; returns how many bytes, at most TEXTGEN_UTF8_BYTES. */
size_t textgen_utf8_write(uint32_t character, char *text);

bool textgen_utf8_valid(textgen_view text);

/* How many characters a valid text has. */
size_t textgen_utf8_length(textgen_view text);

#endif
