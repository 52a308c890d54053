#include "utf8.h"

#include <string.h>

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
        uint64_t word;
        if (text.size - offset >= sizeof word) {
            memcpy(&word, text.data + offset, sizeof word);
            if ((word & UINT64_C(0x8080808080808080)) == 0) {
                offset += sizeof word;
                continue;
            }
        }
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
