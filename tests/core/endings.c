/* Tests what lanes draw, how they end and what they hold back: endings MODEL.
 *
 * Random lanes with random constraints and stop texts are compared with a loop over one lane that follows the
 * definitions. Between calls of a few steps a stream is replaced by a copy, or by what is resumed of it. */
#include "check.h"

#include <math.h>

enum { LANES = 4, ROUNDS = 1500, MOST_LENGTH = 30, MOST_STEPS = 7, MOST_TOKENS = 16, MOST_VALUES = 1024 };
enum { STATES = 10, STOPS = 3, STOP_LENGTH = 4, STOP_BYTES = 64, FAR = 1000 };

/* What the counts of endings have besides those of textgen.h. */
enum { FAILED = 6, DROPPED = 7, ENDINGS = 8 };

static uint64_t random_state = 11;
static size_t random_to(size_t count) { return random_up_to(&random_state, count); }

static loaded file;
static size_t vocabulary;

/* A stop text, and the tokens that it has. */
typedef struct {
    char text[STOP_BYTES];
    int64_t tokens[STOP_BYTES];
    size_t count;
} stop_text;

/* What is chosen for a lane. */
typedef struct {
    textgen_sampling sampling;
    double bias[MOST_TOKENS];
    stop_text stops[STOPS];
    const char *listed[STOPS];
    int16_t next[STATES * MOST_TOKENS]; /* the table without what is banned, and without dead ends */
    int distance[STATES];               /* to an accepting state, or FAR */
    textgen_constraint *constraint;
    textgen_lane lane;
} choice;

/* A lane by the definitions. */
typedef struct {
    textgen_stream *sampler;
    float state[MOST_VALUES], logits[MOST_TOKENS];
    int64_t tokens[MOST_LENGTH];
    double logprobs[MOST_LENGTH];
    size_t drawn, stop, at; /* at: the state of the constraint */
    int32_t ending, result;
} reference;

/* What the calls of a lane gave. */
typedef struct {
    textgen_stream *stream;
    int64_t tokens[MOST_LENGTH + STOP_BYTES];
    double logprobs[MOST_LENGTH];
    char text[4096];
    size_t drawn, decided, written, stop;
    int32_t ending, result;
} running;

/* ---- Definitions ---- */

/* Set the distances of a table by relaxation. */
static void measure(choice *chosen, const uint8_t *accepting, size_t states) {
    for (size_t s = 0; s < states; s++) {
        chosen->distance[s] = accepting[s] ? 0 : FAR;
    }
    for (size_t entry = 0, round = 0; round < states; entry = 0, round++) {
        for (size_t s = 0; s < states; s++) {
            for (size_t t = 0; t < vocabulary; t++, entry++) {
                const int16_t next = chosen->next[entry];
                if (next >= 0 && chosen->distance[next] + 1 < chosen->distance[s]) {
                    chosen->distance[s] = chosen->distance[next] + 1;
                }
            }
        }
    }
    for (size_t i = 0; i < states * vocabulary; i++) {
        chosen->next[i] =
            chosen->next[i] >= 0 && chosen->distance[chosen->next[i]] < FAR ? chosen->next[i] : -1;
    }
}

static bool is_allowed(const choice *chosen, size_t at, size_t token, size_t remaining) {
    const int16_t next = chosen->next[at * vocabulary + token];
    return next >= 0 && (size_t)chosen->distance[next] < remaining;
}

/* Whether the text matches and nothing may follow. */
static bool is_complete(const choice *chosen, size_t at) {
    bool any = false;
    for (size_t t = 0; t < vocabulary; t++) {
        any = any || chosen->next[at * vocabulary + t] >= 0;
    }
    return chosen->distance[at] == 0 && !any;
}

static bool ends_with(const reference *lane, const stop_text *stop, size_t count) {
    return count <= lane->drawn &&
           !memcmp(lane->tokens + lane->drawn - count, stop->tokens, count * sizeof *stop->tokens);
}

/* How many of the last tokens are the longest stop text, or the longest proper beginning of one. */
static size_t find_stop(const choice *chosen, const reference *lane, bool is_beginning) {
    size_t longest = 0;
    for (size_t i = 0; i < chosen->sampling.stop_count; i++) {
        const stop_text *stop = &chosen->stops[i];
        for (size_t count = is_beginning ? 1 : stop->count; count < stop->count + !is_beginning; count++) {
            longest = ends_with(lane, stop, count) && count > longest ? count : longest;
        }
    }
    return longest;
}

/* The logits of a draw. */
static void mask(const choice *chosen, const reference *lane, size_t remaining, double *masked) {
    const bool is_open = chosen->constraint && !chosen->lane.unmasked && chosen->distance[lane->at] > 0;
    for (size_t t = 0; t < vocabulary; t++) {
        const bool early = (int64_t)t == file.info->end && lane->drawn < chosen->sampling.min_length;
        const bool forbidden = is_open && !is_allowed(chosen, lane->at, t, remaining);
        masked[t] = early || forbidden ? -INFINITY : (double)lane->logits[t];
    }
}

static void forward(reference *lane, const int64_t *tokens, size_t count) {
    CHECK_OK(textgen_forward(file.model, tokens, count, 1, lane->state, 1, lane->logits, work, &error));
    const int64_t never[] = {file.info->unknown, file.info->begin};
    for (size_t i = 0; i < 2; i++) {
        if (never[i] >= 0) {
            lane->logits[never[i]] = -INFINITY;
        }
    }
}

static double surprisal(const double *logits, size_t token) {
    double probabilities[MOST_TOKENS];
    CHECK_OK(textgen_softmax(logits, vocabulary, 1.0, probabilities));
    return -logarithm(probabilities[token]);
}

/* Draw one token. Return whether the lane goes on. */
static bool follow(const choice *chosen, reference *lane) {
    const size_t remaining = chosen->lane.finish ? chosen->lane.length - lane->drawn : SIZE_MAX;
    const bool accepting = chosen->constraint && chosen->distance[lane->at] == 0;
    double masked[MOST_TOKENS], logits[MOST_TOKENS];
    mask(chosen, lane, remaining, masked);
    const int64_t token = textgen_sampler_draw(lane->sampler, masked, 0);
    if (token < 0) {
        lane->result = TEXTGEN_NO_TOKEN;
        return false;
    }
    const bool ended = token == file.info->end;
    if (chosen->constraint && !(ended && accepting) &&
        !is_allowed(chosen, lane->at, (size_t)token, remaining)) {
        lane->ending = accepting ? TEXTGEN_CONSTRAINT_END : TEXTGEN_MISMATCH;
        return false;
    }
    if (chosen->constraint && !ended) {
        lane->at = (size_t)chosen->next[lane->at * vocabulary + (size_t)token];
    }
    for (size_t t = 0; t < vocabulary; t++) {
        logits[t] = (double)lane->logits[t];
    }
    lane->logprobs[lane->drawn] = -surprisal(logits, (size_t)token);
    lane->tokens[lane->drawn++] = token;
    forward(lane, &token, 1);
    lane->stop = find_stop(chosen, lane, false);
    lane->ending = lane->stop                                            ? TEXTGEN_REACHED_STOP
                   : ended                                               ? TEXTGEN_REACHED_END
                   : chosen->constraint && is_complete(chosen, lane->at) ? TEXTGEN_CONSTRAINT_END
                   : lane->drawn == chosen->lane.length                  ? TEXTGEN_REACHED_LENGTH
                                                                         : TEXTGEN_CONTINUES;
    return lane->ending == TEXTGEN_CONTINUES;
}

/* ---- Choices ---- */

static void choose_sampling(choice *chosen, uint64_t bits) {
    const textgen_sampling defaults = TEXTGEN_SAMPLING_DEFAULT;
    chosen->sampling = defaults;
    chosen->sampling.temperature = 1.1;
    chosen->sampling.seed = bits;
    chosen->sampling.substream = bits % 3;
    chosen->sampling.keep_stop = bits >> 8 & 1;
    if (bits & 1) {
        chosen->sampling.repetition_penalty = 1.5;
        chosen->sampling.frequency_penalty = 0.1;
        chosen->sampling.penalty_window = 10;
        chosen->sampling.top_k = 9;
        chosen->sampling.min_p = 0.001;
    } else if (bits & 512) {
        chosen->sampling.mirostat_tau = 2.0;
        chosen->sampling.presence_penalty = 0.2;
    }
    if (bits & 1024) {
        for (size_t t = 0; t < vocabulary; t++) {
            chosen->bias[t] = random_to(7) ? random_below(&random_state, 2.0) : -INFINITY;
        }
        chosen->bias[2] = 0.0;
        chosen->sampling.logit_bias = chosen->bias;
    }
}

static void choose_constraint(choice *chosen) {
    const size_t states = 1 + random_to(STATES - 1);
    uint8_t accepting[STATES];
    int64_t banned[2];
    int16_t next[STATES * MOST_TOKENS];
    const size_t banned_count = random_to(2);
    for (size_t i = 0; i < states * vocabulary; i++) {
        const bool leads = random_to(6) == 0 && (int64_t)(i % vocabulary) != file.info->end;
        next[i] = chosen->next[i] = leads ? (int16_t)random_to(states - 1) : -1;
    }
    for (size_t i = 0; i < 2; i++) {
        banned[i] = (int64_t)random_to(vocabulary - 1);
        for (size_t s = 0; i < banned_count && s < states; s++) {
            chosen->next[s * vocabulary + (size_t)banned[i]] = -1;
        }
    }
    for (size_t s = 0; s < states; s++) {
        accepting[s] = random_to(6) == 0;
    }
    measure(chosen, accepting, states);
    const int32_t code = textgen_constraint_create_table(next, accepting, states, vocabulary, banned,
                                                         banned_count, &chosen->constraint, &error);
    CHECK(code == (chosen->distance[0] < FAR ? TEXTGEN_OK : TEXTGEN_INVALID_ARGUMENT));
    chosen->sampling.constraint = chosen->constraint;
}

static void choose_stops(choice *chosen) {
    for (size_t i = 0; i <= random_to(STOPS - 1) && i < STOPS; i++) {
        stop_text *stop = &chosen->stops[chosen->sampling.stop_count];
        size_t size = 0;
        if (chosen->sampling.stop_count && random_to(1)) {
            /* The end of another one, which ends with it. */
            size = textgen_model_get_symbol(file.model, stop[-1].tokens[0], stop->text);
            strcpy(stop->text, stop[-1].text + size);
            size = strlen(stop->text);
        }
        for (size_t t = 0, count = size ? 0 : 1 + random_to(STOP_LENGTH - 1); t < count; t++) {
            size += textgen_model_get_symbol(file.model, (int64_t)random_to(vocabulary / 2), stop->text + size);
        }
        stop->text[size] = '\0';
        CHECK_OK(textgen_encode(file.model, stop->text, size, 0, stop->tokens, &stop->count, &error));
        chosen->listed[chosen->sampling.stop_count] = stop->text;
        chosen->sampling.stop_count += size > 0;
    }
    chosen->sampling.stop = chosen->listed;
}

static void choose(choice *chosen) {
    const uint64_t bits = next_random(&random_state);
    memset(chosen, 0, sizeof *chosen);
    choose_sampling(chosen, bits);
    if (bits & 4) {
        choose_constraint(chosen);
    }
    if (!chosen->constraint && bits & 8) {
        choose_stops(chosen);
    }
    if (!chosen->constraint && file.info->end >= 0 && bits & 16) {
        chosen->sampling.min_length = random_to(9);
    }
    chosen->lane.length = 1 + random_to(bits & 128 ? 3 : MOST_LENGTH - 1);
    chosen->lane.unmasked = !(bits & 96);
    chosen->lane.finish =
        bits >> 11 & 1 && (!chosen->constraint || (size_t)chosen->distance[0] <= chosen->lane.length);
}

/* ---- Runs ---- */

static textgen_stream *new_sampler(const choice *chosen) {
    textgen_stream *sampler;
    CHECK_OK(textgen_sampler_init(new_memory(textgen_sampler_size(vocabulary)), vocabulary, &chosen->sampling,
                                  &sampler, &error));
    return sampler;
}

static void begin(const choice *chosen, running *lane, reference *expected) {
    const int64_t prompt[] = {2, 3, 4};
    memset(lane, 0, sizeof *lane);
    memset(expected, 0, sizeof *expected);
    lane->stream = start_with(file.model, &chosen->sampling, NULL);
    CHECK_OK(textgen_stream_feed_tokens(lane->stream, prompt, 3, TEXTGEN_FEED_TEXT, NULL, work, &error));
    expected->sampler = new_sampler(chosen);
    if (file.info->begin >= 0) {
        forward(expected, &file.info->begin, 1);
    }
    forward(expected, prompt, 3);
    if (chosen->constraint && is_complete(chosen, 0)) {
        expected->ending = TEXTGEN_CONSTRAINT_END;
    } else {
        while (follow(chosen, expected)) {
        }
    }
}

/* Replace a stream by another that is in the same place. */
static void replace(const choice *chosen, running *lane) {
    textgen_stream *before = lane->stream;
    if (random_to(1)) {
        lane->stream = copy_of(file.model, before);
    } else {
        const textgen_memory saved = new_memory(textgen_stream_saved_size(before, 0));
        CHECK_OK(textgen_stream_save(before, NULL, 0, saved, &error));
        CHECK_OK(textgen_stream_resume(new_memory(textgen_stream_size(file.model)), file.model,
                                       &chosen->sampling, saved.data, saved.size, &lane->stream, &error));
        free(saved.data);
    }
    free(before);
}

/* The next draw has these probabilities, as far as the lane has come. */
static void check_probabilities(const choice *chosen, const running *lane) {
    double probabilities[MOST_TOKENS], masked[MOST_TOKENS], logits[MOST_TOKENS], expected[MOST_TOKENS];
    reference now;
    memset(&now, 0, sizeof now);
    now.sampler = new_sampler(chosen);
    now.drawn = lane->drawn;
    memcpy(now.logits, textgen_stream_get_info(lane->stream).logits, vocabulary * sizeof(float));
    for (size_t i = 0; chosen->constraint && i < lane->drawn; i++) {
        now.at = (size_t)chosen->next[now.at * vocabulary + (size_t)lane->tokens[i]];
    }
    for (size_t t = 0; t < vocabulary; t++) {
        logits[t] = (double)now.logits[t];
    }
    CHECK_OK(textgen_softmax(logits, vocabulary, 1.0, expected));
    CHECK_OK(textgen_stream_probabilities(lane->stream, 0, probabilities, work, &error));
    CHECK(!memcmp(probabilities, expected, vocabulary * sizeof *expected));
    /* The filters of the stream know its tokens; those of this sampler do not. */
    if (!chosen->lane.unmasked && chosen->sampling.repetition_penalty == 1.0 &&
        chosen->sampling.mirostat_tau == 0.0) {
        mask(chosen, &now, SIZE_MAX, masked);
        const int32_t code = textgen_sampler_probabilities(now.sampler, masked, expected);
        CHECK(textgen_stream_probabilities(lane->stream, 1, probabilities, work, &error) ==
              (code < 0 ? TEXTGEN_NO_TOKEN : TEXTGEN_OK));
        CHECK(code < 0 || !memcmp(probabilities, expected, vocabulary * sizeof *expected));
    }
    free(now.sampler);
}

/* Take what a call gave. */
static void take(running *lane, const textgen_lane *given) {
    CHECK(strlen(given->text) == given->written);
    memcpy(lane->text + lane->written, given->text, given->written);
    memcpy(lane->tokens + lane->decided, given->tokens, (given->decided + given->stop) * sizeof(int64_t));
    memcpy(lane->logprobs + lane->drawn, given->logprobs, given->drawn * sizeof(double));
    lane->drawn += given->drawn;
    lane->decided += given->decided;
    lane->written += given->written;
    lane->stop = given->stop;
    lane->ending = given->ending;
    lane->result = given->result;
}

/* Run the lanes that have not ended in calls of a few steps, or one call. */
static void run(choice *chosen, running *lanes) {
    static int64_t tokens[LANES][MOST_LENGTH + STOP_BYTES], latencies[MOST_LENGTH];
    static double logprobs[LANES][MOST_LENGTH];
    const bool whole = random_to(4) == 0;
    textgen_lane given[LANES];
    size_t of[LANES], count;
    for (;;) {
        const size_t steps = whole ? 0 : 1 + random_to(MOST_STEPS - 1);
        for (size_t i = count = 0; i < LANES; i++) {
            if (lanes[i].ending == TEXTGEN_CONTINUES && lanes[i].result == TEXTGEN_OK) {
                replace(&chosen[i], &lanes[i]);
                given[count] = chosen[i].lane;
                given[count].stream = lanes[i].stream;
                given[count].length -= lanes[i].drawn;
                given[count].tokens = tokens[count];
                given[count].logprobs = logprobs[count];
                given[count].text = allocate(textgen_stream_text_size(lanes[i].stream, MOST_LENGTH));
                of[count++] = i;
            }
        }
        if (!count) {
            return;
        }
        memset(latencies, 0, sizeof latencies);
        const int32_t code = textgen_generate(given, count, steps, work, latencies, &error);
        CHECK(code == TEXTGEN_OK || code == TEXTGEN_LANE_FAILED);
        for (size_t i = 0; i < count; i++) {
            running *lane = &lanes[of[i]];
            take(lane, &given[i]);
            CHECK(!given[i].drawn || latencies[given[i].drawn - 1] > 0);
            const textgen_stream_info info = textgen_stream_get_info(lane->stream);
            if (lane->ending == TEXTGEN_CONTINUES && lane->result == TEXTGEN_OK) {
                const int32_t *held = info.held_tokens;
                CHECK(given[i].drawn == steps && lane->decided + info.held == lane->drawn);
                for (size_t j = 0; j < info.held; j++) {
                    lane->tokens[lane->decided + j] = held[j];
                }
                check_probabilities(&chosen[of[i]], lane);
            }
            free(given[i].text);
        }
    }
}

/* Check that the parts of a lane are together the reference. */
static void check_lane(const choice *chosen, const running *lane, const reference *expected) {
    const textgen_stream_info info = textgen_stream_get_info(lane->stream);
    const bool stopped = expected->ending == TEXTGEN_REACHED_STOP;
    const bool is_over = expected->ending == TEXTGEN_REACHED_END || expected->ending == TEXTGEN_CONSTRAINT_END;
    const size_t held = is_over || stopped || chosen->lane.finish ? 0 : find_stop(chosen, expected, true);
    const size_t decided = expected->drawn - (stopped && !chosen->sampling.keep_stop ? expected->stop : held);
    char text[4096];
    size_t written = 0;
    CHECK(lane->ending == expected->ending && lane->result == expected->result);
    CHECK(lane->drawn == expected->drawn && lane->stop == expected->stop);
    CHECK(lane->decided == decided && info.held == held);
    CHECK(!memcmp(lane->tokens, expected->tokens,
                  (stopped ? expected->drawn : decided) * sizeof *expected->tokens));
    for (size_t i = 0; i < held; i++) {
        CHECK(textgen_stream_get_info(lane->stream).held_tokens[i] == expected->tokens[decided + i]);
    }
    for (size_t i = 0; i < decided; i++) {
        written += textgen_model_get_symbol(file.model, expected->tokens[i], text + written);
    }
    CHECK(lane->written == written && !memcmp(lane->text, text, written));
    for (size_t i = 0; i < expected->drawn; i++) {
        CHECK(fabs(lane->logprobs[i] - expected->logprobs[i]) < 1e-9);
    }
    CHECK(info.at_end == (expected->ending == TEXTGEN_REACHED_END) && info.is_complete == is_over);
    CHECK(info.ending == (expected->ending == TEXTGEN_MISMATCH ? TEXTGEN_CONTINUES : expected->ending));
    CHECK(info.needed == (chosen->constraint && !is_over ? (size_t)chosen->distance[expected->at] : 0));
    CHECK(info.drawn == textgen_stream_get_info(expected->sampler).drawn);
    CHECK(!memcmp(textgen_stream_get_info(lane->stream).logits, expected->logits, vocabulary * sizeof(float)));
    CHECK(!memcmp(textgen_stream_get_info(lane->stream).state, expected->state,
                  file.info->state_values * sizeof(float)));
    if (chosen->lane.finish && chosen->constraint && expected->ending > 0 && !chosen->lane.unmasked) {
        CHECK(chosen->distance[expected->at] == 0);
    }
}

/* Generate LANES random lanes at once, and count their endings. */
static void check_random_lanes(size_t endings[ENDINGS]) {
    static choice chosen[LANES];
    static running lanes[LANES];
    static reference expected[LANES];
    for (size_t i = 0; i < LANES; i++) {
        choose(&chosen[i]);
        begin(&chosen[i], &lanes[i], &expected[i]);
    }
    run(chosen, lanes);
    for (size_t i = 0; i < LANES; i++) {
        check_lane(&chosen[i], &lanes[i], &expected[i]);
        const int64_t drawn = textgen_stream_get_info(lanes[i].stream).drawn;
        endings[lanes[i].result < 0 ? FAILED : lanes[i].ending]++;
        endings[DROPPED] += drawn > (int64_t)lanes[i].drawn && lanes[i].result == TEXTGEN_OK;
        textgen_constraint_destroy(chosen[i].constraint);
        free(lanes[i].stream), free(expected[i].sampler);
    }
}

int main(int count, char **arguments) {
    size_t endings[ENDINGS] = {0};
    CHECK(count > 1);
    file = load(arguments[1], NULL);
    vocabulary = file.info->vocabulary;
    CHECK(vocabulary <= MOST_TOKENS && file.info->state_values <= MOST_VALUES);
    for (size_t i = 0; i < ROUNDS; i++) {
        check_random_lanes(endings);
    }
    /* Every ending occurred. */
    for (size_t i = TEXTGEN_REACHED_LENGTH; i < ENDINGS; i++) {
        CHECK(endings[i] > 10 || (i == TEXTGEN_REACHED_END && file.info->end < 0));
    }
    unload(&file);
    return 0;
}
