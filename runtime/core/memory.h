/* The memory of a model: from the heap, or from memory that the caller provides. */
#ifndef TEXTGEN_MEMORY_H
#define TEXTGEN_MEMORY_H

#include <stddef.h>

/* Blocks lie one after another. A block that is released is used again if it was the last one. On the heap this
 * is only counted, so that the sizes tell how much memory a caller must provide. */
typedef struct {
    char *memory; /* aligned to 8 bytes; NULL for the heap */
    size_t size;  /* in bytes */
    size_t used;  /* bytes of the blocks */
    size_t peak;  /* the largest value of `used`, also if the memory was not enough for it */
} textgen_arena;

/* Allocate an array of zeros. Return NULL if there is not enough memory. arena: NULL for the heap. */
void *textgen_allocate(textgen_arena *arena, size_t count, size_t size);

/* Release an array, which may be NULL. */
void textgen_release(void *memory);

#endif
