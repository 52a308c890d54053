/* Under -std=c11 madvise is declared only if this macro is defined. */
#if defined(__linux__)
#define _DEFAULT_SOURCE
#endif

#include "memory.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if defined(__linux__)

#include <sys/mman.h>

#define HUGE_PAGE ((size_t)1 << 21)

#endif

/* TEXTGEN_NO_ARENA is only for the WebAssembly module, in which no caller provides memory for a model. Nothing
 * is counted then. */
#ifdef TEXTGEN_NO_ARENA

#ifdef TEXTGEN_NO_HEAP
#error "TEXTGEN_NO_ARENA uses the heap"
#endif

void *textgen_allocate(textgen_arena *arena, size_t count, size_t size) {
    (void)arena;
    return size > 0 && count >= (size_t)PTRDIFF_MAX / size ? NULL : calloc(count + 1, size);
}

void textgen_release(void *memory) { free(memory); }

#else

/* Before each array. Its size keeps the alignment of the memory. */
typedef union {
    struct {
        textgen_arena *arena; /* or NULL */
        size_t start, bytes;  /* in the arena */
    } part;
    char padding[32];
} block;

/* Define TEXTGEN_NO_HEAP to compile without the heap. Then the caller must provide the memory of each model. */
#ifdef TEXTGEN_NO_HEAP

static block *allocate_block(size_t bytes) {
    (void)bytes;
    return NULL;
}

static void free_block(block *released) { (void)released; }

#else

static block *allocate_block(size_t bytes) {
    char *memory = calloc(1, bytes);
#if defined(__linux__)
    /* Page faults on small pages would take longer than loading a large model. Systems without huge pages
     * ignore the advice. */
    if (memory && bytes >= 2 * HUGE_PAGE) {
        const size_t before = (HUGE_PAGE - (uintptr_t)memory % HUGE_PAGE) % HUGE_PAGE;
        (void)madvise(memory + before, (bytes - before) / HUGE_PAGE * HUGE_PAGE, MADV_HUGEPAGE);
    }
#endif
    return (block *)memory;
}

static void free_block(block *released) { free(released); }

#endif

void *textgen_allocate(textgen_arena *arena, size_t count, size_t size) {
    const size_t largest = (size_t)PTRDIFF_MAX - 2 * sizeof(block);
    if (size > 0 && count > largest / size) {
        return NULL;
    }
    const size_t bytes = sizeof(block) + (count * size + sizeof(block) - 1) / sizeof(block) * sizeof(block);
    const size_t start = arena ? arena->used : 0;
    block *created = NULL;
    if (arena && start + bytes > arena->peak) {
        arena->peak = start + bytes;
    }
    if (!arena || !arena->memory) {
        created = allocate_block(bytes);
    } else if (start <= arena->size && bytes <= arena->size - start) {
        created = (void *)(arena->memory + start);
        memset(created, 0, bytes);
    }
    if (!created) {
        return NULL;
    }
    created->part.arena = arena;
    created->part.start = start;
    created->part.bytes = bytes;
    if (arena) {
        arena->used = start + bytes;
    }
    return created + 1;
}

void textgen_release(void *memory) {
    if (!memory) {
        return;
    }
    block *released = (block *)memory - 1;
    textgen_arena *arena = released->part.arena;
    if (arena && released->part.start + released->part.bytes == arena->used) {
        arena->used = released->part.start;
    }
    if (!arena || !arena->memory) {
        free_block(released);
    }
}

#endif
