/* PCG64: O'Neill 2014, "PCG: A Family of Simple Fast Space-Efficient Statistically Good Algorithms for Random
 * Number Generation", the XSL-RR output of a 128-bit linear congruential generator. SeedSequence: numpy's,
 * after O'Neill 2015, "Developing a seed_seq Alternative". */

#include "rng.h"

#define POOL 4

static const textgen_uint128 multiplier = {2549297995355413924u, 4865540595714422341u};

/* Return a * b + c. */
static textgen_uint128 multiply_add(textgen_uint128 a, textgen_uint128 b, textgen_uint128 c) {
    const uint64_t a0 = a.low & 0xffffffffu, a1 = a.low >> 32, b0 = b.low & 0xffffffffu, b1 = b.low >> 32;
    const uint64_t low = a0 * b0;
    const uint64_t middle = a1 * b0 + (low >> 32);
    const uint64_t other = a0 * b1 + (middle & 0xffffffffu);
    textgen_uint128 result;
    result.low = ((other << 32) | (low & 0xffffffffu)) + c.low;
    result.high = a1 * b1 + (middle >> 32) + (other >> 32) + a.high * b.low + a.low * b.high + c.high +
                  (result.low < c.low);
    return result;
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
    for (int target = 0; target < POOL; target++) {
        const uint64_t half = target < 2 ? seed.low : seed.high;
        pool[target] = hash((uint32_t)(half >> target % 2 * 32), &constant, factor);
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
    uint32_t pool[POOL], constant = 0x8b51f9ddu;
    uint64_t words[POOL];
    fill_pool(pool, seed, substream);
    for (int i = 0; i < POOL; i++) {
        words[i] = hash(pool[2 * i % POOL], &constant, 0x58f38dedu);
        words[i] |= (uint64_t)hash(pool[(2 * i + 1) % POOL], &constant, 0x58f38dedu) << 32;
    }
    const textgen_uint128 start = {words[0], words[1]}, one = {0, 1};
    *rng = (textgen_rng){.increment = {words[2] << 1 | words[3] >> 63, words[3] << 1 | 1}};
    /* PCG's seeding: from state 0, advance, add the start value, advance. */
    rng->origin = multiply_add(multiply_add(start, one, rng->increment), multiplier, rng->increment);
    rng->state = rng->origin;
    rng->seed = seed;
    rng->substream = substream;
}

/* Brown 1994, "Random Number Generation with Arbitrary Strides": so many steps are one multiplication and one
 * addition, too. */
void textgen_rng_seek(textgen_rng *rng, int64_t position) {
    const textgen_uint128 zero = {0, 0};
    textgen_uint128 factor = multiplier, term = rng->increment;
    rng->state = rng->origin;
    rng->position = position;
    for (uint64_t distance = (uint64_t)position; distance; distance >>= 1) {
        if (distance & 1) {
            rng->state = multiply_add(rng->state, factor, term);
        }
        term = multiply_add(factor, term, term);
        factor = multiply_add(factor, factor, zero);
    }
}

uint64_t textgen_rng_next(textgen_rng *rng) {
    rng->state = multiply_add(rng->state, multiplier, rng->increment);
    rng->position++;
    const uint64_t folded = rng->state.high ^ rng->state.low;
    const unsigned rotation = (unsigned)(rng->state.high >> 58);
    return folded >> rotation | folded << ((64 - rotation) & 63);
}

double textgen_rng_uniform(textgen_rng *rng) {
    return (double)(textgen_rng_next(rng) >> 11) * (1.0 / 9007199254740992.0);
}
