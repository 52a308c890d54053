/* textgen_constraint_* and textgen_spans_*: tables that streams follow are created, on the heap or in memory
 * that the caller provides. */
#include "handles.h"

#include <string.h>

/* The memory after the structure keeps this alignment, if the caller's memory has it. */
enum { TABLE_ALIGNMENT = 64 };

static int32_t too_small(const textgen_arena *arena, const textgen_error *error) {
    return textgen_fail(error, TEXTGEN_BUFFER_TOO_SMALL, "memory has %zu bytes; %zu or more are needed",
                        arena->size, arena->peak);
}

/* Return the arena of a table, whose structure of `bytes` comes first. */
static textgen_arena arena_of(void *memory, size_t size, size_t bytes) {
    const size_t used = (bytes + TABLE_ALIGNMENT - 1) / TABLE_ALIGNMENT * TABLE_ALIGNMENT;
    const textgen_arena arena = {memory, size, used, used};
    return arena;
}

/* Allocate the structure of a table, with zeros. */
static int32_t allocate_table(const textgen_arena *arena, size_t bytes, void **table,
                              const textgen_error *error) {
    if (!arena->memory) {
        *table = textgen_allocate(NULL, 1, bytes);
        return *table ? TEXTGEN_OK
                      : textgen_fail(error, TEXTGEN_OUT_OF_MEMORY, "not enough memory for the table");
    }
    if ((uintptr_t)arena->memory % TEXTGEN_CALLER_ALIGNMENT) {
        return textgen_fail(error, TEXTGEN_INVALID_ARGUMENT, "memory is not aligned to %d bytes",
                            (int)TEXTGEN_CALLER_ALIGNMENT);
    }
    if (arena->size < arena->used) {
        return too_small(arena, error);
    }
    *table = memset(arena->memory, 0, bytes);
    return TEXTGEN_OK;
}

/* Check the arguments that all tables have. */
static int32_t check_arguments(const textgen_model *model, const void *data, size_t size, const char *data_name,
                               const void *table, const char *table_name, const textgen_error *error) {
    if (!model || !data || !table) {
        return textgen_fail(error, TEXTGEN_INVALID_ARGUMENT, "%s is NULL",
                            !model ? "model"
                            : data ? table_name
                                   : data_name);
    }
    return size <= (size_t)PTRDIFF_MAX ? TEXTGEN_OK
                                       : textgen_fail(error, TEXTGEN_INVALID_ARGUMENT,
                                                      "size is %zu, which is larger than any buffer", size);
}

int32_t textgen_constraint_create(const textgen_model *model, const void *data, size_t size, void *memory,
                                  size_t memory_size, textgen_constraint **constraint, char *error,
                                  size_t error_size) {
    const textgen_error message = {error, error_size};
    const textgen_view content = {data, size};
    const textgen_arena arena = arena_of(memory, memory_size, sizeof **constraint);
    textgen_constraint *created = NULL;
    void *table;
    int32_t result = check_arguments(model, data, size, "data", constraint, "constraint", &message);
    if (result == TEXTGEN_OK) {
        result = allocate_table(&arena, sizeof *created, &table, &message);
    }
    if (result < 0) {
        return result;
    }
    created = table;
    created->arena = arena;
    result = textgen_constraint_read(content, model->vocabulary, created, &message);
    if (result == TEXTGEN_OUT_OF_MEMORY && memory) {
        result = too_small(&created->arena, &message);
    }
    if (result < 0) {
        textgen_constraint_destroy(created);
    } else {
        *constraint = created;
    }
    return result;
}

void textgen_constraint_destroy(textgen_constraint *constraint) {
    if (constraint) {
        textgen_release((void *)constraint->distance);
        textgen_release((void *)constraint->next);
        if (!constraint->arena.memory) {
            textgen_release(constraint);
        }
    }
}

int32_t textgen_spans_create(const textgen_model *model, const char *text, size_t size, size_t max_copy,
                             void *memory, size_t memory_size, textgen_spans **spans, char *error,
                             size_t error_size) {
    const textgen_error message = {error, error_size};
    const textgen_arena arena = arena_of(memory, memory_size, sizeof **spans);
    textgen_spans *created = NULL;
    void *table;
    int32_t result = check_arguments(model, text, size, "text", spans, "spans", &message);
    if (result == TEXTGEN_OK) {
        result = allocate_table(&arena, sizeof *created, &table, &message);
    }
    if (result < 0) {
        return result;
    }
    created = table;
    created->arena = arena;
    result = textgen_spans_read(created, model->vocabulary, text, size, max_copy, &message);
    if (result == TEXTGEN_OUT_OF_MEMORY && memory) {
        result = too_small(&created->arena, &message);
    }
    if (result < 0) {
        textgen_spans_destroy(created);
    } else {
        *spans = created;
    }
    return result;
}

void textgen_spans_destroy(textgen_spans *spans) {
    if (spans) {
        textgen_spans_release(spans);
        if (!spans->arena.memory) {
            textgen_release(spans);
        }
    }
}
