/* textgen_constraint_*: constraints are created from tables, on the heap or in memory that the caller provides.
 */
#include "handles.h"

#include <string.h>

/* The memory after the constraint keeps this alignment, if the caller's memory has it. */
enum { CONSTRAINT_ALIGNMENT = 64 };

static int32_t too_small(const textgen_arena *arena, const textgen_error *error) {
    return textgen_fail(error, TEXTGEN_BUFFER_TOO_SMALL, "memory has %zu bytes; %zu or more are needed",
                        arena->size, arena->peak);
}

/* Create an empty constraint. */
static int32_t allocate_constraint(const textgen_arena *arena, textgen_constraint **constraint,
                                   const textgen_error *error) {
    if (!arena->memory) {
        *constraint = textgen_allocate(NULL, 1, sizeof **constraint);
        if (!*constraint) {
            return textgen_fail(error, TEXTGEN_OUT_OF_MEMORY, "not enough memory for the constraint");
        }
    } else if ((uintptr_t)arena->memory % TEXTGEN_CALLER_ALIGNMENT) {
        return textgen_fail(error, TEXTGEN_INVALID_ARGUMENT, "memory is not aligned to %d bytes",
                            (int)TEXTGEN_CALLER_ALIGNMENT);
    } else if (arena->size < arena->used) {
        return too_small(arena, error);
    } else {
        *constraint = (void *)arena->memory;
        memset(*constraint, 0, sizeof **constraint);
    }
    (*constraint)->arena = *arena;
    return TEXTGEN_OK;
}

int32_t textgen_constraint_create(const textgen_model *model, const void *data, size_t size, void *memory,
                                  size_t memory_size, textgen_constraint **constraint, char *error,
                                  size_t error_size) {
    const textgen_error message = {error, error_size};
    const textgen_view content = {data, size};
    const size_t bytes =
        (sizeof **constraint + CONSTRAINT_ALIGNMENT - 1) / CONSTRAINT_ALIGNMENT * CONSTRAINT_ALIGNMENT;
    const textgen_arena arena = {memory, memory_size, bytes, bytes};
    textgen_constraint *created = NULL;
    int32_t result;
    if (!model || !data || !constraint) {
        return textgen_fail(&message, TEXTGEN_INVALID_ARGUMENT, "%s is NULL",
                            !model ? "model"
                            : data ? "constraint"
                                   : "data");
    }
    if (size > (size_t)PTRDIFF_MAX) {
        return textgen_fail(&message, TEXTGEN_INVALID_ARGUMENT, "size is %zu, which is larger than any buffer",
                            size);
    }
    result = allocate_constraint(&arena, &created, &message);
    if (result < 0) {
        return result;
    }
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
