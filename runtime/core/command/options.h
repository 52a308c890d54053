/* The arguments of the command `textgen`, and its errors. */
#ifndef COMMAND_OPTIONS_H
#define COMMAND_OPTIONS_H

#include "../core.h"

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
_Noreturn void fail(int code, const char *format, ...) TEXTGEN_PRINTF(2, 3);

#endif
