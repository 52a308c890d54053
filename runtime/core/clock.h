/* A clock that never goes back. */
#ifndef TEXTGEN_CLOCK_H
#define TEXTGEN_CLOCK_H

#include <stdint.h>

/* Nanoseconds since some moment. */
int64_t textgen_nanoseconds(void);

#endif
