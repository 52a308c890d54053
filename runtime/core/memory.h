/* The memory of a model: from the heap, or from memory that the caller provides. */
#ifndef TEXTGEN_MEMORY_H
#define TEXTGEN_MEMORY_H

#include <stddef.h>
#include <stdint.h>

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

/* Take the next part of an array whose start is aligned to PART_ALIGNMENT bytes, a cache line. If `start` is
 * NULL, only count its bytes. */
enum { TEXTGEN_PART_ALIGNMENT = 64 };
static inline void *textgen_part(char *start, uint64_t *used, uint64_t bytes) {
    char *part = start ? start + *used : NULL;
    *used += (bytes + TEXTGEN_PART_ALIGNMENT - 1) / TEXTGEN_PART_ALIGNMENT * TEXTGEN_PART_ALIGNMENT;
    return part;
}

#endif
