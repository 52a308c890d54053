#include "metadata.h"

#include "utf8.h"
#include "vocabulary.h"

/* Format 2 has special tokens. */
enum { FORMAT = 2 };

static const char format_key[] = "textgen.format";
static const char level_key[] = "textgen.level";
static const char special_key[] = "textgen.special";
static const char normalization_key[] = "textgen.normalization";
static const char training_key[] = "textgen.training";

int32_t textgen_metadata_read(const textgen_onnx *file, const char *key, textgen_json *value,
                              const textgen_error *error) {
    char counted[2][TEXTGEN_COUNTED];
    const textgen_view text = textgen_onnx_property(file, key);
    if (text.data == NULL) {
        return textgen_fail(error, TEXTGEN_DAMAGED_MODEL, "its metadata lacks '%s': export it again", key);
    }
    if (text.size > TEXTGEN_LONGEST_METADATA &&
        !textgen_view_is(textgen_view_of(key), TEXTGEN_VOCABULARY_KEY)) {
        const size_t length = textgen_utf8_length(text);
        if (length > TEXTGEN_LONGEST_METADATA) {
            return textgen_fail(
                error, TEXTGEN_DAMAGED_MODEL, "its metadata '%s' has %s characters, and at most %s are read",
                key, textgen_count(length, counted[0]), textgen_count(TEXTGEN_LONGEST_METADATA, counted[1]));
        }
    }
    if (!textgen_json_read(text, value)) {
        return textgen_fail(error, TEXTGEN_DAMAGED_MODEL, "its metadata '%s' is not JSON: export it again",
                            key);
    }
    return TEXTGEN_OK;
}

static int32_t read_format(const textgen_onnx *file, int64_t *format, const textgen_error *error) {
    char quoted[TEXTGEN_QUOTED];
    textgen_json value;
    if (textgen_onnx_property(file, format_key).data == NULL) {
        return textgen_fail(error, TEXTGEN_DAMAGED_MODEL,
                            "it is an ONNX file but no text generator: it has no '%s' metadata", format_key);
    }
    const int32_t code = textgen_metadata_read(file, format_key, &value, error);
    if (code != TEXTGEN_OK) {
        return code;
    }
    textgen_json_quote(&value, quoted);
    if (!textgen_json_integer(&value, format) || *format < 1) {
        return textgen_fail(error, TEXTGEN_DAMAGED_MODEL, "its metadata '%s' is %s, not a format number",
                            format_key, quoted);
    }
    if (*format > FORMAT) {
        return textgen_fail(error, TEXTGEN_NEWER_FORMAT,
                            "it is of format %s, and this version reads format %d: upgrade textgen-onnx",
                            quoted, FORMAT);
    }
    return TEXTGEN_OK;
}

int32_t textgen_format_check(const textgen_onnx *file, const textgen_error *error) {
    int64_t format;
    return read_format(file, &format, error);
}

int32_t textgen_metadata_check_level(const textgen_onnx *file, const textgen_error *error) {
    char quoted[TEXTGEN_QUOTED];
    textgen_json level;
    const int32_t code = textgen_metadata_read(file, level_key, &level, error);
    if (code == TEXTGEN_OK && !textgen_json_is(&level, "character")) {
        return textgen_fail(error, TEXTGEN_NEWER_FORMAT,
                            "%s is %s, and this version reads 'character': upgrade textgen-onnx", level_key,
                            textgen_json_quote(&level, quoted));
    }
    return code;
}

int32_t textgen_metadata_unknown(const textgen_onnx *file, size_t entries, int64_t *unknown,
                                 const textgen_error *error) {
    char quoted[TEXTGEN_QUOTED];
    int64_t format;
    textgen_json special;
    textgen_json key;
    textgen_json value;
    *unknown = -1;
    int32_t code = read_format(file, &format, error);
    if (code != TEXTGEN_OK || textgen_onnx_property(file, special_key).data == NULL || format < FORMAT) {
        return code;
    }
    code = textgen_metadata_read(file, special_key, &special, error);
    if (code != TEXTGEN_OK) {
        return code;
    }
    bool known = special.kind == TEXTGEN_JSON_OBJECT;
    /* The last of equal keys counts. */
    textgen_json token = {TEXTGEN_JSON_NULL, {NULL, 0}, {NULL, 0}};
    textgen_view members = special.text;
    while (known && textgen_json_member(&members, &key, &value)) {
        known = textgen_json_is(&key, "unknown");
        token = value;
    }
    if (!known) {
        return textgen_fail(error, TEXTGEN_NEWER_FORMAT,
                            "its metadata '%s' is %s, and this version reads 'unknown' alone: upgrade "
                            "textgen-onnx",
                            special_key, textgen_json_quote(&special, quoted));
    }
    if (token.kind == TEXTGEN_JSON_NULL) {
        return TEXTGEN_OK;
    }
    /* A model that knows nothing else could draw nothing. */
    if (!textgen_json_integer(&token, unknown) || *unknown < 0 || (uint64_t)*unknown >= entries ||
        entries == 1) {
        return textgen_fail(error, TEXTGEN_DAMAGED_MODEL,
                            "its metadata '%s' has the unknown symbol at %s, and its vocabulary has %zu "
                            "entries",
                            special_key, textgen_json_quote(&token, quoted), entries);
    }
    return TEXTGEN_OK;
}

/* Whether a value names a normal form, or is null. */
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
    char quoted[TEXTGEN_QUOTED];
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
        /* The last of equal keys counts. */
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
                            "its metadata '%s' is %s, which this version does not read", normalization_key,
                            textgen_json_quote(&object, quoted));
    }
    return TEXTGEN_OK;
}

int32_t textgen_metadata_check_training(const textgen_onnx *file, const textgen_error *error) {
    textgen_json training;
    const int32_t code = textgen_metadata_read(file, training_key, &training, error);
    if (code == TEXTGEN_OK && training.kind != TEXTGEN_JSON_OBJECT) {
        return textgen_fail(error, TEXTGEN_DAMAGED_MODEL, "its metadata '%s' is not an object", training_key);
    }
    return code;
}
