/* What the WebAssembly module has besides textgen.h, whose functions the linker exports under their names:
 * SHA-256, and a snprintf of the conversions that errors use. That of the C library would take 10 KB.
 * JavaScript reads the structs by the offsets in structs.js. */
#include "core.h"
#include "sha256.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define EXPORT(name) __attribute__((export_name(#name))) name

_Static_assert(offsetof(textgen_error, message) == 16 && sizeof(textgen_error) == 264, "structs.js");
_Static_assert(offsetof(textgen_model_info, unknown) == 48 && offsetof(textgen_model_info, kernels) == 88,
               "structs.js");
_Static_assert(offsetof(textgen_parameter_info, initial) == 24 &&
                   offsetof(textgen_parameter_info, offset) == 64,
               "structs.js");
_Static_assert(offsetof(textgen_sampling, spans) == 44 && sizeof(textgen_sampling) == 144, "structs.js");
_Static_assert(offsetof(textgen_stream_info, logits) == 40, "structs.js");

/* Call functions with the arguments that are always the same, so that the compiler can leave out the rest. */

int32_t EXPORT(create)(const void *data, size_t size, textgen_model **model, textgen_error *error) {
    return textgen_model_create(data, size, NULL, model, error);
}

/* Draw up to `steps` tokens of a text. counts: how many were drawn, the bytes of the text, and its ending. */
int32_t EXPORT(generate)(textgen_stream *stream, size_t length, int32_t finish, size_t steps, char *text,
                         int32_t counts[3], textgen_memory workspace, textgen_error *error) {
    textgen_lane lane = {.stream = stream, .length = length, .finish = finish, .text = text};
    const int32_t code = textgen_generate(&lane, 1, steps, workspace, NULL, error);
    counts[0] = (int32_t)lane.drawn;
    counts[1] = (int32_t)lane.written;
    counts[2] = lane.ending;
    return code == TEXTGEN_LANE_FAILED ? lane.result : code;
}

void EXPORT(digest)(const void *data, size_t size, unsigned char hash[TEXTGEN_SHA256_SIZE]) {
    textgen_sha256 sum;
    textgen_sha256_init(&sum);
    textgen_sha256_add(&sum, data, size);
    textgen_sha256_end(&sum, hash);
}

/* ---- Texts of errors ---- */

typedef struct {
    char *at, *end;
} output;

static void put(output *to, char character) {
    if (to->at < to->end) {
        *to->at++ = character;
    }
}

static void put_number(output *to, uint64_t number, unsigned base, int width) {
    if (number >= base || width > 1) {
        put_number(to, number / base, base, width - 1);
    }
    put(to, "0123456789ABCDEF"[number % base]);
}

static void put_signed(output *to, int64_t number) {
    if (number < 0) {
        put(to, '-');
    }
    put_number(to, number < 0 ? 0 - (uint64_t)number : (uint64_t)number, 10, 1);
}

int vsnprintf(char *text, size_t size, const char *format, va_list values) {
    output to = {text, text + size - 1};
    for (; *format; format++) {
        if (*format != '%') {
            put(&to, *format);
            continue;
        }
        int longs = 0;
        while (strchr("0123456789.lz", *++format)) {
            longs += *format == 'l';
        }
        if (*format == 's') {
            for (const char *part = va_arg(values, const char *); *part; part++) {
                put(&to, *part);
            }
        } else if (*format == 'g') { /* the limits of parameters, which are whole numbers */
            put_signed(&to, (int64_t)va_arg(values, double));
        } else if (*format == 'd') {
            put_signed(&to, va_arg(values, int));
        } else if (*format == 'X') { /* of a code point: %04X */
            put_number(&to, va_arg(values, unsigned), 16, 4);
        } else {
            put_number(&to, longs > 1 ? va_arg(values, uint64_t) : va_arg(values, uint32_t), 10, 1);
        }
    }
    *to.at = '\0';
    return 0;
}

int snprintf(char *text, size_t size, const char *format, ...) {
    va_list values;
    va_start(values, format);
    vsnprintf(text, size, format, values);
    va_end(values);
    return 0;
}
