/* The public structures: defaults, and copies between versions of different size. */
#include "handles.h"

#include <string.h>

/* An uninitialized struct_size is probably huge. This limit prevents reading beyond the structure. */
#define MAX_STRUCT_SIZE 4096

/* Structures must not end in padding: the next version may have a field there. */
_Static_assert(sizeof(textgen_model_options) == TEXTGEN_FIELDS_END(textgen_model_options, memory_size),
               "padding");
_Static_assert(sizeof(textgen_model_info) == TEXTGEN_FIELDS_END(textgen_model_info, memory), "padding");
_Static_assert(sizeof(textgen_layer_info) == TEXTGEN_FIELDS_END(textgen_layer_info, outputs), "padding");
_Static_assert(sizeof(textgen_sampling) ==
                   offsetof(textgen_sampling, temperature) + TEXTGEN_PARAMETER_COUNT * sizeof(double),
               "padding");
_Static_assert(sizeof(textgen_lane) == TEXTGEN_FIELDS_END(textgen_lane, ending), "padding");

static int32_t get_struct_size(const void *given, size_t first, size_t *size, const char *name,
                               const textgen_error *error) {
    memcpy(size, given, sizeof *size);
    if (*size < first || *size > MAX_STRUCT_SIZE || *size % sizeof(size_t)) {
        return textgen_fail(error, TEXTGEN_INVALID_ARGUMENT,
                            "struct_size must be sizeof(%s) (a multiple of %zu from %zu to %d), not %zu", name,
                            sizeof(size_t), first, MAX_STRUCT_SIZE, *size);
    }
    return TEXTGEN_OK;
}

int32_t textgen_read_struct(const void *given, size_t first, void *copy, size_t known, const char *name,
                            const textgen_error *error) {
    const unsigned char *bytes = given;
    size_t size, i;
    const int32_t result = get_struct_size(given, first, &size, name, error);
    if (result < 0) {
        return result;
    }
    for (i = known; i < size; i++) {
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
                             const textgen_error *error) {
    size_t size;
    const int32_t result = get_struct_size(given, first, &size, name, error);
    if (result < 0) {
        return result;
    }
    memcpy(values, &size, sizeof size);
    memset(given, 0, size);
    memcpy(given, values, size < known ? size : known);
    return TEXTGEN_OK;
}
