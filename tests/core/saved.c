/* Tests saved streams: saved MODEL RECORDS OTHER CHANGES. The vocabularies contain "abc". RECORDS is a model of
 * records, OTHER another model with the vocabulary of MODEL. CHANGES is the number of changes of each byte.
 *
 *     saved MODEL
 *
 * This writes a saved stream with filters and held text to the standard output.
 *
 * That resumed streams go on exactly is tested in endings.c. */
#include "check.h"

#include <math.h>

/* Where the numbers of saved data are: those of the header, and those of the block behind its parameters and
 * the four of the random numbers. All are little-endian. */
enum { FORMAT_AT = 8, MODEL_AT = 16, CONSTRAINT_AT = 48, COUNT_AT = 80, DESCRIPTION_AT = 88, HEADER = 96 };
enum { PARAMETERS = 12, NUMBERS = 11, BLOCK = HEADER + (PARAMETERS + 4) * 8 };
enum { STATE = HEADER + (PARAMETERS + NUMBERS) * 8, MOST_TOKENS = 300 };
enum { TOP_K = 5, MIN_LENGTH = 11 }; /* numbers of parameters */
enum { FILTERED, IS_FED, ENDING, SINCE_FEED, CONSTRAINT_STATE, HELD, RECENT };

static const textgen_sampling defaults = TEXTGEN_SAMPLING_DEFAULT;

/* A stream, what it is saved to, in a buffer of exactly its size, and what resuming it needs. */
typedef struct {
    const textgen_model *model;
    textgen_sampling sampling;
    textgen_stream *stream;
    unsigned char *data;
    size_t size;
} saved_stream;

static unsigned char *save(const textgen_stream *stream, const char *description, size_t *size) {
    const textgen_memory data = new_memory(*size = textgen_stream_saved_size(stream, strlen(description)));
    CHECK_OK(textgen_stream_save(stream, description, strlen(description), data, &error));
    return data.data;
}

/* Resume a stream in memory of exactly its size. Return the code. The caller frees the stream. */
static int32_t resume(const saved_stream *saved, const void *data, size_t size, textgen_stream **stream) {
    const textgen_memory memory = new_memory(textgen_stream_size(saved->model));
    memset(&error, 0, sizeof error);
    *stream = NULL;
    const int32_t code =
        textgen_stream_resume(memory, saved->model, &saved->sampling, data, size, stream, &error);
    CHECK((code == TEXTGEN_OK) == (*stream != NULL) && code == error.code);
    if (code < 0) {
        free(memory.data);
    }
    return code;
}

/* Return the code of resuming data. What a stream is resumed from is what it saves, and it can be used. */
static int32_t code_of(const saved_stream *saved, const void *data, size_t size) {
    textgen_stream *stream;
    const int32_t code = resume(saved, data, size, &stream);
    if (code == TEXTGEN_OK) {
        size_t again_size;
        unsigned char *again = save(stream, "", &again_size);
        CHECK(again_size == size && !memcmp(again, data, size));
        char *text = allocate(textgen_stream_text_size(stream, 3));
        (void)textgen_stream_generate(stream, 3, text, textgen_stream_text_size(stream, 3), &size, work, NULL);
        free(text), free(again), free(stream);
    }
    return code;
}

/* Draw tokens, and save the stream. */
static saved_stream run(const textgen_model *model, const textgen_sampling *sampling, const char *prompt,
                        size_t length) {
    saved_stream made = {.model = model, .sampling = defaults, .stream = start_with(model, sampling, prompt)};
    size_t written;
    if (length) {
        free(generate(made.stream, length, &written));
    }
    made.data = save(made.stream, "", &made.size);
    made.sampling.stop = sampling->stop;
    made.sampling.stop_count = sampling->stop_count;
    made.sampling.constraint = sampling->constraint;
    made.sampling.spans = sampling->spans;
    return made;
}

static void release(saved_stream *saved) { free(saved->stream), free(saved->data); }

/* A stream that holds "a" back, and has all kinds of filters. */
static saved_stream run_everything(const textgen_model *model, double *bias) {
    static const char *const stop[] = {"ab"};
    textgen_sampling sampling = {.temperature = 1.2,
                                 .repetition_penalty = 1.1,
                                 .frequency_penalty = 0.2,
                                 .penalty_window = 7,
                                 .mirostat_tau = 2.0,
                                 .stop = stop,
                                 .stop_count = 1,
                                 .logit_bias = bias};
    saved_stream made = {0};
    do {
        release(&made);
        sampling.seed++;
        made = run(model, &sampling, "abc", 12);
    } while (!textgen_stream_get_info(made.stream).held);
    return made;
}

static void write_number(unsigned char *bytes, uint64_t number) {
    for (int i = 0; i < 8; i++) {
        bytes[i] = (unsigned char)(number >> 8 * i);
    }
}

/* The data may lie at any address, and have a description. */
static void check_description(const saved_stream *saved) {
    static const char text[] = "{\"prompt\": \"abc\"}";
    const void *description;
    size_t size, described;
    textgen_stream *resumed;
    unsigned char *data = save(saved->stream, text, &size), *moved = allocate(size + 1);
    memcpy(moved + 1, data, size);
    CHECK_OK(textgen_saved_description(moved + 1, size, &description, &described, &error));
    CHECK(described == strlen(text) && !memcmp(description, text, described));
    CHECK_OK(resume(saved, moved + 1, size, &resumed));
    CHECK_OK(textgen_saved_description(saved->data, saved->size, &description, &described, &error));
    CHECK(described == 0);
    free(data), free(moved), free(resumed);
}

/* A parameter that a text was saved without has its default. */
static void check_missing_parameter(const saved_stream *saved) {
    unsigned char *data = allocate(saved->size);
    const size_t size = saved->size - 8, last = HEADER + (PARAMETERS - 1) * 8;
    textgen_stream *resumed;
    memcpy(data, saved->data, last);
    memcpy(data + last, saved->data + last + 8, size - last);
    write_number(data + COUNT_AT, PARAMETERS - 1);
    CHECK_OK(resume(saved, data, size, &resumed));
    check_same_text(saved->stream, resumed);
    free(data), free(resumed);
}

/* ---- Wrong data ---- */

/* Return the code of resuming with another number. */
static int32_t code_with(const saved_stream *saved, size_t at, uint64_t number) {
    unsigned char right[8];
    memcpy(right, saved->data + at, 8);
    write_number(saved->data + at, number);
    const int32_t code = code_of(saved, saved->data, saved->size);
    memcpy(saved->data + at, right, 8);
    return code;
}

/* The verdict on numbers of the header, and on the limits of those of the block. */
static void check_verdicts(saved_stream *plain, saved_stream *constrained, saved_stream *everything) {
    enum { DAMAGED = TEXTGEN_DAMAGED_SAVED };
    const struct {
        const saved_stream *saved;
        size_t at;
        uint64_t number;
        int32_t code;
    } cases[] = {
        {plain, 0, 0, DAMAGED},
        {plain, FORMAT_AT, 1, DAMAGED},
        {plain, FORMAT_AT, 3, TEXTGEN_NEWER_FORMAT},
        {plain, MODEL_AT, 0, TEXTGEN_OTHER_SAVED},
        {plain, CONSTRAINT_AT + 24, 1, TEXTGEN_OTHER_SAVED},
        {plain, COUNT_AT, PARAMETERS + 1, TEXTGEN_NEWER_FORMAT},
        {constrained, BLOCK + CONSTRAINT_STATE * 8, 2, TEXTGEN_OK},
        {constrained, BLOCK + CONSTRAINT_STATE * 8, 3, DAMAGED},
        {constrained, BLOCK + ENDING * 8, TEXTGEN_CONSTRAINT_END, TEXTGEN_OK},
        {constrained, HEADER + MIN_LENGTH * 8, 1, DAMAGED},
        {plain, HEADER + MIN_LENGTH * 8, 1, DAMAGED},
        /* Mirostat replaces the truncations, so that no text has both. */
        {everything, HEADER + TOP_K * 8, 3, DAMAGED},
    };
    static const struct {
        size_t number;
        uint64_t low, high; /* of a text without stop texts, constraint, spans and filters that was fed */
    } ranges[] = {
        {FILTERED, 0, 0}, {IS_FED, 0, 1},          {ENDING, 0, 2}, {HELD, 0, 0}, {SINCE_FEED, 0, INT64_MAX / 2},
        {RECENT, 0, 0},   {CONSTRAINT_STATE, 0, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        CHECK(code_with(cases[i].saved, cases[i].at, cases[i].number) == cases[i].code);
    }
    for (uint64_t size = 1; size; size *= 2) {
        CHECK(code_with(plain, DESCRIPTION_AT, size) == DAMAGED);
        CHECK(code_with(plain, DESCRIPTION_AT, 0 - size) == DAMAGED);
    }
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++) {
        const uint64_t low = ranges[i].low, high = ranges[i].high;
        const uint64_t values[] = {
            low, high, low - 1, high + 1, (uint64_t)1 << 63, high + ((uint64_t)1 << 32), high | 1 << 16};
        for (size_t j = 0; j < sizeof values / sizeof *values; j++) {
            CHECK(code_with(plain, BLOCK + ranges[i].number * 8, values[j]) ==
                  (values[j] - low <= high - low ? TEXTGEN_OK : DAMAGED));
        }
    }
    /* As many tokens as there is room for, all zeros. */
    for (size_t count = 1023; count < 1026; count++) {
        const size_t size = plain->size + count * 4;
        unsigned char *data = memset(allocate(size), 0, size);
        textgen_stream *stream;
        memcpy(data, plain->data, plain->size);
        write_number(data + BLOCK + HELD * 8, count);
        CHECK(resume(plain, data, size, &stream) == (count <= 1024 ? TEXTGEN_OK : DAMAGED));
        free(data), free(stream);
    }
}

/* Change each byte of the header and of the numbers, and some of the rest. */
static void check_changed_bytes(const saved_stream *saved, size_t changes) {
    static const unsigned char masks[] = {0x01, 0x10, 0x80, 0xFF};
    uint64_t state = saved->size;
    size_t refused = 0;
    for (size_t i = 0; i < saved->size; i += i < STATE ? 1 : 1 + random_up_to(&state, 40)) {
        for (size_t change = 0; change < changes; change++) {
            const unsigned char mask = masks[(i + change) % sizeof masks];
            saved->data[i] ^= mask;
            const int32_t code = code_of(saved, saved->data, saved->size);
            CHECK(code == TEXTGEN_OK || code == TEXTGEN_DAMAGED_SAVED || code == TEXTGEN_NEWER_FORMAT ||
                  code == TEXTGEN_OTHER_SAVED);
            refused += code < 0;
            saved->data[i] ^= mask;
        }
    }
    CHECK(refused >= HEADER * changes);
}

/* Each number of the state and the logits must be one, and the data must have its size. */
static void check_numbers_and_sizes(const saved_stream *saved, size_t count) {
    static const unsigned char wrong[][4] = {{0, 0, 0xC0, 0x7F}, {0, 0, 0x80, 0x7F}};
    for (size_t i = 0; i < count; i++) {
        unsigned char *number = saved->data + STATE + i * 4, right[4];
        memcpy(right, number, 4);
        memcpy(number, wrong[i % 2], 4);
        CHECK(code_of(saved, saved->data, saved->size) == TEXTGEN_DAMAGED_SAVED);
        memcpy(number, right, 4);
    }
    for (size_t size = 0; size < saved->size + 9; size++) {
        unsigned char *part = memset(allocate(size), 0, size);
        const void *description;
        size_t described;
        memcpy(part, saved->data, size < saved->size ? size : saved->size);
        CHECK((code_of(saved, part, size) == TEXTGEN_OK) == (size == saved->size));
        CHECK((textgen_saved_description(part, size, &description, &described, &error) == TEXTGEN_OK) ==
              (size >= STATE));
        free(part);
    }
}

static void check_other(const saved_stream *saved, const loaded *other, const textgen_constraint *constraint) {
    saved_stream changed = *saved;
    textgen_stream *stream = NULL;
    changed.sampling.constraint = constraint;
    CHECK(code_of(&changed, saved->data, saved->size) == TEXTGEN_OTHER_SAVED);
    changed.sampling.constraint = NULL;
    changed.model = other->model;
    CHECK(code_of(&changed, saved->data, saved->size) == TEXTGEN_OTHER_SAVED);
    const textgen_memory memory = new_memory(saved->size), small = {memory.data, saved->size - 1};
    const textgen_memory place = {memory.data, textgen_stream_size(saved->model) - 1};
    CHECK_REFUSES(textgen_stream_resume(place, saved->model, NULL, saved->data, saved->size, &stream, &error),
                  TEXTGEN_BUFFER_TOO_SMALL, "memory", -1);
    CHECK_REFUSES(textgen_stream_save(saved->stream, NULL, 0, small, &error), TEXTGEN_BUFFER_TOO_SMALL, "data",
                  -1);
    CHECK(textgen_stream_saved_size(saved->stream, SIZE_MAX - 50) == 0);
    CHECK_INVALID(textgen_stream_save(saved->stream, "", SIZE_MAX - 50, memory, &error), "data", -1);
    textgen_stream_get_info(saved->stream).logits[0] = NAN;
    CHECK_FAILS(textgen_stream_save(saved->stream, NULL, 0, memory, &error), TEXTGEN_INVALID_LOGITS);
    free(memory.data);
}

int main(int count, char **arguments) {
    static const char table[] =
        "{\"states\": [{\"accepting\": false, \"next\": {\"a\": 1, \"b\": 0}},"
        " {\"accepting\": false, \"next\": {\"b\": 2}}, {\"accepting\": true, \"next\": {}}]}";
    /* With more than the other languages accept. */
    double bias[MOST_TOKENS] = {0.5, count == 2 ? 0.0 : -1000.0};
    CHECK(count == 2 || count == 5);
    loaded model = load(arguments[1], NULL);
    saved_stream everything = run_everything(model.model, bias);
    if (count == 2) {
        CHECK(fwrite(everything.data, 1, everything.size, stdout) == everything.size);
        release(&everything), unload(&model);
        return 0;
    }
    loaded records = load(arguments[2], NULL), other = load(arguments[3], NULL);
    textgen_constraint *constraint;
    textgen_spans *spans;
    CHECK_OK(textgen_constraint_create(model.model, table, sizeof table - 1, NULL, 0, &constraint, &error));
    CHECK_OK(textgen_spans_create(model.model, "abcabd", 6, 2, &spans, &error));
    const textgen_sampling with_spans = {.spans = spans}, constraining = {.constraint = constraint};
    const textgen_sampling warm = {.temperature = 1.0};
    saved_stream plain = run(model.model, &defaults, "abc", 3), empty = run(model.model, &defaults, "abc", 0);
    saved_stream spanned = run(model.model, &with_spans, "abc", 30);
    saved_stream constrained = run(model.model, &constraining, "abc", 1);
    saved_stream ended = run(records.model, &warm, NULL, 60);
    CHECK(textgen_stream_get_info(ended.stream).ending == TEXTGEN_REACHED_END);
    saved_stream *const all[] = {&everything, &plain, &empty, &spanned, &constrained, &ended};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        CHECK_OK(code_of(all[i], all[i]->data, all[i]->size));
        check_changed_bytes(all[i], strtoul(arguments[4], NULL, 10));
    }
    check_description(&everything);
    check_verdicts(&plain, &constrained, &everything);
    const size_t numbers = model.info->state_values + model.info->vocabulary;
    check_numbers_and_sizes(&plain, numbers);
    /* The first token that is held back is none of the vocabulary. */
    everything.data[STATE + numbers * 4 + 1] = 1;
    CHECK(code_of(&everything, everything.data, everything.size) == TEXTGEN_DAMAGED_SAVED);
    check_missing_parameter(&plain);
    check_other(&empty, &other, constraint);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        release(all[i]);
    }
    textgen_spans_destroy(spans);
    textgen_constraint_destroy(constraint);
    unload(&model), unload(&records), unload(&other);
    return 0;
}
