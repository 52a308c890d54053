/* The arguments of the command `textgen`. The options of the sampling parameters are those of textgen-run. */
#ifndef COMMAND_OPTIONS_H
#define COMMAND_OPTIONS_H

#include "../textgen.h"

#include <stdbool.h>

/* MAX_NAME: bytes of the name of an option. */
enum { MAX_STOPS = 64, MAX_NAME = 40 };

typedef struct {
    textgen_sampling sampling;
    char *stops[MAX_STOPS];
    size_t stop_count;
    const char *model;       /* a path; NULL for the model inside the program */
    const char *prompt;      /* if it and `prompt_file` are NULL, a prompt of the model */
    const char *prompt_file; /* a path, or "-" for standard input */
    uint64_t length;         /* 0 for the default */
    uint64_t count;
    bool has_seed, until_newline, keep_stop, no_echo, lowercase;
} command_options;

/* Read the arguments. Print the help or an error of usage, and exit, if they say so. Escapes in stop texts are
 * replaced in place. */
void read_options(int count, char **arguments, command_options *options);

/* Write the option of a parameter, such as --top-p for top_p. `name` has `length` bytes. */
void spell_option(const char *name, size_t length, char spelled[MAX_NAME]);

/* Report wrong usage, and exit with 2. */
_Noreturn void fail_usage(const char *problem);

#endif
