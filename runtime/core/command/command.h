/* What the parts of the command share. A failure ends the program. */
#ifndef COMMAND_H
#define COMMAND_H

#include "../textgen.h"

#include <stdbool.h>

enum { EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_INTERRUPTED = 130 };

/* What the failed call of the core tells. */
extern textgen_error error;

/* The command whose help errors of usage name. */
extern const char *helpful_command;

/* Write an error to standard error, and end the program with this status. */
#if defined(__GNUC__) || defined(__clang__)
__attribute__((__format__(__printf__, 2, 3)))
#endif
_Noreturn void
fail(int status, const char *format, ...);

/* Fail if a call of the core did. subject: what the error is of, such as the path of a file, or "". */
void check(int32_t code, int status, const char *subject);

/* Allocate memory, or fail. */
void *allocate(size_t size);

/* Read a file to its end, or standard input if the path is "-". */
textgen_memory read_content(const char *path);

/* Write the option of a parameter, such as --top-p for top_p. `name` has `size` bytes. */
enum { MAX_NAME = 40 };
const char *spell(const char *name, size_t size, char option[MAX_NAME]);

/* Read a number without a sign. Return false if the text is none. */
bool read_integer(const char *value, uint64_t *number);

/* Convert the letters A to Z to lower case. */
void make_lowercase(char *text, size_t size);

/* Write to standard output. */
void write_text(const char *text, size_t size);

/* Learn a text: `textgen train`. The arguments follow this word. */
int train(int count, char **arguments);

#endif
