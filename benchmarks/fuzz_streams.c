#include "fuzz_streams.h"

#include "fuzz_changes.h"
#include "text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    LENGTH = 3,
    MAX_CHANGES = 4,
    MAX_STATES = 4,
    LISTED_SYMBOLS = 6, /* tokens of a vocabulary that a table lists */
    RESUMED = 4,        /* times that a stream is saved */
    HEADER_BYTES = 104  /* of a saved stream: see saved.c */
};

/* The parameters of a stream. The caller releases them. */
typedef struct {
    textgen_sampling sampling;
    textgen_constraint *constraint;
    textgen_spans *spans;
} control;

static void release(control *chosen) {
    textgen_constraint_destroy(chosen->constraint);
    textgen_spans_destroy(chosen->spans);
}

/* Whether drawing may fail: the logits are wrong, or the parameters forbid every token. */
static bool is_draw_error(int32_t code) { return code == TEXTGEN_INVALID_LOGITS || code == TEXTGEN_NO_TOKEN; }

bool is_line(const char *line) {
    const size_t length = strlen(line);
    return length > 0 && length < ERROR_SIZE - 1 && strcspn(line, "\n\r\t\x1b") == length;
}

/* Append a symbol as a JSON string. At level byte, bytes stand for the characters up to U+00FF. */
static void append_key(content *table, const char *symbol, size_t size, bool is_bytes) {
    char escaped[8];
    append(table, "\"", 1);
    for (size_t i = 0; i < size; i++) {
        const unsigned char byte = (unsigned char)symbol[i];
        if (byte < 0x20 || byte == '"' || byte == '\\' || (is_bytes && byte >= 0x80)) {
            snprintf(escaped, sizeof(escaped), "\\u%04x", byte);
            append(table, escaped, strlen(escaped));
        } else {
            append(table, &symbol[i], 1);
        }
    }
    append(table, "\":", 2);
}

/* Append a state of a table: whether a text may end there, and where some of the first or last tokens lead. */
static void append_state(content *table, const textgen_model *model, const textgen_model_info *info,
                         size_t states) {
    static const char *const beginnings[] = {"{\"accepting\":false,\"next\":{",
                                             "{\"accepting\":true,\"next\":{"};
    const char *beginning = beginnings[below(2)];
    char *symbol = malloc(info->symbol_bytes + 1), target[8];
    bool any = false;
    append(table, beginning, strlen(beginning));
    for (size_t i = 0; symbol != NULL && i < LISTED_SYMBOLS; i++) {
        const size_t size = textgen_model_get_symbol(model, (int64_t)i, symbol);
        if (size > 0 && below(2) == 0) {
            append(table, ",", any);
            append_key(table, symbol, size, strcmp(info->level, "byte") == 0);
            snprintf(target, sizeof(target), "%zu", below(states));
            append(table, target, strlen(target));
            any = true;
        }
    }
    append(table, "}}", 2);
    free(symbol);
}

/* Create a constraint of a random table, which may be damaged. Return false if it is not as textgen.h
 * describes. */
static bool choose_constraint(const textgen_model *model, const textgen_model_info *info,
                              textgen_constraint **constraint, char *error) {
    content table = {NULL, 0, 0};
    const size_t states = 1 + below(MAX_STATES);
    append(&table, "{\"states\":[", 11);
    for (size_t i = 0; i < states; i++) {
        append(&table, ",", i > 0);
        append_state(&table, model, info, states);
    }
    append(&table, "]}", 2);
    if (below(4) == 0) {
        change(&table);
    }
    const int32_t code =
        textgen_constraint_create(model, table.data, table.size, NULL, 0, constraint, error, ERROR_SIZE);
    free(table.data);
    return code == TEXTGEN_OK || (code == TEXTGEN_INVALID_ARGUMENT && is_line(error));
}

/* Create the spans of a corpus. Return false if they are not as textgen.h describes. */
static bool choose_spans(const textgen_model *model, textgen_spans **spans, char *error) {
    static const char *const corpora[] = {"", "abab\r\nbabb", "aaaaaaa aab", "\xC3\xA9xa\xFF", "a b a b ba"};
    const char *corpus = corpora[below(5)];
    const int32_t code =
        textgen_spans_create(model, corpus, strlen(corpus), 1 + below(4), NULL, 0, spans, error, ERROR_SIZE);
    return code == TEXTGEN_OK || (code == TEXTGEN_INVALID_UTF8 && is_line(error));
}

/* Turn random filters on. */
static void choose_filters(textgen_sampling *sampling) {
    const double probabilities[] = {0.0, 1e-300, 0.5, 0.9, 1.0};
    sampling->temperature = probabilities[below(5)] * 2.0;
    if (below(2) == 0) {
        sampling->repetition_penalty = probabilities[below(5)] * 100.0;
        sampling->frequency_penalty = probabilities[below(5)] - 0.5;
        sampling->penalty_window = below(8);
    }
    if (below(3) == 0) {
        sampling->mirostat_tau = 1.0 + probabilities[below(5)];
        return;
    }
    sampling->top_k = below(4);
    sampling->typical_p = probabilities[below(5)];
    sampling->top_p = probabilities[below(5)];
    sampling->min_p = probabilities[below(5)];
}

/* Choose parameters, with a constraint, or with spans and with stop texts that may be outside the vocabulary.
 */
static bool choose_control(const textgen_model *model, const textgen_model_info *info, control *chosen,
                           char *error) {
    static const char *const stop[] = {"a",     "ab",        "\xC3\xA9", "\xFF",
                                       "b\r\n", " \xC4\x80", "aaaaab",   "babababa"};
    *chosen = (control){TEXTGEN_SAMPLING_DEFAULT, NULL, NULL};
    chosen->sampling.seed = random_bits();
    choose_filters(&chosen->sampling);
    if (below(3) == 0) {
        const bool right = choose_constraint(model, info, &chosen->constraint, error);
        chosen->sampling.constraint = chosen->constraint;
        return right;
    }
    chosen->sampling.stop_count = below(3);
    chosen->sampling.stop = stop + below(7);
    chosen->sampling.keep_stop = below(2);
    chosen->sampling.min_length = info->records == NULL ? 0 : below(3);
    if (below(2) == 0) {
        const bool right = choose_spans(model, &chosen->spans, error);
        chosen->sampling.spans = chosen->spans;
        return right;
    }
    return true;
}

/* Create a stream. Stop texts outside the vocabulary are left out. */
static bool start(void *memory, size_t needed, const textgen_model *model, control *chosen,
                  textgen_stream **stream, char *error) {
    const textgen_sampling *sampling = &chosen->sampling;
    const int32_t code = textgen_stream_init(memory, needed, model, sampling, stream, error, ERROR_SIZE);
    if ((code != TEXTGEN_UNKNOWN_CHARACTER && code != TEXTGEN_INVALID_UTF8) || !is_line(error)) {
        return code == TEXTGEN_OK;
    }
    chosen->sampling.stop_count = 0;
    return textgen_stream_init(memory, needed, model, sampling, stream, error, ERROR_SIZE) == TEXTGEN_OK;
}

/* Feed texts, of which only unknown characters may be refused. `*fed`: whether any was fed. */
static bool feed(textgen_stream *stream, bool *fed, char *error) {
    static const char *const prompts[] = {
        "a", "b", "abc\r\n", "\xF0\x90\x80\x80\xF0\x90\x80\x81", "\xC3\xA9", " \xC4\x80\xC4\x81 \xC4\x80"};
    *fed = false;
    for (size_t i = 0; i < sizeof(prompts) / sizeof(*prompts); i++) {
        const int32_t code = textgen_stream_feed(stream, prompts[i], strlen(prompts[i]), error, ERROR_SIZE);
        *fed = *fed || code == TEXTGEN_OK;
        if (code != TEXTGEN_OK && (code != TEXTGEN_UNKNOWN_CHARACTER || !is_line(error))) {
            return false;
        }
    }
    return true;
}

/* Generate, and append the text. The next call also writes what this one holds back. */
static int32_t generate(textgen_stream *stream, content *text, char *error) {
    const size_t size = textgen_stream_text_size(stream, LENGTH);
    char *buffer = malloc(size);
    size_t written = 0;
    int32_t code = TEXTGEN_OUT_OF_MEMORY;
    if (buffer != NULL) {
        code = textgen_stream_generate(stream, LENGTH, buffer, size, &written, error, ERROR_SIZE);
        append(text, buffer, written);
    }
    free(buffer);
    return code;
}

/* Generate, through the end of a record. Only draws can fail. */
static bool generate_records(textgen_stream *stream, bool fed, const textgen_model_info *info, char *error) {
    content text = {NULL, 0, 0};
    int32_t code = generate(stream, &text, error);
    if (textgen_stream_ending(stream) == TEXTGEN_REACHED_END) {
        code = textgen_stream_feed(stream, NULL, 0, error, ERROR_SIZE);
        fed = true;
    }
    if (code == TEXTGEN_OK) {
        code = generate(stream, &text, error);
    }
    free(text.data);
    const bool fails = is_draw_error(code) || (code == TEXTGEN_NO_PROMPT && !fed && info->records == NULL);
    return code == TEXTGEN_OK || (fails && is_line(error));
}

/* Whether two streams go on alike, several times. After damage, whether one of them only fails as it may. */
static bool go_on(textgen_stream *stream, textgen_stream *resumed, bool is_damaged, char *error) {
    content text = {NULL, 0, 0}, same = {NULL, 0, 0};
    bool right = true;
    for (int i = 0; right && i < 3; i++) {
        const int32_t code = generate(resumed, &same, error);
        const bool fails =
            is_draw_error(code) || code == TEXTGEN_NO_PROMPT || (is_damaged && code == TEXTGEN_RNG_EXHAUSTED);
        right = (code == TEXTGEN_OK || (fails && is_line(error))) &&
                (is_damaged || code == generate(stream, &text, error));
    }
    right = right && (is_damaged || (text.size == same.size &&
                                     (text.size == 0 || memcmp(text.data, same.data, text.size) == 0)));
    free(text.data);
    free(same.data);
    return right;
}

/* Whether a stream can be used, whose memory another one could not be resumed into. */
static bool go_on_alone(textgen_stream *stream, char *error) {
    content text = {NULL, 0, 0};
    bool right = true;
    for (int i = 0; right && i < 2; i++) {
        const int32_t code = generate(stream, &text, error);
        right = code == TEXTGEN_OK || ((is_draw_error(code) || code == TEXTGEN_NO_PROMPT) && is_line(error));
        const int32_t fed = textgen_stream_feed(stream, "a", 1, error, ERROR_SIZE);
        right = right && (fed == TEXTGEN_OK || fed == TEXTGEN_UNKNOWN_CHARACTER);
    }
    free(text.data);
    return right;
}

/* Replace a number at the start of the block of a saved stream, or change any bytes. */
static void damage(content *saved) {
    static const int64_t numbers[] = {-1, 0, 1, 2, 3, 5, TEXTGEN_MAX_HELD, INT32_MAX, INT64_MAX, INT64_MIN};
    const size_t offset = HEADER_BYTES + 8 * below(sizeof(textgen_text) / 8);
    if (below(2) == 0 && offset + 8 <= saved->size) {
        memcpy(saved->data + offset, &numbers[below(sizeof(numbers) / 8)], 8);
    } else {
        change(saved);
    }
}

/* Save a stream, damage the data, and go on with what can be resumed, with its parameters or with others, in
 * the memory of a copy. If it is refused, go on with the copy. A stream whose logits are wrong is not saved. */
static bool resume(textgen_stream *stream, const control *own, const textgen_model *model,
                   const textgen_model_info *info, char *error) {
    control other = {TEXTGEN_SAMPLING_DEFAULT, NULL, NULL};
    content saved = {NULL, 0, 0};
    const size_t size = textgen_stream_saved_size(stream), needed = textgen_stream_size(model);
    const size_t changes = below(MAX_CHANGES);
    const bool is_own = below(4) > 0;
    void *data = malloc(size), *memory = malloc(needed);
    textgen_stream *resumed = NULL, *copy;
    int32_t code = data == NULL || memory == NULL ? TEXTGEN_OUT_OF_MEMORY
                                                  : textgen_stream_save(stream, data, size, error, ERROR_SIZE);
    bool right =
        code == TEXTGEN_INVALID_LOGITS
            ? is_line(error)
            : code == TEXTGEN_OK && (is_own || (choose_control(model, info, &other, error) &&
                                                start(memory, needed, model, &other, &resumed, error)));
    if (right && code == TEXTGEN_OK) {
        append(&saved, data, size);
        for (size_t i = 0; i < changes; i++) {
            damage(&saved);
        }
        right = textgen_stream_copy(stream, memory, needed, &copy, error, ERROR_SIZE) == TEXTGEN_OK;
        code = textgen_stream_resume(memory, needed, model, is_own ? &own->sampling : &other.sampling,
                                     saved.data, saved.size, &resumed, error, ERROR_SIZE);
        const bool is_refused =
            (code == TEXTGEN_DAMAGED_SAVED || code == TEXTGEN_NEWER_FORMAT) && is_line(error);
        right =
            right && (code == TEXTGEN_OK ? go_on(stream, resumed, changes > 0 || !is_own, error)
                                         : is_refused && (changes > 0 || !is_own) && go_on_alone(copy, error));
    }
    release(&other);
    free(saved.data);
    free(data);
    free(memory);
    return right;
}

bool run_streams(const textgen_model *model, const textgen_model_info *info, char *error) {
    const size_t needed = textgen_stream_size(model);
    void *memory = malloc(needed);
    textgen_stream *stream = NULL;
    control chosen = {TEXTGEN_SAMPLING_DEFAULT, NULL, NULL};
    bool fed = false;
    bool right = memory != NULL && choose_control(model, info, &chosen, error) &&
                 start(memory, needed, model, &chosen, &stream, error) && feed(stream, &fed, error) &&
                 generate_records(stream, fed, info, error);
    for (int i = 0; right && i < RESUMED; i++) {
        right = resume(stream, &chosen, model, info, error);
    }
    release(&chosen);
    free(memory);
    return right;
}
