/* Memory for weights. */
#ifndef TEXTGEN_MEMORY_H
#define TEXTGEN_MEMORY_H

#include <stddef.h>

/* Zeroed memory, which free() frees; NULL if there is not enough. */
void *textgen_zeroed(size_t bytes);

#endif
