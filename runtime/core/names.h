/* A sorted table of names. Lookup time is logarithmic whatever a file contains. */
#ifndef TEXTGEN_NAMES_H
#define TEXTGEN_NAMES_H

#include "core.h"

typedef struct {
    textgen_view name;
    size_t index; /* into another table */
} textgen_name;

/* Sort a table for textgen_names_find. Return an entry with a duplicate name, or NULL. */
const textgen_name *textgen_names_sort(textgen_name *names, size_t count);

/* Return how many names of a sorted table are not greater than a text, in the order of their bytes. */
size_t textgen_names_rank(const textgen_name *names, size_t count, textgen_view text);

/* Return the entry with this name, or NULL. */
const textgen_name *textgen_names_find(const textgen_name *names, size_t count, textgen_view name);

#endif
