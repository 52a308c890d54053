#include "special.h"

#include "metadata.h"

/* The first format with special tokens. */
enum { SPECIAL_TOKENS_FORMAT = 2, NAMES = 3 };

static const char special_key[] = "textgen.special";
static const char records_key[] = "textgen.records";
static const char *const names[NAMES] = {"unknown", "begin", "end"};

/* Find the values of the tokens. If a key is repeated, its last value counts. */
static int32_t read_values(const textgen_onnx *file, textgen_json values[NAMES], const textgen_error *error) {
    char quoted[TEXTGEN_QUOTE_SIZE];
    textgen_json special;
    textgen_json key;
    textgen_json value;
    const int32_t code = textgen_metadata_read(file, special_key, &special, error);
    if (code != TEXTGEN_OK) {
        return code;
    }
    bool known = special.kind == TEXTGEN_JSON_OBJECT;
    textgen_view members = special.text;
    while (known && textgen_json_member(&members, &key, &value)) {
        known = false;
        for (size_t i = 0; i < NAMES; i++) {
            if (textgen_json_is(&key, names[i])) {
                values[i] = value;
                known = true;
            }
        }
    }
    return known ? TEXTGEN_OK
                 : textgen_fail(error, TEXTGEN_NEWER_FORMAT,
                                "the metadata '%s' is %s, but this version supports only 'unknown', 'begin', "
                                "'end': upgrade textgen-onnx",
                                special_key, textgen_json_quote(&special, quoted));
}

/* Check the tokens against each other. */
static int32_t check_tokens(const textgen_special *special, size_t entries, const textgen_error *error) {
    const int64_t tokens[NAMES] = {special->unknown, special->begin, special->end};
    size_t count = 0;
    bool differ = true;
    for (size_t i = 0; i < NAMES; i++) {
        count += tokens[i] >= 0;
        for (size_t j = 0; j < i; j++) {
            differ = differ && (tokens[i] < 0 || tokens[i] != tokens[j]);
        }
    }
    const char *problem = !differ                                      ? "the special tokens must differ"
                          : (special->begin < 0) != (special->end < 0) ? "begin and end must be given together"
                                                                       : NULL;
    if (problem != NULL) {
        return textgen_fail(error, TEXTGEN_DAMAGED_MODEL, "the metadata '%s': %s: export the model again",
                            special_key, problem);
    }
    if (count == entries) {
        return textgen_fail(error, TEXTGEN_DAMAGED_MODEL,
                            "the vocabulary has only special tokens: no text can be generated");
    }
    return TEXTGEN_OK;
}

int32_t textgen_metadata_special(const textgen_onnx *file, size_t entries, textgen_special *special,
                                 const textgen_error *error) {
    char quoted[TEXTGEN_QUOTE_SIZE];
    int64_t format;
    int64_t *const tokens[NAMES] = {&special->unknown, &special->begin, &special->end};
    const textgen_json null = {TEXTGEN_JSON_NULL, {NULL, 0}, {NULL, 0}};
    textgen_json values[NAMES] = {null, null, null};
    special->unknown = special->begin = special->end = -1;
    int32_t code = textgen_metadata_format(file, &format, error);
    if (code != TEXTGEN_OK || textgen_onnx_property(file, special_key).data == NULL ||
        format < SPECIAL_TOKENS_FORMAT) {
        return code;
    }
    code = read_values(file, values, error);
    if (code != TEXTGEN_OK) {
        return code;
    }
    for (size_t i = 0; i < NAMES; i++) {
        if (values[i].kind != TEXTGEN_JSON_NULL && (!textgen_json_integer(&values[i], tokens[i]) ||
                                                    *tokens[i] < 0 || (uint64_t)*tokens[i] >= entries)) {
            return textgen_fail(error, TEXTGEN_DAMAGED_MODEL,
                                "the metadata '%s' has the token %s for '%s', but the vocabulary has %zu "
                                "entries: export the model again",
                                special_key, textgen_json_quote(&values[i], quoted), names[i], entries);
        }
    }
    return check_tokens(special, entries, error);
}

int32_t textgen_metadata_records(const textgen_onnx *file, const textgen_special *special, const char **records,
                                 const textgen_error *error) {
    static const char *const kinds[] = {"lines", "blank"};
    char quoted[TEXTGEN_QUOTE_SIZE];
    textgen_json value;
    *records = NULL;
    if (special->begin < 0 && textgen_onnx_property(file, records_key).data == NULL) {
        return TEXTGEN_OK;
    }
    const int32_t code = textgen_metadata_read(file, records_key, &value, error);
    if (code != TEXTGEN_OK) {
        return code;
    }
    for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
        if (textgen_json_is(&value, kinds[i])) {
            *records = kinds[i];
        }
    }
    textgen_json_quote(&value, quoted);
    if (*records == NULL) {
        return textgen_fail(
            error, TEXTGEN_NEWER_FORMAT,
            "the metadata '%s' is %s, but this version supports only 'lines', 'blank': upgrade textgen-onnx",
            records_key, quoted);
    }
    if (special->begin < 0) {
        return textgen_fail(
            error, TEXTGEN_DAMAGED_MODEL,
            "the metadata '%s' is %s, but '%s' has no 'begin' and 'end': export the model again", records_key,
            quoted, special_key);
    }
    return TEXTGEN_OK;
}
