/* Standard output and standard error of the command. */
#ifndef COMMAND_OUTPUT_H
#define COMMAND_OUTPUT_H

#include "../core.h"

enum { EXIT_FAILED = 1, EXIT_USAGE = 2 };

/* Standard output. Bytes that are not UTF-8 become U+FFFD. On a terminal, control codes become escapes. */
typedef struct {
    bool is_terminal;
    char incomplete[3]; /* the first bytes of a character whose rest follows */
    size_t incomplete_size;
} output;

void open_output(output *to);

/* Write a part of a text. If the reader of a pipe is gone, exit quietly. */
void write_text(output *to, const char *text, size_t size);

/* Write what is in the buffer. */
void flush_output(void);

/* Drop an incomplete character at the end of a text. */
void end_text(output *to);

/* Print an error, and exit with a code. */
_Noreturn void fail(int code, const char *format, ...) TEXTGEN_PRINTF(2, 3);

void warn(const char *format, ...) TEXTGEN_PRINTF(1, 2);

#endif
