#include "core.h"

#include "utf8.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#ifndef TEXTGEN_FAIL_ENDS

/* Remove an incomplete character at the end of a text that was cut. */
static void drop_partial_character(char *text, size_t length) {
    size_t start = length;
    while (start > 0 && length - start < TEXTGEN_UTF8_BYTES &&
           ((unsigned char)text[start - 1] & 0xC0) == 0x80) {
        start--;
    }
    if (start == 0) {
        return;
    }
    start--;
    textgen_view last = {(const unsigned char *)text + start, length - start};
    if (last.data[0] >= 0x80 && !textgen_utf8_valid(last)) {
        text[start] = '\0';
    }
}

static int32_t report(textgen_error *error, int32_t code, const char *parameter, int64_t place,
                      const char *format, va_list values) {
    if (error) {
        error->code = code;
        error->parameter = parameter;
        error->place = place;
        if (vsnprintf(error->message, sizeof error->message, format, values) >= (int)sizeof error->message) {
            drop_partial_character(error->message, sizeof error->message - 1);
        }
    }
    return code;
}

int32_t textgen_report(textgen_error *error, int32_t code, const char *format, ...) {
    va_list values;
    va_start(values, format);
    report(error, code, NULL, -1, format, values);
    va_end(values);
    return code;
}

int32_t textgen_report_at(textgen_error *error, int32_t code, const char *parameter, int64_t place,
                          const char *format, ...) {
    va_list values;
    va_start(values, format);
    report(error, code, parameter, place, format, values);
    va_end(values);
    return code;
}

#endif

int32_t textgen_out_of_memory(textgen_error *error) {
    return textgen_fail(error, TEXTGEN_OUT_OF_MEMORY, "not enough memory for the model");
}

/* Whether a character is printable: its shape is known, and it neither breaks the line nor changes how a
 * terminal displays it. Of the spaces, only U+0020 is, because the others look like it. Most characters that
 * Unicode does not assign count as printable, so that the class does not depend on the version of Unicode. */
static bool is_printable(uint32_t character) {
    static const uint16_t others[][2] = {
        {0x0000, 0x001F}, {0x007F, 0x00A0}, {0x00AD, 0x00AD}, {0x061C, 0x061C}, {0x1680, 0x1680},
        {0x180E, 0x180E}, {0x2000, 0x200F}, {0x2028, 0x202F}, {0x205F, 0x206F}, {0x3000, 0x3000},
        {0xE000, 0xF8FF}, {0xFEFF, 0xFEFF}, {0xFFF9, 0xFFFB},
    };
    bool printable = character < 0xE0000 && (character & 0xFFFE) != 0xFFFE;
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        printable = printable && !(character >= others[i][0] && character <= others[i][1]);
    }
    return printable;
}

/* Write a character for an error message. Return the number of bytes. A character of -1 means invalid UTF-8,
 * and `byte` is then the invalid byte. */
static size_t escape_character(int32_t character, unsigned byte, char quote, char buffer[12]) {
    if (character < 0) {
        return (size_t)snprintf(buffer, 12, "\\x%02x", byte);
    }
    if (character == '\n' || character == '\r' || character == '\t') {
        return (size_t)snprintf(buffer, 12, "\\%c", character == '\n' ? 'n' : character == '\r' ? 'r' : 't');
    }
    if (quote != '\0' && (character == quote || character == '\\')) {
        return (size_t)snprintf(buffer, 12, "\\%c", (char)character);
    }
    if (is_printable((uint32_t)character)) {
        return textgen_utf8_write((uint32_t)character, buffer);
    }
    const char *format = character > 0xFFFF ? "\\U%08x" : character > 0xFF ? "\\u%04x" : "\\x%02x";
    return (size_t)snprintf(buffer, 12, format, (unsigned)character);
}

/* `quote` is the quotation mark, or 0 for none. */
static const char *escape_text(textgen_view text, char quote, char buffer[TEXTGEN_QUOTE_SIZE]) {
    enum { MAX_BYTES = 80 };
    size_t written = 0;
    size_t offset = 0;
    if (quote != '\0') {
        buffer[written++] = quote;
    }
    while (offset < text.size) {
        const size_t start = offset;
        const int32_t character = textgen_utf8_next(text, &offset);
        char escaped[12];
        const size_t bytes = escape_character(character, text.data[start], quote, escaped);
        if (character < 0) {
            offset = start + 1;
        }
        if (written + bytes > MAX_BYTES) {
            memcpy(buffer + written, "...", 3);
            written += 3;
            break;
        }
        memcpy(buffer + written, escaped, bytes);
        written += bytes;
    }
    if (quote != '\0') {
        buffer[written++] = quote;
    }
    buffer[written] = '\0';
    return buffer;
}

const char *textgen_quote(textgen_view name, char buffer[TEXTGEN_QUOTE_SIZE]) {
    const bool single = name.size > 0 && memchr(name.data, '\'', name.size);
    const bool both = single && memchr(name.data, '"', name.size);
    return escape_text(name, single && !both ? '"' : '\'', buffer);
}

const char *textgen_escape(textgen_view text, char buffer[TEXTGEN_QUOTE_SIZE]) {
    return escape_text(text, '\0', buffer);
}

const char *textgen_format_number(uint64_t number, char buffer[TEXTGEN_NUMBER_SIZE]) {
    size_t start = TEXTGEN_NUMBER_SIZE - 1;
    unsigned digits = 0;
    buffer[start] = '\0';
    do {
        if (digits > 0 && digits % 3 == 0) {
            buffer[--start] = ',';
        }
        buffer[--start] = (char)('0' + number % 10);
        number /= 10;
        digits++;
    } while (number > 0);
    return buffer + start;
}

textgen_view textgen_view_of(const char *text) {
    const textgen_view view = {(const unsigned char *)text, strlen(text)};
    return view;
}

bool textgen_view_is(textgen_view view, const char *text) {
    return textgen_views_equal(view, textgen_view_of(text));
}

bool textgen_views_equal(textgen_view a, textgen_view b) {
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}
