/* Used everywhere in the core: views of the caller's buffer, errors, UTF-8, sorted names, compiler differences.
 */
#ifndef TEXTGEN_CORE_H
#define TEXTGEN_CORE_H

#include "textgen.h"

#include <stdbool.h>

#if defined(__GNUC__) || defined(__clang__)
#define TEXTGEN_PRINTF(string, first) __attribute__((__format__(__printf__, string, first)))
#else
#define TEXTGEN_PRINTF(string, first)
#endif

/* Bytes within the caller's buffer, without a terminating zero. */
typedef struct {
    const unsigned char *data;
    size_t size;
} textgen_view;

textgen_view textgen_view_of(const char *text);
bool textgen_view_is(textgen_view view, const char *text);
bool textgen_views_equal(textgen_view a, textgen_view b);

/* Describe an error, which may be NULL, with a message that is cut to its size. Return `code`. The second form
 * says what is wrong, and where: see textgen_error. */
int32_t textgen_report(textgen_error *error, int32_t code, const char *format, ...) TEXTGEN_PRINTF(3, 4);
int32_t textgen_report_at(textgen_error *error, int32_t code, const char *parameter, int64_t place,
                          const char *format, ...) TEXTGEN_PRINTF(5, 6);

/* The same, for errors of model files and arguments, which no text, constraint, corpus or saved text causes.
 * With TEXTGEN_FAIL_ENDS, which only the WebAssembly module has, textgen_fail_at does not return, so that the
 * compiler leaves out what follows an error, and an error of a model file has only the text of its code. The
 * module defines the functions itself. */
#ifdef TEXTGEN_FAIL_ENDS
_Noreturn int32_t textgen_fail_at(textgen_error *error, int32_t code, const char *parameter, int64_t place,
                                  const char *format, ...) TEXTGEN_PRINTF(5, 6);
#define textgen_fail(error, code, ...) textgen_fail_at(error, code, NULL, -1, "%s", textgen_code_text(code))
#else
#define textgen_fail textgen_report
#define textgen_fail_at textgen_report_at
#endif

/* Return the code of a call from the function around it, if the call failed. */
#define TEXTGEN_TRY(call)                                                                                      \
    do {                                                                                                       \
        const int32_t tried = (call);                                                                          \
        if (tried < 0) {                                                                                       \
            return tried;                                                                                      \
        }                                                                                                      \
    } while (0)

/* Fail with TEXTGEN_OUT_OF_MEMORY. */
int32_t textgen_out_of_memory(textgen_error *error);

/* Write a text from a file into `buffer` for an error message: in quotes, escaped, cut after 80 bytes. Return
 * `buffer`. */
enum { TEXTGEN_QUOTE_SIZE = 88 };
const char *textgen_quote(textgen_view text, char buffer[TEXTGEN_QUOTE_SIZE]);

/* UTF-8 as the Unicode Standard defines it: no surrogates, no overlong forms, at most U+10FFFF. */
enum { TEXTGEN_UTF8_BYTES = 4, TEXTGEN_CODE_POINTS = 0x110000 };

/* Return the character at `*offset`, which is within the text, and move `*offset` past it. Return -1 and leave
 * `*offset` unchanged if the bytes are not valid UTF-8. */
int32_t textgen_utf8_next(textgen_view text, size_t *offset);

/* Write a character that is not a surrogate. Return the number of bytes, at most TEXTGEN_UTF8_BYTES. */
size_t textgen_utf8_write(uint32_t character, char *text);

bool textgen_utf8_valid(textgen_view text);

/* Return the number of characters of a valid text. */
size_t textgen_utf8_length(textgen_view text);

/* A sorted table of names. The time of a search is logarithmic whatever a file contains. */
typedef struct {
    textgen_view name;
    size_t index; /* into another table */
} textgen_name;

/* Sort a table for textgen_names_find. Return an entry with a duplicate name, or NULL. */
const textgen_name *textgen_names_sort(textgen_name *names, size_t count);

/* Return how many names of a sorted table are not greater than a text, in the order of their bytes. A name is
 * less than those that it begins. */
size_t textgen_names_rank(const textgen_name *names, size_t count, textgen_view text);

/* Return the entry with this name, or NULL. */
const textgen_name *textgen_names_find(const textgen_name *names, size_t count, textgen_view name);

#endif
