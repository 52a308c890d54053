/* The random numbers of a run are functions of its seed, a purpose and a place. Nothing random must be stored.
 */
#ifndef TEXTGEN_SEEDS_H
#define TEXTGEN_SEEDS_H

#include "rng.h"

enum { TEXTGEN_SEED_WEIGHTS = 1, TEXTGEN_SEED_BATCHES, TEXTGEN_SEED_DROPS };

/* Return the generator of a purpose and a place, such as an epoch or an update. */
static inline textgen_rng textgen_seeded(uint64_t seed, uint64_t purpose, int64_t place) {
    const textgen_uint128 both = {purpose << 32 | (uint64_t)place >> 32, seed};
    textgen_rng rng;
    textgen_rng_init(&rng, both, (uint32_t)place);
    return rng;
}

#endif
