#include "warnings.h"

#include "../handles.h"
#include "../utf8.h"
#include "../vocabulary.h"
#include "output.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* MAX_ITEM: bytes of a character in quotes, its code point and a comma. */
enum { MAX_LISTED = 10, MAX_ITEM = 32 };

/* One bit for each character. */
typedef unsigned char character_set[TEXTGEN_CODE_POINTS / 8];

static bool is_unknown(const textgen_model *model, int64_t token) {
    return token >= 0 && token == textgen_vocabulary_special(model->vocabulary)->unknown;
}

/* Count the characters of a text that are encoded as the unknown symbol, and add each to `seen`. Return 0 if
 * the text cannot be encoded. */
static size_t count_unknown(const textgen_model *model, content prompt, character_set seen) {
    const textgen_view text = {(const unsigned char *)prompt.data, prompt.size};
    const textgen_error none = {NULL, 0};
    textgen_encoder encoder = {prompt.data, prompt.size, 0};
    int64_t token;
    int32_t result;
    size_t count = 0;
    while ((result = textgen_encode_next(model->vocabulary, &encoder, &token, &none)) > 0) {
        if (is_unknown(model, token)) {
            /* The symbol stands for one character. */
            size_t start = encoder.offset - 1;
            int32_t code;
            while ((text.data[start] & 0xC0) == 0x80) {
                start--;
            }
            code = textgen_utf8_next(text, &start);
            seen[code / 8] |= (unsigned char)(1 << code % 8);
            count++;
        }
    }
    return result ? 0 : count;
}

/* List the first characters in the order of their code points. */
static void list_characters(const character_set seen, char *list, size_t size) {
    char quoted[TEXTGEN_QUOTE_SIZE], bytes[TEXTGEN_UTF8_BYTES];
    size_t used = 0, found = 0;
    uint32_t code;
    for (code = 0; code < TEXTGEN_CODE_POINTS; code++) {
        if ((seen[code / 8] >> code % 8 & 1) && found++ < MAX_LISTED) {
            const textgen_view character = {(const unsigned char *)bytes, textgen_utf8_write(code, bytes)};
            used += (size_t)snprintf(list + used, size - used, "%s%s (U+%04lX)", used ? ", " : "",
                                     textgen_quote(character, quoted), (unsigned long)code);
        }
    }
    if (found > MAX_LISTED) {
        snprintf(list + used, size - used, " and %zu more", found - MAX_LISTED);
    }
}

void warn_unknown(const textgen_model *model, content prompt) {
    char number[TEXTGEN_NUMBER_SIZE], list[(MAX_LISTED + 1) * MAX_ITEM];
    /* Static, because the system gives memory only to the parts that are used. */
    static character_set seen;
    const bool has_unknown = textgen_vocabulary_special(model->vocabulary)->unknown >= 0;
    const size_t count = has_unknown ? count_unknown(model, prompt, seen) : 0;
    if (count) {
        list_characters(seen, list, sizeof list);
        warn("%s prompt %s outside the vocabulary and %s fed as the unknown symbol: %s",
             textgen_format_number(count, number), count > 1 ? "characters are" : "character is",
             count > 1 ? "were" : "was", list);
    }
}

/* Whether a stop text can be generated. Warn about others. */
static bool is_possible(const textgen_model *model, const char *stop) {
    char quoted[TEXTGEN_QUOTE_SIZE];
    const textgen_error none = {NULL, 0};
    textgen_encoder encoder = {stop, strlen(stop), 0};
    int64_t token = -1;
    int32_t result = 1;
    while (result > 0 && !is_unknown(model, token)) {
        result = textgen_encode_next(model->vocabulary, &encoder, &token, &none);
    }
    if (result) {
        warn("the stop text %s has characters outside the vocabulary: it has no effect",
             textgen_quote(textgen_view_of(stop), quoted));
    }
    return !result;
}

void keep_possible_stops(const textgen_model *model, const textgen_model_info *info, command_options *options) {
    size_t i, kept = 0;
    for (i = 0; i < options->stop_count; i++) {
        if (info->lowercase && strcmp(info->level, "byte")) {
            make_lowercase(options->stops[i], strlen(options->stops[i]));
        }
        if (is_possible(model, options->stops[i])) {
            options->stops[kept++] = options->stops[i];
        }
    }
    options->stop_count = kept;
    options->sampling.stop = (const char *const *)options->stops;
    options->sampling.stop_count = kept;
    options->sampling.keep_stop = options->keep_stop;
}
