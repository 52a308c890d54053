/* On Windows, gives the main functions of the test programs their arguments in UTF-8, and lets them write
 * bytes, as on other systems. */
#include "command/platform.h"

#include <stdlib.h>

int __getmainargs(int *count, char ***arguments, char ***environment, int has_patterns, void *info);

/* MinGW's start of a program calls this function before main, from its library unless the program has its own.
 */
int __getmainargs(int *count, char ***arguments, char ***environment, int has_patterns, void *info) {
    (void)has_patterns;
    (void)info;
    *arguments = platform_start(count, NULL);
    *environment = _environ;
    return *arguments ? 0 : -1;
}
