/* What the WebAssembly module has besides textgen.h, whose functions the linker exports under their names:
 * memory, SHA-256, and the errors, with a snprintf of the conversions that they use. That of the C library
 * would take 10 KB. JavaScript reads the structs by the offsets in structs.js. */
#include "core.h"
#include "sha256.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define EXPORT(name) __attribute__((export_name(#name))) name

_Static_assert(offsetof(textgen_error, message) == 16 && sizeof(textgen_error) == 264, "structs.js");
_Static_assert(offsetof(textgen_model_info, unknown) == 48 && offsetof(textgen_model_info, kernels) == 88,
               "structs.js");
_Static_assert(offsetof(textgen_parameter_info, initial) == 24 &&
                   offsetof(textgen_parameter_info, offset) == 64,
               "structs.js");
_Static_assert(offsetof(textgen_sampling, spans) == 44 && sizeof(textgen_sampling) == 144, "structs.js");
_Static_assert(offsetof(textgen_stream_info, logits) == 40 && sizeof(textgen_lane) == 52, "structs.js");

void *EXPORT(allocate)(size_t size) { return malloc(size); }
void EXPORT(release)(void *memory) { free(memory); }

/* Call functions with the arguments that are always the same, so that the compiler can leave out the rest. */

int32_t EXPORT(create)(const void *data, size_t size, textgen_model **model, textgen_error *error) {
    return textgen_model_create(data, size, NULL, model, error);
}

int32_t EXPORT(generate)(textgen_lane *lane, size_t steps, textgen_memory workspace, textgen_error *error) {
    return textgen_generate(lane, 1, steps, workspace, NULL, error);
}

void EXPORT(digest)(const void *data, size_t size, unsigned char hash[TEXTGEN_SHA256_SIZE]) {
    textgen_sha256 sum;
    textgen_sha256_init(&sum);
    textgen_sha256_add(&sum, data, size);
    textgen_sha256_end(&sum, hash);
}

/* ---- Errors ---- */

typedef struct {
    char *text;
    size_t size, length; /* the length also counts the characters that have no room */
} output;

static void put(output *to, char character) {
    if (to->length + 1 < to->size) {
        to->text[to->length] = character;
    }
    to->length++;
}

static void put_number(output *to, uint64_t number, unsigned base, int width) {
    char reversed[20];
    int count = 0;
    for (; number || !count || count < width; number /= base) {
        reversed[count++] = "0123456789abcdef"[number % base];
    }
    while (count) {
        put(to, reversed[--count]);
    }
}

static const char *put_conversion(output *to, const char *format, va_list *values) {
    int width = 0, longs = 0;
    for (; (*format >= '0' && *format <= '9') || *format == '.' || *format == 'l' || *format == 'z'; format++) {
        longs += *format == 'l';
        width = *format >= '0' && *format <= '9' ? 10 * width + *format - '0' : width;
    }
    if (*format == 's') {
        for (const char *text = va_arg(*values, const char *); *text; text++) {
            put(to, *text);
        }
    } else if (*format == 'g' || *format == 'd') {
        /* The limits of parameters, which %g writes, are whole numbers. */
        const int64_t number = *format == 'g' ? (int64_t)va_arg(*values, double)
                               : longs > 1    ? va_arg(*values, int64_t)
                                              : va_arg(*values, int32_t);
        if (number < 0) {
            put(to, '-');
        }
        put_number(to, number < 0 ? 0 - (uint64_t)number : (uint64_t)number, 10, 0);
    } else {
        const uint64_t number = longs > 1 ? va_arg(*values, uint64_t) : va_arg(*values, uint32_t);
        put_number(to, number, *format == 'u' ? 10 : 16, width);
    }
    return format + 1;
}

int vsnprintf(char *text, size_t size, const char *format, va_list values) {
    output to = {text, size, 0};
    va_list copied;
    va_copy(copied, values);
    while (*format) {
        if (*format == '%') {
            format = put_conversion(&to, format + 1, &copied);
        } else {
            put(&to, *format++);
        }
    }
    va_end(copied);
    if (size) {
        text[to.length < size ? to.length : size - 1] = '\0';
    }
    return (int)to.length;
}

int snprintf(char *text, size_t size, const char *format, ...) {
    va_list values;
    va_start(values, format);
    const int length = vsnprintf(text, size, format, values);
    va_end(values);
    return length;
}

static void describe(textgen_error *error, int32_t code, const char *parameter, int64_t place,
                     const char *format, va_list values) {
    if (error) {
        error->code = code;
        error->parameter = parameter;
        error->place = place;
        vsnprintf(error->message, sizeof error->message, format, values);
    }
}

/* See core.h. The module traps where a model file or an argument is wrong, which makes it smaller. */
#define DESCRIBE(parameter, place)                                                                             \
    va_list values;                                                                                            \
    va_start(values, format);                                                                                  \
    describe(error, code, parameter, place, format, values);                                                   \
    va_end(values)

int32_t textgen_report_at(textgen_error *error, int32_t code, const char *parameter, int64_t place,
                          const char *format, ...) {
    DESCRIBE(parameter, place);
    return code;
}

int32_t textgen_fail_at(textgen_error *error, int32_t code, const char *parameter, int64_t place,
                        const char *format, ...) {
    DESCRIBE(parameter, place);
    __builtin_trap();
}
