/* What the command needs of the operating system: its arguments and standard streams and files. */
#ifndef COMMAND_PLATFORM_H
#define COMMAND_PLATFORM_H

#include <stdio.h>

/* Let the standard streams pass on bytes, and a console show UTF-8. Return the arguments of main in UTF-8, and
 * set their count. NULL: there is not enough memory. On Windows, those of main are in a code page that lacks
 * most characters, and a compiler may have replaced patterns such as *.txt. */
char **platform_start(int *count, char **arguments);

/* Open a file for reading. The path is in UTF-8. NULL: errno tells why. */
FILE *platform_open(const char *path);

#endif
