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

/* Where the numbers of saved data are: those of the header, and those of the block behind its parameters. All
 * are little-endian. */
enum { FORMAT_AT = 8, MODEL_AT = 16, CONSTRAINT_AT = 48, COUNT_AT = 80, DESCRIPTION_AT = 88, SIZE_AT = 96 };
enum {
    HEADER = 104,
    PARAMETERS = 12,
    NUMBERS = 18,
    COMPUTED = 48 /* bytes */,
    CONSTRAINT_STATE_AT = 120,
    HELD_AT = 128,
    MOST_TOKENS = 300
};

/* The numbers behind the parameters. Those of the random numbers before the seed are computed from it. */
static const struct {
    size_t at;
    uint64_t low, high; /* of a text without stop texts, constraint, spans and filters that was fed */
} ranges[] = {
    {64, 0, UINT32_MAX},     /* substream */
    {72, 0, INT64_MAX},      /* random numbers drawn */
    {80, 0, 0},              /* filtered: the size tells that there are no filters */
    {88, 0, 1},              /* is_fed */
    {96, 0, 3},              /* ending: neither a mismatch nor the end of a record */
    {104, 0, 0},             /* at_end: there are no records */
    {112, 0, INT64_MAX / 2}, /* since_feed */
    {120, 0, 0},             /* constraint_state */
    {128, 0, 0},             /* held: the size tells that nothing is held back */
    {136, 0, 0},             /* recent: as above */
};

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

/* Check that resuming fails, or gives a stream. Return the code. */
static int32_t code_of(const saved_stream *saved, const void *data, size_t size) {
    textgen_stream *stream;
    const int32_t code = resume(saved, data, size, &stream);
    free(stream);
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
    textgen_sampling sampling = defaults;
    saved_stream made = {0};
    sampling.temperature = 1.2;
    sampling.repetition_penalty = 1.1;
    sampling.frequency_penalty = 0.2;
    sampling.penalty_window = 7;
    sampling.mirostat_tau = 2.0;
    sampling.stop = stop;
    sampling.stop_count = 1;
    sampling.logit_bias = bias;
    do {
        release(&made);
        sampling.seed++;
        made = run(model, &sampling, "abc", 12);
    } while (!textgen_stream_get_info(made.stream).held);
    return made;
}

static uint64_t read_number(const unsigned char *bytes) {
    uint64_t number = 0;
    for (int i = 7; i >= 0; i--) {
        number = number << 8 | bytes[i];
    }
    return number;
}

static void write_number(unsigned char *bytes, uint64_t number) {
    for (int i = 0; i < 8; i++) {
        bytes[i] = (unsigned char)(number >> 8 * i);
    }
}

/* ---- Right data ---- */

/* What is resumed saves the same bytes, and goes on. */
static void check_resumed(const saved_stream *saved) {
    textgen_stream *resumed;
    size_t size;
    CHECK_OK(resume(saved, saved->data, saved->size, &resumed));
    unsigned char *again = save(resumed, "", &size);
    CHECK(size == saved->size && !memcmp(again, saved->data, size));
    textgen_stream *copy = copy_of(saved->model, saved->stream);
    feed(copy, "ab");
    feed(resumed, "ab");
    check_same_text(copy, resumed);
    free(again), free(copy), free(resumed);
}

/* The data may lie at any address, and have a description. */
static void check_description(const saved_stream *saved) {
    static const char text[] = "{\"prompt\": \"abc\"}";
    const void *description;
    size_t size, described;
    unsigned char *data = save(saved->stream, text, &size), *moved = allocate(size + 1);
    memcpy(moved + 1, data, size);
    CHECK_OK(textgen_saved_description(moved + 1, size, &description, &described, &error));
    CHECK(described == strlen(text) && !memcmp(description, text, described));
    CHECK_OK(code_of(saved, moved + 1, size));
    CHECK_OK(textgen_saved_description(saved->data, saved->size, &description, &described, &error));
    CHECK(described == 0);
    CHECK_FAILS(textgen_saved_description("{}", 2, &description, &described, &error), TEXTGEN_DAMAGED_SAVED);
    free(data), free(moved);
}

/* A parameter that a text was saved without has its default. */
static void check_missing_parameter(const saved_stream *saved) {
    unsigned char *data = allocate(saved->size);
    const size_t size = saved->size - 8, last = HEADER + (PARAMETERS - 1) * 8;
    textgen_stream *resumed;
    memcpy(data, saved->data, last);
    memcpy(data + last, saved->data + last + 8, size - last);
    write_number(data + COUNT_AT, PARAMETERS - 1);
    write_number(data + SIZE_AT, size - HEADER);
    CHECK_OK(resume(saved, data, size, &resumed));
    check_same_text(saved->stream, resumed);
    free(data), free(resumed);
}

/* ---- Wrong data ---- */

/* Numbers of the header and the verdict. */
static void check_header(const saved_stream *saved) {
    const struct {
        size_t at;
        uint64_t number;
        int32_t code;
    } cases[] = {
        {0, 0, TEXTGEN_DAMAGED_SAVED},
        {FORMAT_AT, 0, TEXTGEN_DAMAGED_SAVED},
        {FORMAT_AT, 2, TEXTGEN_NEWER_FORMAT},
        {FORMAT_AT, UINT64_MAX, TEXTGEN_NEWER_FORMAT},
        {MODEL_AT, 0, TEXTGEN_OTHER_SAVED},
        {CONSTRAINT_AT + 24, 1, TEXTGEN_OTHER_SAVED},
        {COUNT_AT, PARAMETERS - 1, TEXTGEN_DAMAGED_SAVED},
        {COUNT_AT, PARAMETERS + 1, TEXTGEN_NEWER_FORMAT},
        {DESCRIPTION_AT, 1, TEXTGEN_DAMAGED_SAVED},
        {DESCRIPTION_AT, UINT64_MAX, TEXTGEN_DAMAGED_SAVED},
        {DESCRIPTION_AT, saved->size - HEADER, TEXTGEN_DAMAGED_SAVED},
        {SIZE_AT, saved->size - HEADER + 8, TEXTGEN_DAMAGED_SAVED},
        {SIZE_AT, UINT64_MAX, TEXTGEN_DAMAGED_SAVED},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const uint64_t right = read_number(saved->data + cases[i].at);
        write_number(saved->data + cases[i].at, cases[i].number);
        CHECK(code_of(saved, saved->data, saved->size) == cases[i].code);
        write_number(saved->data + cases[i].at, right);
    }
}

/* Each number of the head has a range, within which the verdict depends on nothing else: `low` and `high` are
 * right, what is beyond is not. */
static void check_ranges(const saved_stream *saved) {
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++) {
        unsigned char *number = saved->data + HEADER + PARAMETERS * 8 + ranges[i].at;
        const uint64_t right = read_number(number);
        const uint64_t values[] = {ranges[i].low,           ranges[i].high,
                                   ranges[i].low - 1,       ranges[i].high + 1,
                                   (uint64_t)1 << 63,       ranges[i].high + ((uint64_t)1 << 32),
                                   ranges[i].high | 1 << 16};
        for (size_t j = 0; j < sizeof values / sizeof *values; j++) {
            const bool is_between = values[j] - ranges[i].low <= ranges[i].high - ranges[i].low;
            write_number(number, values[j]);
            CHECK(code_of(saved, saved->data, saved->size) ==
                  (is_between ? TEXTGEN_OK : TEXTGEN_DAMAGED_SAVED));
        }
        write_number(number, right);
    }
}

/* The limits of what depends on other parts: the room for held text, of which zeros are tokens, and the states
 * of the constraint. */
static void check_limits(const saved_stream *holding, const saved_stream *constrained, uint64_t states) {
    const struct {
        const saved_stream *saved;
        size_t at;
        uint64_t high;
    } cases[] = {{holding, HELD_AT, 1024}, {constrained, CONSTRAINT_STATE_AT, states - 1}};
    for (size_t i = 0; i < 2; i++) {
        unsigned char *number = cases[i].saved->data + HEADER + PARAMETERS * 8 + cases[i].at;
        const uint64_t right = read_number(number);
        for (uint64_t more = 0; more < 2; more++) {
            write_number(number, cases[i].high + more);
            CHECK(code_of(cases[i].saved, cases[i].saved->data, cases[i].saved->size) ==
                  (more ? TEXTGEN_DAMAGED_SAVED : TEXTGEN_OK));
        }
        write_number(number, right);
    }
}

/* Whether a byte of a block is of a number that is not computed from others. */
static bool is_own(size_t at) {
    const size_t rng = PARAMETERS * 8;
    return at < rng || (at >= rng + COMPUTED && at < rng + NUMBERS * 8);
}

/* Use a stream in each way. */
static void use(textgen_stream *stream) {
    const textgen_stream_info info = textgen_stream_get_info(stream);
    double probabilities[MOST_TOKENS];
    size_t written;
    CHECK(info.ending >= 0 && info.ending <= TEXTGEN_REACHED_END);
    const size_t size = textgen_stream_text_size(stream, 20);
    char *text = allocate(size);
    (void)textgen_stream_probabilities(stream, 1, probabilities, work, &error);
    (void)textgen_stream_generate(stream, 20, text, size, &written, work, &error);
    (void)textgen_stream_finish(stream, 0, text, size, &written, &error);
    feed(stream, "ab");
    (void)textgen_stream_generate(stream, 1, text, size, &written, work, &error);
    free(text);
}

/* Change each byte of the header and of the numbers, and some of the rest. Data is refused, or it is that of
 * the stream that it gives. */
static void check_changed_bytes(const saved_stream *saved, size_t changes) {
    static const unsigned char masks[] = {0x01, 0x10, 0x80, 0xFF};
    const size_t head = HEADER + (PARAMETERS + NUMBERS) * 8;
    uint64_t state = saved->size;
    size_t refused = 0;
    for (size_t i = 0; i < saved->size; i += i < head ? 1 : 1 + random_up_to(&state, 40)) {
        for (size_t change = 0; change < changes; change++) {
            const unsigned char mask = masks[(i + change) % sizeof masks];
            textgen_stream *stream;
            saved->data[i] ^= mask;
            if (resume(saved, saved->data, saved->size, &stream) == TEXTGEN_OK) {
                size_t size;
                unsigned char *again = save(stream, "", &size);
                CHECK(size == saved->size);
                for (size_t at = 0; at < size - HEADER; at++) {
                    CHECK(again[HEADER + at] == saved->data[HEADER + at] || !is_own(at));
                }
                use(stream);
                free(again), free(stream);
            } else {
                CHECK(error.code == TEXTGEN_DAMAGED_SAVED || error.code == TEXTGEN_NEWER_FORMAT ||
                      error.code == TEXTGEN_OTHER_SAVED);
                refused++;
            }
            saved->data[i] ^= mask;
        }
    }
    CHECK(refused >= (HEADER - 8) * changes);
}

/* Each number of the state and the logits must be one. */
static void check_numbers(const saved_stream *saved, size_t count) {
    static const unsigned char wrong[][4] = {{0, 0, 0xC0, 0x7F}, {0, 0, 0x80, 0x7F}};
    for (size_t i = 0; i < count; i++) {
        unsigned char *number = saved->data + HEADER + (PARAMETERS + NUMBERS) * 8 + i * 4, right[4];
        memcpy(right, number, 4);
        memcpy(number, wrong[i % 2], 4);
        CHECK(code_of(saved, saved->data, saved->size) == TEXTGEN_DAMAGED_SAVED);
        memcpy(number, right, 4);
    }
}

/* Parts of the data, and data with more at its end. */
static void check_sizes(const saved_stream *saved) {
    for (size_t size = 0; size < saved->size + 9; size++) {
        unsigned char *part = memset(allocate(size), 0, size);
        memcpy(part, saved->data, size < saved->size ? size : saved->size);
        CHECK((code_of(saved, part, size) == TEXTGEN_OK) == (size == saved->size));
        free(part);
    }
}

static void check_other(const saved_stream *saved, const loaded *other, const textgen_constraint *constraint) {
    saved_stream changed = *saved;
    const size_t size = textgen_stream_size(saved->model);
    const textgen_memory memory = new_memory(size + 8);
    textgen_stream *stream = NULL;
    changed.sampling.constraint = constraint;
    CHECK(code_of(&changed, saved->data, saved->size) == TEXTGEN_OTHER_SAVED);
    changed.sampling.constraint = NULL;
    changed.model = other->model;
    CHECK(code_of(&changed, saved->data, saved->size) == TEXTGEN_OTHER_SAVED);
    const textgen_memory small = {memory.data, size - 1}, moved = {(char *)memory.data + 4, size};
    CHECK_REFUSES(textgen_stream_resume(small, saved->model, NULL, saved->data, saved->size, &stream, &error),
                  TEXTGEN_BUFFER_TOO_SMALL, "memory", -1);
    CHECK_INVALID(textgen_stream_save(saved->stream, NULL, 0, moved, &error), "data", -1);
    const textgen_memory smaller = {memory.data, saved->size - 1};
    CHECK_REFUSES(textgen_stream_save(saved->stream, NULL, 0, smaller, &error), TEXTGEN_BUFFER_TOO_SMALL,
                  "data", -1);
    textgen_stream_logits(saved->stream)[0] = NAN;
    const textgen_memory enough = {memory.data, saved->size};
    CHECK_FAILS(textgen_stream_save(saved->stream, NULL, 0, enough, &error), TEXTGEN_INVALID_LOGITS);
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
    const size_t changes = strtoul(arguments[4], NULL, 10);
    textgen_sampling sampling = defaults;
    textgen_constraint *constraint;
    textgen_spans *spans;
    CHECK_OK(textgen_constraint_create(model.model, table, sizeof table - 1, NULL, 0, (textgen_memory){0},
                                       &constraint, &error));
    CHECK_OK(textgen_spans_create(model.model, "abcabd", 6, 2, (textgen_memory){0}, &spans, &error));
    saved_stream plain = run(model.model, &sampling, "abc", 3), empty = run(model.model, &sampling, "abc", 0);
    sampling.spans = spans;
    saved_stream spanned = run(model.model, &sampling, "abc", 30);
    sampling.spans = NULL;
    sampling.constraint = constraint;
    saved_stream constrained = run(model.model, &sampling, "abc", 1);
    sampling.constraint = NULL;
    sampling.temperature = 1.0;
    saved_stream ended = run(records.model, &sampling, NULL, 60);
    CHECK(textgen_stream_get_info(ended.stream).ending == TEXTGEN_REACHED_END);
    saved_stream *const all[] = {&everything, &plain, &empty, &spanned, &constrained, &ended};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        check_resumed(all[i]);
        check_changed_bytes(all[i], changes);
    }
    check_description(&everything);
    check_header(&plain);
    check_ranges(&plain);
    check_limits(&spanned, &constrained, 3);
    check_numbers(&plain, model.info->state_values + model.info->vocabulary);
    check_sizes(&plain);
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
