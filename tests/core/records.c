/* Tests how records begin and end: records MODEL KIND LEVEL. The vocabulary contains "abc". Records are short.
 * What is drawn is tested in endings.c. */
#include "check.h"

#include <math.h>

enum { LENGTH = 400 };

static int32_t ending_of(const textgen_stream *stream) { return textgen_stream_get_info(stream).ending; }

/* Generate the rest of a record. Return its tokens, with the end. */
static size_t end_record(textgen_stream *stream) {
    textgen_lane lane = {.stream = stream, .length = 10 * LENGTH};
    CHECK_OK(textgen_generate(&lane, 1, 0, work, NULL, &error));
    CHECK(lane.ending == TEXTGEN_REACHED_END && textgen_stream_get_info(stream).at_end);
    return lane.drawn;
}

/* A stream starts a record without a feed, and no text changes nothing. */
static void check_start(const textgen_model *model) {
    textgen_stream *stream = start(model, 1.0, 3, 0, NULL), *other = start(model, 1.0, 3, 0, "");
    double *probabilities = allocate(textgen_model_get_info(model)->vocabulary * sizeof *probabilities);
    CHECK(ending_of(stream) == TEXTGEN_CONTINUES);
    CHECK_OK(textgen_stream_probabilities(stream, 1, probabilities, work, &error));
    feed(other, "");
    check_same_text(stream, other);
    CHECK(ending_of(stream) == TEXTGEN_REACHED_END);
    free(stream), free(other), free(probabilities);
}

/* After the end, nothing is generated until a feed, also of no text, starts the next record. One that fails
 * does not. A text that is scored is the beginning of the next record. */
static void check_next_record(const textgen_model *model, const char *text, bool is_scored) {
    textgen_stream *stream = start(model, 1.0, 3, 0, NULL), *other = start(model, 1.0, 8, 0, NULL);
    textgen_sampling sampling = TEXTGEN_SAMPLING_DEFAULT;
    int64_t tokens[3];
    double scores[3], other_scores[3];
    size_t count;
    (void)end_record(stream);
    free(generate(stream, LENGTH, &count));
    CHECK(count == 0 && ending_of(stream) == TEXTGEN_REACHED_END);
    sampling.temperature = 1.0;
    sampling.seed = 8;
    CHECK_OK(textgen_stream_set_sampling(stream, &sampling, &error));
    CHECK_OK(textgen_stream_feed_tokens(stream, NULL, 0, TEXTGEN_FEED_MORE, NULL, work, &error));
    if (strcmp(textgen_model_get_info(model)->level, "byte")) {
        CHECK_FAILS(textgen_stream_feed(stream, "ab\xff", 3, work, &error), TEXTGEN_INVALID_UTF8);
    }
    CHECK(ending_of(stream) == TEXTGEN_REACHED_END);
    CHECK_OK(textgen_encode(model, text, strlen(text), 0, tokens, &count, &error));
    if (is_scored) {
        CHECK_OK(textgen_stream_feed_tokens(stream, tokens, count, TEXTGEN_FEED_TEXT, scores, work, &error));
        CHECK_OK(
            textgen_stream_feed_tokens(other, tokens, count, TEXTGEN_FEED_TEXT, other_scores, work, &error));
        CHECK(!memcmp(scores, other_scores, count * sizeof *scores));
    } else {
        feed(stream, text);
        CHECK_OK(textgen_stream_feed_tokens(other, tokens, count, TEXTGEN_FEED_START, NULL, work, &error));
    }
    CHECK(ending_of(stream) == TEXTGEN_CONTINUES);
    check_same_text(stream, other);
    free(stream), free(other);
}

/* The penalties do not count the end. So a record ends before a penalized token is drawn again. */
static void check_penalties(const textgen_model *model, size_t vocabulary) {
    textgen_sampling sampling = TEXTGEN_SAMPLING_DEFAULT;
    size_t total = 0;
    sampling.temperature = 1.0;
    sampling.presence_penalty = 100.0;
    sampling.penalty_window = 1024;
    textgen_stream *stream = start_with(model, &sampling, NULL);
    for (size_t i = 0; i < 4 * vocabulary; i++) {
        total += end_record(stream) - 1;
        feed(stream, "");
    }
    CHECK(total > 0 && total <= vocabulary);
    free(stream);
}

/* The begin token cannot be the only one that the bias allows, because it is never drawn. The end can. */
static void check_bias(const textgen_model_info *info, textgen_stream *stream) {
    double *bias = allocate(info->vocabulary * sizeof *bias);
    const textgen_sampling sampling = {.logit_bias = bias};
    for (size_t i = 0; i < info->vocabulary; i++) {
        bias[i] = (int64_t)i == info->begin ? 0.0 : -INFINITY;
    }
    CHECK_INVALID(textgen_stream_set_sampling(stream, &sampling, &error), "logit_bias", -1);
    bias[info->end] = 0.0;
    CHECK_OK(textgen_stream_set_sampling(stream, &sampling, &error));
    CHECK(end_record(stream) == 1);
    free(stream), free(bias);
}

int main(int count, char **arguments) {
    CHECK(count > 3);
    loaded file = load(arguments[1], NULL);
    CHECK(!strcmp(file.info->records, arguments[2]) && !strcmp(file.info->level, arguments[3]));
    check_start(file.model);
    check_next_record(file.model, "", false);
    check_next_record(file.model, "abc", false);
    check_next_record(file.model, "abc", true);
    check_penalties(file.model, file.info->vocabulary);
    check_bias(file.info, start(file.model, 1.0, 3, 0, NULL));
    unload(&file);
    return 0;
}
