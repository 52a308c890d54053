#include "core.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

textgen_view textgen_view_of(const char *text) {
    return (textgen_view){(const unsigned char *)text, strlen(text)};
}

bool textgen_view_is(textgen_view view, const char *text) {
    return textgen_views_equal(view, textgen_view_of(text));
}

bool textgen_views_equal(textgen_view a, textgen_view b) {
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

#ifndef TEXTGEN_FAIL_ENDS

static void report(textgen_error *error, int32_t code, const char *parameter, int64_t place, const char *format,
                   va_list values) {
    if (error) {
        error->code = code;
        error->parameter = parameter;
        error->place = place;
        const int length = vsnprintf(error->message, sizeof error->message, format, values);
        if (length >= (int)sizeof error->message) {
            /* The message may have been cut within a character. */
            const textgen_view cut = {(const unsigned char *)error->message, sizeof error->message - 1};
            size_t end = 0;
            while (end < cut.size && textgen_utf8_next(cut, &end) >= 0) {
            }
            error->message[end] = '\0';
        }
    }
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
static bool is_printable(int32_t character) {
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

const char *textgen_quote(textgen_view text, char buffer[TEXTGEN_QUOTE_SIZE]) {
    enum { MAX_BYTES = 80 };
    size_t written = 0, offset = 0;
    buffer[written++] = '\'';
    while (offset < text.size) {
        const size_t start = offset;
        const int32_t character = textgen_utf8_next(text, &offset);
        char escaped[12];
        size_t bytes = 0;
        if (character < 0) {
            bytes = (size_t)snprintf(escaped, sizeof escaped, "\\x%02x", (unsigned)text.data[offset++]);
        } else if (character == '\'' || character == '\\' || !is_printable(character)) {
            const char *format = character > 0xFFFF ? "\\U%08x" : character > 0xFF ? "\\u%04x" : "\\x%02x";
            bytes = (size_t)snprintf(escaped, sizeof escaped, format, (unsigned)character);
        } else {
            bytes = offset - start;
            memcpy(escaped, text.data + start, bytes);
        }
        if (written + bytes > MAX_BYTES) {
            memcpy(buffer + written, "...", 3);
            written += 3;
            break;
        }
        memcpy(buffer + written, escaped, bytes);
        written += bytes;
    }
    buffer[written++] = '\'';
    buffer[written] = '\0';
    return buffer;
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
    while (offset < text.size) {
        if (textgen_utf8_next(text, &offset) < 0) {
            return false;
        }
    }
    return true;
}

size_t textgen_utf8_length(textgen_view text) {
    size_t length = 0;
    for (size_t i = 0; i < text.size; i++) {
        length += (text.data[i] & 0xC0) != 0x80;
    }
    return length;
}

static int compare(textgen_view a, textgen_view b) {
    const size_t common = a.size < b.size ? a.size : b.size;
    const int order = common == 0 ? 0 : memcmp(a.data, b.data, common);
    return order != 0 ? order : (a.size > b.size) - (a.size < b.size);
}

static void sift_down(textgen_name *names, size_t root, size_t count) {
    const textgen_name moved = names[root];
    for (size_t child = 2 * root + 1; child < count; child = 2 * root + 1) {
        if (child + 1 < count && compare(names[child].name, names[child + 1].name) < 0) {
            child++;
        }
        if (compare(moved.name, names[child].name) >= 0) {
            break;
        }
        names[root] = names[child];
        root = child;
    }
    names[root] = moved;
}

/* Heapsort, because the C library's qsort may take quadratic time or allocate memory. */
const textgen_name *textgen_names_sort(textgen_name *names, size_t count) {
    for (size_t root = count / 2; root > 0; root--) {
        sift_down(names, root - 1, count);
    }
    for (size_t end = count; end > 1; end--) {
        const textgen_name last = names[0];
        names[0] = names[end - 1];
        names[end - 1] = last;
        sift_down(names, 0, end - 1);
    }
    for (size_t i = 1; i < count; i++) {
        if (textgen_views_equal(names[i - 1].name, names[i].name)) {
            return &names[i];
        }
    }
    return NULL;
}

size_t textgen_names_rank(const textgen_name *names, size_t count, textgen_view text) {
    size_t first = 0;
    while (count > 0) {
        const size_t half = count / 2;
        if (compare(names[first + half].name, text) <= 0) {
            first += half + 1;
            count -= half + 1;
        } else {
            count = half;
        }
    }
    return first;
}

const textgen_name *textgen_names_find(const textgen_name *names, size_t count, textgen_view name) {
    const size_t rank = textgen_names_rank(names, count, name);
    return rank > 0 && textgen_views_equal(names[rank - 1].name, name) ? &names[rank - 1] : NULL;
}
