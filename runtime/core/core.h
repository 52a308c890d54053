/* Used everywhere in the core: views of the caller's buffer, error messages, compiler differences. */
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

/* Write a string from a file into `buffer` for an error message: in quotes, escaped, cut after 80 bytes. Return
 * `buffer`. */
enum { TEXTGEN_QUOTE_SIZE = 88 };
const char *textgen_quote(textgen_view name, char buffer[TEXTGEN_QUOTE_SIZE]);
/* The same without quotes, for JSON text. */
const char *textgen_escape(textgen_view text, char buffer[TEXTGEN_QUOTE_SIZE]);

/* Write a number with commas, such as 1,048,576, into `buffer`. Return its start, a pointer into `buffer`. */
enum { TEXTGEN_NUMBER_SIZE = 28 };
const char *textgen_format_number(uint64_t number, char buffer[TEXTGEN_NUMBER_SIZE]);

textgen_view textgen_view_of(const char *text);
bool textgen_view_is(textgen_view view, const char *text);
bool textgen_views_equal(textgen_view a, textgen_view b);

#endif
