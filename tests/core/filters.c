/* Tests the sampler without filters (the golden draws) and with a chain of filters. */
#include "check.h"

#include "sampler.h"

#include <math.h>

enum { TOKENS = 20, DRAWS = 200 };

/* A filter that forbids the token that was drawn last. */
typedef struct {
    textgen_filter filter;
    int64_t last; /* or -1 */
} no_repetition;

static void forbid_last(textgen_filter *self, double *logits, size_t count) {
    const no_repetition *filter = (const no_repetition *)self;
    if (filter->last >= 0 && (size_t)filter->last < count) {
        logits[filter->last] = -INFINITY;
    }
}

static void store_last(textgen_filter *self, int64_t token) { ((no_repetition *)self)->last = token; }

static no_repetition make_filter(void) {
    no_repetition filter = {{forbid_last, store_last}, -1};
    return filter;
}

static void fill_logits(double logits[TOKENS]) {
    int i;
    for (i = 0; i < TOKENS; i++) {
        logits[i] = -2.0 + i * (4.0 / (TOKENS - 1));
    }
}

static textgen_sampler make_sampler(uint32_t substream) {
    const textgen_uint128 seed = {0, 2024};
    textgen_sampler sampler;
    textgen_sampler_init(&sampler, 0.8, seed, substream, textgen_find_exp64());
    return sampler;
}

static int64_t draw(textgen_sampler *sampler) {
    double logits[TOKENS], original[TOKENS], exp_logits[TOKENS];
    float float_logits[TOKENS];
    textgen_rng rng = sampler->rng;
    int64_t token;
    int i;
    fill_logits(logits);
    fill_logits(original);
    token = textgen_sampler_draw(sampler, logits, TOKENS, exp_logits);
    CHECK(memcmp(logits, original, sizeof logits) == 0);
    /* With the same random number, rounding the logits to float32 does not change these draws. */
    for (i = 0; i < TOKENS; i++) {
        float_logits[i] = (float)logits[i];
    }
    sampler->rng = rng;
    CHECK(textgen_sampler_draw_float(sampler, float_logits, TOKENS, exp_logits) == token);
    textgen_sampler_accept(sampler, token);
    return token;
}

static void print_golden_draws(uint32_t substream) {
    textgen_sampler sampler = make_sampler(substream);
    int i;
    for (i = 0; i < TOKENS; i++) {
        printf("%d ", (int)draw(&sampler));
    }
    printf("\n");
}

static void check_filter(void) {
    textgen_sampler plain = make_sampler(0), filtered = make_sampler(0);
    no_repetition filter = make_filter();
    textgen_filter *const chain[] = {&filter.filter};
    int64_t before = -1, plain_before = -1;
    int i, repetitions = 0;
    filtered.filters.filters = chain;
    filtered.filters.count = 1;
    for (i = 0; i < DRAWS; i++) {
        const int64_t token = draw(&filtered), plain_token = draw(&plain);
        CHECK(token >= 0 && token < TOKENS && token != before);
        CHECK(filter.last == token);
        repetitions += plain_token == plain_before;
        before = token;
        plain_before = plain_token;
    }
    CHECK(repetitions > 0);
    CHECK(filtered.rng.position == DRAWS && plain.rng.position == DRAWS);
}

/* Two filters, each of which forbids one token. */
static void check_chain(void) {
    textgen_sampler sampler = make_sampler(0);
    no_repetition first = make_filter(), second = make_filter();
    textgen_filter *const chain[] = {&first.filter, &second.filter};
    double logits[TOKENS], exp_logits[TOKENS];
    sampler.temperature = 0.0;
    sampler.filters.filters = chain;
    sampler.filters.count = 2;
    first.last = TOKENS - 1;
    second.last = TOKENS - 2;
    fill_logits(logits);
    CHECK(textgen_sampler_draw(&sampler, logits, TOKENS, exp_logits) == TOKENS - 3);
    textgen_sampler_accept(&sampler, 4);
    CHECK(first.last == 4 && second.last == 4);
}

static void check_errors(void) {
    textgen_sampler sampler = make_sampler(0);
    double exp_logits[2], logits[2] = {0.0, NAN};
    CHECK(textgen_sampler_draw(&sampler, logits, 2, exp_logits) == TEXTGEN_SAMPLER_NAN);
    logits[1] = INFINITY;
    CHECK(textgen_sampler_draw(&sampler, logits, 2, exp_logits) == TEXTGEN_SAMPLER_INFINITY);
    logits[0] = logits[1] = -INFINITY;
    CHECK(textgen_sampler_draw(&sampler, logits, 2, exp_logits) == TEXTGEN_SAMPLER_NO_TOKEN);
    sampler.rng.position = INT64_MAX;
    logits[0] = 0.0;
    CHECK(textgen_sampler_draw(&sampler, logits, 2, exp_logits) == TEXTGEN_SAMPLER_EXHAUSTED);
    CHECK(sampler.rng.position == INT64_MAX);
}

int main(void) {
    print_golden_draws(0);
    print_golden_draws(3);
    check_filter();
    check_chain();
    check_errors();
    return 0;
}
