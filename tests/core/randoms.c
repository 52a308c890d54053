/* Prints random numbers: randoms SEED_HIGH SEED SUBSTREAM POSITION COUNT. COUNT numbers from the
 * start, and then COUNT from the position. */
#include "check.h"

#include "rng.h"

static uint64_t number(const char *text) { return strtoull(text, NULL, 10); }

int main(int count, char **arguments) {
    textgen_uint128 seed;
    textgen_rng rng;
    uint64_t i;
    CHECK(count > 5);
    seed.high = number(arguments[1]);
    seed.low = number(arguments[2]);
    textgen_rng_init(&rng, seed, (uint32_t)number(arguments[3]));
    for (i = 0; i < number(arguments[5]); i++) {
        printf("%llu\n", (unsigned long long)textgen_rng_next(&rng));
    }
    textgen_rng_seek(&rng, (int64_t)number(arguments[4]));
    for (i = 0; i < number(arguments[5]); i++) {
        printf("%llu\n", (unsigned long long)textgen_rng_next(&rng));
    }
    CHECK((uint64_t)rng.position == number(arguments[4]) + number(arguments[5]));
    return 0;
}
