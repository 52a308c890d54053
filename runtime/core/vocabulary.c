#include "vocabulary.h"

#include "metadata.h"
#include "symbols.h"
#include "utf8.h"

#include <string.h>

/* The maximum number of entries if the number of logits is not known: one for each character. */
enum { CODE_POINTS = 0x110000 };

static int32_t not_a_list(textgen_level level, textgen_error *error) {
    return textgen_fail(error, TEXTGEN_DAMAGED_MODEL,
                        "the metadata '%s' is not a list of %ss: export the model again",
                        TEXTGEN_VOCABULARY_KEY, textgen_level_names[level]);
}

/* Check that a vocabulary does not have too many entries, before parsing them. A comma, a bracket or a brace
 * may itself be one of the characters. No longer symbol has one. */
static int32_t check_entries(textgen_view text, size_t size, textgen_level level, textgen_error *error) {
    char formatted[TEXTGEN_NUMBER_SIZE];
    const size_t limit = size == TEXTGEN_ANY_SIZE ? CODE_POINTS : size;
    size_t commas = 0;
    size_t brackets = 0;
    size_t braces = 0;
    for (size_t i = 0; i < text.size; i++) {
        commas += text.data[i] == ',';
        brackets += text.data[i] == '[';
        braces += text.data[i] == '{';
    }
    if (brackets > 2 || braces > 1) {
        return not_a_list(level, error);
    }
    if (commas > limit) {
        return textgen_fail(error, TEXTGEN_DAMAGED_MODEL,
                            "the metadata '%s' has more entries than %s (%s): export the model again",
                            TEXTGEN_VOCABULARY_KEY,
                            size == TEXTGEN_ANY_SIZE ? "there are characters" : "the graph has logits",
                            textgen_format_number(limit, formatted));
    }
    return TEXTGEN_OK;
}

static int32_t read_symbols(const textgen_onnx *file, size_t size, textgen_vocabulary *vocabulary,
                            textgen_error *error) {
    textgen_level level;
    textgen_json list;
    TEXTGEN_TRY(textgen_metadata_level(file, &level, error));
    TEXTGEN_TRY(check_entries(textgen_onnx_property(file, TEXTGEN_VOCABULARY_KEY), size, level, error));
    TEXTGEN_TRY(textgen_metadata_read(file, TEXTGEN_VOCABULARY_KEY, &list, error));
    const size_t count = textgen_json_count(&list);
    if (count == 0) {
        return not_a_list(level, error);
    }
    TEXTGEN_TRY(textgen_metadata_special(file, count, &vocabulary->special, error));
    vocabulary->symbols.arena = file->arena;
    TEXTGEN_TRY(textgen_symbols_read(&list, count, level, &vocabulary->special, &vocabulary->symbols, error));
    return size == TEXTGEN_ANY_SIZE || count == size
               ? TEXTGEN_OK
               : textgen_fail(
                     error, TEXTGEN_DAMAGED_MODEL,
                     "the vocabulary has %zu %ss, but the graph has %zu logits: export the model again", count,
                     textgen_level_names[level], size);
}

/* Whether a text of UTF-8 can be encoded without the unknown symbol. */
static bool is_encodable(const textgen_symbols *symbols, textgen_view text) {
    size_t offset = 0;
    if (symbols->level == TEXTGEN_BYTE_LEVEL) {
        return true;
    }
    while (offset < text.size) {
        if (textgen_symbols_match(symbols, text, &offset) < 0) {
            return false;
        }
    }
    return true;
}

static int32_t check_prompts(const textgen_onnx *file, const textgen_vocabulary *vocabulary,
                             textgen_error *error) {
    static const char key[] = "textgen.prompts";
    textgen_json prompts;
    TEXTGEN_TRY(textgen_metadata_read(file, key, &prompts, error));
    /* Decoded, no text is longer than its JSON text. */
    char *buffer = textgen_allocate(file->arena, prompts.text.size + 1, 1);
    if (!buffer) {
        return textgen_out_of_memory(error);
    }
    bool valid = prompts.kind == TEXTGEN_JSON_ARRAY;
    textgen_view rest = prompts.text;
    textgen_json prompt;
    while (valid && textgen_json_item(&rest, &prompt)) {
        textgen_view text = {(const unsigned char *)buffer, 0};
        valid = textgen_json_utf8(&prompt, buffer, &text.size) && text.size > 0 &&
                is_encodable(&vocabulary->symbols, text);
    }
    textgen_release(buffer);
    return valid ? TEXTGEN_OK
                 : textgen_fail(
                       error, TEXTGEN_DAMAGED_MODEL,
                       "the metadata '%s' is not a list of texts whose characters are in the vocabulary: "
                       "export the model again",
                       key);
}

static int32_t read_all(const textgen_onnx *file, size_t size, textgen_vocabulary *vocabulary,
                        textgen_error *error) {
    TEXTGEN_TRY(textgen_format_check(file, error));
    TEXTGEN_TRY(read_symbols(file, size, vocabulary, error));
    TEXTGEN_TRY(textgen_metadata_normalization(file, &vocabulary->lowercase, &vocabulary->unicode, error));
    TEXTGEN_TRY(check_prompts(file, vocabulary, error));
    TEXTGEN_TRY(textgen_metadata_check_training(file, error));
    TEXTGEN_TRY(textgen_metadata_records(file, &vocabulary->special, &vocabulary->records, error));
    return textgen_metadata_check_quantization(file, error);
}

int32_t textgen_vocabulary_create(const textgen_onnx *file, size_t size, textgen_vocabulary **vocabulary,
                                  textgen_error *error) {
    textgen_vocabulary *created = textgen_allocate(file->arena, 1, sizeof *created);
    const int32_t code = created ? read_all(file, size, created, error) : textgen_out_of_memory(error);
    if (code < 0) {
        textgen_vocabulary_destroy(created);
    } else {
        *vocabulary = created;
    }
    return code;
}

void textgen_vocabulary_destroy(textgen_vocabulary *vocabulary) {
    if (vocabulary) {
        textgen_symbols_free(&vocabulary->symbols);
        textgen_release(vocabulary);
    }
}

static int32_t unknown_character(textgen_view character, uint32_t code_point, size_t offset,
                                 textgen_error *error) {
    char quoted[TEXTGEN_QUOTE_SIZE];
    return textgen_report_at(error, TEXTGEN_UNKNOWN_CHARACTER, "text", (int64_t)offset,
                             "has %s (U+%04X), which is not in the vocabulary",
                             textgen_quote(character, quoted), (unsigned)code_point);
}

/* Encode the next symbol of a text that is UTF-8. */
static int32_t encode_symbol(const textgen_vocabulary *vocabulary, textgen_view text, size_t *offset,
                             int64_t *token, textgen_error *error) {
    static const textgen_view line_end = {(const unsigned char *)"\n", 1};
    const size_t start = *offset;
    size_t end = start;
    const int32_t character = textgen_utf8_next(text, &end);
    if (character < 0) {
        return textgen_report_at(error, TEXTGEN_INVALID_UTF8, "text", (int64_t)start, "is not valid UTF-8");
    }
    if (character == '\r') {
        end += end < text.size && text.data[end] == '\n';
        *token = textgen_symbols_find(&vocabulary->symbols, line_end);
    } else {
        *token = textgen_symbols_match(&vocabulary->symbols, text, offset);
    }
    if (*token < 0) {
        *token = vocabulary->special.unknown;
    }
    if (*token < 0) {
        const textgen_view unknown = {text.data + start, end - start};
        return unknown_character(unknown, character == '\r' ? '\n' : (uint32_t)character, start, error);
    }
    if (*offset == start) {
        *offset = end;
    }
    return 1;
}

int32_t textgen_encode_next(const textgen_vocabulary *vocabulary, textgen_encoder *encoder, int64_t *token,
                            textgen_error *error) {
    const textgen_view text = {(const unsigned char *)encoder->text, encoder->size};
    const bool bytes = vocabulary->symbols.level == TEXTGEN_BYTE_LEVEL;
    size_t offset = encoder->offset;
    if (offset == 0 && !bytes && text.size >= 3 && memcmp(text.data, "\xEF\xBB\xBF", 3) == 0) {
        offset = 3;
    }
    if (offset >= text.size) {
        return 0;
    }
    int32_t result = 1;
    if (bytes) {
        *token = text.data[offset++];
    } else {
        result = encode_symbol(vocabulary, text, &offset, token, error);
    }
    if (result > 0) {
        encoder->offset = offset;
    }
    return result;
}

int32_t textgen_encode_known(const textgen_vocabulary *vocabulary, textgen_encoder *encoder, int64_t *token,
                             textgen_error *error) {
    const textgen_view text = {(const unsigned char *)encoder->text, encoder->size};
    const int32_t result = textgen_encode_next(vocabulary, encoder, token, error);
    if (result == TEXTGEN_UNKNOWN_CHARACTER) {
        (void)textgen_utf8_next(text, &encoder->offset);
        *token = -1;
        return 1;
    }
    if (result > 0 && *token == vocabulary->special.unknown) {
        *token = -1;
    }
    return result;
}

size_t textgen_decode_token(const textgen_vocabulary *vocabulary, int64_t token, char *text) {
    if (token < 0 || (uint64_t)token >= vocabulary->symbols.count) {
        return 0;
    }
    const textgen_view symbol = vocabulary->symbols.symbols[(size_t)token];
    if (symbol.size > 0) {
        memcpy(text, symbol.data, symbol.size);
    }
    return symbol.size;
}

int64_t textgen_vocabulary_find(const textgen_vocabulary *vocabulary, const textgen_json *entry) {
    char text[6 * TEXTGEN_MAX_WORD * TEXTGEN_UTF8_BYTES];
    textgen_view symbol = {(const unsigned char *)text, 0};
    size_t offset = 0;
    if (entry->text.size > sizeof text || !textgen_json_utf8(entry, text, &symbol.size) || !symbol.size) {
        return -1;
    }
    if (vocabulary->symbols.level != TEXTGEN_BYTE_LEVEL) {
        return textgen_symbols_find(&vocabulary->symbols, symbol);
    }
    /* The entry of a byte is the character of its number. */
    const int32_t character = textgen_utf8_next(symbol, &offset);
    return offset == symbol.size && character <= 0xFF ? character : -1;
}
