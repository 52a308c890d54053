#include "symbols.h"

#include "metadata.h"
#include "utf8.h"

#include <string.h>

const char *const textgen_level_names[TEXTGEN_LEVELS] = {"character", "byte", "word"};

enum { BYTES = 256 };

static bool is_special(const textgen_special *special, size_t token) {
    const int64_t signed_token = (int64_t)token;
    return signed_token == special->unknown || signed_token == special->begin || signed_token == special->end;
}

/* The class does not depend on the version of Unicode. The Python runtime has the same one. */
static bool is_word_character(int32_t character) {
    return (character >= '0' && character <= '9') || (character >= 'A' && character <= 'Z') ||
           (character >= 'a' && character <= 'z') || character == '_' || character >= 0x80;
}

/* Whether a text is one character, or a word of at most TEXTGEN_MAX_WORD characters; one space may precede the
 * word. */
static bool is_word(textgen_view text) {
    size_t offset = 0;
    size_t length = 0;
    bool word = true;
    while (offset < text.size) {
        const int32_t character = textgen_utf8_next(text, &offset);
        word = word && (is_word_character(character) || (length == 0 && character == ' '));
        length++;
    }
    return length == 1 || (word && length <= TEXTGEN_MAX_WORD);
}

static bool is_symbol(textgen_level level, textgen_view text) {
    if (level == TEXTGEN_WORD_LEVEL) {
        return is_word(text);
    }
    const size_t length = textgen_utf8_length(text);
    /* The entry of byte n is U+00n. The first byte of UTF-8 up to U+00FF is at most 0xC3. */
    return length == 1 && (level == TEXTGEN_CHARACTER_LEVEL || text.data[0] <= 0xC3);
}

/* Append the text of an entry to the symbols, of which `*used` bytes are used. */
static int32_t read_entry(const textgen_json *entry, size_t token, bool special, textgen_symbols *symbols,
                          size_t *used, textgen_error *error) {
    char quoted[TEXTGEN_QUOTE_SIZE];
    char *start = symbols->text + *used;
    textgen_view text = {(const unsigned char *)start, 0};
    const bool is_text = textgen_json_utf8(entry, start, &text.size);
    if (special) {
        return is_text && text.size == 0
                   ? TEXTGEN_OK
                   : textgen_fail(error, TEXTGEN_DAMAGED_MODEL,
                                  "the metadata '%s' has %s at index %zu, the index of a special token; "
                                  "expected \"\": export the model again",
                                  TEXTGEN_VOCABULARY_KEY, textgen_json_quote(entry, quoted), token);
    }
    if (!is_text || text.size == 0 || !is_symbol(symbols->level, text)) {
        return textgen_fail(error, TEXTGEN_DAMAGED_MODEL,
                            "the metadata '%s' has %s at index %zu; expected a %s: export the model again",
                            TEXTGEN_VOCABULARY_KEY, textgen_json_quote(entry, quoted), token,
                            textgen_level_names[symbols->level]);
    }
    if (symbols->level == TEXTGEN_BYTE_LEVEL) {
        size_t offset = 0;
        *start = (char)(unsigned char)textgen_utf8_next(text, &offset);
        text.size = 1;
    }
    symbols->longest = text.size > symbols->longest ? text.size : symbols->longest;
    symbols->symbols[token] = text;
    symbols->sorted[symbols->sorted_count++] = (textgen_name){text, token};
    *used += text.size;
    return TEXTGEN_OK;
}

/* Check that the bytes are in order, before the special tokens. */
static int32_t check_bytes(const textgen_symbols *symbols, const textgen_special *special,
                           textgen_error *error) {
    bool ordered = symbols->sorted_count == BYTES;
    for (size_t token = 0; ordered && token < BYTES; token++) {
        ordered = symbols->symbols[token].size == 1 && symbols->symbols[token].data[0] == token;
    }
    if (!ordered || special->unknown >= 0) {
        return textgen_fail(error, TEXTGEN_DAMAGED_MODEL, "the metadata '%s' %s: export the model again",
                            TEXTGEN_VOCABULARY_KEY,
                            ordered ? "has bytes and an unknown symbol"
                                    : "is not U+0000 to U+00FF, then the special tokens");
    }
    return TEXTGEN_OK;
}

/* Return the place of the longest symbol that is a prefix of a text. Places count from 1; 0 means none. `place`
 * is that of the last symbol not greater than the text. Every symbol that is a prefix of the text is also a
 * prefix of that symbol. The time is therefore limited by the length of a word, whatever symbols a file
 * contains. */
static size_t longest_prefix(const textgen_symbols *symbols, size_t place, textgen_view text) {
    for (; place > 0; place = symbols->prefixes[place - 1]) {
        const textgen_view symbol = symbols->sorted[place - 1].name;
        if (symbol.size <= text.size && memcmp(symbol.data, text.data, symbol.size) == 0) {
            break;
        }
    }
    return place;
}

int32_t textgen_symbols_read(const textgen_json *list, size_t count, textgen_level level,
                             const textgen_special *special, textgen_symbols *symbols, textgen_error *error) {
    textgen_view rest = list->text;
    size_t used = 0;
    symbols->level = level;
    symbols->count = count;
    symbols->longest = 1;
    /* Decoded, no entry is longer than its JSON text. */
    symbols->text = textgen_allocate(symbols->arena, list->text.size, 1);
    symbols->symbols = textgen_allocate(symbols->arena, count, sizeof *symbols->symbols);
    symbols->sorted = textgen_allocate(symbols->arena, count, sizeof *symbols->sorted);
    symbols->prefixes = textgen_allocate(symbols->arena, count, sizeof *symbols->prefixes);
    if (!symbols->text || !symbols->symbols || !symbols->sorted || !symbols->prefixes) {
        return textgen_out_of_memory(error);
    }
    textgen_json entry;
    for (size_t token = 0; textgen_json_item(&rest, &entry); token++) {
        TEXTGEN_TRY(read_entry(&entry, token, is_special(special, token), symbols, &used, error));
    }
    if (textgen_names_sort(symbols->sorted, symbols->sorted_count)) {
        return textgen_fail(error, TEXTGEN_DAMAGED_MODEL,
                            "the metadata '%s' contains a %s twice: export the model again",
                            TEXTGEN_VOCABULARY_KEY, textgen_level_names[level]);
    }
    for (size_t i = 0; i < symbols->sorted_count; i++) {
        symbols->prefixes[i] = longest_prefix(symbols, i, symbols->sorted[i].name);
    }
    return level == TEXTGEN_BYTE_LEVEL ? check_bytes(symbols, special, error) : TEXTGEN_OK;
}

void textgen_symbols_free(textgen_symbols *symbols) {
    textgen_release(symbols->text);
    textgen_release(symbols->symbols);
    textgen_release(symbols->sorted);
    textgen_release(symbols->prefixes);
}

int64_t textgen_symbols_find(const textgen_symbols *symbols, textgen_view symbol) {
    const textgen_name *found = textgen_names_find(symbols->sorted, symbols->sorted_count, symbol);
    return found ? (int64_t)found->index : -1;
}

int64_t textgen_symbols_match(const textgen_symbols *symbols, textgen_view text, size_t *offset) {
    const textgen_view rest = {text.data + *offset, text.size - *offset};
    const size_t last = textgen_names_rank(symbols->sorted, symbols->sorted_count, rest);
    const size_t place = longest_prefix(symbols, last, rest);
    if (place == 0) {
        return -1;
    }
    *offset += symbols->sorted[place - 1].name.size;
    return (int64_t)symbols->sorted[place - 1].index;
}
