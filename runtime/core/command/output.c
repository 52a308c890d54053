/* Under -std=c11 isatty and fileno are declared only if this macro is defined. */
#ifndef _WIN32
#define _POSIX_C_SOURCE 200809L
#endif

#include "output.h"

#include "../utf8.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef _WIN32
#include <fcntl.h>
#include <io.h>
#else
#include <signal.h>
#include <unistd.h>
#endif

static _Noreturn void fail_output(void) {
    if (errno == EPIPE) {
        _Exit(EXIT_SUCCESS);
    }
    fprintf(stderr, "textgen: error: cannot write standard output: %s\n", strerror(errno));
    _Exit(EXIT_FAILED);
}

void open_output(output *to) {
    memset(to, 0, sizeof *to);
#ifdef _WIN32
    _setmode(_fileno(stdout), _O_BINARY);
    to->is_terminal = _isatty(_fileno(stdout));
#else
    signal(SIGPIPE, SIG_IGN);
    to->is_terminal = isatty(fileno(stdout));
#endif
}

static void put(const char *bytes, size_t size) {
    if (fwrite(bytes, 1, size, stdout) != size) {
        fail_output();
    }
}

/* Write a valid character. */
static void put_character(const output *to, const char *bytes, size_t size) {
    const unsigned char first = (unsigned char)bytes[0], second = (unsigned char)bytes[size - 1];
    const bool is_control = size == 1 ? (first < 0x20 && first != '\n' && first != '\t') || first == 0x7F
                                      : first == 0xC2 && second < 0xA0;
    if (to->is_terminal && is_control) {
        char escaped[8];
        const char *format = first == '\r' ? "\\r" : "\\x%02x";
        put(escaped, (size_t)snprintf(escaped, sizeof escaped, format, (unsigned)second));
    } else {
        put(bytes, size);
    }
}

/* Return how many bytes at the start of a text become one U+FFFD: those that could begin a character, or 1.
 * `*incomplete` tells whether they are the end of the text, and more bytes could complete the character. */
static size_t invalid_bytes(const unsigned char *text, size_t size, bool *incomplete) {
    const unsigned char first = text[0];
    const size_t needed = first >= 0xF0 && first <= 0xF4  ? 4
                          : first >= 0xE0 && first < 0xF0 ? 3
                          : first >= 0xC2 && first < 0xE0 ? 2
                                                          : 1;
    /* The second byte has other limits after these, so that no form is overlong, a surrogate or too large. */
    const unsigned char low = first == 0xE0 ? 0xA0 : first == 0xF0 ? 0x90 : 0x80;
    const unsigned char high = first == 0xED ? 0x9F : first == 0xF4 ? 0x8F : 0xBF;
    size_t used = 1;
    while (used < needed && used < size && text[used] >= (used == 1 ? low : 0x80) &&
           text[used] <= (used == 1 ? high : 0xBF)) {
        used++;
    }
    *incomplete = used < needed && used == size;
    return used;
}

/* Write the complete characters of a text. Return how many bytes remain: those of an incomplete one. */
static size_t put_characters(const output *to, const char *text, size_t size) {
    const textgen_view view = {(const unsigned char *)text, size};
    size_t offset = 0;
    while (offset < size) {
        const size_t start = offset;
        bool incomplete;
        if (textgen_utf8_next(view, &offset) >= 0) {
            put_character(to, text + start, offset - start);
            continue;
        }
        offset += invalid_bytes(view.data + start, size - start, &incomplete);
        if (incomplete) {
            return size - start;
        }
        put("\xEF\xBF\xBD", 3);
    }
    return 0;
}

void write_text(output *to, const char *text, size_t size) {
    size_t used = 0, rest;
    /* Complete the character that the previous part began. */
    while (to->incomplete_size && used < size) {
        char joined[sizeof to->incomplete + 1];
        const size_t joined_size = to->incomplete_size + 1;
        memcpy(joined, to->incomplete, to->incomplete_size);
        joined[to->incomplete_size] = text[used++];
        rest = put_characters(to, joined, joined_size);
        memcpy(to->incomplete, joined + joined_size - rest, rest);
        to->incomplete_size = rest;
    }
    if (used < size) {
        rest = put_characters(to, text + used, size - used);
        memcpy(to->incomplete, text + size - rest, rest);
        to->incomplete_size = rest;
    }
}

void end_text(output *to) { to->incomplete_size = 0; }

void flush_output(void) {
    if (fflush(stdout)) {
        fail_output();
    }
}

static void print_diagnostic(const char *kind, const char *format, va_list values) {
    fflush(stdout);
    fprintf(stderr, "textgen: %s: ", kind);
    vfprintf(stderr, format, values);
    fputc('\n', stderr);
}

_Noreturn void fail(int code, const char *format, ...) {
    va_list values;
    va_start(values, format);
    print_diagnostic("error", format, values);
    va_end(values);
    _Exit(code);
}

void warn(const char *format, ...) {
    va_list values;
    va_start(values, format);
    print_diagnostic("warning", format, values);
    va_end(values);
}
