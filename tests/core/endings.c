/* Tests constraints, stop texts and log-probabilities in the generation loop: endings MODEL.
 *
 * Random lanes with random automata are compared with a loop over one lane that follows the definitions. */
#include "automata.h"

#include "handles.h"
#include "log64.h"

#include <math.h>

enum { MOST_LENGTH = 30, LANES = 4, ROUNDS = 1500, MOST_STEPS = 7, FORBIDDEN = 8, DROPPED = 9, ENDINGS = 10 };

static uint64_t state = 11;

/* What is chosen for a lane. */
typedef struct {
    const textgen_constraint *constraint;
    const stop_texts *stops;
    int64_t length;
    bool must_end, masked, keep_stop, filtered, logprobs;
    uint64_t seed;
} choice;

/* A lane in which "abc" was fed, and all that it has drawn. */
typedef struct {
    textgen_text *text;
    int64_t tokens[MOST_LENGTH], decided[MOST_LENGTH];
    double logprobs[MOST_LENGTH];
    int64_t generated, shown, ending, stop_length;
} test_lane;

/* The same by the definitions. */
typedef struct {
    textgen_sampler_state sampler;
    float *state;
    float logits[MOST_TOKENS];
    int64_t tokens[MOST_LENGTH];
    double logprobs[MOST_LENGTH];
    int64_t generated, ending, stop_length, constraint_state;
} reference_lane;

static const textgen_parameters filtered = {1.1, 1.5, 0.1, 0.2, 10, 9, 0.98, 0.97, 0.001, 0, 0.1, 0};

static textgen_shape shape_of(const textgen_network *network) { return textgen_network_shape(network, false); }

static void make_lanes(test_lane *lane, reference_lane *reference, const textgen_network *network,
                       const choice *chosen) {
    const textgen_shape shape = shape_of(network);
    const textgen_uint128 seed = {0, chosen->seed};
    const size_t bytes = network->state_values * sizeof(float);
    const int64_t prompt[] = {2, 3, 4};
    textgen_parameters parameters = chosen->filtered ? filtered : textgen_parameters_default;
    void *workspace = allocate(textgen_slots_size(network, 1, 1));
    parameters.temperature = filtered.temperature;
    memset(lane, 0, sizeof *lane);
    memset(reference, 0, sizeof *reference);
    lane->text = allocate(textgen_text_size(&shape));
    textgen_text_init(&shape, lane->text, seed, 0);
    textgen_text_configure(&shape, lane->text, &parameters, false);
    textgen_text_feed(&shape, lane->text, true);
    const textgen_text_parts parts = textgen_text_find(&shape, lane->text);
    textgen_network_forward(network, prompt, 3, 1, parts.state, 1, parts.logits, workspace);
    textgen_special_mask(&network->special, parts.logits);
    reference->state = memcpy(allocate(bytes), parts.state, bytes);
    memcpy(reference->logits, parts.logits, network->vocabulary * sizeof(float));
    textgen_sampler_start(&reference->sampler, &parameters, seed, 0, network->exp64);
    if (chosen->filtered) {
        reference->sampler.filters = allocate(textgen_filters_size(network->vocabulary));
        textgen_filters_init(reference->sampler.filters, &parameters, network->vocabulary);
    }
    free(workspace);
}

static void free_lanes(test_lane *lane, reference_lane *reference) {
    free(lane->text);
    free(reference->state);
    free(reference->sampler.filters);
}

static double log_probability(const float *logits, size_t count, int64_t token, textgen_exp64 exp64) {
    double sum = 0.0;
    for (size_t i = 0; i < count; i++) {
        double weight = -fabs((double)logits[i] - (double)logits[token]);
        exp64(&weight, 1);
        sum += logits[i] > logits[token] ? 1.0 / weight : weight;
    }
    return -textgen_log64(sum);
}

/* Draw one token. Return whether the lane goes on. */
static bool follow(reference_lane *lane, const textgen_network *network, const choice *chosen, void *workspace,
                   double *entropy) {
    const textgen_constraint *core = chosen->constraint;
    const int64_t remaining = chosen->must_end ? chosen->length - lane->generated : INT64_MAX;
    const bool accepting = core && core->distance[lane->constraint_state] <= 0;
    float masked[MOST_TOKENS];
    double *scratch = allocate(textgen_sampler_scratch(network->vocabulary) * sizeof(double));
    for (int64_t t = 0; t < (int64_t)network->vocabulary; t++) {
        const bool forbidden =
            core && chosen->masked && !accepting && !is_allowed(core, lane->constraint_state, t, remaining);
        masked[t] = forbidden ? -INFINITY : lane->logits[t];
    }
    *entropy += textgen_filtered_entropy_float(&lane->sampler, masked, network->vocabulary, scratch);
    int64_t token = textgen_filtered_draw_float(&lane->sampler, masked, network->vocabulary, scratch);
    free(scratch);
    if (token < 0) {
        lane->ending = token == TEXTGEN_INVALID_LOGITS ? TEXTGEN_NO_TOKEN : token;
        return false;
    }
    const bool ended = token == network->special.end;
    if (core && !(ended && accepting) && !is_allowed(core, lane->constraint_state, token, remaining)) {
        lane->ending = accepting ? TEXTGEN_CONSTRAINT_END : TEXTGEN_MISMATCH;
        return false;
    }
    if (core && !ended) {
        const size_t entry = (size_t)lane->constraint_state * core->vocabulary + (size_t)token;
        lane->constraint_state = core->next[entry];
    }
    if (!ended) {
        textgen_sampler_accept(&lane->sampler, token);
    }
    lane->logprobs[lane->generated] = log_probability(lane->logits, network->vocabulary, token, network->exp64);
    lane->tokens[lane->generated++] = token;
    textgen_network_forward(network, &token, 1, 1, lane->state, 1, lane->logits, workspace);
    textgen_special_mask(&network->special, lane->logits);
    lane->ending = lane->generated == chosen->length ? TEXTGEN_REACHED_LENGTH : TEXTGEN_CONTINUES;
    if (core && core->distance[lane->constraint_state] == -1) {
        lane->ending = TEXTGEN_CONSTRAINT_END;
    }
    lane->ending = ended ? TEXTGEN_REACHED_END : lane->ending;
    if (chosen->stops) {
        lane->stop_length = (int64_t)find_stop(chosen->stops, lane->tokens, (size_t)lane->generated);
        lane->ending = lane->stop_length > 0 ? TEXTGEN_REACHED_STOP : lane->ending;
    }
    return lane->ending == TEXTGEN_CONTINUES;
}

/* Return how many of the first tokens are decided. */
static int64_t count_decided(const reference_lane *lane, const choice *chosen) {
    if (lane->ending == TEXTGEN_REACHED_STOP) {
        return lane->generated - (chosen->keep_stop ? 0 : lane->stop_length);
    }
    if (!chosen->stops || lane->ending == TEXTGEN_REACHED_END || lane->ending == TEXTGEN_CONSTRAINT_END) {
        return lane->generated;
    }
    return lane->generated - (int64_t)find_pending(chosen->stops, lane->tokens, (size_t)lane->generated);
}

/* Check that the parts of a lane that were generated in several calls are together the reference. */
static void check_lane(const test_lane *lane, const reference_lane *reference, const textgen_network *network,
                       const choice *chosen) {
    const textgen_shape shape = shape_of(network);
    const textgen_text *text = lane->text;
    const textgen_text_parts parts = textgen_text_find(&shape, lane->text);
    const int64_t decided = count_decided(reference, chosen);
    const bool stopped = reference->ending == TEXTGEN_REACHED_STOP;
    CHECK(lane->ending == reference->ending && lane->stop_length == reference->stop_length);
    CHECK(lane->generated == reference->generated && text->since_feed == reference->generated);
    CHECK(!memcmp(lane->tokens, reference->tokens, (size_t)reference->generated * sizeof(int64_t)));
    CHECK(lane->shown == decided);
    CHECK(!memcmp(lane->decided, reference->tokens, (size_t)decided * sizeof(int64_t)));
    CHECK(text->held == (stopped || textgen_text_is_complete(text) ? 0 : reference->generated - decided));
    for (int64_t i = 0; i < text->held; i++) {
        CHECK(parts.held[i] == reference->tokens[decided + i]);
    }
    CHECK(text->constraint_state == reference->constraint_state);
    if (chosen->stops) {
        const int64_t expected =
            stopped || textgen_text_is_complete(text)
                ? 0
                : (int64_t)find_state(chosen->stops, reference->tokens, (size_t)reference->generated);
        static int64_t held[TEXTGEN_MAX_HELD];
        textgen_lane_call next = {.text = lane->text, .tokens = held};
        next.guide.stops = chosen->stops->built;
        textgen_lane_begin(&shape, &next);
        CHECK(next.stop_state == expected);
    }
    CHECK(text->at_end == (reference->ending == TEXTGEN_REACHED_END));
    CHECK(text->ending == (reference->ending < 0 || reference->ending == TEXTGEN_MISMATCH ? TEXTGEN_CONTINUES
                                                                                          : reference->ending));
    CHECK(text->rng.position == reference->sampler.rng.position);
    CHECK(!memcmp(parts.logits, reference->logits, network->vocabulary * sizeof(float)));
    CHECK(!memcmp(parts.state, reference->state, network->state_values * sizeof(float)));
    for (int64_t i = 0; chosen->logprobs && i < reference->generated; i++) {
        CHECK(fabs(lane->logprobs[i] - reference->logprobs[i]) < 1e-9);
    }
    if (chosen->filtered) {
        CHECK(!memcmp(parts.filters, reference->sampler.filters, textgen_filters_size(network->vocabulary)));
    }
}

/* Run the lanes that have not ended in calls of a few steps. */
static void run_lanes(test_lane *lanes, const choice *chosen, const textgen_network *network,
                      textgen_measurements *sums) {
    const textgen_shape shape = shape_of(network);
    static int64_t tokens[LANES][STOPS * STOP_LENGTH + MOST_STEPS];
    static double logprobs[LANES][MOST_STEPS];
    void *workspace = allocate(textgen_slots_size(network, LANES, 1));
    textgen_lane_call calls[LANES];
    test_lane *of[LANES];
    size_t count;
    do {
        for (size_t i = count = 0; i < LANES; i++) {
            if (lanes[i].ending == TEXTGEN_CONTINUES) {
                const textgen_lane_call call = {
                    .text = lanes[i].text,
                    .guide = {.stops = chosen[i].stops ? chosen[i].stops->built : NULL,
                              .constraint = chosen[i].constraint},
                    .length = chosen[i].length - lanes[i].generated,
                    .must_end = chosen[i].must_end,
                    .masked = chosen[i].masked,
                    .keep_stop = chosen[i].keep_stop,
                    .tokens = tokens[count],
                    .logprobs = chosen[i].logprobs ? logprobs[count] : NULL,
                    .stop_length = 9};
                of[count] = &lanes[i];
                calls[count++] = call;
            }
        }
        textgen_generate_tokens(network, &shape, calls, count, (int64_t)random_up_to(&state, MOST_STEPS),
                                workspace, sums);
        for (size_t i = 0; i < count; i++) {
            const textgen_lane_call *call = &calls[i];
            const size_t generated = (size_t)call->generated, decided = (size_t)call->decided;
            test_lane *lane = of[i];
            memcpy(lane->tokens + lane->generated, call->tokens + call->held, generated * sizeof(int64_t));
            memcpy(lane->logprobs + lane->generated, logprobs[i], generated * sizeof(double));
            memcpy(lane->decided + lane->shown, call->tokens, decided * sizeof(int64_t));
            lane->generated += call->generated;
            lane->shown += call->decided;
            lane->ending = call->ending;
            lane->stop_length = call->stop_length;
        }
    } while (count > 0);
    free(workspace);
}

static choice choose(constraint *automaton, stop_texts *stops, const textgen_network *network) {
    const uint64_t bits = next_random(&state);
    choice chosen = {.seed = bits, .filtered = bits & 1, .logprobs = bits & 2, .keep_stop = bits & 256};
    chosen.length = 1 + (int64_t)random_up_to(&state, bits & 128 ? 3 : MOST_LENGTH - 1);
    if (bits & 4 && make_random_constraint(automaton, network->vocabulary, network->special.end, &state)) {
        chosen.constraint = &automaton->core;
        chosen.must_end = bits & 8;
        chosen.masked = (bits & 48) != 0;
    }
    if (bits & 64) {
        make_random_stops(stops, network->vocabulary, &state);
        chosen.stops = stops;
    }
    return chosen;
}

/* Generate LANES random lanes at once, and count their endings. */
static void check_random_lanes(const textgen_network *network, size_t endings[ENDINGS]) {
    static constraint constraints[LANES];
    static stop_texts stops[LANES];
    static test_lane lanes[LANES];
    static reference_lane references[LANES];
    void *workspace = allocate(textgen_slots_size(network, 1, 1));
    double expected_entropy = 0.0;
    textgen_measurements sums = {0};
    choice chosen[LANES];
    int64_t draws = 0;
    for (size_t i = 0; i < LANES; i++) {
        chosen[i] = choose(&constraints[i], &stops[i], network);
        make_lanes(&lanes[i], &references[i], network, &chosen[i]);
        if (chosen[i].constraint && constraints[i].distance[0] == -1) {
            references[i].ending = TEXTGEN_CONSTRAINT_END;
        } else {
            while (follow(&references[i], network, &chosen[i], workspace, &expected_entropy)) {
            }
        }
    }
    run_lanes(lanes, chosen, network, &sums);
    CHECK(fabs(sums.entropy - expected_entropy) < 1e-9);
    for (size_t i = 0; i < LANES; i++) {
        const int64_t ending = lanes[i].ending, position = lanes[i].text->rng.position;
        check_lane(&lanes[i], &references[i], network, &chosen[i]);
        draws += position;
        if (chosen[i].must_end && chosen[i].masked && ending != TEXTGEN_REACHED_STOP && ending > 0) {
            CHECK(textgen_constraint_accepting(chosen[i].constraint, lanes[i].text->constraint_state));
        }
        endings[ending >= 0 ? ending : FORBIDDEN]++;
        endings[DROPPED] += position > lanes[i].generated && ending > 0;
        free_lanes(&lanes[i], &references[i]);
    }
    CHECK(sums.draws == draws);
    free(workspace);
}

int main(int count, char **arguments) {
    size_t endings[ENDINGS] = {0};
    CHECK(count > 1);
    loaded file = load(arguments[1], NULL);
    CHECK(file.model->network->vocabulary <= MOST_TOKENS);
    for (size_t i = 0; i < ROUNDS; i++) {
        check_random_lanes(file.model->network, endings);
    }
    /* Every ending occurred. Only other languages have the one of a masked text. */
    for (size_t i = TEXTGEN_REACHED_LENGTH; i < TEXTGEN_MASKED_END; i++) {
        CHECK(endings[i] > 10 || (i == TEXTGEN_REACHED_END && file.model->network->special.end < 0));
    }
    CHECK(endings[FORBIDDEN] > 10 && endings[DROPPED] > 10);
    unload(&file);
    return 0;
}
