/* What all parts of the core use: pieces of the caller's buffer, error texts, compiler differences. */
#ifndef TEXTGEN_CORE_H
#define TEXTGEN_CORE_H

#include "textgen.h"

#include <stdbool.h>

#if defined(__GNUC__) || defined(__clang__)
#define TEXTGEN_PRINTF(string, first) __attribute__((__format__(__printf__, string, first)))
#else
#define TEXTGEN_PRINTF(string, first)
#endif

/* Bytes within the caller's buffer; not terminated. */
typedef struct {
    const unsigned char *data;
    size_t size;
} textgen_view;

/* Where an error text goes; the room may be NULL or of 0 bytes. */
typedef struct {
    char *text;
    size_t size;
} textgen_error;

/* Write an error text, cut where the room ends, and return the code. */
int32_t textgen_fail(const textgen_error *error, int32_t code, const char *format, ...) TEXTGEN_PRINTF(3, 4);

/* The same for TEXTGEN_OUT_OF_MEMORY. */
int32_t textgen_out_of_memory(const textgen_error *error);

/* A name from a file as it stands in a message: in quotes, with escapes, of which at most 80 bytes are shown.
 * Returns `room`. */
enum { TEXTGEN_QUOTED = 88 };
const char *textgen_quote(textgen_view name, char room[TEXTGEN_QUOTED]);
/* The same without quotes: for JSON text. */
const char *textgen_show(textgen_view text, char room[TEXTGEN_QUOTED]);

/* A number with commas, such as 1,048,576. Returns a place in `room`. */
enum { TEXTGEN_COUNTED = 28 };
const char *textgen_count(uint64_t number, char room[TEXTGEN_COUNTED]);

textgen_view textgen_view_of(const char *text);
bool textgen_view_is(textgen_view view, const char *text);
bool textgen_views_equal(textgen_view a, textgen_view b);

#endif
