/* numpy's PCG64, seeded by numpy's SeedSequence: the same integers for the same seed. */
#ifndef TEXTGEN_RNG_H
#define TEXTGEN_RNG_H

#include <stdint.h>

typedef struct {
    uint64_t high, low;
} textgen_uint128;

/* A plain value: a copy gives the same numbers. */
typedef struct {
    textgen_uint128 state, increment;
    textgen_uint128 origin; /* the state at position 0 */
    textgen_uint128 seed;
    uint64_t substream; /* below 2^32 */
    int64_t position;   /* numbers drawn so far, at most INT64_MAX */
} textgen_rng;

/* Seed like PCG64(SeedSequence(seed, spawn_key=(substream,))), or like PCG64(SeedSequence(seed)) if substream
 * is 0. */
void textgen_rng_init(textgen_rng *rng, textgen_uint128 seed, uint32_t substream);

/* Move to a position, 0 or more, forwards or backwards. */
void textgen_rng_seek(textgen_rng *rng, int64_t position);

/* Return the next 64 random bits. */
uint64_t textgen_rng_next(textgen_rng *rng);

/* Return the next uniform number in [0, 1): the upper 53 of the next 64 bits. numpy guarantees a seed's
 * integers forever, but not the doubles that it derives from them. */
double textgen_rng_uniform(textgen_rng *rng);

#endif
