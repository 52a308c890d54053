/* Prints numbers for the tests to compare.
 *
 *     numbers logarithms COUNT
 *     numbers random SEED_HIGH SEED SUBSTREAM POSITION COUNT
 *     numbers hashes COUNT
 *
 * The first prints arguments of log64 and its results, as hexadecimal numbers. The second prints COUNT random
 * numbers from the start, and COUNT from the position. The third prints the SHA-256 of 0 to COUNT - 1 bytes 0,
 * 1, 2 and so on, which are added in parts of random sizes. */
#include "check.h"

#include "exp.h"
#include "rng.h"
#include "sha256.h"

static uint64_t number(const char *text) { return strtoull(text, NULL, 10); }

static void print_logarithms(uint64_t count) {
    uint64_t state = 3;
    for (uint64_t i = 0; i < count; i++) {
        uint64_t bits = next_random(&state);
        switch (i % 4) {
        case 0: /* of all sizes; some are subnormal */
            bits = (bits << 10) % 0x7FF0000000000000;
            break;
        case 1: /* from 1/2 to 2 */
            bits = 0x3FE0000000000000 + bits;
            break;
        case 2: /* next to 1 */
            bits = 0x3FF0000000000000 + bits % 2000 - 1000;
            break;
        default: /* subnormal */
            bits = bits >> (bits % 53);
        }
        double argument;
        memcpy(&argument, &bits, sizeof argument);
        argument = argument > 0.0 ? argument : 1.0;
        printf("%a %a\n", argument, textgen_log64(argument));
    }
}

static void print_hashes(size_t count) {
    unsigned char bytes[256], digest[TEXTGEN_SHA256_SIZE];
    uint64_t state = 5;
    CHECK(count <= sizeof bytes);
    size_t part;
    for (size_t size = 0; size < count; size++) {
        textgen_sha256 sum;
        textgen_sha256_init(&sum);
        for (size_t used = 0; used < size; used += part) {
            part = random_up_to(&state, size - used);
            for (size_t i = used; i < used + part; i++) {
                bytes[i - used] = (unsigned char)i;
            }
            textgen_sha256_add(&sum, bytes, part);
        }
        textgen_sha256_end(&sum, digest);
        for (size_t i = 0; i < sizeof digest; i++) {
            printf("%02x", digest[i]);
        }
        printf("\n");
    }
}

static void print_random(textgen_rng *rng, uint64_t count) {
    for (uint64_t i = 0; i < count; i++) {
        printf("%llu\n", (unsigned long long)textgen_rng_next(rng));
    }
}

int main(int count, char **arguments) {
    CHECK(count > 2);
    if (!strcmp(arguments[1], "hashes")) {
        print_hashes((size_t)number(arguments[2]));
    } else if (count == 3) {
        print_logarithms(number(arguments[2]));
    } else {
        const textgen_uint128 seed = {number(arguments[2]), number(arguments[3])};
        const uint64_t position = number(arguments[5]), numbers = number(arguments[6]);
        textgen_rng rng;
        textgen_rng_init(&rng, seed, (uint32_t)number(arguments[4]));
        print_random(&rng, numbers);
        textgen_rng_seek(&rng, (int64_t)position);
        print_random(&rng, numbers);
        CHECK((uint64_t)rng.position == position + numbers);
    }
    return 0;
}
