/* Tests the checks of textgen_sampling: sampling MODEL UNKNOWN RECORDS.
 *
 * The vocabulary of MODEL has 12 characters. That of UNKNOWN is a symbol for unknown characters and "a".
 * RECORDS is a model of records. Prints what the value of each parameter must be. */
#include "check.h"

#include <math.h>

enum { TOKENS = 12, PARAMETERS = 12 };

static const textgen_sampling defaults = TEXTGEN_SAMPLING_DEFAULT;

/* Check that a sampling is refused, for a new stream and for a running one, which does not change. */
static void check_refused(const textgen_model *model, const textgen_sampling *sampling, const char *parameter,
                          int64_t place) {
    const textgen_memory memory = new_memory(textgen_stream_size(model));
    textgen_stream *stream = start(model, 1.0, 1, 0, "a"), *unchanged = copy_of(model, stream), *made = NULL;
    CHECK_INVALID(textgen_stream_init(memory, model, sampling, &made, &error), parameter, place);
    CHECK(!made);
    CHECK_INVALID(textgen_stream_set_sampling(stream, sampling, &error), parameter, place);
    check_same_text(stream, unchanged);
    free(stream), free(unchanged), free(memory.data);
}

/* Return a sampling with one parameter, which is set by its offset. */
static textgen_sampling with(const textgen_parameter_info *parameter, double value) {
    textgen_sampling sampling = defaults;
    const bool is_whole = !strcmp(parameter->kind, "whole");
    const uint64_t whole = is_whole ? (uint64_t)value : 0;
    memcpy((char *)&sampling + parameter->offset, is_whole ? (const void *)&whole : &value, sizeof value);
    return sampling;
}

/* A parameter takes its limits and its default, and no number beyond. A 0 that is no value is the default. */
static void check_parameter(const textgen_model *model, const textgen_parameter_info *parameter) {
    const bool is_whole = !strcmp(parameter->kind, "whole");
    const double low = parameter->low, high = parameter->high;
    const double accepted[] = {parameter->low_is_open ? 5e-324 : low, high, parameter->initial, 0};
    const double refused[] = {is_whole ? high + 1 : high * (1 + 1e-9), is_whole ? 0x1p63 : INFINITY,
                              low < 0 ? low * (1 + 1e-9) : -5e-324, -INFINITY, NAN};
    char requirement[TEXTGEN_REQUIREMENT_SIZE];
    for (size_t i = 0; i < 4; i++) {
        const textgen_sampling sampling = with(parameter, accepted[i]);
        const bool is_default = i == 2 || (i == 3 && !textgen_parameter_accepts(parameter, 0));
        textgen_sampling applied;
        textgen_stream *stream = start_with(model, &sampling, "a");
        textgen_stream_get_sampling(stream, &applied);
        CHECK(i == 3 || textgen_parameter_accepts(parameter, accepted[i]));
        applied.logit_bias = NULL;
        CHECK(!memcmp(&applied, is_default ? &defaults : &sampling, sizeof applied));
        free(stream);
    }
    for (size_t i = 0; i < (is_whole ? 2 : 5); i++) {
        const textgen_sampling sampling = with(parameter, refused[i]);
        CHECK(!textgen_parameter_accepts(parameter, refused[i]));
        check_refused(model, &sampling, parameter->name, -1);
    }
    printf("%s: %s\n", parameter->name, textgen_parameter_requirement(parameter, requirement));
}

static void check_parameters(const textgen_model *records) {
    const textgen_parameter_info *parameter;
    for (size_t i = 0; (parameter = textgen_parameter(i)) != NULL; i++) {
        /* The core does not apply a parameter without a field. */
        CHECK(!parameter->offset == (i >= PARAMETERS));
        if (parameter->offset) {
            check_parameter(records, parameter);
        }
    }
}

/* What is wrong with a sampling. */
static void check_refusals(const loaded *file, const loaded *unknown, const loaded *records) {
    static const char *const stops[] = {"ab", "", "x", "\xff", "ax"}, *const mirostat = "mirostat_tau";
    static const char json[] = "{\"states\": [{\"accepting\": true, \"next\": {}}]}";
    textgen_constraint *constraint, *other;
    textgen_spans *spans, *other_spans;
    double bias[TOKENS] = {0.0}, forbidding[TOKENS];
    CHECK_OK(textgen_constraint_create(file->model, json, sizeof json - 1, NULL, 0, &constraint, &error));
    CHECK_OK(textgen_constraint_create(unknown->model, json, sizeof json - 1, NULL, 0, &other, &error));
    CHECK_OK(textgen_spans_create(file->model, "a", 1, 1, &spans, &error));
    CHECK_OK(textgen_spans_create(unknown->model, "a", 1, 1, &other_spans, &error));
    for (size_t i = 0; i < TOKENS; i++) {
        forbidding[i] = -INFINITY;
    }
    const struct {
        const textgen_model *model;
        const char *parameter;
        int64_t place;
        textgen_sampling sampling;
    } cases[] = {
        {file->model, "substream", -1, {.substream = (uint64_t)1 << 32}},
        {file->model, mirostat, -1, {.mirostat_tau = 3, .top_k = 1}},
        {file->model, mirostat, -1, {.mirostat_tau = 3, .typical_p = 0.5}},
        {file->model, mirostat, -1, {.mirostat_tau = 3, .top_p = 0.5}},
        {file->model, mirostat, -1, {.mirostat_tau = 3, .min_p = 0.5}},
        {file->model, "min_length", -1, {.min_length = 1}},
        {file->model, "logit_bias", 4, {.logit_bias = bias}},
        {file->model, "logit_bias", -1, {.logit_bias = forbidding}},
        {unknown->model, "logit_bias", -1, {.logit_bias = forbidding}},
        {file->model, "constraint", -1, {.constraint = other}},
        {file->model, "spans", -1, {.spans = other_spans}},
        {file->model, "constraint", -1, {.constraint = constraint, .stop = stops, .stop_count = 1}},
        {file->model, "constraint", -1, {.constraint = constraint, .spans = spans}},
        {records->model, "constraint", -1, {.constraint = constraint, .min_length = 2}},
        {file->model, "stop", 1, {.stop = stops, .stop_count = 2}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        static const double wrong[] = {NAN, INFINITY, 1e300};
        bias[4] = wrong[i % 3];
        /* The symbol for unknown characters is never drawn. */
        forbidding[0] = cases[i].model == unknown->model ? 0.0 : -INFINITY;
        check_refused(cases[i].model, &cases[i].sampling, cases[i].parameter, cases[i].place);
    }
    for (size_t i = 2; i < 5; i++) {
        const textgen_sampling sampling = {.stop = stops + i, .stop_count = 1};
        const int32_t code = i == 3 ? TEXTGEN_INVALID_UTF8 : TEXTGEN_UNKNOWN_CHARACTER;
        textgen_stream *stream = start(i == 4 ? unknown->model : file->model, 0.5, 1, 0, "a");
        CHECK_REFUSES(textgen_stream_set_sampling(stream, &sampling, &error), code, "stop", 0);
        free(stream);
    }
    textgen_spans_destroy(spans), textgen_spans_destroy(other_spans);
    textgen_constraint_destroy(constraint), textgen_constraint_destroy(other);
}

int main(int count, char **arguments) {
    CHECK(count == 4);
    loaded file = load(arguments[1], NULL), unknown = load(arguments[2], NULL),
           records = load(arguments[3], NULL);
    check_parameters(records.model);
    check_refusals(&file, &unknown, &records);
    unload(&file), unload(&unknown), unload(&records);
    return 0;
}
