/* Tests constraints, stop texts and log-probabilities in the generation loop: endings MODEL.
 *
 * Random lanes with random automata are compared with a loop over one lane that follows the definitions. */
#include "automata.h"

#include "handles.h"
#include "log64.h"

#include <math.h>

enum { MOST_LENGTH = 30, LANES = 4, ROUNDS = 1500 };

static uint64_t state = 11;

/* The memory of a lane. */
typedef struct {
    textgen_token_lane lane;
    textgen_sampler sampler;
    float *state;
    float logits[MOST_TOKENS];
    int64_t tokens[MOST_LENGTH];
    double logprobs[MOST_LENGTH];
} test_lane;

/* A lane in which "abc" was fed. The same seed gives the same lane. */
static void make_lane(test_lane *made, const textgen_network *network, uint64_t seed, bool filtered) {
    static const textgen_parameters parameters = {1.1, 1.5, 0.1, 0.2, 10, 9, 0.98, 0.97, 0.001, 0, 0.1, 0};
    const size_t bytes = network->state_values * sizeof(float);
    const int64_t prompt[] = {2, 3, 4};
    void *workspace = allocate(textgen_slots_size(network, 1, 1));
    memset(made, 0, sizeof *made);
    made->lane.state = made->state = memset(allocate(bytes), 0, bytes);
    textgen_forward(network, prompt, 3, 1, made->state, 1, made->logits, workspace);
    textgen_special_mask(&network->special, made->logits);
    textgen_sampler_init(&made->sampler, &parameters, (textgen_uint128){0, seed}, 0, network->exp64);
    if (filtered) {
        made->sampler.filters = allocate(textgen_filters_size(network->vocabulary));
        textgen_filters_init(made->sampler.filters, &parameters, network->vocabulary);
    }
    made->lane.sampler = &made->sampler;
    made->lane.logits = made->logits;
    made->lane.tokens = made->tokens;
    made->lane.stop_length = 9;
    free(workspace);
}

static void free_lane(test_lane *lane) {
    free(lane->state);
    free(lane->sampler.filters);
}

static double log_probability(const float *logits, size_t count, int64_t token, textgen_exp64 exp64) {
    double sum = 0.0;
    size_t i;
    for (i = 0; i < count; i++) {
        double weight = -fabs((double)logits[i] - (double)logits[token]);
        exp64(&weight, 1);
        sum += logits[i] > logits[token] ? 1.0 / weight : weight;
    }
    return -textgen_log64(sum);
}

/* Draw one token. Return whether the lane goes on. */
static bool follow(test_lane *reference, const textgen_network *network, const stop_texts *stops,
                   void *workspace, double *entropy) {
    textgen_token_lane *lane = &reference->lane;
    const textgen_constraint *core = lane->constraint;
    const int64_t remaining = lane->must_end ? lane->length - lane->generated : INT64_MAX;
    const bool accepting = core && core->distance[lane->constraint_state] <= 0;
    float masked[MOST_TOKENS];
    double *scratch = allocate(textgen_sampler_scratch(network->vocabulary) * sizeof(double));
    int64_t token, t;
    bool ended;
    for (t = 0; t < (int64_t)network->vocabulary; t++) {
        const bool forbidden =
            core && lane->masked && !accepting && !is_allowed(core, lane->constraint_state, t, remaining);
        masked[t] = forbidden ? -INFINITY : lane->logits[t];
    }
    *entropy += textgen_sampler_entropy_float(lane->sampler, masked, network->vocabulary, scratch);
    token = textgen_sampler_draw_float(lane->sampler, masked, network->vocabulary, scratch);
    free(scratch);
    if (token < 0) {
        lane->ending = token == TEXTGEN_SAMPLER_NO_TOKEN ? TEXTGEN_SAMPLER_FORBIDDEN : token;
        return false;
    }
    ended = token == network->special.end;
    if (core && !(ended && accepting) && !is_allowed(core, lane->constraint_state, token, remaining)) {
        lane->ending = accepting ? TEXTGEN_CONSTRAINT_END : TEXTGEN_MISMATCH;
        return false;
    }
    if (core && !ended) {
        const size_t entry = (size_t)lane->constraint_state * core->vocabulary + (size_t)token;
        lane->constraint_state = core->next[entry];
    }
    if (!ended) {
        textgen_sampler_accept(lane->sampler, token);
    }
    reference->logprobs[lane->generated] =
        log_probability(lane->logits, network->vocabulary, token, network->exp64);
    reference->tokens[lane->generated++] = token;
    textgen_forward(network, &token, 1, 1, reference->state, 1, reference->logits, workspace);
    textgen_special_mask(&network->special, reference->logits);
    lane->ending = lane->generated == lane->length ? TEXTGEN_REACHED_LENGTH : TEXTGEN_RUNNING;
    if (core && core->distance[lane->constraint_state] == -1) {
        lane->ending = TEXTGEN_CONSTRAINT_END;
    }
    lane->ending = ended ? TEXTGEN_REACHED_END : lane->ending;
    if (lane->stops) {
        lane->stop_length = (int64_t)find_stop(stops, reference->tokens, (size_t)lane->generated);
        lane->stop_state = (int64_t)find_state(stops, reference->tokens, (size_t)lane->generated);
        if (lane->stop_length > 0) {
            lane->stop_state = 0;
            lane->ending = TEXTGEN_REACHED_STOP;
        }
    }
    return lane->ending == TEXTGEN_RUNNING;
}

/* Check that the parts of a lane that were generated in several calls are together the reference. */
static void check_lane(const test_lane *lane, const test_lane *reference, const textgen_network *network,
                       int64_t generated) {
    const textgen_token_lane *got = &lane->lane, *expected = &reference->lane;
    size_t i;
    CHECK(got->ending == expected->ending);
    CHECK(generated == expected->generated);
    CHECK(!memcmp(lane->tokens, reference->tokens, (size_t)generated * sizeof(int64_t)));
    CHECK(!memcmp(lane->logits, reference->logits, network->vocabulary * sizeof(float)));
    CHECK(got->constraint_state == expected->constraint_state && got->stop_state == expected->stop_state);
    CHECK(got->stop_length == expected->stop_length);
    CHECK(got->stop_length > 0 || got->stop_reached == got->stop_state);
    CHECK(lane->sampler.rng.position == reference->sampler.rng.position);
    CHECK(!memcmp(lane->state, reference->state, network->state_values * sizeof(float)));
    for (i = 0; i < (size_t)generated; i++) {
        CHECK(got->logprobs == NULL || fabs(lane->logprobs[i] - reference->logprobs[i]) < 1e-9);
    }
    if (lane->sampler.filters) {
        CHECK(!memcmp(lane->sampler.filters, reference->sampler.filters,
                      textgen_filters_size(network->vocabulary)));
    }
}

/* Run the lanes that have not ended in calls of a few steps. */
static void run_lanes(test_lane *lanes, const textgen_network *network, int64_t *generated,
                      textgen_measurements *sums) {
    void *workspace = allocate(textgen_slots_size(network, LANES, 1));
    textgen_token_lane active[LANES];
    size_t which[LANES], count, i;
    do {
        for (i = count = 0; i < LANES; i++) {
            if (lanes[i].lane.ending == TEXTGEN_RUNNING) {
                which[count] = i;
                active[count++] = lanes[i].lane;
            }
        }
        textgen_generate_tokens(network, active, count, (int64_t)random_up_to(&state, 7), workspace, sums);
        for (i = 0; i < count; i++) {
            textgen_token_lane *lane = &lanes[which[i]].lane;
            *lane = active[i];
            generated[which[i]] += lane->generated;
            lane->length -= lane->generated;
            lane->tokens += lane->generated;
            lane->logprobs = lane->logprobs ? lane->logprobs + lane->generated : NULL;
        }
    } while (count > 0);
    free(workspace);
}

/* Generate LANES random lanes at once. Count their endings: FORBIDDEN at 6, dropped tokens at 7. */
static void check_random_lanes(const textgen_network *network, size_t endings[8]) {
    static constraint constraints[LANES];
    static stop_texts stops[LANES];
    static test_lane lanes[LANES], references[LANES];
    void *workspace = allocate(textgen_slots_size(network, 1, 1));
    double expected_entropy = 0.0;
    textgen_measurements sums = {0};
    int64_t generated[LANES] = {0}, draws = 0;
    size_t i;
    for (i = 0; i < LANES; i++) {
        const uint64_t seed = next_random(&state);
        const bool filtered = seed & 1, logprobs = seed & 2;
        textgen_token_lane *lane = &lanes[i].lane, *reference = &references[i].lane;
        make_lane(&lanes[i], network, seed, filtered);
        make_lane(&references[i], network, seed, filtered);
        lane->length = reference->length = 1 + (int64_t)random_up_to(&state, seed & 128 ? 3 : MOST_LENGTH - 1);
        lane->logprobs = logprobs ? lanes[i].logprobs : NULL;
        if (seed & 4 &&
            make_random_constraint(&constraints[i], network->vocabulary, network->special.end, &state)) {
            lane->constraint = reference->constraint = &constraints[i].core;
            lane->must_end = reference->must_end = seed & 8;
            lane->masked = reference->masked = (seed & 48) != 0;
        }
        if (seed & 64) {
            make_random_stops(&stops[i], network->vocabulary, &state);
            lane->stops = reference->stops = &stops[i].core;
        }
        reference->stop_length = 0;
        if (lane->constraint && constraints[i].distance[0] == -1) {
            reference->ending = TEXTGEN_CONSTRAINT_END;
        } else {
            while (follow(&references[i], network, &stops[i], workspace, &expected_entropy)) {
            }
        }
    }
    run_lanes(lanes, network, generated, &sums);
    CHECK(fabs(sums.entropy - expected_entropy) < 1e-9);
    for (i = 0; i < LANES; i++) {
        const textgen_token_lane *lane = &lanes[i].lane;
        check_lane(&lanes[i], &references[i], network, generated[i]);
        draws += lanes[i].sampler.rng.position;
        if (lane->must_end && lane->masked && lane->ending != TEXTGEN_REACHED_STOP && lane->ending > 0) {
            CHECK(textgen_constraint_accepting(lane->constraint, lane->constraint_state));
        }
        endings[lane->ending >= 0 ? lane->ending : 6]++;
        endings[7] += lanes[i].sampler.rng.position > generated[i] && lane->ending > 0;
        free_lane(&lanes[i]), free_lane(&references[i]);
    }
    CHECK(sums.draws == draws);
    free(workspace);
}

int main(int count, char **arguments) {
    size_t endings[8] = {0}, i;
    loaded file;
    CHECK(count > 1);
    file = load(arguments[1], NULL);
    CHECK(file.model->network->vocabulary <= MOST_TOKENS);
    for (i = 0; i < ROUNDS; i++) {
        check_random_lanes(file.model->network, endings);
    }
    /* Every ending occurred. */
    for (i = 1; i < 8; i++) {
        CHECK(endings[i] > 10 || (i == TEXTGEN_REACHED_END && file.model->network->special.end < 0));
    }
    unload(&file);
    return 0;
}
