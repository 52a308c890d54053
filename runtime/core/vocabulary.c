#include "vocabulary.h"

#include <string.h>

/* The newest supported format, and the first one with special tokens. */
enum { MAX_FORMAT = 2, SPECIAL_TOKENS_FORMAT = 2 };

const char *const textgen_level_names[TEXTGEN_LEVELS] = {"character", "byte", "word"};

static const char format_key[] = "textgen.format", vocabulary_key[] = "textgen.vocabulary";
static const char special_key[] = "textgen.special", records_key[] = "textgen.records";
static const char quantization_key[] = "textgen.quantization";

/* The metadata of a file, and what is made of it. */
typedef struct {
    const textgen_onnx *file;
    textgen_vocabulary *vocabulary;
    textgen_error *error;
} reader;

static bool has_key(const reader *from, const char *key) { return textgen_onnx_property(from->file, key).data; }

static int32_t fail_damaged(const reader *from, const char *key) {
    const textgen_view value = textgen_onnx_property(from->file, key);
    return textgen_damaged(value.data ? (size_t)(value.data - from->file->content.data) : SIZE_MAX, "metadata",
                           textgen_view_of(key), from->error);
}

static int32_t fail_newer(const reader *from, const char *key) {
    return textgen_fail(from->error, TEXTGEN_NEWER_FORMAT, "the metadata '%s' needs a newer version", key);
}

static int32_t check(const reader *from, const char *key, bool valid) {
    return valid ? TEXTGEN_OK : fail_damaged(from, key);
}

/* Read the value of a key. Fails if the key is missing or its value is not JSON. */
static int32_t read_value(const reader *from, const char *key, textgen_json *value) {
    const textgen_view text = textgen_onnx_property(from->file, key);
    return check(from, key, text.data && textgen_json_read(text, value));
}

/* Read a value that is one of `count` names. */
static int32_t read_name(const reader *from, const char *key, const char *const *names, size_t count,
                         size_t *index) {
    textgen_json value;
    TEXTGEN_TRY(read_value(from, key, &value));
    for (*index = 0; *index < count; ++*index) {
        if (textgen_json_is(&value, names[*index])) {
            return TEXTGEN_OK;
        }
    }
    return fail_newer(from, key);
}

static int32_t read_format(const reader *from, int64_t *format) {
    textgen_json value;
    if (!has_key(from, format_key)) {
        return textgen_fail(from->error, TEXTGEN_DAMAGED_MODEL, "not a text generator: without metadata '%s'",
                            format_key);
    }
    TEXTGEN_TRY(read_value(from, format_key, &value));
    TEXTGEN_TRY(check(from, format_key, textgen_json_integer(&value, format) && *format >= 1));
    return *format > MAX_FORMAT ? fail_newer(from, format_key) : TEXTGEN_OK;
}

int32_t textgen_format_check(const textgen_onnx *file, textgen_error *error) {
    const reader from = {file, NULL, error};
    int64_t format;
    return read_format(&from, &format);
}

/* Read the special tokens of a vocabulary with `count` entries. */
static int32_t read_special(const reader *from, size_t count) {
    enum { UNKNOWN, BEGIN, END, TOKENS };
    static const char *const names[TOKENS] = {"unknown", "begin", "end"};
    int64_t format, tokens[TOKENS] = {-1, -1, -1};
    textgen_json object, values[TOKENS];
    size_t found = 0;
    bool valid = true;
    TEXTGEN_TRY(read_format(from, &format));
    if (has_key(from, special_key) && format >= SPECIAL_TOKENS_FORMAT) {
        TEXTGEN_TRY(read_value(from, special_key, &object));
        if (!textgen_json_members(&object, names, TOKENS, values)) {
            return fail_newer(from, special_key);
        }
        for (size_t i = 0; i < TOKENS; i++) {
            if (values[i].kind != TEXTGEN_JSON_NULL) {
                valid = valid && textgen_json_integer(&values[i], &tokens[i]) && tokens[i] >= 0 &&
                        (uint64_t)tokens[i] < count;
                found++;
            }
        }
    }
    const int64_t unknown = tokens[UNKNOWN], begin = tokens[BEGIN], end = tokens[END];
    from->vocabulary->special = (textgen_special){unknown, begin, end};
    return check(from, special_key,
                 valid && found < count && (begin < 0) == (end < 0) &&
                     (begin < 0 || (begin != end && unknown != begin && unknown != end)));
}

/* The class does not depend on the version of Unicode. The Python runtime has the same one. */
static bool is_word_character(int32_t character) {
    return (character >= '0' && character <= '9') || (character >= 'A' && character <= 'Z') ||
           (character >= 'a' && character <= 'z') || character == '_' || character >= 0x80;
}

/* Whether a text is a symbol: a character, or a word of at most TEXTGEN_MAX_WORD characters, of which the first
 * may be a space. The entry of byte n is U+00n. */
static bool is_symbol(textgen_level level, textgen_view text) {
    size_t offset = 0, length = 0;
    bool word = true;
    int32_t character = 0;
    for (; offset < text.size; length++) {
        character = textgen_utf8_next(text, &offset);
        word = word && (is_word_character(character) || (length == 0 && character == ' '));
    }
    return level == TEXTGEN_WORD_LEVEL && length != 1
               ? word && length > 0 && length <= TEXTGEN_MAX_WORD
               : length == 1 && (level != TEXTGEN_BYTE_LEVEL || character <= 0xFF);
}

/* Append the text of an entry to the symbols, of which `*used` bytes are used. Return whether it is valid. */
static bool read_entry(const textgen_json *entry, size_t token, textgen_vocabulary *vocabulary, size_t *used) {
    const textgen_special *special = &vocabulary->special;
    const int64_t index = (int64_t)token;
    char *start = vocabulary->text + *used;
    textgen_view text = {(const unsigned char *)start, 0};
    const bool is_text = textgen_json_utf8(entry, start, &text.size);
    if (index == special->unknown || index == special->begin || index == special->end) {
        return is_text && text.size == 0;
    }
    if (!is_text || !is_symbol(vocabulary->level, text)) {
        return false;
    }
    if (vocabulary->level == TEXTGEN_BYTE_LEVEL) {
        size_t offset = 0;
        *start = (char)(unsigned char)textgen_utf8_next(text, &offset);
        text.size = 1;
    }
    vocabulary->longest = text.size > vocabulary->longest ? text.size : vocabulary->longest;
    vocabulary->symbols[token] = text;
    *used += text.size;
    return true;
}

enum { FIRST_BYTES = 256 };

/* Return the node after another one that has a byte, or 0. */
static uint32_t find_node(const textgen_node *nodes, uint32_t node, unsigned char byte) {
    uint32_t found = nodes[node].child;
    while (found && nodes[found].byte != byte) {
        found = nodes[found].sibling;
    }
    return found;
}

/* Add a symbol to the tree, which has `*count` nodes. Return false if it is there already. */
static bool add_symbol(textgen_node *nodes, uint32_t *count, textgen_view symbol, size_t token) {
    uint32_t node = symbol.data[0];
    for (size_t i = 1; i < symbol.size; i++) {
        uint32_t next = find_node(nodes, node, symbol.data[i]);
        if (!next) {
            next = (*count)++;
            nodes[next] = (textgen_node){-1, 0, nodes[node].child, symbol.data[i]};
            nodes[node].child = next;
        }
        node = next;
    }
    const bool is_new = nodes[node].token < 0;
    nodes[node].token = (int32_t)token;
    return is_new;
}

/* Return the token of the longest symbol with which a text begins, and set `*size` to its bytes. Return -1 if
 * there is none. The text is not empty. */
static int64_t match_symbol(const textgen_vocabulary *vocabulary, textgen_view text, size_t *size) {
    const textgen_node *nodes = vocabulary->nodes;
    int64_t token = -1;
    uint32_t node = text.data[0];
    for (size_t i = 1;; i++) {
        if (nodes[node].token >= 0) {
            token = nodes[node].token;
            *size = i;
        }
        if (i == text.size || !(node = find_node(nodes, node, text.data[i]))) {
            return token;
        }
    }
}

int64_t textgen_vocabulary_find(const textgen_vocabulary *vocabulary, textgen_view symbol) {
    size_t size = 0;
    const int64_t token = match_symbol(vocabulary, symbol, &size);
    return size == symbol.size ? token : -1;
}

/* Whether the 256 bytes are in order, before the special tokens. */
static bool has_bytes(const textgen_vocabulary *vocabulary) {
    bool ordered =
        vocabulary->count == 256 + 2 * (vocabulary->special.begin >= 0) && vocabulary->special.unknown < 0;
    for (size_t token = 0; ordered && token < 256; token++) {
        const textgen_view symbol = vocabulary->symbols[token];
        ordered = symbol.size == 1 && symbol.data[0] == token;
    }
    return ordered;
}

/* Read the entries of the vocabulary. size: as for textgen_vocabulary_create. */
static int32_t read_symbols(const reader *from, size_t size) {
    textgen_vocabulary *vocabulary = from->vocabulary;
    textgen_arena *arena = from->file->arena;
    textgen_json list, entry;
    size_t index, used = 0;
    TEXTGEN_TRY(read_name(from, "textgen.level", textgen_level_names, TEXTGEN_LEVELS, &index));
    TEXTGEN_TRY(read_value(from, vocabulary_key, &list));
    const size_t count = textgen_json_count(&list);
    TEXTGEN_TRY(check(from, vocabulary_key,
                      size == TEXTGEN_ANY_SIZE ? count > 0 && count <= TEXTGEN_CODE_POINTS : count == size));
    TEXTGEN_TRY(read_special(from, count));
    vocabulary->level = (textgen_level)index;
    vocabulary->count = count;
    vocabulary->longest = 1;
    /* Decoded, no entry is longer than its JSON text. */
    vocabulary->text = textgen_allocate(arena, list.text.size, 1);
    vocabulary->symbols = textgen_allocate(arena, count, sizeof *vocabulary->symbols);
    if (!vocabulary->text || !vocabulary->symbols) {
        return textgen_out_of_memory(from->error);
    }
    for (size_t token = 0; textgen_json_item(&list.text, &entry); token++) {
        TEXTGEN_TRY(check(from, vocabulary_key, read_entry(&entry, token, vocabulary, &used)));
    }
    vocabulary->nodes = used < UINT32_MAX - FIRST_BYTES
                            ? textgen_allocate(arena, FIRST_BYTES + used, sizeof *vocabulary->nodes)
                            : NULL;
    if (!vocabulary->nodes) {
        return textgen_out_of_memory(from->error);
    }
    uint32_t nodes = FIRST_BYTES;
    bool valid = vocabulary->level != TEXTGEN_BYTE_LEVEL || has_bytes(vocabulary);
    for (size_t i = 0; i < FIRST_BYTES; i++) {
        vocabulary->nodes[i].token = -1;
    }
    for (size_t token = 0; token < count; token++) {
        const textgen_view symbol = vocabulary->symbols[token];
        valid = valid && (!symbol.size || add_symbol(vocabulary->nodes, &nodes, symbol, token));
    }
    return check(from, vocabulary_key, valid);
}

static int32_t read_normalization(const reader *from) {
    static const char key[] = "textgen.normalization";
    static const char *const names[] = {"lowercase", "unicode"};
    static const char *const forms[] = {"NFC", "NFD", "NFKC", "NFKD"};
    textgen_json object, values[2];
    TEXTGEN_TRY(read_value(from, key, &object));
    bool valid = textgen_json_members(&object, names, 2, values);
    from->vocabulary->lowercase = values[0].kind == TEXTGEN_JSON_TRUE;
    valid = valid && (values[0].kind == TEXTGEN_JSON_TRUE || values[0].kind == TEXTGEN_JSON_FALSE);
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        if (textgen_json_is(&values[1], forms[i])) {
            from->vocabulary->unicode = forms[i];
        }
    }
    /* The text of a missing value is NULL. */
    return check(
        from, key,
        valid && (from->vocabulary->unicode || (values[1].kind == TEXTGEN_JSON_NULL && values[1].text.data)));
}

/* Check that the prompts are texts that can be encoded without the unknown symbol. */
static int32_t check_prompts(const reader *from) {
    static const char key[] = "textgen.prompts";
    textgen_json prompts, prompt;
    TEXTGEN_TRY(read_value(from, key, &prompts));
    /* Decoded, no text is longer than its JSON text. */
    char *buffer = textgen_allocate(from->file->arena, prompts.text.size + 1, 1);
    if (!buffer) {
        return textgen_out_of_memory(from->error);
    }
    bool valid = prompts.kind == TEXTGEN_JSON_ARRAY;
    while (valid && textgen_json_item(&prompts.text, &prompt)) {
        textgen_view text = {(const unsigned char *)buffer, 0};
        size_t size = 0;
        valid = textgen_json_utf8(&prompt, buffer, &text.size) && text.size > 0;
        while (valid && from->vocabulary->level != TEXTGEN_BYTE_LEVEL && text.size > 0) {
            valid = match_symbol(from->vocabulary, text, &size) >= 0;
            text = (textgen_view){text.data + size, text.size - size};
        }
    }
    textgen_release(buffer);
    return check(from, key, valid);
}

static int32_t read_records(const reader *from) {
    static const char *const kinds[] = {"lines", "blank"};
    const bool has_records = from->vocabulary->special.begin >= 0;
    size_t index;
    if (!has_records && !has_key(from, records_key)) {
        return TEXTGEN_OK;
    }
    TEXTGEN_TRY(read_name(from, records_key, kinds, 2, &index));
    from->vocabulary->records = kinds[index];
    return check(from, records_key, has_records);
}

static bool is_null_or(const textgen_json *value, textgen_json_kind kind) {
    return value->kind == TEXTGEN_JSON_NULL || value->kind == kind;
}

/* Check what only files with 8-bit weights have. */
static int32_t check_quantization(const reader *from) {
    enum { BITS, LOSS, FLOAT32_LOSS, TEXT, FIELDS };
    static const char *const names[FIELDS] = {"bits", "loss", "float32_loss", "text"};
    textgen_json object, fields[FIELDS];
    int64_t bits = 0;
    if (!has_key(from, quantization_key)) {
        return TEXTGEN_OK;
    }
    TEXTGEN_TRY(read_value(from, quantization_key, &object));
    textgen_json_members(&object, names, FIELDS, fields);
    const bool valid = textgen_json_integer(&fields[BITS], &bits) &&
                       is_null_or(&fields[LOSS], TEXTGEN_JSON_NUMBER) &&
                       is_null_or(&fields[FLOAT32_LOSS], TEXTGEN_JSON_NUMBER) &&
                       is_null_or(&fields[TEXT], TEXTGEN_JSON_OBJECT);
    return valid && bits != 8 ? fail_newer(from, quantization_key) : check(from, quantization_key, valid);
}

static int32_t read_all(const reader *from, size_t size) {
    static const char training_key[] = "textgen.training";
    textgen_json training;
    TEXTGEN_TRY(read_symbols(from, size));
    TEXTGEN_TRY(read_normalization(from));
    TEXTGEN_TRY(check_prompts(from));
    TEXTGEN_TRY(read_value(from, training_key, &training));
    TEXTGEN_TRY(check(from, training_key, training.kind == TEXTGEN_JSON_OBJECT));
    TEXTGEN_TRY(read_records(from));
    return check_quantization(from);
}

int32_t textgen_vocabulary_create(const textgen_onnx *file, size_t size, textgen_vocabulary **vocabulary,
                                  textgen_error *error) {
    *vocabulary = textgen_allocate(file->arena, 1, sizeof **vocabulary);
    const reader from = {file, *vocabulary, error};
    return *vocabulary ? read_all(&from, size) : textgen_out_of_memory(error);
}

int64_t textgen_vocabulary_find_entry(const textgen_vocabulary *vocabulary, const textgen_json *entry) {
    char text[6 * TEXTGEN_MAX_WORD * TEXTGEN_UTF8_BYTES];
    textgen_view symbol = {(const unsigned char *)text, 0};
    size_t offset = 0;
    if (entry->text.size > sizeof text || !textgen_json_utf8(entry, text, &symbol.size) || !symbol.size) {
        return -1;
    }
    if (vocabulary->level != TEXTGEN_BYTE_LEVEL) {
        return textgen_vocabulary_find(vocabulary, symbol);
    }
    /* The entry of a byte is the character of its number. */
    const int32_t character = textgen_utf8_next(symbol, &offset);
    return offset == symbol.size && character <= 0xFF ? character : -1;
}

int32_t textgen_encode_known(const textgen_vocabulary *vocabulary, textgen_encoder *encoder, int64_t *token,
                             textgen_error *error) {
    const textgen_view text = {(const unsigned char *)encoder->text, encoder->size};
    const bool bytes = vocabulary->level == TEXTGEN_BYTE_LEVEL;
    const bool has_mark = !bytes && text.size >= 3 && memcmp(text.data, "\xEF\xBB\xBF", 3) == 0;
    const size_t start = encoder->offset == 0 && has_mark ? 3 : encoder->offset;
    size_t end = start, matched = 0;
    if (start >= text.size) {
        return 0;
    }
    encoder->start = start;
    if (bytes) {
        *token = text.data[encoder->offset++];
        return 1;
    }
    const int32_t character = textgen_utf8_next(text, &end);
    if (character < 0) {
        return textgen_report_at(error, TEXTGEN_INVALID_UTF8, "text", (int64_t)start, "is not valid UTF-8");
    }
    if (character == '\r') {
        end += end < text.size && text.data[end] == '\n';
        *token = textgen_vocabulary_find(vocabulary, textgen_view_of("\n"));
    } else {
        *token = match_symbol(vocabulary, (textgen_view){text.data + start, text.size - start}, &matched);
        end = *token < 0 ? end : start + matched;
    }
    encoder->offset = end;
    return 1;
}

int32_t textgen_encode_next(const textgen_vocabulary *vocabulary, textgen_encoder *encoder, int64_t *token,
                            textgen_error *error) {
    const textgen_view text = {(const unsigned char *)encoder->text, encoder->size};
    const int32_t result = textgen_encode_known(vocabulary, encoder, token, error);
    if (result <= 0 || *token >= 0) {
        return result;
    }
    *token = vocabulary->special.unknown;
    if (*token >= 0) {
        return 1;
    }
    char shown[TEXTGEN_UTF8_BYTES + 1] = "";
    size_t end = encoder->start;
    const int32_t character = textgen_utf8_next(text, &end);
    const bool is_control = character < ' ' || (character >= 0x7F && character < 0xA0);
    memcpy(shown, text.data + encoder->start, is_control ? 0 : end - encoder->start);
    return textgen_report_at(error, TEXTGEN_UNKNOWN_CHARACTER, "text", (int64_t)encoder->start,
                             "has '%s' (U+%04X), which is not in the vocabulary", shown, (unsigned)character);
}

size_t textgen_decode_token(const textgen_vocabulary *vocabulary, int64_t token, char *text) {
    if (token < 0 || (uint64_t)token >= vocabulary->count) {
        return 0;
    }
    const textgen_view symbol = vocabulary->symbols[(size_t)token];
    if (symbol.size > 0) {
        memcpy(text, symbol.data, symbol.size);
    }
    return symbol.size;
}
