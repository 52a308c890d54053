/* Tests how streams are created, fed, changed and run: streams MODEL UNKNOWN BROKEN.
 *
 * The vocabularies of MODEL and BROKEN are "\n abcdehé€ж𝄞". That of UNKNOWN is a symbol for unknown
 * characters and "a". The weights of BROKEN are so large that its logits become infinite. What is drawn is
 * tested in endings.c. */
#include "check.h"

#include <math.h>

enum { TOKENS = 12, A = 2, B = 3, C = 4, LENGTH = 200, TEXT_SIZE = LENGTH * 4 + 1 };

static const textgen_sampling defaults = TEXTGEN_SAMPLING_DEFAULT;

static size_t held_by(const textgen_stream *stream) { return textgen_stream_get_info(stream).held; }

/* Check the text of the next `length` tokens, and how it ends. */
static void check_text(textgen_stream *stream, size_t length, const char *expected, int32_t ending) {
    size_t written;
    char *text = generate(stream, length, &written);
    CHECK(written == strlen(expected) && !memcmp(text, expected, written));
    CHECK(textgen_stream_get_info(stream).ending == ending);
    free(text);
}

/* Allow only some tokens from now on. */
static void allow(textgen_stream *stream, textgen_sampling *sampling, const char *allowed) {
    static double bias[TOKENS];
    for (size_t i = 0; i < TOKENS; i++) {
        bias[i] = i < 8 && strchr(allowed, "\n abcdeh"[i]) ? 0.0 : -INFINITY;
    }
    sampling->logit_bias = bias;
    CHECK_OK(textgen_stream_set_sampling(stream, sampling, &error));
}

/* ---- Memory and arguments ---- */

#define GENERATE(stream, length, size)                                                                         \
    textgen_stream_generate(stream, length, text, size, &written, work, &error)

static void check_memory(const textgen_model *model) {
    const size_t size = textgen_stream_size(model), room = textgen_workspace_size(model, 1);
    char *memory = allocate(size + 8), text[8];
    textgen_stream *made = NULL, *stream = start(model, 1.0, 1, 0, "abc"), *same = copy_of(model, stream);
    size_t written;
    for (int i = 0; i < 3; i++) {
        /* Too small, not aligned, and none. */
        const int32_t code = i == 1 ? TEXTGEN_INVALID_ARGUMENT : TEXTGEN_BUFFER_TOO_SMALL;
        const textgen_memory wrong = {i == 1 ? memory + 4 : i ? NULL : memory, size - !i};
        const textgen_memory space = {i == 1 ? (char *)work.data + 4 : i ? NULL : work.data, room - !i};
        CHECK_REFUSES(textgen_stream_init(wrong, model, NULL, &made, &error), code, "memory", -1);
        CHECK_REFUSES(textgen_stream_copy(stream, wrong, &made, &error), code, "memory", -1);
        CHECK_REFUSES(textgen_stream_feed(stream, "a", 1, space, &error), code, "workspace", -1);
        CHECK_REFUSES(textgen_stream_generate(stream, 1, text, sizeof text, &written, space, &error), code,
                      "workspace", -1);
    }
    CHECK(!made && textgen_workspace_size(model, 0) == 0 && textgen_workspace_size(model, SIZE_MAX / 512) == 0);
    /* A stream may be copied to where it is. */
    CHECK_OK(textgen_stream_copy(stream, (textgen_memory){stream, size}, &made, &error));
    CHECK(made == stream);
    check_same_text(same, stream);
    free(memory), free(stream), free(same);
}

/* A call that fails changes nothing. */
static void check_arguments(const textgen_model *model) {
    textgen_stream *stream = start(model, 0.5, 1, 0, NULL), *other = start(model, 0.5, 1, 0, "abc");
    char text[TEXT_SIZE] = "before";
    double probabilities[TOKENS];
    const int64_t tokens[] = {1, -1, TOKENS};
    size_t written = 99;
    CHECK_OK(textgen_stream_feed(stream, "\xef\xbb\xbf", 3, work, &error));
    CHECK_FAILS(GENERATE(stream, 1, TEXT_SIZE), TEXTGEN_NO_PROMPT);
    CHECK_FAILS(textgen_stream_feed_tokens(stream, tokens, 1, TEXTGEN_FEED_TEXT, probabilities, work, &error),
                TEXTGEN_NO_PROMPT);
    CHECK_FAILS(textgen_stream_probabilities(stream, 0, probabilities, work, &error), TEXTGEN_NO_PROMPT);
    feed(stream, "abc");
    CHECK_FAILS(textgen_stream_feed_tokens(stream, tokens, 1, TEXTGEN_FEED_START, probabilities, work, &error),
                TEXTGEN_NO_PROMPT);
    CHECK_INVALID(GENERATE(stream, 0, TEXT_SIZE), "length", 0);
    const size_t lengths[] = {LENGTH, SIZE_MAX / 4, SIZE_MAX};
    for (size_t i = 0; i < 3; i++) {
        CHECK_REFUSES(GENERATE(stream, lengths[i], TEXT_SIZE - 1), TEXTGEN_BUFFER_TOO_SMALL, "text", -1);
        CHECK((textgen_stream_text_size(stream, lengths[i]) == SIZE_MAX) == (i > 0));
    }
    CHECK_REFUSES(textgen_stream_finish(stream, 0, text, 0, &written, &error), TEXTGEN_BUFFER_TOO_SMALL, "text",
                  -1);
    for (int64_t i = 1; i < 3; i++) {
        CHECK_INVALID(textgen_stream_feed_tokens(stream, tokens + i - 1, 2, TEXTGEN_FEED_TEXT, probabilities,
                                                 work, &error),
                      "tokens", i == 1 ? 1 : 0);
    }
    CHECK(written == 99 && !strcmp(text, "before"));
    check_same_text(stream, other);
    free(stream), free(other);
}

/* ---- Feeding ---- */

/* A text with an error is not fed at all. */
static void check_feed(const textgen_model *model) {
    static const char *const invalid[] = {"ab\xff", "ab\xed\xa0\x80", "ab\xc0\x80", "ab\xf4\x90\x80\x80",
                                          "ab\x80"};
    textgen_stream *stream = start(model, 0.5, 1, 0, "abc"), *other = start(model, 0.5, 1, 0, "abc");
    static char text[5000];
    static int64_t tokens[5000];
    size_t count, kept;
    memset(text, 'a', sizeof text);
    text[sizeof text - 1] = 'x';
    CHECK_REFUSES(textgen_stream_feed(stream, text, sizeof text, work, &error), TEXTGEN_UNKNOWN_CHARACTER,
                  "text", sizeof text - 1);
    for (size_t i = 0; i < sizeof invalid / sizeof *invalid; i++) {
        CHECK_REFUSES(textgen_stream_feed(stream, invalid[i], strlen(invalid[i]), work, &error),
                      TEXTGEN_INVALID_UTF8, "text", 2);
    }
    /* The byte that would complete the character is not in the text. */
    CHECK_REFUSES(textgen_stream_feed(stream, "ab\xc3\xa9", 3, work, &error), TEXTGEN_INVALID_UTF8, "text", 2);
    /* A byte-order mark is dropped at the start only. */
    CHECK_REFUSES(textgen_stream_feed(stream, "ab\xef\xbb\xbf", 5, work, &error), TEXTGEN_UNKNOWN_CHARACTER,
                  "text", 2);
    CHECK_OK(textgen_stream_feed(stream, NULL, 0, work, &error));
    check_same_text(stream, other);
    /* At once, in parts, and as tokens. */
    for (size_t i = 0; i < 6; i++) {
        text[2800] = "abcdeh"[i];
        CHECK_OK(textgen_stream_feed(stream, text, 3000, work, &error));
        CHECK_OK(textgen_stream_feed(other, text, 1088, work, &error));
        CHECK_OK(textgen_encode(model, text + 1088, 3000 - 1088, 0, tokens, &count, &error));
        CHECK_OK(textgen_stream_feed_tokens(other, tokens, count, TEXTGEN_FEED_MORE, NULL, work, &error));
        check_same_text(stream, other);
    }
    feed(stream, "\xef\xbb\xbf"
                 "a\r\nb\rc");
    feed(other, "a\nb\nc");
    check_same_text(stream, other);
    /* Skipping leaves out what is not in the vocabulary. */
    CHECK_REFUSES(textgen_encode(model, "ax\xc3\xa9yb", 6, 0, NULL, &count, &error), TEXTGEN_UNKNOWN_CHARACTER,
                  "text", 1);
    CHECK_OK(textgen_encode(model, "ax\xc3\xa9yb", 6, 1, NULL, &count, &error));
    CHECK_OK(textgen_encode(model, "ax\xc3\xa9yb", 6, 1, tokens, &kept, &error));
    CHECK(count == 3 && kept == 3 && tokens[0] == A && tokens[1] == 8 && tokens[2] == B);
    free(stream), free(other);
}

/* Return the constraint (xb)*, or (xb)+ if it must not be empty, where x is a token. */
static textgen_constraint *repeat(int64_t token, bool may_be_empty) {
    const uint8_t accepting[] = {may_be_empty, 0, 1};
    int16_t next[3 * TOKENS];
    textgen_constraint *made;
    memset(next, 0xFF, sizeof next);
    next[token] = next[2 * TOKENS + token] = 1;
    next[TOKENS + B] = 2;
    CHECK_OK(textgen_constraint_create_table(next, accepting, 3, TOKENS, NULL, 0, &made, &error));
    return made;
}

/* Another text begins new stop texts and constraints; more of the same text does not. */
static void check_kinds_of_feed(const textgen_model *model) {
    const int64_t b = B;
    textgen_constraint *constraint = repeat(A, true);
    textgen_sampling sampling = {.constraint = constraint};
    textgen_stream *stream = start_with(model, &sampling, "abc"), *other = start_with(model, &defaults, NULL);
    for (int32_t how = TEXTGEN_FEED_MORE; how <= TEXTGEN_FEED_START; how++) {
        feed(stream, "");
        allow(stream, &sampling, "a");
        check_text(stream, 1, "a", TEXTGEN_REACHED_LENGTH);
        CHECK_OK(textgen_stream_feed_tokens(stream, &b, 1, how, NULL, work, &error));
        CHECK(textgen_stream_get_info(stream).needed == (how == TEXTGEN_FEED_MORE));
        allow(stream, &sampling, "b");
        check_text(stream, 1, how ? "" : "b", how ? TEXTGEN_CONSTRAINT_END : TEXTGEN_REACHED_LENGTH);
        CHECK(textgen_stream_get_info(stream).is_complete == (how > 0));
    }
    CHECK_OK(textgen_stream_set_sampling(stream, &defaults, &error));
    CHECK_OK(textgen_stream_feed_tokens(stream, &b, 0, TEXTGEN_FEED_START, NULL, work, &error));
    CHECK(!textgen_stream_get_info(stream).is_fed);
    textgen_stream_seek(stream, 0);
    for (int i = 0; i < 2; i++) {
        CHECK_OK(textgen_stream_feed_tokens(i ? stream : other, &b, 1, TEXTGEN_FEED_MORE, NULL, work, &error));
    }
    check_same_text(stream, other);
    textgen_constraint_destroy(constraint);
    free(stream), free(other);
}

/* A constraint of another table begins with the next token, also one that may have the memory of the one
 * before, and so does none. One of the same table goes on. */
static void check_changed_constraint(const textgen_model *model) {
    textgen_sampling sampling = defaults;
    textgen_stream *stream = start_with(model, &sampling, "abc");
    textgen_constraint *equal = repeat(B, false);
    for (int64_t token = A; token <= B; token++) {
        textgen_constraint *constraint = repeat(token, false);
        sampling.constraint = constraint;
        allow(stream, &sampling, token == A ? "a" : "b");
        CHECK(textgen_stream_get_info(stream).needed == 2);
        check_text(stream, 1, token == A ? "a" : "b", TEXTGEN_REACHED_LENGTH);
        allow(stream, &sampling, "b");
        CHECK(textgen_stream_get_info(stream).needed == 1);
        textgen_constraint_destroy(constraint);
    }
    sampling.constraint = equal;
    allow(stream, &sampling, "b");
    check_text(stream, 1, "b", TEXTGEN_REACHED_LENGTH);
    allow(stream, &sampling, "a");
    check_text(stream, 1, "", TEXTGEN_CONSTRAINT_END);
    CHECK_OK(textgen_stream_set_sampling(stream, &defaults, &error));
    CHECK(!textgen_stream_get_info(stream).is_complete && !textgen_stream_get_info(stream).needed);
    textgen_constraint_destroy(equal);
    free(stream);
}

/* The log-probabilities of drawn tokens are the scores of the same text, and those of rows of logits. */
static void check_scores(const textgen_model *model) {
    enum { ROWS = 5 };
    textgen_stream *scored = start(model, 1.3, 3, 0, "abc"), *fed = start(model, 1.3, 3, 0, "abc");
    const textgen_model_info *info = textgen_model_get_info(model);
    double drawn[LENGTH], scores[LENGTH];
    int64_t tokens[LENGTH], prompt[] = {A, A, B, A, C, B}; /* of two lanes in turn */
    float *state = calloc(2 * info->state_values, sizeof *state), rows[2 * 2 * TOKENS];
    textgen_lane lane = {
        .stream = start(model, 1.3, 3, 0, "abc"), .length = LENGTH, .logprobs = drawn, .tokens = tokens};
    CHECK_OK(textgen_generate(&lane, 1, 0, work, NULL, &error));
    CHECK_OK(textgen_stream_feed_tokens(scored, tokens, LENGTH, TEXTGEN_FEED_TEXT, scores, work, &error));
    CHECK(lane.decided == LENGTH && !memcmp(scores, drawn, sizeof drawn));
    CHECK_OK(textgen_stream_feed_tokens(fed, tokens, LENGTH, TEXTGEN_FEED_TEXT, NULL, work, &error));
    check_same_text(scored, fed);
    const textgen_memory memory = new_memory(textgen_forward_size(model, 2, 2));
    CHECK_INVALID(textgen_forward(model, prompt, 3, 2, state, 4, rows, memory, &error), "logit_steps", -1);
    CHECK_OK(textgen_forward(model, prompt, 3, 2, state, 2, rows, memory, &error));
    feed(fed, "");
    CHECK_OK(textgen_stream_feed_tokens(fed, (int64_t[]){A, B}, 2, TEXTGEN_FEED_START, NULL, work, &error));
    CHECK(!memcmp(textgen_stream_get_info(fed).logits, rows, sizeof(float) * TOKENS));
    CHECK_OK(textgen_stream_feed_tokens(fed, (int64_t[]){C}, 1, TEXTGEN_FEED_MORE, NULL, work, &error));
    CHECK(!memcmp(textgen_stream_get_info(fed).logits, rows + 2 * TOKENS, sizeof(float) * TOKENS));
    CHECK(textgen_forward_size(model, SIZE_MAX / 2, 1) == 0 && textgen_forward_size(model, 1, 0) == 0);
    free(scored), free(fed), free(lane.stream), free(memory.data), free(state);
}

/* ---- Changes of the sampling ---- */

/* Another temperature goes on with the same random numbers. Another seed or substream restarts them, as in a
 * new stream that was fed the same text. */
static void check_seeds(const textgen_model *model) {
    static const uint64_t seeds[][3] = {{3, 0, 0}, {4, 0, 0}, {3, 1, 0}, {3, 0, 1}};
    for (size_t i = 0; i < 4; i++) {
        const textgen_sampling sampling = {
            .seed = seeds[i][0], .seed_high = seeds[i][1], .substream = seeds[i][2]};
        textgen_stream *stream = start(model, 1.0, 3, 0, "abc");
        size_t written;
        char *text = generate(stream, 10, &written);
        CHECK_OK(textgen_stream_set_sampling(stream, &sampling, &error));
        textgen_stream *fresh = start_with(model, &sampling, "abc");
        CHECK(textgen_stream_get_info(stream).drawn == (i ? 0 : 10));
        textgen_stream_seek(fresh, i ? 0 : 10);
        feed(fresh, text);
        check_same_text(stream, fresh);
        free(stream), free(fresh), free(text);
    }
}

/* What a stream tells of its sampling can be set again: nothing changes. The bias is a copy, and can be
 * removed.
 */
static void check_own_sampling(const textgen_model *model) {
    double bias[TOKENS] = {0.5, -1.0, 0.0, 2.0, -INFINITY};
    textgen_sampling own, sampling = defaults;
    sampling.seed = 9;
    sampling.logit_bias = bias;
    sampling.frequency_penalty = 0.2;
    sampling.mirostat_tau = 2.0;
    textgen_stream *stream = start_with(model, &sampling, "abc"), *other = start_with(model, &sampling, "abc");
    bias[3] = -INFINITY;
    check_same_text(stream, other);
    textgen_stream_get_sampling(stream, &own);
    CHECK(own.logit_bias[0] == 0.5 && own.logit_bias[3] == 2.0 && !own.stop);
    CHECK_OK(textgen_stream_set_sampling(stream, &own, &error));
    check_same_text(stream, other);
    sampling.logit_bias = own.logit_bias = NULL;
    CHECK(!memcmp(&own, &sampling, sizeof own));
    CHECK_OK(textgen_stream_set_sampling(stream, &defaults, &error));
    textgen_stream_get_sampling(stream, &own);
    CHECK(!memcmp(&own, &defaults, sizeof own));
    free(stream), free(other);
}

/* Other stop texts begin with the text that is held back, of which what follows a stop text is dropped. What is
 * fed, or was written, is no part of a stop text. */
static void check_held(const textgen_model *model) {
    static const struct {
        const char *drawn, *stop; /* what is held back, and the stop text after that */
        size_t keep_stop;
        const char *allowed, *text;
        int32_t ending;
    } cases[] = {
        {"a", "ab", 0, "b", "", TEXTGEN_REACHED_STOP},    {"a", "ab", 1, "b", "ab", TEXTGEN_REACHED_STOP},
        {"a", "cc", 0, "c", "a", TEXTGEN_REACHED_LENGTH}, {"a", "a", 1, "b", "a", TEXTGEN_REACHED_STOP},
        {"ab", "a", 0, "b", "", TEXTGEN_REACHED_STOP},    {"ab", "a", 1, "b", "a", TEXTGEN_REACHED_STOP},
        {"ab", "b", 1, "b", "ab", TEXTGEN_REACHED_STOP}};
    static const char *const longest[] = {"abc"};
    textgen_sampling sampling = {.stop = longest, .stop_count = 1};
    textgen_stream *stream = start_with(model, &defaults, "a");
    char text[99];
    size_t written;
    for (size_t i = 0; i < 3; i++) {
        allow(stream, &sampling, "b");
        check_text(stream, 1, "b", TEXTGEN_REACHED_LENGTH);
        allow(stream, &sampling, "a");
        check_text(stream, 1, "", TEXTGEN_REACHED_LENGTH);
        if (i == 0) {
            CHECK_OK(textgen_stream_finish(stream, 1, text, sizeof text, &written, &error));
            CHECK(!strcmp(text, "a") && written == 1);
        } else {
            feed(stream, "a");
        }
        CHECK(held_by(stream) == 0);
    }
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const size_t count = strlen(cases[i].drawn);
        feed(stream, "c");
        textgen_stream_seek(stream, 0);
        sampling = (textgen_sampling){.stop = longest, .stop_count = 1};
        for (size_t j = 0; j < count; j++) {
            allow(stream, &sampling, j ? "b" : "a");
            check_text(stream, 1, "", TEXTGEN_REACHED_LENGTH);
        }
        CHECK(held_by(stream) == count);
        sampling.stop = &cases[i].stop;
        sampling.keep_stop = cases[i].keep_stop;
        allow(stream, &sampling, cases[i].allowed);
        check_text(stream, 1, cases[i].text, cases[i].ending);
        /* A stop text that is held back already needs no draw. */
        CHECK(textgen_stream_get_info(stream).drawn ==
              (int64_t)(strstr(cases[i].drawn, cases[i].stop) ? count : count + 1));
        CHECK(cases[i].ending == TEXTGEN_REACHED_LENGTH || held_by(stream) == 0);
    }
    free(stream);
}

/* ---- Lanes ---- */

/* Check errors of lanes. If the random numbers of one lane end, it alone stops. */
static void check_lanes(const textgen_model *model) {
    enum { LANES = 3 };
    textgen_lane lanes[LANES] = {{0}};
    textgen_stream *alone[LANES], *unfed = start(model, 1.0, 1, 0, NULL);
    for (size_t i = 0; i < LANES; i++) {
        lanes[i] = (textgen_lane){
            .stream = start(model, 1.0, 7, i, "abc"), .length = LENGTH, .text = allocate(TEXT_SIZE)};
        alone[i] = copy_of(model, lanes[i].stream);
    }
    const textgen_lane right = lanes[2];
#define RUN(workspace) textgen_generate(lanes, LANES, 0, workspace, NULL, &error)
    lanes[2].stream = unfed;
    CHECK_FAILS(RUN(work), TEXTGEN_NO_PROMPT);
    CHECK(error.place == 2);
    lanes[2] = right;
    lanes[2].length = SIZE_MAX;
    CHECK_INVALID(RUN(work), "length", 2);
    lanes[2] = right;
    const textgen_memory small = {work.data, textgen_workspace_size(model, LANES) - 1};
    CHECK_REFUSES(RUN(small), TEXTGEN_BUFFER_TOO_SMALL, "workspace", -1);
    textgen_stream_seek(lanes[1].stream, INT64_MAX - 100);
    CHECK_FAILS(RUN(work), TEXTGEN_LANE_FAILED);
    CHECK(error.place == 1 && lanes[1].result == TEXTGEN_RNG_EXHAUSTED && lanes[1].drawn == 100);
    CHECK(lanes[1].written == strlen(lanes[1].text) && lanes[1].written >= 100);
    for (size_t i = 0; i < LANES; i++) {
        if (i != 1) {
            check_text(alone[i], LENGTH, lanes[i].text, TEXTGEN_REACHED_LENGTH);
            check_same_text(alone[i], lanes[i].stream);
        }
        free(lanes[i].text), free(lanes[i].stream), free(alone[i]);
    }
    free(unfed);
}

/* The symbol for unknown characters can be fed, and is never drawn, also if the caller sets the logits. */
static void check_unknown(const textgen_model *model) {
    textgen_stream *stream = start(model, 1.0, 1, 0, "axa");
    double scores[2];
    size_t written;
    textgen_stream_get_info(stream).logits[0] = 9.0f;
    CHECK_OK(textgen_stream_probabilities(stream, 0, scores, work, &error));
    CHECK(scores[0] == 0.0 && scores[1] == 1.0);
    char *text = generate(stream, LENGTH, &written);
    CHECK(strspn(text, "a") == LENGTH);
    CHECK_OK(textgen_stream_feed_tokens(stream, (int64_t[]){1, 0}, 2, TEXTGEN_FEED_TEXT, scores, work, &error));
    CHECK(scores[0] == 0.0 && scores[1] == -INFINITY);
    free(text), free(stream);
}

static void check_broken(const textgen_model *model) {
    textgen_stream *stream = start(model, 1.0, 1, 0, "abc");
    char text[TEXT_SIZE] = "before";
    double probabilities[TOKENS], score;
    size_t written = 99;
    CHECK_FAILS(GENERATE(stream, LENGTH, TEXT_SIZE), TEXTGEN_INVALID_LOGITS);
    CHECK(written == strlen(text) && written < LENGTH);
    CHECK_FAILS(textgen_stream_probabilities(stream, 1, probabilities, work, &error), TEXTGEN_INVALID_LOGITS);
    CHECK_OK(textgen_stream_feed_tokens(stream, (int64_t[]){A}, 1, TEXTGEN_FEED_TEXT, &score, work, &error));
    CHECK(isnan(score));
    free(stream);
}

int main(int count, char **arguments) {
    CHECK(count == 4);
    loaded file = load(arguments[1], NULL), unknown = load(arguments[2], NULL);
    loaded broken = load(arguments[3], NULL);
    check_memory(file.model);
    check_arguments(file.model);
    check_feed(file.model);
    check_kinds_of_feed(file.model);
    check_changed_constraint(file.model);
    check_scores(file.model);
    check_seeds(file.model);
    check_own_sampling(file.model);
    check_held(file.model);
    check_lanes(file.model);
    check_unknown(unknown.model);
    check_broken(broken.model);
    unload(&file), unload(&unknown), unload(&broken);
    return 0;
}
