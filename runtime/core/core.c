#include "core.h"

#include "utf8.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* A text is cut between characters. */
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

int32_t textgen_fail(const textgen_error *error, int32_t code, const char *format, ...) {
    if (error == NULL || error->text == NULL || error->size == 0) {
        return code;
    }
    va_list values;
    va_start(values, format);
    const int length = vsnprintf(error->text, error->size, format, values);
    va_end(values);
    if (length < 0) {
        error->text[0] = '\0';
    } else if ((size_t)length >= error->size) {
        drop_partial_character(error->text, error->size - 1);
    }
    return code;
}

int32_t textgen_out_of_memory(const textgen_error *error) {
    return textgen_fail(error, TEXTGEN_OUT_OF_MEMORY, "there is not enough memory for the model");
}

/* Characters that would break the line, or change how a terminal shows it. */
static bool is_shown(int32_t character) {
    return character >= 0x20 && character != '\\' && !(character >= 0x7F && character <= 0xA0) &&
           character != 0xAD && character != 0x61C && !(character >= 0x200B && character <= 0x200F) &&
           !(character >= 0x2028 && character <= 0x202E) && !(character >= 0x2060 && character <= 0x206F) &&
           character != 0xFEFF && !(character >= 0xFFF9 && character <= 0xFFFB) &&
           !(character >= 0xE0000 && character <= 0xE0FFF) && (character & 0xFFFE) != 0xFFFE;
}

/* Write a character as it stands in a message; returns how many bytes. `byte` is what is there if the character
 * is -1, that is not UTF-8. */
static size_t escape(int32_t character, unsigned byte, char quote, char room[12]) {
    if (character < 0) {
        return (size_t)snprintf(room, 12, "\\x%02x", byte);
    }
    if (character == '\n' || character == '\r' || character == '\t') {
        return (size_t)snprintf(room, 12, "\\%c", character == '\n' ? 'n' : character == '\r' ? 'r' : 't');
    }
    if (quote != '\0' && (character == quote || character == '\\')) {
        return (size_t)snprintf(room, 12, "\\%c", (char)character);
    }
    if (is_shown(character) || character == '\\') {
        return textgen_utf8_write((uint32_t)character, room);
    }
    const char *format = character > 0xFFFF ? "\\U%08x" : character > 0xFF ? "\\u%04x" : "\\x%02x";
    return (size_t)snprintf(room, 12, format, (unsigned)character);
}

/* `quote` is 0 for none. */
static const char *show(textgen_view text, char quote, char room[TEXTGEN_QUOTED]) {
    enum { SHOWN = 80 };
    size_t written = 0;
    size_t place = 0;
    if (quote != '\0') {
        room[written++] = quote;
    }
    while (place < text.size) {
        const size_t start = place;
        const int32_t character = textgen_utf8_next(text, &place);
        char escaped[12];
        const size_t bytes = escape(character, text.data[start], quote, escaped);
        if (character < 0) {
            place = start + 1;
        }
        if (written + bytes > SHOWN) {
            memcpy(room + written, "...", 3);
            written += 3;
            break;
        }
        memcpy(room + written, escaped, bytes);
        written += bytes;
    }
    if (quote != '\0') {
        room[written++] = quote;
    }
    room[written] = '\0';
    return room;
}

const char *textgen_quote(textgen_view name, char room[TEXTGEN_QUOTED]) {
    const bool single = name.size > 0 && memchr(name.data, '\'', name.size) != NULL;
    const bool both = single && memchr(name.data, '"', name.size) != NULL;
    return show(name, single && !both ? '"' : '\'', room);
}

const char *textgen_show(textgen_view text, char room[TEXTGEN_QUOTED]) { return show(text, '\0', room); }

const char *textgen_count(uint64_t number, char room[TEXTGEN_COUNTED]) {
    size_t place = TEXTGEN_COUNTED - 1;
    unsigned digits = 0;
    room[place] = '\0';
    do {
        if (digits > 0 && digits % 3 == 0) {
            room[--place] = ',';
        }
        room[--place] = (char)('0' + number % 10);
        number /= 10;
        digits++;
    } while (number > 0);
    return room + place;
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
