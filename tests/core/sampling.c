/* Tests the parameters of textgen_sampling: sampling MODEL UNKNOWN.
 *
 * The vocabulary of MODEL has 12 characters. That of UNKNOWN is "a" and a symbol for unknown characters. */
#include "check.h"

#include <math.h>
#include <stddef.h>

enum { TOKENS = 12, LENGTH = 300, TEXT_SIZE = LENGTH * 4 + 1 };

static const textgen_sampling defaults = TEXTGEN_SAMPLING_DEFAULT;

/* Check that parameters are refused, for a new stream and for a running one, which does not change. */
static void check_refused(const textgen_model *model, const textgen_sampling *sampling, const char *text) {
    const size_t size = textgen_stream_size(model);
    textgen_sampling filtered = defaults;
    textgen_stream *stream, *unchanged, *other = NULL;
    char *memory = allocate(size), before[TEXT_SIZE], after[TEXT_SIZE];
    CHECK_FAILS(textgen_stream_init(memory, size, model, sampling, &other, ERROR), TEXTGEN_INVALID_ARGUMENT,
                text);
    CHECK(!other && memory[0] == 0x7f && !memcmp(memory, memory + 1, size - 1));
    filtered.frequency_penalty = 0.3;
    stream = start_with(model, &filtered, "a");
    unchanged = start_with(model, &filtered, "a");
    CHECK_FAILS(textgen_stream_set_sampling(stream, sampling, ERROR), TEXTGEN_INVALID_ARGUMENT, text);
    generate_text(stream, 20, before);
    generate_text(unchanged, 20, after);
    CHECK(!strcmp(before, after));
    free(stream), free(unchanged), free(memory);
}

static void check_ranges(const textgen_model *model) {
    const struct {
        const char *name;
        size_t offset;
        double least, most;
    } fields[] = {
#define FIELD(name, least, most) {#name, offsetof(textgen_sampling, name), least, most}
        FIELD(repetition_penalty, 0, 100),
        FIELD(frequency_penalty, -100, 100),
        FIELD(presence_penalty, -100, 100),
        FIELD(typical_p, 0, 1),
        FIELD(top_p, 0, 1),
        FIELD(min_p, 0, 1),
        FIELD(mirostat_tau, 0, 100),
        FIELD(mirostat_eta, 0, 1),
    };
    char text[TEXT_SIZE];
    size_t i, j;
    for (i = 0; i < sizeof fields / sizeof *fields; i++) {
        const double refused[] = {NAN, INFINITY, fields[i].least - 1e-9, fields[i].most + 1e-9};
        const double allowed[] = {fields[i].least, fields[i].most, 1e-9};
        textgen_sampling sampling = defaults;
        for (j = 0; j < 4; j++) {
            memcpy((char *)&sampling + fields[i].offset, &refused[j], sizeof(double));
            check_refused(model, &sampling, fields[i].name);
        }
        for (j = 0; j < 3; j++) {
            textgen_stream *stream;
            memcpy((char *)&sampling + fields[i].offset, &allowed[j], sizeof(double));
            stream = start_with(model, &sampling, "a");
            generate_text(stream, LENGTH, text);
            free(stream);
        }
    }
}

static void check_refusals(const textgen_model *model, const textgen_model *unknown) {
    textgen_sampling sampling = defaults, replaced[4] = {defaults, defaults, defaults, defaults};
    float bias[TOKENS] = {0.0f};
    const double temperatures[] = {NAN, INFINITY, -INFINITY, -0.1, -1e-310};
    size_t i;
    for (i = 0; i < sizeof temperatures / sizeof *temperatures; i++) {
        sampling.temperature = temperatures[i];
        check_refused(model, &sampling, "temperature must be a finite number, 0 or more, not ");
    }
    sampling = defaults;
    sampling.struct_size = 8;
    check_refused(model, &sampling, "struct_size must be sizeof(textgen_sampling)");
    sampling = defaults;
    sampling.substream = (uint64_t)1 << 32;
    check_refused(model, &sampling, "substream must be from 0 to 2**32 - 1, not 4294967296");
    sampling = defaults;
    sampling.penalty_window = 1025;
    check_refused(model, &sampling, "penalty_window must be from 0 to 1024, not 1025");
    replaced[0].top_k = 1;
    replaced[1].typical_p = replaced[2].top_p = replaced[3].min_p = 0.5;
    for (i = 0; i < 4; i++) {
        replaced[i].mirostat_tau = 3.0;
        check_refused(model, &replaced[i],
                      "mirostat_tau replaces top_k, typical_p, top_p and min_p: set them to 0");
    }
    sampling = defaults;
    sampling.min_length = 1;
    check_refused(model, &sampling, "min_length needs a model of records");
    sampling = defaults;
    sampling.logit_bias_count = TOKENS;
    check_refused(model, &sampling, "logit_bias is NULL");
    sampling.logit_bias = bias;
    sampling.logit_bias_count = TOKENS - 1;
    check_refused(model, &sampling, "logit_bias_count must be the vocabulary size, 12, not 11");
    sampling.logit_bias_count = TOKENS;
    bias[4] = NAN;
    check_refused(model, &sampling, "logit_bias[4] must be a number or -infinity");
    bias[4] = INFINITY;
    check_refused(model, &sampling, "logit_bias[4] must be a number or -infinity, not inf");
    for (i = 0; i < TOKENS; i++) {
        bias[i] = -INFINITY;
    }
    check_refused(model, &sampling, "logit_bias forbids every character");
    /* The symbol for unknown characters is never generated. */
    sampling.logit_bias_count = 2;
    bias[0] = 0.0f;
    check_refused(unknown, &sampling, "logit_bias forbids every character");
}

/* The symbol for unknown characters is no part of a stop text. */
static void check_unknown_stop(const textgen_model *unknown) {
    const char *const stop[] = {"a", "ax"};
    textgen_stream *stream = start(unknown, 0.5, 1, 0, "a");
    textgen_sampling sampling = defaults;
    sampling.stop = stop;
    sampling.stop_count = 2;
    CHECK_FAILS(textgen_stream_set_sampling(stream, &sampling, ERROR), TEXTGEN_UNKNOWN_CHARACTER,
                "stop[1]: the character before byte 2 of the text is not in the vocabulary");
    free(stream);
}

static void check_off(const textgen_model *model) {
    textgen_sampling sampling = defaults;
    float bias[TOKENS] = {0.0f};
    struct {
        textgen_sampling sampling;
    } older;
    sampling.repetition_penalty = sampling.typical_p = sampling.top_p = 1.0;
    sampling.penalty_window = 10;
    sampling.mirostat_eta = 0.5;
    check_same_samplings(model, &sampling, &defaults);
    sampling.logit_bias = bias;
    sampling.logit_bias_count = TOKENS;
    check_same_samplings(model, &sampling, &defaults);
    /* A structure of the version without filters, with garbage after it. */
    memset(&older, 0x7f, sizeof older);
    memcpy(&older, &defaults, offsetof(textgen_sampling, repetition_penalty));
    older.sampling.struct_size = offsetof(textgen_sampling, repetition_penalty);
    check_same_samplings(model, &older.sampling, &defaults);
    /* Defaults of parameters that are 0. */
    sampling = defaults;
    sampling.repetition_penalty = 1.3;
    sampling.mirostat_tau = 2.0;
    textgen_sampling explicit = sampling;
    explicit.penalty_window = 64;
    explicit.mirostat_eta = 0.1;
    check_same_samplings(model, &sampling, &explicit);
}

int main(int count, char **arguments) {
    loaded file, unknown;
    CHECK(count > 2);
    file = load(arguments[1], NULL);
    unknown = load(arguments[2], NULL);
    check_ranges(file.model);
    check_refusals(file.model, unknown.model);
    check_unknown_stop(unknown.model);
    check_off(file.model);
    unload(&file), unload(&unknown);
    return 0;
}
