/* What callers pass: pointers, memory, and structures of several versions, which have different sizes. */
#include "handles.h"

#include <string.h>

/* An uninitialized struct_size is probably huge. This limit prevents reading beyond the structure. */
#define MAX_STRUCT_SIZE 4096

#define CALLER_ALIGNMENT 8

/* What follows an object keeps this alignment, if the caller's memory has it. */
#define OBJECT_ALIGNMENT 64

/* Structures must not end in padding: the next version may have a field there. */
_Static_assert(sizeof(textgen_model_options) == TEXTGEN_FIELDS_END(textgen_model_options, memory_size),
               "padding");
_Static_assert(sizeof(textgen_model_info) == TEXTGEN_FIELDS_END(textgen_model_info, memory), "padding");
_Static_assert(sizeof(textgen_layer_info) == TEXTGEN_FIELDS_END(textgen_layer_info, outputs), "padding");
_Static_assert(sizeof(textgen_sampling) ==
                   offsetof(textgen_sampling, temperature) + TEXTGEN_PARAMETER_COUNT * sizeof(double),
               "padding");
_Static_assert(sizeof(textgen_lane) == TEXTGEN_FIELDS_END(textgen_lane, ending), "padding");

int32_t textgen_check_pointer(const void *pointer, const char *name, textgen_error *error) {
    return pointer ? TEXTGEN_OK : textgen_fail(error, TEXTGEN_INVALID_ARGUMENT, "%s is NULL", name);
}

int32_t textgen_check_data(const void *data, size_t size, const char *name, const char *size_name,
                           textgen_error *error) {
    TEXTGEN_TRY(textgen_check_pointer(data, name, error));
    return size > (size_t)PTRDIFF_MAX
               ? textgen_fail(error, TEXTGEN_INVALID_ARGUMENT, "%s is %zu, which is larger than any buffer",
                              size_name, size)
               : TEXTGEN_OK;
}

static int32_t check_alignment(const void *memory, const char *name, textgen_error *error) {
    return (uintptr_t)memory % CALLER_ALIGNMENT
               ? textgen_fail(error, TEXTGEN_INVALID_ARGUMENT, "%s is not aligned to %d bytes", name,
                              CALLER_ALIGNMENT)
               : TEXTGEN_OK;
}

int32_t textgen_check_memory(const void *memory, size_t size, size_t needed, const char *name,
                             textgen_error *error) {
    TEXTGEN_TRY(textgen_check_pointer(memory, name, error));
    TEXTGEN_TRY(check_alignment(memory, name, error));
    return needed && size >= needed
               ? TEXTGEN_OK
               : textgen_fail(error, TEXTGEN_BUFFER_TOO_SMALL, "%s has %zu bytes; %zu are needed", name, size,
                              needed ? needed : SIZE_MAX);
}

int32_t textgen_too_small(const textgen_arena *arena, textgen_error *error) {
    return textgen_fail(error, TEXTGEN_BUFFER_TOO_SMALL, "memory has %zu bytes; %zu or more are needed",
                        arena->size, arena->peak);
}

int32_t textgen_find_place(textgen_arena *arena, size_t size, const char *name, void **place,
                           textgen_error *error) {
    arena->used = arena->peak = (size + OBJECT_ALIGNMENT - 1) / OBJECT_ALIGNMENT * OBJECT_ALIGNMENT;
    if (!arena->memory) {
        *place = textgen_allocate(NULL, 1, size);
        return *place ? TEXTGEN_OK
                      : textgen_fail(error, TEXTGEN_OUT_OF_MEMORY, "not enough memory for the %s", name);
    }
    TEXTGEN_TRY(check_alignment(arena->memory, "memory", error));
    if (arena->size < arena->used) {
        return textgen_too_small(arena, error);
    }
    *place = memset(arena->memory, 0, size);
    return TEXTGEN_OK;
}

static int32_t get_struct_size(const void *given, size_t first, size_t *size, const char *name,
                               textgen_error *error) {
    memcpy(size, given, sizeof *size);
    return *size < first || *size > MAX_STRUCT_SIZE || *size % sizeof(size_t)
               ? textgen_fail(error, TEXTGEN_INVALID_ARGUMENT,
                              "struct_size must be sizeof(%s) (a multiple of %zu from %zu to %d), not %zu",
                              name, sizeof(size_t), first, MAX_STRUCT_SIZE, *size)
               : TEXTGEN_OK;
}

int32_t textgen_read_struct(const void *given, size_t first, void *copy, size_t known, const char *name,
                            textgen_error *error) {
    const unsigned char *bytes = given;
    size_t size;
    TEXTGEN_TRY(get_struct_size(given, first, &size, name, error));
    for (size_t i = known; i < size; i++) {
        if (bytes[i]) {
            return textgen_fail(
                error, TEXTGEN_INVALID_ARGUMENT,
                "%s has a nonzero field that this version of the library does not support: set it to 0", name);
        }
    }
    memset(copy, 0, known);
    memcpy(copy, given, size < known ? size : known);
    return TEXTGEN_OK;
}

int32_t textgen_write_struct(void *given, size_t first, void *values, size_t known, const char *name,
                             textgen_error *error) {
    size_t size;
    TEXTGEN_TRY(get_struct_size(given, first, &size, name, error));
    memcpy(values, &size, sizeof size);
    memset(given, 0, size);
    memcpy(given, values, size < known ? size : known);
    return TEXTGEN_OK;
}
