/* The errors, and snprintf with the conversions that the files of the module use. That of the C library would
 * take 10 KB. */
#include "errors.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

typedef struct {
    char *text;
    size_t size;
    size_t length; /* also counts the characters that have no room */
} output;

static void put(output *to, char character) {
    if (to->length + 1 < to->size) {
        to->text[to->length] = character;
    }
    to->length++;
}

static void put_text(output *to, const char *text) {
    while (*text) {
        put(to, *text++);
    }
}

static void put_number(output *to, uint64_t number, unsigned base, bool upper, int width) {
    const char *digits = upper ? "0123456789ABCDEF" : "0123456789abcdef";
    char reversed[20];
    int count = 0;
    do {
        reversed[count++] = digits[number % base];
        number /= base;
    } while (number);
    for (; width > count; width--) {
        put(to, '0');
    }
    while (count) {
        put(to, reversed[--count]);
    }
}

static const char *put_conversion(output *to, const char *format, va_list *values) {
    int width = 0, longs = 0;
    bool size = false;
    for (; *format >= '0' && *format <= '9'; format++) {
        width = 10 * width + *format - '0';
    }
    for (; *format == 'l' || *format == 'z'; format++) {
        longs += *format == 'l';
        size |= *format == 'z';
    }
    if (*format == 's') {
        put_text(to, va_arg(*values, const char *));
    } else if (*format == 'c') {
        put(to, (char)va_arg(*values, int));
    } else if (*format == 'd') {
        const int64_t number = longs > 1 ? va_arg(*values, int64_t) : va_arg(*values, int32_t);
        if (number < 0) {
            put(to, '-');
        }
        put_number(to, number < 0 ? 0 - (uint64_t)number : (uint64_t)number, 10, false, width);
    } else {
        const uint64_t number = longs > 1 ? va_arg(*values, uint64_t)
                                : size    ? va_arg(*values, size_t)
                                          : va_arg(*values, uint32_t);
        put_number(to, number, *format == 'u' ? 10 : 16, *format == 'X', width);
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

static char text[1024];
textgen_error web_error = {text, sizeof text};
static int32_t failed;

const char *EXPORT(message)(void) { return text; }

int32_t EXPORT(failure)(void) { return failed; }

int32_t textgen_report(textgen_error *error, int32_t code, const char *format, ...) {
    va_list values;
    va_start(values, format);
    vsnprintf(error->text, error->size, format, values);
    va_end(values);
    return code;
}

int32_t textgen_fail(textgen_error *error, int32_t code, const char *format, ...) {
    va_list values;
    (void)error;
    va_start(values, format);
    vsnprintf(text, sizeof text, format, values);
    va_end(values);
    failed = code;
    __builtin_trap();
}
