/* Tests streams with filters: stream_filters MODEL. Its vocabulary has 12 characters, 8 of them ASCII. */
#include "check.h"

#include <math.h>

enum { TOKENS = 12, LENGTH = 300, TEXT_SIZE = LENGTH * 4 + 1 };

static const textgen_sampling defaults = TEXTGEN_SAMPLING_DEFAULT;

/* The tokens of MODEL that are "a" and "b". */
enum { A = 2, B = 3 };

static void check_bias(const textgen_model *model) {
    textgen_sampling sampling = defaults;
    float bias[TOKENS];
    char text[TEXT_SIZE];
    for (size_t i = 0; i < TOKENS; i++) {
        bias[i] = i == A || i == B ? 0.0f : -INFINITY;
    }
    sampling.temperature = 5.0;
    sampling.logit_bias = bias;
    sampling.logit_bias_count = TOKENS;
    textgen_stream *stream = start_with(model, &sampling, "a");
    /* The bias was copied. */
    memset(bias, 0, sizeof bias);
    generate_text(stream, LENGTH, text);
    CHECK(strspn(text, "ab") == LENGTH && strchr(text, 'a') && strchr(text, 'b'));
    bias[A] = 1000.0f;
    CHECK_OK(textgen_stream_set_sampling(stream, &sampling, ERROR));
    generate_text(stream, LENGTH, text);
    CHECK(strspn(text, "a") == LENGTH);
    /* Without a bias, other characters are drawn again. */
    sampling.logit_bias = NULL;
    sampling.logit_bias_count = 0;
    sampling.top_k = TOKENS;
    CHECK_OK(textgen_stream_set_sampling(stream, &sampling, ERROR));
    generate_text(stream, LENGTH, text);
    CHECK(strspn(text, "ab") < strlen(text));
    free(stream);
}

/* Check that no character of a text is equal to one of the `window` before it. Only ASCII. */
static void check_apart(const char *text, size_t window) {
    for (size_t i = 0; text[i]; i++) {
        for (size_t j = 1; j <= window && j <= i; j++) {
            CHECK(text[i] != text[i - j]);
        }
    }
}

/* A change of the parameters in the middle of a text keeps the recent characters and the state of mirostat. */
static void check_changes(const textgen_model *model) {
    textgen_sampling sampling = defaults;
    float bias[TOKENS] = {0.0f};
    char text[TEXT_SIZE], other_text[TEXT_SIZE];
    /* Filters that are turned on and off again. */
    textgen_stream *stream = start_with(model, &defaults, "a");
    textgen_stream *other = start_with(model, &defaults, "a");
    sampling.top_k = 1;
    CHECK_OK(textgen_stream_set_sampling(stream, &sampling, ERROR));
    CHECK_OK(textgen_stream_set_sampling(stream, &defaults, ERROR));
    check_same_text(stream, other);
    free(stream), free(other);
    sampling.top_k = 0;
    bias[8] = bias[9] = bias[10] = bias[11] = -INFINITY;
    sampling.logit_bias = bias;
    sampling.logit_bias_count = TOKENS;
    sampling.presence_penalty = 100.0;
    sampling.penalty_window = 5;
    stream = start_with(model, &sampling, "a");
    generate_text(stream, 50, text);
    sampling.temperature = 0.9;
    CHECK_OK(textgen_stream_set_sampling(stream, &sampling, ERROR));
    sampling.seed = 5;
    CHECK_OK(textgen_stream_set_sampling(stream, &sampling, ERROR));
    generate_text(stream, 50, text + 50);
    CHECK(strlen(text) == 100);
    check_apart(text, 5);
    free(stream);
    sampling.mirostat_tau = 1.5;
    stream = start_with(model, &sampling, "a");
    other = start_with(model, &sampling, "a");
    generate_text(stream, 30, text);
    CHECK_OK(textgen_stream_set_sampling(stream, &sampling, ERROR));
    generate_text(stream, 70, text + 30);
    generate_text(other, 100, other_text);
    CHECK(!strcmp(text, other_text));
    free(stream), free(other);
}

/* A copy goes on like the original, and not with the original's memory. */
static void check_copies(const textgen_model *model, const textgen_sampling *sampling) {
    const size_t size = textgen_stream_size(model);
    textgen_stream *stream = start_with(model, sampling, "a");
    char text[TEXT_SIZE], copied_text[TEXT_SIZE], *bytes = allocate(size + 8);
    generate_text(stream, 40, text);
    textgen_stream *copy;
    CHECK_OK(textgen_stream_copy(stream, allocate(size), size, &copy, ERROR));
    memcpy(bytes + 8, stream, size);
    generate_text(stream, LENGTH, text);
    memset(stream, 0x7f, size);
    free(stream);
    generate_text(copy, LENGTH, copied_text);
    CHECK(!strcmp(text, copied_text));
    free(copy);
    generate_text((textgen_stream *)(void *)(bytes + 8), LENGTH, copied_text);
    CHECK(!strcmp(text, copied_text));
    free(bytes);
}

int main(int count, char **arguments) {
    float bias[TOKENS] = {0.5f, -1.0f, 0.0f, 2.0f};
    textgen_sampling samplings[4] = {defaults, defaults, defaults, defaults};
    CHECK(count > 1);
    loaded file = load(arguments[1], NULL);
    check_bias(file.model);
    check_changes(file.model);
    samplings[1].repetition_penalty = 1.5;
    samplings[1].frequency_penalty = 0.2;
    samplings[1].penalty_window = 20;
    samplings[1].mirostat_tau = 2.0;
    samplings[2].top_k = 5;
    samplings[2].typical_p = 0.95;
    samplings[2].min_p = 0.01;
    samplings[3].logit_bias = bias;
    samplings[3].logit_bias_count = TOKENS;
    for (size_t i = 0; i < 4; i++) {
        samplings[i].temperature = 1.5;
        check_copies(file.model, &samplings[i]);
    }
    unload(&file);
    return 0;
}
