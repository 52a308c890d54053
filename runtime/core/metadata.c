#include "metadata.h"

#include "utf8.h"
#include "vocabulary.h"

/* The newest supported format, and the first one with special tokens. */
enum { MAX_FORMAT = 2, SPECIAL_TOKENS_FORMAT = 2 };

/* The supported number of bits of quantized weights. */
enum { QUANTIZED_BITS = 8 };

enum { UNKNOWN, BEGIN, END, SPECIAL_TOKENS };

static const char format_key[] = "textgen.format";
static const char level_key[] = "textgen.level";
static const char normalization_key[] = "textgen.normalization";
static const char training_key[] = "textgen.training";
static const char special_key[] = "textgen.special";
static const char records_key[] = "textgen.records";
static const char quantization_key[] = "textgen.quantization";

static bool has_key(const textgen_onnx *file, const char *key) { return textgen_onnx_property(file, key).data; }

int32_t textgen_metadata_read(const textgen_onnx *file, const char *key, textgen_json *value,
                              textgen_error *error) {
    char formatted[2][TEXTGEN_NUMBER_SIZE];
    if (!has_key(file, key)) {
        return textgen_fail(error, TEXTGEN_DAMAGED_MODEL,
                            "the metadata '%s' is missing: export the model again", key);
    }
    const textgen_view text = textgen_onnx_property(file, key);
    const size_t length = text.size > TEXTGEN_MAX_METADATA_LENGTH ? textgen_utf8_length(text) : 0;
    if (length > TEXTGEN_MAX_METADATA_LENGTH &&
        !textgen_view_is(textgen_view_of(key), TEXTGEN_VOCABULARY_KEY)) {
        return textgen_fail(error, TEXTGEN_DAMAGED_MODEL,
                            "the metadata '%s' has %s characters; at most %s are supported", key,
                            textgen_format_number(length, formatted[0]),
                            textgen_format_number(TEXTGEN_MAX_METADATA_LENGTH, formatted[1]));
    }
    return textgen_json_read(text, value)
               ? TEXTGEN_OK
               : textgen_fail(error, TEXTGEN_DAMAGED_MODEL,
                              "the metadata '%s' is not valid JSON: export the model again", key);
}

int32_t textgen_metadata_format(const textgen_onnx *file, int64_t *format, textgen_error *error) {
    char quoted[TEXTGEN_QUOTE_SIZE];
    textgen_json value;
    if (!has_key(file, format_key)) {
        return textgen_fail(error, TEXTGEN_DAMAGED_MODEL,
                            "not a text generator: the ONNX file has no '%s' metadata", format_key);
    }
    TEXTGEN_TRY(textgen_metadata_read(file, format_key, &value, error));
    textgen_json_quote(&value, quoted);
    if (!textgen_json_integer(&value, format) || *format < 1) {
        return textgen_fail(error, TEXTGEN_DAMAGED_MODEL,
                            "the metadata '%s' is %s; expected a format number: export the model again",
                            format_key, quoted);
    }
    if (*format > MAX_FORMAT) {
        return textgen_fail(
            error, TEXTGEN_NEWER_FORMAT,
            "the file has format %s, but this version supports formats up to %d: upgrade textgen-onnx", quoted,
            MAX_FORMAT);
    }
    return TEXTGEN_OK;
}

int32_t textgen_format_check(const textgen_onnx *file, textgen_error *error) {
    int64_t format;
    return textgen_metadata_format(file, &format, error);
}

/* Read a value of a key that is one of `count` names. supported: the names, for the message. */
static int32_t read_name(const textgen_onnx *file, const char *key, const char *const *names, size_t count,
                         const char *supported, size_t *index, textgen_error *error) {
    char quoted[TEXTGEN_QUOTE_SIZE];
    textgen_json value;
    TEXTGEN_TRY(textgen_metadata_read(file, key, &value, error));
    for (*index = 0; *index < count; ++*index) {
        if (textgen_json_is(&value, names[*index])) {
            return TEXTGEN_OK;
        }
    }
    return textgen_fail(error, TEXTGEN_NEWER_FORMAT,
                        "the metadata '%s' is %s, but this version supports only %s: upgrade textgen-onnx", key,
                        textgen_json_quote(&value, quoted), supported);
}

int32_t textgen_metadata_level(const textgen_onnx *file, textgen_level *level, textgen_error *error) {
    size_t index;
    TEXTGEN_TRY(read_name(file, level_key, textgen_level_names, TEXTGEN_LEVELS, "'character', 'byte', 'word'",
                          &index, error));
    *level = (textgen_level)index;
    return TEXTGEN_OK;
}

/* Check the special tokens against each other. */
static int32_t check_tokens(const textgen_special *special, size_t entries, textgen_error *error) {
    const int64_t tokens[SPECIAL_TOKENS] = {special->unknown, special->begin, special->end};
    size_t count = 0;
    bool differ = true;
    for (size_t i = 0; i < SPECIAL_TOKENS; i++) {
        count += tokens[i] >= 0;
        for (size_t j = 0; j < i; j++) {
            differ = differ && (tokens[i] < 0 || tokens[i] != tokens[j]);
        }
    }
    if (!differ || (special->begin < 0) != (special->end < 0)) {
        return textgen_fail(error, TEXTGEN_DAMAGED_MODEL, "the metadata '%s': %s: export the model again",
                            special_key,
                            differ ? "begin and end must be given together" : "the special tokens must differ");
    }
    return count == entries
               ? textgen_fail(
                     error, TEXTGEN_DAMAGED_MODEL,
                     "the vocabulary has only special tokens, which make no text: export the model again")
               : TEXTGEN_OK;
}

int32_t textgen_metadata_special(const textgen_onnx *file, size_t entries, textgen_special *special,
                                 textgen_error *error) {
    static const char *const names[SPECIAL_TOKENS] = {"unknown", "begin", "end"};
    char quoted[TEXTGEN_QUOTE_SIZE];
    int64_t format, *const tokens[SPECIAL_TOKENS] = {&special->unknown, &special->begin, &special->end};
    textgen_json object, values[SPECIAL_TOKENS];
    special->unknown = special->begin = special->end = -1;
    TEXTGEN_TRY(textgen_metadata_format(file, &format, error));
    if (!has_key(file, special_key) || format < SPECIAL_TOKENS_FORMAT) {
        return TEXTGEN_OK;
    }
    TEXTGEN_TRY(textgen_metadata_read(file, special_key, &object, error));
    if (!textgen_json_members(&object, names, SPECIAL_TOKENS, values)) {
        return textgen_fail(error, TEXTGEN_NEWER_FORMAT,
                            "the metadata '%s' is %s, but this version supports only 'unknown', 'begin', "
                            "'end': upgrade textgen-onnx",
                            special_key, textgen_json_quote(&object, quoted));
    }
    for (size_t i = 0; i < SPECIAL_TOKENS; i++) {
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
                                 textgen_error *error) {
    static const char *const kinds[] = {"lines", "blank"};
    size_t index;
    *records = NULL;
    if (special->begin < 0 && !has_key(file, records_key)) {
        return TEXTGEN_OK;
    }
    TEXTGEN_TRY(read_name(file, records_key, kinds, 2, "'lines', 'blank'", &index, error));
    *records = kinds[index];
    if (special->begin < 0) {
        return textgen_fail(
            error, TEXTGEN_DAMAGED_MODEL,
            "the metadata '%s' is '%s', but '%s' has no 'begin' and 'end': export the model again", records_key,
            *records, special_key);
    }
    return TEXTGEN_OK;
}

/* Read the name of a normal form, or null. Return false for any other value. */
static bool read_form(const textgen_json *value, const char **unicode) {
    static const char *const forms[] = {"NFC", "NFD", "NFKC", "NFKD"};
    *unicode = NULL;
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        *unicode = textgen_json_is(value, forms[i]) ? forms[i] : *unicode;
    }
    return *unicode || (value->kind == TEXTGEN_JSON_NULL && value->text.data);
}

int32_t textgen_metadata_normalization(const textgen_onnx *file, bool *lowercase, const char **unicode,
                                       textgen_error *error) {
    static const char *const names[] = {"lowercase", "unicode"};
    char quoted[TEXTGEN_QUOTE_SIZE];
    textgen_json object, values[2];
    TEXTGEN_TRY(textgen_metadata_read(file, normalization_key, &object, error));
    const bool known = textgen_json_members(&object, names, 2, values);
    *lowercase = values[0].kind == TEXTGEN_JSON_TRUE;
    const bool has_lowercase = *lowercase || values[0].kind == TEXTGEN_JSON_FALSE;
    if (!read_form(&values[1], unicode) || !known || !has_lowercase) {
        return textgen_fail(error, TEXTGEN_DAMAGED_MODEL,
                            "the metadata '%s' is %s; expected a lowercase flag and a Unicode normal form: "
                            "export the model again",
                            normalization_key, textgen_json_quote(&object, quoted));
    }
    return TEXTGEN_OK;
}

int32_t textgen_metadata_check_training(const textgen_onnx *file, textgen_error *error) {
    textgen_json training;
    TEXTGEN_TRY(textgen_metadata_read(file, training_key, &training, error));
    return training.kind == TEXTGEN_JSON_OBJECT
               ? TEXTGEN_OK
               : textgen_fail(error, TEXTGEN_DAMAGED_MODEL,
                              "the metadata '%s' is not a JSON object: export the model again", training_key);
}

/* Whether a value is a number that a float64 can hold, or null. */
static bool is_loss(const textgen_json *value) {
    int64_t integer;
    if (value->kind != TEXTGEN_JSON_NUMBER || !textgen_json_integer(value, &integer)) {
        return value->kind == TEXTGEN_JSON_NUMBER || value->kind == TEXTGEN_JSON_NULL;
    }
    /* Only integers may have more digits than a float64. */
    return integer < INT64_MAX && integer > -INT64_MAX;
}

int32_t textgen_metadata_check_quantization(const textgen_onnx *file, textgen_error *error) {
    enum { BITS, LOSS, FLOAT32_LOSS, TEXT, FIELDS };
    static const char *const names[FIELDS] = {"bits", "loss", "float32_loss", "text"};
    char quoted[TEXTGEN_QUOTE_SIZE];
    textgen_json object, fields[FIELDS];
    int64_t bits;
    if (!has_key(file, quantization_key)) {
        return TEXTGEN_OK;
    }
    TEXTGEN_TRY(textgen_metadata_read(file, quantization_key, &object, error));
    textgen_json_members(&object, names, FIELDS, fields);
    const bool has_bits = textgen_json_integer(&fields[BITS], &bits);
    if (has_bits && bits != QUANTIZED_BITS) {
        return textgen_fail(
            error, TEXTGEN_NEWER_FORMAT,
            "the metadata '%s' has %s bits, but this version supports only %d: upgrade textgen-onnx",
            quantization_key, textgen_json_quote(&fields[BITS], quoted), QUANTIZED_BITS);
    }
    const bool has_text = fields[TEXT].kind == TEXTGEN_JSON_OBJECT || fields[TEXT].kind == TEXTGEN_JSON_NULL;
    if (has_bits && has_text && is_loss(&fields[LOSS]) && is_loss(&fields[FLOAT32_LOSS])) {
        return TEXTGEN_OK;
    }
    return textgen_fail(error, TEXTGEN_DAMAGED_MODEL,
                        "the metadata '%s' is %s; expected %s: quantize the model again", quantization_key,
                        textgen_json_quote(&object, quoted),
                        has_bits ? "two losses and a text, or null" : "an object with a number of bits");
}
