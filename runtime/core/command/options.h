/* The arguments of the command `textgen`, and its errors. */
#ifndef COMMAND_OPTIONS_H
#define COMMAND_OPTIONS_H

#include "../textgen.h"

#include <stdbool.h>

enum { EXIT_FAILED = 1, EXIT_USAGE = 2, MAX_STOPS = 64 };

typedef struct {
    textgen_sampling sampling; /* `stop` must be set to `stops` */
    char *stops[MAX_STOPS];
    const char *model;  /* a path; NULL for the model inside the program */
    const char *prompt; /* "-" for standard input; NULL for a prompt of the model */
    size_t length;      /* 0 for the default */
    bool has_seed;
} command_options;

/* Read the arguments. Print the help, and exit, if they say so. */
void read_options(int count, char **arguments, command_options *options);

/* Print an error in one line, and exit with a code. */
_Noreturn void fail(int code, const char *format, ...);

/* The same, for an error of the core. what: NULL, or what the error is of, such as the path of a file. */
_Noreturn void fail_as(int code, const char *what, const textgen_error *error);

#endif
