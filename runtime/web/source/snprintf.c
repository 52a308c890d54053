/* A snprintf of the conversions that texts of errors use. That of the C library would take 10 KB of a module.
 */
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

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

/* A number of at most nine decimals. */
static void put_decimal(output *to, double number) {
    const int64_t whole = (int64_t)number;
    put_signed(to, whole);
    const double rest = number < (double)whole ? (double)whole - number : number - (double)whole;
    uint32_t digits = (uint32_t)(rest * 1e9 + 0.5);
    if (digits) {
        put(to, '.');
    }
    for (uint32_t unit = 100000000; digits; unit /= 10) {
        put(to, (char)('0' + digits / unit));
        digits %= unit;
    }
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
        } else if (*format == 'g') { /* the limits of parameters */
            put_decimal(&to, va_arg(values, double));
        } else if (*format == 'd') {
            put_signed(&to, longs > 1 ? va_arg(values, int64_t) : va_arg(values, int));
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
