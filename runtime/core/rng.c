/* PCG64: O'Neill 2014, "PCG: A Family of Simple Fast Space-Efficient Statistically Good Algorithms for Random
 * Number Generation", the XSL-RR output of a 128-bit linear congruential generator. SeedSequence: numpy's,
 * after O'Neill 2015, "Developing a seed_seq Alternative". */

#include "rng.h"

#include <stddef.h>

#define POOL 4

static textgen_uint128 add(textgen_uint128 a, textgen_uint128 b) {
    textgen_uint128 sum;
    sum.low = a.low + b.low;
    sum.high = a.high + b.high + (sum.low < a.low);
    return sum;
}

static textgen_uint128 multiply(textgen_uint128 a, textgen_uint128 b) {
    const uint64_t a0 = a.low & 0xffffffffu, a1 = a.low >> 32, b0 = b.low & 0xffffffffu, b1 = b.low >> 32;
    const uint64_t low = a0 * b0;
    const uint64_t middle = a1 * b0 + (low >> 32);
    const uint64_t other = a0 * b1 + (middle & 0xffffffffu);
    textgen_uint128 result;
    result.low = (other << 32) | (low & 0xffffffffu);
    result.high = a1 * b1 + (middle >> 32) + (other >> 32) + a.high * b.low + a.low * b.high;
    return result;
}

static textgen_uint128 multiplier(void) {
    const textgen_uint128 value = {2549297995355413924u, 4865540595714422341u};
    return value;
}

/* Return the state after `distance` more numbers: Brown 1994, "Random Number Generation with Arbitrary
 * Strides". */
static textgen_uint128 advance(textgen_uint128 state, textgen_uint128 increment, uint64_t distance) {
    textgen_uint128 factor = multiplier(), term = increment;
    textgen_uint128 total_factor = {0, 1}, total_term = {0, 0};
    const textgen_uint128 one = {0, 1};
    for (; distance; distance >>= 1) {
        if (distance & 1) {
            total_factor = multiply(total_factor, factor);
            total_term = add(multiply(total_term, factor), term);
        }
        term = multiply(add(factor, one), term);
        factor = multiply(factor, factor);
    }
    return add(multiply(total_factor, state), total_term);
}

static uint32_t hash(uint32_t value, uint32_t *constant, uint32_t factor) {
    value ^= *constant;
    *constant *= factor;
    value *= *constant;
    return value ^ (value >> 16);
}

static uint32_t mix(uint32_t x, uint32_t y) {
    const uint32_t result = 0xca01f9ddu * x - 0x4973f715u * y;
    return result ^ (result >> 16);
}

/* Fill SeedSequence's pool from a seed and a spawn key. */
static void fill_pool(uint32_t pool[POOL], textgen_uint128 seed, uint32_t substream) {
    const uint32_t factor = 0x931e8875u;
    uint32_t constant = 0x43b0d7e5u;
    uint32_t entropy[POOL];
    entropy[0] = (uint32_t)seed.low;
    entropy[1] = (uint32_t)(seed.low >> 32);
    entropy[2] = (uint32_t)seed.high;
    entropy[3] = (uint32_t)(seed.high >> 32);
    for (int target = 0; target < POOL; target++) {
        pool[target] = hash(entropy[target], &constant, factor);
    }
    for (int source = 0; source < POOL; source++) {
        for (int target = 0; target < POOL; target++) {
            if (source != target) {
                pool[target] = mix(pool[target], hash(pool[source], &constant, factor));
            }
        }
    }
    /* Substream 0 has no spawn key, so a single text equals the first text of a batch. */
    for (int target = 0; substream && target < POOL; target++) {
        pool[target] = mix(pool[target], hash(substream, &constant, factor));
    }
}

void textgen_rng_init(textgen_rng *rng, textgen_uint128 seed, uint32_t substream) {
    uint32_t pool[POOL];
    uint64_t words[POOL];
    uint32_t constant = 0x8b51f9ddu;
    fill_pool(pool, seed, substream);
    for (int i = 0; i < POOL; i++) {
        const uint64_t low = hash(pool[2 * i % POOL], &constant, 0x58f38dedu);
        const uint64_t high = hash(pool[(2 * i + 1) % POOL], &constant, 0x58f38dedu);
        words[i] = high << 32 | low;
    }
    textgen_uint128 start;
    start.high = words[0];
    start.low = words[1];
    textgen_uint128 sequence;
    sequence.high = words[2];
    sequence.low = words[3];
    rng->increment.high = sequence.high << 1 | sequence.low >> 63;
    rng->increment.low = sequence.low << 1 | 1;
    /* PCG's seeding: from state 0, advance, add the start value, advance. */
    rng->state = add(multiply(add(rng->increment, start), multiplier()), rng->increment);
    rng->origin = rng->state;
    rng->seed = seed;
    rng->substream = substream;
    rng->position = 0;
}

void textgen_rng_seek(textgen_rng *rng, int64_t position) {
    rng->state = advance(rng->origin, rng->increment, (uint64_t)position);
    rng->position = position;
}

uint64_t textgen_rng_next(textgen_rng *rng) {
    rng->state = add(multiply(rng->state, multiplier()), rng->increment);
    rng->position++;
    const uint64_t folded = rng->state.high ^ rng->state.low;
    const unsigned rotation = (unsigned)(rng->state.high >> 58);
    return folded >> rotation | folded << ((64 - rotation) & 63);
}

double textgen_rng_uniform(textgen_rng *rng) {
    return (double)(textgen_rng_next(rng) >> 11) * (1.0 / 9007199254740992.0);
}
