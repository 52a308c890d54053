/* Under -std=c11 madvise is declared only if this macro is defined. */
#if defined(__linux__)
#define _DEFAULT_SOURCE
#endif

#include "core.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(__linux__)

#include <sys/mman.h>

#define HUGE_PAGE ((size_t)1 << 21)

#endif

textgen_view textgen_view_of(const char *text) {
    return (textgen_view){(const unsigned char *)text, strlen(text)};
}

bool textgen_view_is(textgen_view view, const char *text) {
    return textgen_views_equal(view, textgen_view_of(text));
}

bool textgen_views_equal(textgen_view a, textgen_view b) {
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

int32_t textgen_report_at(textgen_error *error, int32_t code, const char *parameter, int64_t place,
                          const char *format, ...) {
    if (error) {
        va_list values;
        va_start(values, format);
        error->code = code;
        error->parameter = parameter;
        error->place = place;
        vsnprintf(error->message, sizeof error->message, format, values);
        va_end(values);
    }
    return code;
}

int32_t textgen_out_of_memory(textgen_error *error) {
    return textgen_fail(error, TEXTGEN_OUT_OF_MEMORY, "not enough memory");
}

/* Before each array. Its size keeps the alignment of the memory. */
typedef union front {
    struct {
        textgen_arena *arena; /* or NULL */
        union front *before;  /* the array before this one, or NULL */
        size_t start;         /* in the arena */
    } part;
    char padding[32];
} front;

/* Define TEXTGEN_NO_HEAP to compile without the heap. Then the caller must provide the memory of each model. */
#ifdef TEXTGEN_NO_HEAP
#define calloc(count, bytes) ((void)(bytes), NULL)
#define free(memory) ((void)(memory))
#endif

static front *allocate_block(size_t bytes) {
    char *memory = calloc(1, bytes);
#if defined(__linux__)
    /* Page faults on small pages would take longer than loading a large model. Systems without huge pages
     * ignore the advice. */
    if (memory && bytes >= 2 * HUGE_PAGE) {
        const size_t before = (HUGE_PAGE - (uintptr_t)memory % HUGE_PAGE) % HUGE_PAGE;
        (void)madvise(memory + before, (bytes - before) / HUGE_PAGE * HUGE_PAGE, MADV_HUGEPAGE);
    }
#endif
    return (front *)memory;
}

void *textgen_allocate(textgen_arena *arena, size_t count, size_t size) {
    const size_t largest = (size_t)PTRDIFF_MAX - 2 * sizeof(front), start = arena ? arena->used : 0;
    if (size > 0 && count > largest / size) {
        return NULL;
    }
    const size_t bytes = sizeof(front) + (count * size + sizeof(front) - 1) / sizeof(front) * sizeof(front);
    front *created = NULL;
    if (arena && start + bytes > arena->peak) {
        arena->peak = start + bytes;
    }
    if (!arena || !arena->memory) {
        created = allocate_block(bytes);
    } else if (bytes <= arena->size - start) {
        created = memset(arena->memory + start, 0, bytes);
    }
    if (!created) {
        return NULL;
    }
    if (arena) {
        created->part.arena = arena;
        created->part.before = arena->last;
        created->part.start = start;
        arena->last = created;
        arena->used = start + bytes;
    }
    return created + 1;
}

void textgen_release(void *memory) {
    front *first = memory ? (front *)memory - 1 : NULL, *released = first;
    textgen_arena *arena = first ? first->part.arena : NULL;
    const bool on_heap = !arena || !arena->memory;
    if (arena) {
        released = arena->last;
        arena->last = first->part.before;
        arena->used = first->part.start;
    }
    /* The arena itself may be in the first array. */
    while (on_heap && released) {
        front *before = released == first ? NULL : released->part.before;
        free(released);
        released = before;
    }
}

enum { CALLER_ALIGNMENT = 8 };

static int32_t check_alignment(textgen_memory memory, const char *name, textgen_error *error) {
    return (uintptr_t)memory.data % CALLER_ALIGNMENT
               ? textgen_fail_at(error, TEXTGEN_INVALID_ARGUMENT, name, -1, "must be aligned to %d bytes",
                                 (int)CALLER_ALIGNMENT)
               : TEXTGEN_OK;
}

int32_t textgen_check_memory(textgen_memory memory, size_t needed, const char *name, textgen_error *error) {
    TEXTGEN_TRY(check_alignment(memory, name, error));
    if (!needed) {
        return textgen_fail_at(error, TEXTGEN_INVALID_ARGUMENT, name, -1,
                               "has no size for so many lanes, rows, tokens or bytes");
    }
    return memory.data && memory.size >= needed
               ? TEXTGEN_OK
               : textgen_fail_at(error, TEXTGEN_BUFFER_TOO_SMALL, name, -1, "has %zu bytes; %zu are needed",
                                 memory.data ? memory.size : 0, needed);
}

int32_t textgen_object_create(textgen_memory memory, size_t size, void **object, textgen_error *error) {
    textgen_arena arena = {.memory = memory.data, .size = memory.size};
    TEXTGEN_TRY(check_alignment(memory, "memory", error));
    textgen_arena *created = textgen_allocate(&arena, 1, size);
    if (!created) {
        return textgen_object_code(&arena, textgen_out_of_memory(error), error);
    }
    *created = arena;
    ((front *)(void *)created - 1)->part.arena = created;
    *object = created;
    return TEXTGEN_OK;
}

int32_t textgen_object_code(const void *object, int32_t code, textgen_error *error) {
    const textgen_arena *arena = object;
    return code == TEXTGEN_OUT_OF_MEMORY && arena->memory
               ? textgen_fail_at(error, TEXTGEN_BUFFER_TOO_SMALL, "memory", -1,
                                 "has %zu bytes; at least %zu are needed", arena->size, arena->peak)
               : code;
}

int32_t textgen_utf8_next(textgen_view text, size_t *offset) {
    static const uint32_t minimum[] = {0, 0x80, 0x800, 0x10000};
    const unsigned char *bytes = text.data + *offset;
    const unsigned char first = bytes[0];
    if (first < 0x80) {
        *offset += 1;
        return first;
    }
    const size_t more = first < 0xC0 ? 0 : first < 0xE0 ? 1 : first < 0xF0 ? 2 : first < 0xF8 ? 3 : 0;
    if (more == 0 || more >= text.size - *offset) {
        return -1;
    }
    uint32_t character = first & (0x3Fu >> more);
    for (size_t i = 1; i <= more; i++) {
        if ((bytes[i] & 0xC0) != 0x80) {
            return -1;
        }
        character = character << 6 | (bytes[i] & 0x3Fu);
    }
    if (character < minimum[more] || character >= TEXTGEN_CODE_POINTS ||
        (character >= 0xD800 && character < 0xE000)) {
        return -1;
    }
    *offset += more + 1;
    return (int32_t)character;
}

size_t textgen_utf8_write(uint32_t character, char *text) {
    const size_t more = character < 0x80 ? 0 : character < 0x800 ? 1 : character < 0x10000 ? 2 : 3;
    static const unsigned char mark[] = {0, 0xC0, 0xE0, 0xF0};
    for (size_t i = more; i > 0; i--) {
        text[i] = (char)(0x80 | (character & 0x3F));
        character >>= 6;
    }
    text[0] = (char)(mark[more] | character);
    return more + 1;
}

bool textgen_utf8_valid(textgen_view text) {
    size_t offset = 0;
    while (offset < text.size && textgen_utf8_next(text, &offset) >= 0) {
    }
    return offset == text.size;
}
