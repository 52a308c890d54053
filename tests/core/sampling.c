/* Tests the parameters of textgen_sampling: sampling MODEL UNKNOWN.
 *
 * The vocabulary of MODEL has 12 characters. That of UNKNOWN is "a" and a symbol for unknown characters. Prints
 * what the value of each parameter must be. */
#include "check.h"

#include "sampler.h"
#include "tables.h"

#include <math.h>

enum { TOKENS = 12, LENGTH = 300, TEXT_SIZE = LENGTH * 4 + 1 };

static const textgen_sampling defaults = TEXTGEN_SAMPLING_DEFAULT;

/* Check that parameters are refused, for a new stream and for a running one, which does not change. */
static void check_refused(const textgen_model *model, const textgen_sampling *sampling, const char *text) {
    const size_t size = textgen_stream_size(model);
    textgen_sampling filtered = defaults;
    textgen_stream *other = NULL;
    char *memory = allocate(size), before[TEXT_SIZE], after[TEXT_SIZE];
    CHECK_INVALID(textgen_stream_init(memory, size, model, sampling, &other, ERROR), text);
    CHECK(!other && memory[0] == 0x7f && !memcmp(memory, memory + 1, size - 1));
    filtered.frequency_penalty = 0.3;
    textgen_stream *stream = start_with(model, &filtered, "a");
    textgen_stream *unchanged = start_with(model, &filtered, "a");
    CHECK_INVALID(textgen_stream_set_sampling(stream, sampling, ERROR), text);
    generate_text(stream, 20, before);
    generate_text(unchanged, 20, after);
    CHECK(!strcmp(before, after));
    free(stream), free(unchanged), free(memory);
}

/* Return a sampling with one parameter, which is set by its offset. */
static textgen_sampling with(const textgen_parameter_info *parameter, double value) {
    textgen_sampling sampling = defaults;
    const bool is_whole = !strcmp(parameter->kind, "whole");
    const uint64_t whole = is_whole ? (uint64_t)value : 0;
    memcpy((char *)&sampling + parameter->offset, is_whole ? (const void *)&whole : &value, sizeof value);
    return sampling;
}

/* The parameters of a sampling, which are drawn with. MODEL has no records, which min_length needs. */
static textgen_parameters apply(const textgen_model *model, const textgen_sampling *sampling) {
    textgen_parameters applied;
    char text[TEXT_SIZE];
    CHECK_OK(textgen_parameters_read(sampling, &applied, &(textgen_error){ERROR}));
    if (!applied.min_length) {
        textgen_stream *stream = start_with(model, sampling, "a");
        generate_text(stream, LENGTH, text);
        free(stream);
    }
    return applied;
}

/* A parameter takes its limits and its default, and no number beyond. A 0 that is no value is the default. */
static void check_parameter(const textgen_model *model, const textgen_parameter_info *parameter) {
    const bool is_whole = !strcmp(parameter->kind, "whole");
    const double low = parameter->low, high = parameter->high;
    const double accepted[] = {parameter->low_is_open ? 5e-324 : low, high, parameter->initial, 0};
    const double refused[] = {is_whole ? high + 1 : high * (1 + 1e-9), is_whole ? 0x1p63 : INFINITY,
                              low < 0 ? low * (1 + 1e-9) : -5e-324, -INFINITY, NAN};
    char requirement[TEXTGEN_REQUIREMENT_SIZE], text[TEXT_SIZE];
    for (size_t i = 0; i < 4; i++) {
        const textgen_sampling sampling = with(parameter, accepted[i]);
        const textgen_parameters applied = apply(model, &sampling);
        CHECK((i == 2) <= !memcmp(&sampling, &defaults, sizeof defaults));
        CHECK((i == 3 && accepted[0] > 0) <= !memcmp(&applied, &textgen_parameters_default, sizeof applied));
    }
    textgen_parameter_requirement(parameter, requirement);
    snprintf(text, sizeof text, "%s must be %s, not ", parameter->name, requirement);
    for (size_t i = 0; i < (is_whole ? 2 : 5); i++) {
        const textgen_sampling sampling = with(parameter, refused[i]);
        check_refused(model, &sampling, text);
    }
    printf("%s: %s\n", parameter->name, requirement);
}

static void check_parameters(const textgen_model *model) {
    const textgen_parameter_info *parameter = textgen_parameter(TEXTGEN_PARAMETER_penalty_window);
    /* The blocks of the filters and of the text have room for so many tokens. */
    CHECK(parameter->high == TEXTGEN_MAX_PENALTY_WINDOW);
    for (size_t i = 0; (parameter = textgen_parameter(i)) != NULL; i++) {
        const textgen_sampling sampling = with(parameter, parameter->high);
        CHECK(strcmp(parameter->name, "max_copy") || parameter->high == TEXTGEN_MAX_COPY);
        /* The core does not apply a parameter without a field. */
        CHECK(!parameter->offset == (i >= TEXTGEN_PARAMETER_COUNT));
        if (parameter->offset) {
            check_parameter(model, parameter);
            CHECK((sampling.min_p == 1.0) == !strcmp(parameter->name, "min_p"));
            CHECK((sampling.top_k == INT32_MAX) == !strcmp(parameter->name, "top_k"));
            CHECK((apply(model, &sampling).min_p == 1.0) == !strcmp(parameter->name, "min_p"));
            CHECK((apply(model, &sampling).top_k == INT32_MAX) == !strcmp(parameter->name, "top_k"));
        }
    }
}

static void check_refusals(const textgen_model *model, const textgen_model *unknown) {
    textgen_sampling sampling = defaults, replaced[4] = {defaults, defaults, defaults, defaults};
    const char *truncations[4] = {"top_k", "typical_p", "top_p", "min_p"};
    char message[64];
    float bias[TOKENS] = {0.0f};
    sampling.struct_size = 8;
    check_refused(model, &sampling, "struct_size must be sizeof(textgen_sampling)");
    sampling = defaults;
    sampling.substream = (uint64_t)1 << 32;
    check_refused(model, &sampling, "substream must be from 0 to 2**32 - 1, not 4294967296");
    replaced[0].top_k = 1;
    replaced[1].typical_p = replaced[2].top_p = replaced[3].min_p = 0.5;
    for (size_t i = 0; i < 4; i++) {
        replaced[i].mirostat_tau = 3.0;
        snprintf(message, sizeof message, "mirostat_tau replaces %s: turn one of them off", truncations[i]);
        check_refused(model, &replaced[i], message);
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
    for (size_t i = 0; i < TOKENS; i++) {
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
    CHECK_FAILS(textgen_stream_set_sampling(stream, &sampling, ERROR), TEXTGEN_UNKNOWN_CHARACTER, "stop[1]");
    free(stream);
}

static void check_off(const textgen_model *model) {
    textgen_sampling sampling = defaults;
    float bias[TOKENS] = {0.0f};
    struct {
        textgen_sampling sampling;
    } older;
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
}

int main(int count, char **arguments) {
    CHECK(count > 2);
    loaded file = load(arguments[1], NULL);
    loaded unknown = load(arguments[2], NULL);
    check_parameters(file.model);
    check_refusals(file.model, unknown.model);
    check_unknown_stop(unknown.model);
    check_off(file.model);
    unload(&file), unload(&unknown);
    return 0;
}
