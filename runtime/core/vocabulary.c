#include "vocabulary.h"

#include "metadata.h"
#include "utf8.h"

#include <stdlib.h>
#include <string.h>

/* A table of pages maps code points to tokens. All pages without symbols share page 0. */
enum { PAGE = 256, PAGES = TEXTGEN_CODE_POINTS / PAGE };

struct textgen_vocabulary {
    size_t count;
    size_t symbol_bytes;
    int64_t unknown;
    bool lowercase;
    const char *unicode;
    uint32_t *symbols; /* [count], the code point of each token */
    int32_t *tokens;   /* [pages][PAGE]; -1 if the code point is not in the vocabulary */
    uint16_t page_of[PAGES];
};

/* Check that a vocabulary does not have too many entries, before parsing them. A comma, a bracket or a brace
 * may itself be one of the characters. */
static int32_t check_entries(textgen_view text, size_t size, const textgen_error *error) {
    char formatted[TEXTGEN_NUMBER_SIZE];
    size_t commas = 0;
    size_t brackets = 0;
    size_t braces = 0;
    for (size_t i = 0; i < text.size; i++) {
        commas += text.data[i] == ',';
        brackets += text.data[i] == '[';
        braces += text.data[i] == '{';
    }
    if (brackets > 2 || braces > 1) {
        return textgen_fail(error, TEXTGEN_DAMAGED_MODEL,
                            "the metadata '%s' is not a list of characters: export the model again",
                            TEXTGEN_VOCABULARY_KEY);
    }
    if (commas > size) {
        return textgen_fail(
            error, TEXTGEN_DAMAGED_MODEL,
            "the metadata '%s' has more entries than the graph has logits (%s): export the model again",
            TEXTGEN_VOCABULARY_KEY, textgen_format_number(size, formatted));
    }
    return TEXTGEN_OK;
}

static size_t count_items(textgen_view items) {
    textgen_json item;
    size_t count = 0;
    while (textgen_json_item(&items, &item)) {
        count++;
    }
    return count;
}

/* Read the code point of an entry. unknown: whether it is the unknown symbol, which becomes 0. */
static int32_t read_symbol(const textgen_json *entry, size_t token, bool unknown, uint32_t *symbol,
                           const textgen_error *error) {
    char quoted[TEXTGEN_QUOTE_SIZE];
    textgen_view rest = entry->text;
    int32_t character = -1;
    if (entry->kind == TEXTGEN_JSON_STRING) {
        character = textgen_json_character(&rest);
    }
    *symbol = 0;
    if (unknown) {
        if (entry->kind == TEXTGEN_JSON_STRING && entry->text.size == 0) {
            return TEXTGEN_OK;
        }
        return textgen_fail(
            error, TEXTGEN_DAMAGED_MODEL,
            "the metadata '%s' has %s at index %zu, the index of the unknown symbol; expected \"\": "
            "export the model again",
            TEXTGEN_VOCABULARY_KEY, textgen_json_quote(entry, quoted), token);
    }
    if (character < 0 || rest.size > 0 || (character >= 0xD800 && character < 0xE000)) {
        return textgen_fail(
            error, TEXTGEN_DAMAGED_MODEL,
            "the metadata '%s' has %s at index %zu; expected a character: export the model again",
            TEXTGEN_VOCABULARY_KEY, textgen_json_quote(entry, quoted), token);
    }
    *symbol = (uint32_t)character;
    return TEXTGEN_OK;
}

static int32_t read_symbols(const textgen_onnx *file, size_t size, textgen_vocabulary *vocabulary,
                            const textgen_error *error) {
    textgen_json list;
    textgen_json entry;
    int32_t code = check_entries(textgen_onnx_property(file, TEXTGEN_VOCABULARY_KEY), size, error);
    if (code == TEXTGEN_OK) {
        code = textgen_metadata_read(file, TEXTGEN_VOCABULARY_KEY, &list, error);
    }
    if (code != TEXTGEN_OK) {
        return code;
    }
    vocabulary->count = list.kind == TEXTGEN_JSON_ARRAY ? count_items(list.text) : 0;
    if (vocabulary->count == 0) {
        return textgen_fail(error, TEXTGEN_DAMAGED_MODEL,
                            "the metadata '%s' is not a list of characters: export the model again",
                            TEXTGEN_VOCABULARY_KEY);
    }
    code = textgen_metadata_unknown(file, vocabulary->count, &vocabulary->unknown, error);
    if (code != TEXTGEN_OK) {
        return code;
    }
    vocabulary->symbols = calloc(vocabulary->count, sizeof(*vocabulary->symbols));
    if (vocabulary->symbols == NULL) {
        return textgen_out_of_memory(error);
    }
    textgen_view rest = list.text;
    for (size_t token = 0; code == TEXTGEN_OK && textgen_json_item(&rest, &entry); token++) {
        const bool unknown = (int64_t)token == vocabulary->unknown;
        code = read_symbol(&entry, token, unknown, &vocabulary->symbols[token], error);
    }
    return code;
}

static int32_t *find_token(const textgen_vocabulary *vocabulary, uint32_t character) {
    return &vocabulary->tokens[(size_t)vocabulary->page_of[character / PAGE] * PAGE + character % PAGE];
}

/* Build the tables that map characters to tokens. */
static int32_t index_symbols(textgen_vocabulary *vocabulary, const textgen_error *error) {
    size_t pages = 1;
    for (size_t token = 0; token < vocabulary->count; token++) {
        uint16_t *page = &vocabulary->page_of[vocabulary->symbols[token] / PAGE];
        if (*page == 0) {
            *page = (uint16_t)pages++;
        }
    }
    vocabulary->tokens = malloc(pages * PAGE * sizeof(*vocabulary->tokens));
    if (vocabulary->tokens == NULL) {
        return textgen_out_of_memory(error);
    }
    memset(vocabulary->tokens, 0xFF, pages * PAGE * sizeof(*vocabulary->tokens));
    vocabulary->symbol_bytes = 1;
    for (size_t token = 0; token < vocabulary->count; token++) {
        if ((int64_t)token == vocabulary->unknown) {
            continue;
        }
        char text[TEXTGEN_UTF8_BYTES];
        const size_t bytes = textgen_utf8_write(vocabulary->symbols[token], text);
        int32_t *found = find_token(vocabulary, vocabulary->symbols[token]);
        if (*found >= 0) {
            return textgen_fail(error, TEXTGEN_DAMAGED_MODEL, "the metadata '%s' contains a character twice",
                                TEXTGEN_VOCABULARY_KEY);
        }
        *found = (int32_t)token;
        vocabulary->symbol_bytes = bytes > vocabulary->symbol_bytes ? bytes : vocabulary->symbol_bytes;
    }
    return TEXTGEN_OK;
}

/* Whether a value is a non-empty text whose characters are all in the vocabulary. */
static bool is_encodable(const textgen_vocabulary *vocabulary, const textgen_json *value) {
    if (value->kind != TEXTGEN_JSON_STRING || value->text.size == 0) {
        return false;
    }
    textgen_view rest = value->text;
    int32_t character;
    while ((character = textgen_json_character(&rest)) >= 0) {
        if (*find_token(vocabulary, (uint32_t)character) < 0) {
            return false;
        }
    }
    return true;
}

static int32_t check_prompts(const textgen_onnx *file, const textgen_vocabulary *vocabulary,
                             const textgen_error *error) {
    static const char key[] = "textgen.prompts";
    textgen_json prompts;
    textgen_json prompt;
    const int32_t code = textgen_metadata_read(file, key, &prompts, error);
    if (code != TEXTGEN_OK) {
        return code;
    }
    bool valid = prompts.kind == TEXTGEN_JSON_ARRAY;
    textgen_view rest = prompts.text;
    while (valid && textgen_json_item(&rest, &prompt)) {
        valid = is_encodable(vocabulary, &prompt);
    }
    return valid
               ? TEXTGEN_OK
               : textgen_fail(error, TEXTGEN_DAMAGED_MODEL,
                              "the metadata '%s' is not a list of texts whose characters are in the vocabulary",
                              key);
}

int32_t textgen_vocabulary_create(const textgen_onnx *file, size_t size, textgen_vocabulary **vocabulary,
                                  const textgen_error *error) {
    textgen_vocabulary *created = calloc(1, sizeof(*created));
    if (created == NULL) {
        return textgen_out_of_memory(error);
    }
    int32_t code = textgen_format_check(file, error);
    if (code == TEXTGEN_OK) {
        code = textgen_metadata_check_level(file, error);
    }
    if (code == TEXTGEN_OK) {
        code = read_symbols(file, size, created, error);
    }
    if (code == TEXTGEN_OK) {
        code = index_symbols(created, error);
    }
    if (code == TEXTGEN_OK && created->count != size) {
        code = textgen_fail(
            error, TEXTGEN_DAMAGED_MODEL,
            "the vocabulary has %zu characters, but the graph has %zu logits: export the model again",
            created->count, size);
    }
    if (code == TEXTGEN_OK) {
        code = textgen_metadata_normalization(file, &created->lowercase, &created->unicode, error);
    }
    if (code == TEXTGEN_OK) {
        code = check_prompts(file, created, error);
    }
    if (code == TEXTGEN_OK) {
        code = textgen_metadata_check_training(file, error);
    }
    if (code != TEXTGEN_OK) {
        textgen_vocabulary_destroy(created);
        return code;
    }
    *vocabulary = created;
    return TEXTGEN_OK;
}

void textgen_vocabulary_destroy(textgen_vocabulary *vocabulary) {
    if (vocabulary != NULL) {
        free(vocabulary->symbols);
        free(vocabulary->tokens);
        free(vocabulary);
    }
}

int64_t textgen_vocabulary_unknown(const textgen_vocabulary *vocabulary) { return vocabulary->unknown; }

size_t textgen_vocabulary_symbol_bytes(const textgen_vocabulary *vocabulary) {
    return vocabulary->symbol_bytes;
}

bool textgen_vocabulary_lowercase(const textgen_vocabulary *vocabulary) { return vocabulary->lowercase; }

const char *textgen_vocabulary_unicode(const textgen_vocabulary *vocabulary) { return vocabulary->unicode; }

static int32_t unknown_character(const textgen_vocabulary *vocabulary, textgen_view character,
                                 uint32_t code_point, size_t offset, const textgen_error *error) {
    char quoted[TEXTGEN_QUOTE_SIZE];
    const bool capital =
        code_point >= 'A' && code_point <= 'Z' && *find_token(vocabulary, code_point - 'A' + 'a') >= 0;
    return textgen_fail(error, TEXTGEN_UNKNOWN_CHARACTER,
                        "%s (U+%04X) at byte %zu of the text is not in the vocabulary: %s",
                        textgen_quote(character, quoted), (unsigned)code_point, offset,
                        capital ? "use lower case" : "remove it");
}

int32_t textgen_encode_next(const textgen_vocabulary *vocabulary, textgen_encoder *encoder, int64_t *token,
                            const textgen_error *error) {
    const textgen_view text = {(const unsigned char *)encoder->text, encoder->size};
    size_t offset = encoder->offset;
    if (offset == 0 && text.size >= 3 && memcmp(text.data, "\xEF\xBB\xBF", 3) == 0) {
        offset = 3;
    }
    if (offset >= text.size) {
        return 0;
    }
    const size_t start = offset;
    int32_t character = textgen_utf8_next(text, &offset);
    if (character < 0) {
        return textgen_fail(error, TEXTGEN_INVALID_UTF8, "the text is not valid UTF-8 at byte %zu", start);
    }
    if (character == '\r') {
        character = '\n';
        offset += offset < text.size && text.data[offset] == '\n';
    }
    *token = *find_token(vocabulary, (uint32_t)character);
    if (*token < 0) {
        *token = vocabulary->unknown;
    }
    if (*token < 0) {
        const textgen_view unknown = {text.data + start, offset - start};
        return unknown_character(vocabulary, unknown, (uint32_t)character, start, error);
    }
    encoder->offset = offset;
    return 1;
}

size_t textgen_decode_token(const textgen_vocabulary *vocabulary, int64_t token, char *text) {
    if (token < 0 || (uint64_t)token >= vocabulary->count || token == vocabulary->unknown) {
        return 0;
    }
    return textgen_utf8_write(vocabulary->symbols[(size_t)token], text);
}
