/* Tests streams of records: records MODEL RECORDS LEVEL. The vocabulary contains "abc". Records are short. */
#include "check.h"

#include <math.h>
#include <stdbool.h>

enum { LENGTH = 400, STREAMS = 40, PART = 4 };

static size_t symbol_bytes, text_size;

static bool is_at_end(const textgen_stream *stream) {
    return textgen_stream_ending(stream) == TEXTGEN_REACHED_END;
}

/* Generate up to LENGTH tokens. Return the text, which the caller frees. */
static char *generate(textgen_stream *stream, size_t *written) {
    char *text = allocate(text_size);
    CHECK_OK(textgen_stream_generate(stream, LENGTH, text, text_size, written, ERROR));
    CHECK(text[*written] == '\0');
    return text;
}

/* Check that both streams generate the same record, and that it ends. */
static void check_equal(textgen_stream *one, textgen_stream *other) {
    size_t written, other_written;
    char *text = generate(one, &written), *other_text = generate(other, &other_written);
    CHECK(is_at_end(one) && is_at_end(other));
    CHECK(written == other_written && !memcmp(text, other_text, written));
    free(text), free(other_text);
}

static textgen_stream *new_stream(const textgen_model *model, uint64_t seed) {
    textgen_stream *stream = start(model, 1.0, seed, 0, NULL);
    CHECK(textgen_stream_ending(stream) == TEXTGEN_CONTINUES);
    return stream;
}

/* A stream starts a record without a call of feed, and no text changes nothing. */
static void check_start(const textgen_model *model) {
    textgen_stream *stream = new_stream(model, 3), *other = new_stream(model, 3);
    CHECK_OK(textgen_stream_feed(other, NULL, 0, ERROR));
    CHECK_OK(textgen_stream_feed(other, "", 0, ERROR));
    check_equal(stream, other);
    CHECK(textgen_stream_ending(NULL) == TEXTGEN_CONTINUES);
    free(stream), free(other);
}

/* After the end, nothing is generated until a feed, also of no text, starts the next record. */
static void check_next_record(const textgen_model *model, const char *text) {
    textgen_stream *stream = new_stream(model, 3);
    textgen_sampling sampling = TEXTGEN_SAMPLING_DEFAULT;
    size_t written;
    free(generate(stream, &written));
    CHECK(is_at_end(stream));
    free(generate(stream, &written));
    CHECK(written == 0 && is_at_end(stream));
    sampling.temperature = 1.0;
    sampling.seed = 8;
    CHECK_OK(textgen_stream_set_sampling(stream, &sampling, ERROR));
    CHECK(is_at_end(stream));
    CHECK_OK(textgen_stream_feed(stream, text, strlen(text), ERROR));
    CHECK(!is_at_end(stream));
    textgen_stream *other = new_stream(model, 8);
    CHECK_OK(textgen_stream_feed(other, text, strlen(text), ERROR));
    check_equal(stream, other);
    free(stream), free(other);
}

/* A feed that fails does not start a record. */
static void check_failed_feed(const textgen_model *model) {
    textgen_stream *stream = new_stream(model, 3);
    size_t written;
    free(generate(stream, &written));
    CHECK_FAILS(textgen_stream_feed(stream, "ab\xff", 3, ERROR), TEXTGEN_INVALID_UTF8, "byte 2");
    CHECK(is_at_end(stream));
    free(stream);
}

/* A text that is scored after the end is the beginning of the next record. */
static void check_score(const textgen_model *model) {
    textgen_stream *stream = new_stream(model, 3), *other = new_stream(model, 3);
    double scores[3], other_scores[3];
    size_t count;
    free(generate(stream, &count));
    CHECK_OK(textgen_stream_score(stream, "abc", 3, scores, 3, &count, ERROR));
    CHECK(!is_at_end(stream));
    CHECK_OK(textgen_stream_score(other, "abc", 3, other_scores, 3, &count, ERROR));
    CHECK(!memcmp(scores, other_scores, count * sizeof *scores));
    free(stream), free(other);
}

/* The penalties do not count the end. So a record ends before a penalized token is drawn again. */
static void check_penalties(const textgen_model *model, size_t vocabulary) {
    const size_t size = textgen_stream_size(model);
    textgen_sampling sampling = TEXTGEN_SAMPLING_DEFAULT;
    size_t total = 0;
    sampling.temperature = 1.0;
    sampling.presence_penalty = 100.0;
    sampling.penalty_window = 1024;
    textgen_stream *stream;
    CHECK_OK(textgen_stream_init(allocate(size), size, model, &sampling, &stream, ERROR));
    for (size_t i = 0; i < 4 * vocabulary; i++) {
        size_t written;
        free(generate(stream, &written));
        CHECK(is_at_end(stream));
        CHECK_OK(textgen_stream_feed(stream, NULL, 0, ERROR));
        total += written;
    }
    CHECK(total > 0 && total <= vocabulary * symbol_bytes);
    free(stream);
}

/* Return how many tokens the rest of a record has, with its end. */
static size_t count_tokens(textgen_stream *stream) {
    char *text = allocate(text_size);
    size_t count;
    for (count = 0; !is_at_end(stream); count++) {
        CHECK_OK(textgen_stream_generate(stream, 1, text, text_size, NULL, ERROR));
    }
    free(text);
    return count;
}

/* A record has min_length tokens and its end at least, in many calls as in one. A feed, and another min_length,
 * start the count again. */
static void check_min_length(const textgen_model *model) {
    const size_t size = textgen_stream_size(model);
    textgen_sampling sampling = TEXTGEN_SAMPLING_DEFAULT;
    size_t shortest = LENGTH;
    sampling.temperature = 1.0;
    for (size_t i = 0; i < STREAMS; i++) {
        sampling.seed = i;
        sampling.min_length = 70;
        textgen_stream *stream;
        CHECK_OK(textgen_stream_init(allocate(size), size, model, &sampling, &stream, ERROR));
        textgen_stream *other;
        CHECK_OK(textgen_stream_copy(stream, allocate(size), size, &other, ERROR));
        size_t written;
        char *text = generate(stream, &written);
        CHECK(written >= 70);
        char *other_text = allocate(text_size);
        size_t other_written, count, part;
        for (other_written = part = 0; part < LENGTH / PART; part++) {
            CHECK_OK(textgen_stream_generate(other, PART, other_text + other_written, text_size - other_written,
                                             &count, ERROR));
            other_written += count;
        }
        CHECK(written == other_written && !memcmp(text, other_text, written));
        free(generate(stream, &written));
        CHECK(is_at_end(stream));
        CHECK_OK(textgen_stream_feed(stream, NULL, 0, ERROR));
        count = count_tokens(stream);
        CHECK(count > 70);
        shortest = count < shortest ? count : shortest;
        sampling.min_length = 2;
        CHECK_OK(textgen_stream_set_sampling(stream, &sampling, ERROR));
        CHECK_OK(textgen_stream_feed(stream, NULL, 0, ERROR));
        CHECK_OK(textgen_stream_generate(stream, 1, text, text_size, NULL, ERROR));
        /* Also with other random numbers. */
        sampling.seed += STREAMS;
        sampling.min_length = 5;
        CHECK_OK(textgen_stream_set_sampling(stream, &sampling, ERROR));
        CHECK(count_tokens(stream) > 5);
        free(stream), free(other), free(text), free(other_text);
    }
    CHECK(shortest == 71);
}

/* The begin token cannot be the only one that the bias allows, because it is never drawn. */
static void check_bias(const textgen_model *model, size_t vocabulary) {
    float *bias = allocate(vocabulary * sizeof *bias);
    textgen_sampling sampling = TEXTGEN_SAMPLING_DEFAULT;
    textgen_stream *stream = new_stream(model, 3);
    size_t refused = 0;
    sampling.logit_bias = bias;
    sampling.logit_bias_count = vocabulary;
    for (size_t allowed = 0; allowed < vocabulary; allowed++) {
        for (size_t i = 0; i < vocabulary; i++) {
            bias[i] = i == allowed ? 0.0f : -INFINITY;
        }
        refused += textgen_stream_set_sampling(stream, &sampling, ERROR) != TEXTGEN_OK;
    }
    CHECK(refused == 1 + (symbol_bytes > 1));
    free(stream), free(bias);
}

/* Lanes end at different tokens. Those whose record ended before generate nothing. */
static void check_lanes(const textgen_model *model, size_t length) {
    const size_t size = textgen_workspace_size(model, STREAMS);
    const textgen_lane lane = TEXTGEN_LANE_DEFAULT;
    textgen_lane lanes[STREAMS];
    char *workspace = allocate(size);
    size_t ended = 0;
    for (size_t i = 0; i < STREAMS; i++) {
        lanes[i] = lane;
        lanes[i].stream = new_stream(model, i);
        lanes[i].length = length;
        lanes[i].text = allocate(text_size);
        lanes[i].size = text_size;
    }
    for (size_t round = 0; round < 2; round++) {
        CHECK_OK(textgen_generate(lanes, STREAMS, workspace, size, ERROR));
        for (size_t i = 0; i < STREAMS; i++) {
            CHECK(lanes[i].ending == textgen_stream_ending(lanes[i].stream) && lanes[i].result == TEXTGEN_OK);
            CHECK(lanes[i].text[lanes[i].written] == '\0');
            CHECK(round == 0 || length < LENGTH || lanes[i].written == 0);
            ended += lanes[i].ending == TEXTGEN_REACHED_END;
        }
    }
    CHECK(ended > 0 && (length == LENGTH ? ended == (size_t)2 * STREAMS : ended < (size_t)2 * STREAMS));
    for (size_t i = 0; i < STREAMS; i++) {
        free(lanes[i].stream), free(lanes[i].text);
    }
    free(workspace);
}

int main(int count, char **arguments) {
    textgen_model_info info = TEXTGEN_MODEL_INFO_DEFAULT;
    CHECK(count > 3);
    loaded file = load(arguments[1], NULL);
    CHECK_OK(textgen_model_get_info(file.model, &info, ERROR));
    CHECK(!strcmp(info.records, arguments[2]) && !strcmp(info.level, arguments[3]));
    symbol_bytes = file.symbol_bytes;
    text_size = LENGTH * symbol_bytes + 1;
    check_start(file.model);
    check_next_record(file.model, "");
    check_next_record(file.model, "abc");
    if (strcmp(info.level, "byte") != 0) {
        check_failed_feed(file.model);
    }
    check_penalties(file.model, info.vocabulary);
    check_bias(file.model, info.vocabulary);
    check_min_length(file.model);
    check_score(file.model);
    check_lanes(file.model, 3);
    check_lanes(file.model, LENGTH);
    unload(&file);
    return 0;
}
