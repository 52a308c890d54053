/* Tests the sampler: prints the golden draws, and compares random draws with the definitions of the filters,
 * which are as slow and plain as possible here. */
#include "check.h"

#include "text.h"

#include <float.h>
#include <math.h>

enum { MOST = 3000, TOKENS = 20, ROUNDS = 4000, STEPS = 12, LONG_ROUND = 100, LONG_STEPS = 2500 };

static uint64_t state = 7;

static size_t random_to(size_t count) { return random_up_to(&state, count); }
static double random_number(void) { return random_below(&state, 1.0); }
#define ANY(values) (values)[random_to(sizeof(values) / sizeof *(values) - 1)]

/* What a text has drawn, by the definitions. */
typedef struct {
    textgen_sampling sampling;
    size_t count;
    double bias[MOST];
    int64_t drawn[LONG_STEPS];
    size_t length, recent; /* how many were drawn, and how many of the last ones the penalties count */
    double mu;
} history;

static bool has_penalties(const textgen_sampling *sampling) {
    return sampling->repetition_penalty != 1.0 || sampling->frequency_penalty != 0.0 ||
           sampling->presence_penalty != 0.0;
}

/* ---- Definitions ---- */

/* Rounded, also if this test is compiled with fused multiply-adds. */
static double times(double a, double b) {
    volatile double product = a * b;
    return product;
}

static double penalized(const history *text, double logit, int64_t token) {
    const textgen_sampling *sampling = &text->sampling;
    size_t occurrences = 0;
    for (size_t i = text->length - text->recent; i < text->length; i++) {
        occurrences += text->drawn[i] == token;
    }
    if (!occurrences) {
        return logit;
    }
    const double changed =
        logit > 0.0 ? logit / sampling->repetition_penalty : times(logit, sampling->repetition_penalty);
    /* An overflow would look like a damaged model, or like a forbidden token. */
    const double limited = isinf(logit) || !isinf(changed) ? changed : changed > 0.0 ? DBL_MAX : -DBL_MAX;
    return limited - times((double)occurrences, sampling->frequency_penalty) - sampling->presence_penalty;
}

/* The candidates of the truncations, the most likely first. Tokens are compared by the logit's distance from
 * the largest one, so that they are equal if their probabilities are. */
static double gap[MOST], weight[MOST];
static size_t order[MOST], candidates;

static int compare(const void *a, const void *b) {
    const size_t one = *(const size_t *)a, other = *(const size_t *)b;
    return gap[one] != gap[other] ? (gap[one] < gap[other] ? -1 : 1) : one < other ? -1 : 1;
}

static double sum_weights(void) {
    double sum = 0.0;
    for (size_t i = 0; i < candidates; i++) {
        sum += weight[order[i]];
    }
    return sum;
}

/* Whether a gap is nearer to the mean than another one, without the rounding of a difference on the same side.
 */
static bool is_nearer(double one, double other, double mean) {
    return one <= mean && other <= mean ? one > other
           : one > mean && other > mean ? one < other
                                        : fabs(one - mean) < fabs(other - mean);
}

/* Add the token whose surprisal is nearest to the entropy, the more likely one of equal ones, until the
 * probability is p. */
static void keep_typical(double p) {
    bool chosen[MOST] = {false};
    const double sum = sum_weights();
    double mean = 0.0, probability = 0.0;
    size_t nearest, count = 0;
    for (size_t i = 0; i < candidates; i++) {
        mean += times(weight[order[i]], gap[order[i]]);
    }
    mean /= sum;
    do {
        for (nearest = 0; chosen[nearest]; nearest++) {
        }
        for (size_t i = nearest + 1; i < candidates; i++) {
            nearest = !chosen[i] && is_nearer(gap[order[i]], gap[order[nearest]], mean) ? i : nearest;
        }
        chosen[nearest] = true;
        probability += weight[order[nearest]];
        count++;
    } while (probability < p * sum && count < candidates);
    count = 0;
    for (size_t i = 0; i < candidates; i++) {
        if (chosen[i]) {
            order[count++] = order[i];
        }
    }
    candidates = count;
}

static void keep_top_p(double p) {
    const double sum = sum_weights();
    double probability = 0.0;
    size_t count = 0;
    do {
        probability += weight[order[count++]];
    } while (probability < p * sum && count < candidates);
    candidates = count;
}

/* Set the logits of the tokens to -infinity that the truncations remove. */
static void truncate_logits(const textgen_sampling *sampling, double *logits, size_t count) {
    double largest = -INFINITY, left[MOST];
    candidates = 0;
    for (size_t i = 0; i < count; i++) {
        largest = logits[i] > largest ? logits[i] : largest;
    }
    for (size_t i = 0; i < count; i++) {
        gap[i] = fabs(largest - logits[i]);
        left[i] = -INFINITY;
        if (gap[i] < INFINITY) {
            order[candidates++] = i;
        }
    }
    (void)textgen_find_exp64(NULL)->exponentials(gap, count, 0.0, -1.0, false, weight);
    qsort(order, candidates, sizeof *order, compare);
    if (sampling->top_k && sampling->top_k < candidates) {
        candidates = (size_t)sampling->top_k;
    }
    if (sampling->typical_p < 1.0) {
        keep_typical(sampling->typical_p);
    }
    if (sampling->top_p < 1.0) {
        keep_top_p(sampling->top_p);
    }
    for (size_t i = 0; i < candidates; i++) {
        if (weight[order[i]] >= sampling->min_p * weight[order[0]]) {
            left[order[i]] = logits[order[i]];
        }
    }
    memcpy(logits, left, count * sizeof *logits);
}

/* Keep the tokens whose surprisal is at most mu, and the most likely one. Write the surprisals, in bits. Return
 * false if rounding decides. */
static bool keep_unsurprising(const history *text, double *logits, double *surprisals) {
    size_t best = 0;
    bool is_certain = true;
    CHECK_OK(textgen_softmax(logits, text->count, 1.0, surprisals));
    for (size_t i = 0; i < text->count; i++) {
        best = logits[i] > logits[best] ? i : best;
        surprisals[i] = surprisals[i] > 0.0 ? -logarithm(surprisals[i]) / logarithm(2.0) : INFINITY;
    }
    for (size_t i = 0; i < text->count; i++) {
        is_certain = is_certain && (i == best || fabs(surprisals[i] - text->mu) > 1e-9);
        logits[i] = i == best || surprisals[i] <= text->mu ? logits[i] : -INFINITY;
    }
    return is_certain;
}

/* ---- Choices ---- */

/* Spread, with equal ones, all equal, extreme, or with some of -infinity. */
static void choose_logits(double *logits, size_t count) {
    static const double scales[] = {4.0, 3.0, 0.0, 1e300, 1e-300, 12.0};
    const size_t kind = random_to(5);
    for (size_t i = 0; i < count; i++) {
        logits[i] = (random_number() + random_number() - 1.0) * scales[kind];
        logits[i] = kind == 1 || kind == 5 ? (double)(int)logits[i] : logits[i];
        logits[i] = logits[i] == 0.0 && random_to(1) ? -0.0 : logits[i];
        logits[i] = kind == 5 && random_to(2) ? -INFINITY : logits[i];
    }
    const size_t certain = random_to(count - 1);
    logits[certain] = kind == 5 ? -1.0 : logits[certain];
}

static double choose_probability(void) {
    static const double extremes[] = {1.0, 1.0, 0.5, 0.25, 0.9, 5e-324, 1.0 - 1e-16, 1e-9};
    return random_to(1) ? 1.0 - random_number() : ANY(extremes);
}

/* Choose other parameters of a text. */
static void choose_sampling(history *text) {
    static const double temperatures[] = {0.0, 5e-324, 0.3, 1.0, 1.0, 1e300}, taus[] = {1e-9, 1.0, 3.0, 3.5};
    static const double repetitions[] = {1.0, 1.3, 0.7, 5e-324, 100.0}, others[] = {0.0, 0.0, 0.15, -0.3};
    static const uint64_t windows[] = {1, 7, 100, 1024};
    const size_t chosen = random_to(63), count = text->count;
    const double tau = text->sampling.mirostat_tau;
    const bool mirostat = chosen >= 48;
    text->sampling = (textgen_sampling){
        .seed = text->sampling.seed,
        .temperature = ANY(temperatures),
        .repetition_penalty = chosen & 16 ? ANY(repetitions) : 1.0,
        .frequency_penalty = chosen & 16 ? ANY(others) : 0.0,
        .presence_penalty = chosen & 16 ? ANY(others) : 0.0,
        .penalty_window = ANY(windows),
        .top_k = chosen & 1 && !mirostat ? random_to(count + 2) : 0,
        .typical_p = chosen & 2 && !mirostat ? choose_probability() : 1.0,
        .top_p = chosen & 4 && !mirostat ? choose_probability() : 1.0,
        .min_p = chosen & 8 && !mirostat ? choose_probability() * random_number() : 0.0,
        .mirostat_tau = mirostat ? (tau > 0.0 && random_to(1) ? tau : ANY(taus)) : 0.0,
        .mirostat_eta = random_to(1) ? 0.1 : 1.0,
        .logit_bias = random_to(3) ? NULL : text->bias,
    };
    for (size_t i = 0; i < count; i++) {
        text->bias[i] = random_to(9) ? random_number() - 0.5 : -INFINITY;
    }
    text->bias[random_to(count - 1)] = 0.4;
    /* With other penalties the last penalty_window tokens are kept, without any, none. */
    const size_t window = has_penalties(&text->sampling) ? (size_t)text->sampling.penalty_window : 0;
    text->recent = text->recent < window ? text->recent : window;
    text->mu = text->sampling.mirostat_tau == tau ? text->mu : 2.0 * text->sampling.mirostat_tau;
}

/* ---- Draws ---- */

/* Draw from random logits, of which some are invalid, or forbidden by the bias. A draw that fails takes a
 * random number, and changes nothing else. Count what happened. */
static void check_draw(history *text, textgen_stream *sampler, size_t counts[5]) {
    static const double wrong[] = {NAN, INFINITY, -INFINITY};
    static double logits[MOST], left[MOST], surprisals[MOST], expected[MOST], probabilities[MOST];
    const textgen_sampling *sampling = &text->sampling;
    textgen_rng rng = sampler->text.rng;
    const double uniform = textgen_rng_uniform(&rng);
    const size_t count = text->count, fault = random_to(99);
    int64_t token = fault < 2 ? TEXTGEN_INVALID_LOGITS : TEXTGEN_NO_TOKEN;
    bool is_certain = true;
    choose_logits(logits, count);
    for (size_t i = 0; i < count; i++) {
        logits[i] = fault == 2 ? -INFINITY : fault == 3 && sampling->logit_bias ? -fabs(logits[i]) : logits[i];
        logits[i] = fault == 3 && sampling->logit_bias && text->bias[i] > -INFINITY ? -INFINITY : logits[i];
    }
    logits[random_to(count - 1)] = fault < 2 ? wrong[fault] : logits[0];
    bool any = false, any_left = false;
    for (size_t i = 0; i < count; i++) {
        left[i] = penalized(text, logits[i] + (sampling->logit_bias ? text->bias[i] : 0.0), (int64_t)i);
        any = any || logits[i] > -INFINITY;
        any_left = any_left || left[i] > -INFINITY;
        counts[0] += text->recent && left[i] != logits[i];
    }
    if (fault < 2 || !any_left) {
        token = fault < 2 || !any ? TEXTGEN_INVALID_LOGITS : TEXTGEN_NO_TOKEN;
        CHECK(textgen_sampler_probabilities(sampler, logits, probabilities) == token);
        CHECK(textgen_sampler_draw(sampler, logits, 0) == token);
        CHECK(sampler->text.rng.position == rng.position);
        counts[token == TEXTGEN_INVALID_LOGITS ? 1 : 2]++;
        return;
    }
    if (sampling->mirostat_tau > 0.0) {
        is_certain = keep_unsurprising(text, left, surprisals);
        counts[3]++;
    } else if (sampling->top_k || sampling->typical_p < 1.0 || sampling->top_p < 1.0 || sampling->min_p > 0.0) {
        truncate_logits(sampling, left, count);
        counts[4] += candidates < count;
    }
    CHECK_OK(textgen_sampler_probabilities(sampler, logits, probabilities));
    CHECK_OK(textgen_softmax(left, count, sampling->temperature, expected));
    CHECK(!is_certain || !memcmp(probabilities, expected, count * sizeof *expected));
    token = textgen_sampler_draw(sampler, logits, 0);
    CHECK(!is_certain ||
          token == textgen_draw_with(left, count, sampling->temperature, uniform, probabilities));
    CHECK(token >= 0 && sampler->text.rng.position == rng.position);
    if (sampling->mirostat_tau > 0.0) {
        text->mu -= sampling->mirostat_eta * (surprisals[token] - sampling->mirostat_tau);
        /* The surprisal of a large logit is rounded. */
        CHECK(fabs(left[token]) > 1e3 ||
              fabs(sampler->filters->mirostat_mu - text->mu) < 1e-9 * (1.0 + fabs(text->mu)));
        text->mu = sampler->filters->mirostat_mu;
    }
    text->drawn[text->length++] = token;
    text->recent += has_penalties(sampling) && text->recent < sampling->penalty_window;
}

static void check_random_draws(void) {
    static const size_t sizes[] = {1, 2, 3, 7, 8, 9, 17, 31, 59, 59, 64, 65, 200};
    static history text;
    size_t counts[5] = {0};
    for (size_t round = 0; round < ROUNDS; round++) {
        const bool is_long = round % LONG_ROUND == 0;
        memset(&text, 0, sizeof text);
        text.count = round % 500 == 1 ? MOST : is_long ? TOKENS : ANY(sizes);
        text.sampling.seed = next_random(&state);
        choose_sampling(&text);
        const textgen_memory memory = new_memory(textgen_sampler_size(text.count));
        textgen_stream *sampler;
        CHECK_OK(textgen_sampler_init(memory, text.count, &text.sampling, &sampler, &error));
        for (size_t i = 0; i < (is_long ? LONG_STEPS : STEPS); i++) {
            if (random_to(is_long ? 400 : 6) == 0) {
                choose_sampling(&text);
                CHECK_OK(textgen_stream_set_sampling(sampler, &text.sampling, &error));
            }
            check_draw(&text, sampler, counts);
        }
        free(memory.data);
    }
    for (size_t i = 0; i < 5; i++) {
        CHECK(counts[i] > 100);
    }
}

static void print_golden_draws(uint64_t substream) {
    const textgen_sampling sampling = {.seed = 2024, .temperature = 0.8, .substream = substream};
    double logits[TOKENS];
    float narrow[TOKENS];
    textgen_stream *sampler, *other;
    for (int i = 0; i < TOKENS; i++) {
        logits[i] = -2.0 + i * (4.0 / (TOKENS - 1));
        narrow[i] = (float)logits[i];
    }
    const size_t size = textgen_sampler_size(TOKENS);
    CHECK_OK(textgen_sampler_init(new_memory(size), TOKENS, &sampling, &sampler, &error));
    CHECK_OK(textgen_sampler_init(new_memory(size), TOKENS, &sampling, &other, &error));
    for (int i = 0; i < TOKENS; i++) {
        const int64_t token = textgen_sampler_draw(sampler, logits, 0);
        /* Rounding the logits to float32 does not change these draws. */
        CHECK(textgen_sampler_draw(other, narrow, 1) == token);
        printf("%d ", (int)token);
    }
    printf("\n");
    free(sampler), free(other);
}

/* A draw takes the first token whose cumulative probability exceeds the uniform number, and at temperature 0
 * the first of the most likely ones. */
static void check_borders(void) {
    static const double logits[] = {-INFINITY, 0.0, 0.0, -1e9}, wrong[] = {-0.5, NAN, INFINITY, 1.0};
    static const double uniforms[] = {0.0, 0.5 - 1e-9, 0.5, 1.0 - 1e-16};
    double weights[4];
    for (int i = 0; i < 4; i++) {
        CHECK(textgen_draw_with(logits, 4, 0.7, uniforms[i], weights) == 1 + i / 2);
        CHECK(textgen_draw_with(logits, 4, 0.7, wrong[i], weights) == TEXTGEN_INVALID_ARGUMENT);
        CHECK(textgen_draw_with(logits, 4, 0.0, uniforms[i], weights) == 1);
    }
    CHECK_OK(textgen_softmax(logits, 4, 0.0, weights));
    CHECK(weights[1] == 1.0 && weights[2] == 0.0);
    for (int i = 0; i < 3; i++) {
        CHECK(textgen_draw_with(logits, 4, wrong[i], 0.5, weights) == TEXTGEN_INVALID_ARGUMENT);
        CHECK(textgen_softmax(logits, 4, wrong[i], weights) == TEXTGEN_INVALID_ARGUMENT);
    }
}

static void check_memory(void) {
    const textgen_sampling sampling = {.seed = 1}, wrong = {.top_p = 2.0};
    const size_t size = textgen_sampler_size(TOKENS);
    const textgen_memory memory = new_memory(size), small = {memory.data, size - 1};
    const double logits[TOKENS] = {0.0};
    textgen_stream *sampler;
    CHECK(textgen_sampler_size(0) == 0 && textgen_sampler_size(SIZE_MAX) == 0);
    CHECK_REFUSES(textgen_sampler_init(small, TOKENS, &sampling, &sampler, &error), TEXTGEN_BUFFER_TOO_SMALL,
                  "memory", -1);
    CHECK_INVALID(textgen_sampler_init(memory, TOKENS, &wrong, &sampler, &error), "top_p", -1);
    CHECK_OK(textgen_sampler_init(memory, TOKENS, &sampling, &sampler, &error));
    CHECK_INVALID(textgen_stream_set_sampling(sampler, &wrong, &error), "top_p", -1);
    textgen_stream_seek(sampler, INT64_MAX);
    CHECK(textgen_sampler_draw(sampler, logits, 0) == TEXTGEN_RNG_EXHAUSTED);
    CHECK(textgen_stream_get_info(sampler).drawn == INT64_MAX);
    free(memory.data);
}

int main(void) {
    print_golden_draws(0);
    print_golden_draws(3);
    check_borders();
    check_memory();
    check_random_draws();
    return 0;
}
