/* Finds names: a sorted table, so that no file can make it slow. */
#ifndef TEXTGEN_NAMES_H
#define TEXTGEN_NAMES_H

#include "core.h"

typedef struct {
    textgen_view name;
    size_t place; /* what the name stands for, such as an index into another table */
} textgen_name;

/* Sort a table, which textgen_names_find needs. Returns an entry whose name is there twice, or NULL. */
const textgen_name *textgen_names_sort(textgen_name *names, size_t count);

/* The entry of a name, or NULL. */
const textgen_name *textgen_names_find(const textgen_name *names, size_t count, textgen_view name);

#endif
