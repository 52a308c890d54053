/* A monotonic clock. */
#ifndef TEXTGEN_CLOCK_H
#define TEXTGEN_CLOCK_H

#include <stdint.h>

/* Return nanoseconds since an arbitrary moment. */
int64_t textgen_nanoseconds(void);

#endif
