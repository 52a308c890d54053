#include "metadata.h"

#include "utf8.h"
#include "vocabulary.h"

/* The newest supported format. */
enum { MAX_FORMAT = 2 };

/* The supported number of bits of quantized weights. */
enum { QUANTIZED_BITS = 8 };

static const char format_key[] = "textgen.format";
static const char level_key[] = "textgen.level";
static const char normalization_key[] = "textgen.normalization";
static const char training_key[] = "textgen.training";
static const char quantization_key[] = "textgen.quantization";

int32_t textgen_metadata_read(const textgen_onnx *file, const char *key, textgen_json *value,
                              const textgen_error *error) {
    char formatted[2][TEXTGEN_NUMBER_SIZE];
    const textgen_view text = textgen_onnx_property(file, key);
    if (text.data == NULL) {
        return textgen_fail(error, TEXTGEN_DAMAGED_MODEL,
                            "the metadata '%s' is missing: export the model again", key);
    }
    if (text.size > TEXTGEN_MAX_METADATA_LENGTH &&
        !textgen_view_is(textgen_view_of(key), TEXTGEN_VOCABULARY_KEY)) {
        const size_t length = textgen_utf8_length(text);
        if (length > TEXTGEN_MAX_METADATA_LENGTH) {
            return textgen_fail(error, TEXTGEN_DAMAGED_MODEL,
                                "the metadata '%s' has %s characters; at most %s are supported", key,
                                textgen_format_number(length, formatted[0]),
                                textgen_format_number(TEXTGEN_MAX_METADATA_LENGTH, formatted[1]));
        }
    }
    if (!textgen_json_read(text, value)) {
        return textgen_fail(error, TEXTGEN_DAMAGED_MODEL,
                            "the metadata '%s' is not valid JSON: export the model again", key);
    }
    return TEXTGEN_OK;
}

int32_t textgen_metadata_format(const textgen_onnx *file, int64_t *format, const textgen_error *error) {
    char quoted[TEXTGEN_QUOTE_SIZE];
    textgen_json value;
    if (textgen_onnx_property(file, format_key).data == NULL) {
        return textgen_fail(error, TEXTGEN_DAMAGED_MODEL,
                            "not a text generator: the ONNX file has no '%s' metadata", format_key);
    }
    const int32_t code = textgen_metadata_read(file, format_key, &value, error);
    if (code != TEXTGEN_OK) {
        return code;
    }
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

int32_t textgen_format_check(const textgen_onnx *file, const textgen_error *error) {
    int64_t format;
    return textgen_metadata_format(file, &format, error);
}

int32_t textgen_metadata_level(const textgen_onnx *file, textgen_level *level, const textgen_error *error) {
    char quoted[TEXTGEN_QUOTE_SIZE];
    textgen_json value;
    const int32_t code = textgen_metadata_read(file, level_key, &value, error);
    if (code != TEXTGEN_OK) {
        return code;
    }
    for (int i = 0; i < TEXTGEN_LEVELS; i++) {
        if (textgen_json_is(&value, textgen_level_names[i])) {
            *level = (textgen_level)i;
            return TEXTGEN_OK;
        }
    }
    return textgen_fail(error, TEXTGEN_NEWER_FORMAT,
                        "the metadata '%s' is %s, but this version supports only 'character', 'byte', 'word': "
                        "upgrade textgen-onnx",
                        level_key, textgen_json_quote(&value, quoted));
}

/* Read the name of a normal form, or null. Return false for any other value. */
static bool read_form(const textgen_json *value, const char **unicode) {
    static const char *const forms[] = {"NFC", "NFD", "NFKC", "NFKD"};
    *unicode = NULL;
    for (size_t i = 0; i < sizeof(forms) / sizeof(*forms); i++) {
        if (textgen_json_is(value, forms[i])) {
            *unicode = forms[i];
        }
    }
    return *unicode != NULL || value->kind == TEXTGEN_JSON_NULL;
}

int32_t textgen_metadata_normalization(const textgen_onnx *file, bool *lowercase, const char **unicode,
                                       const textgen_error *error) {
    char quoted[TEXTGEN_QUOTE_SIZE];
    textgen_json object;
    textgen_json key;
    textgen_json value;
    bool has_lowercase = false;
    bool has_unicode = false;
    const int32_t code = textgen_metadata_read(file, normalization_key, &object, error);
    if (code != TEXTGEN_OK) {
        return code;
    }
    bool known = object.kind == TEXTGEN_JSON_OBJECT;
    textgen_view members = object.text;
    while (known && textgen_json_member(&members, &key, &value)) {
        /* If a key is repeated, the last value counts. */
        if (textgen_json_is(&key, "lowercase")) {
            *lowercase = value.kind == TEXTGEN_JSON_TRUE;
            has_lowercase = *lowercase || value.kind == TEXTGEN_JSON_FALSE;
        } else if (textgen_json_is(&key, "unicode")) {
            has_unicode = read_form(&value, unicode);
        } else {
            known = false;
        }
    }
    if (!known || !has_lowercase || !has_unicode) {
        return textgen_fail(error, TEXTGEN_DAMAGED_MODEL,
                            "the metadata '%s' is %s; expected a lowercase flag and a Unicode normal form: "
                            "export the model again",
                            normalization_key, textgen_json_quote(&object, quoted));
    }
    return TEXTGEN_OK;
}

int32_t textgen_metadata_check_training(const textgen_onnx *file, const textgen_error *error) {
    textgen_json training;
    const int32_t code = textgen_metadata_read(file, training_key, &training, error);
    if (code == TEXTGEN_OK && training.kind != TEXTGEN_JSON_OBJECT) {
        return textgen_fail(error, TEXTGEN_DAMAGED_MODEL,
                            "the metadata '%s' is not a JSON object: export the model again", training_key);
    }
    return code;
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

int32_t textgen_metadata_check_quantization(const textgen_onnx *file, const textgen_error *error) {
    enum { BITS, LOSS, FLOAT32_LOSS, TEXT, FIELDS };
    static const char *const names[FIELDS] = {"bits", "loss", "float32_loss", "text"};
    char quoted[TEXTGEN_QUOTE_SIZE];
    const textgen_json null = {TEXTGEN_JSON_NULL, {NULL, 0}, {NULL, 0}};
    textgen_json fields[FIELDS] = {null, null, null, null};
    textgen_json object;
    textgen_json key;
    textgen_json value;
    int64_t bits;
    if (textgen_onnx_property(file, quantization_key).data == NULL) {
        return TEXTGEN_OK;
    }
    const int32_t code = textgen_metadata_read(file, quantization_key, &object, error);
    if (code != TEXTGEN_OK) {
        return code;
    }
    textgen_view members = object.text;
    while (object.kind == TEXTGEN_JSON_OBJECT && textgen_json_member(&members, &key, &value)) {
        for (size_t i = 0; i < FIELDS; i++) {
            /* If a key is repeated, the last value counts. */
            fields[i] = textgen_json_is(&key, names[i]) ? value : fields[i];
        }
    }
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
