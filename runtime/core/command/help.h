/* The texts of --help and --version. */
#ifndef COMMAND_HELP_H
#define COMMAND_HELP_H

/* Write the text, and exit. */
_Noreturn void write_help(void);
_Noreturn void write_version(void);

#endif
