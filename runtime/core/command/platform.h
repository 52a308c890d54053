/* What the command needs of the operating system: its arguments and standard streams and files. */
#ifndef COMMAND_PLATFORM_H
#define COMMAND_PLATFORM_H

#include <stdbool.h>
#include <stdio.h>

/* Let the standard streams pass on bytes, and a console show UTF-8. Return the arguments of main in UTF-8, and
 * set their count. NULL: there is not enough memory. On Windows, those of main are in a code page that lacks
 * most characters, and a compiler may have replaced patterns such as *.txt. */
char **platform_start(int *count, char **arguments);

/* Open a file for reading. The path is in UTF-8. NULL: errno tells why. */
FILE *platform_open(const char *path);

/* Replace a file, or create it. If this fails, an existing file stays. False: errno tells why. The first
 * function only checks that the path is that of a file or of none, and that a file can be written beside it. */
bool platform_can_replace(const char *path);
bool platform_replace(const char *path, const void *content, size_t size);

/* Whether two paths are of one file that exists. */
bool platform_is_same(const char *a, const char *b);

/* Seconds since any fixed time. */
double platform_seconds(void);

/* How many processors this process may use. */
int platform_processors(void);

#endif
