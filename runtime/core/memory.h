/* Memory for weights. */
#ifndef TEXTGEN_MEMORY_H
#define TEXTGEN_MEMORY_H

#include <stddef.h>

/* Allocate memory of zeros, which free() releases. Return NULL if there is not enough. */
void *textgen_allocate_zeroed(size_t bytes);

#endif
