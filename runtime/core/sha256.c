#include "sha256.h"

#include <string.h>

/* The first 32 bits of the fractional parts of the cube roots of the first 64 primes. */
static const uint32_t round_constants[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

static uint32_t rotate(uint32_t value, int bits) { return value >> bits | value << (32 - bits); }

/* A round. The standard moves its variables, a to h, in each round. Here they stay, and the j-th one of a
 * round is v[(j - round) % 8]. The caller writes the rounds out, so that compilers know these indices. */
static inline void add_word(uint32_t v[8], unsigned round, uint32_t word) {
    const uint32_t a = v[(0 - round) % 8], b = v[(1 - round) % 8], c = v[(2 - round) % 8];
    const uint32_t e = v[(4 - round) % 8], f = v[(5 - round) % 8], g = v[(6 - round) % 8];
    const uint32_t first =
        v[(7 - round) % 8] + word + (rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25)) + ((e & f) ^ (~e & g));
    v[(3 - round) % 8] += first;
    v[(7 - round) % 8] = first + (rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
}

static void add_block(uint32_t hash[8], const unsigned char *block) {
    uint32_t words[64], v[8];
    for (int i = 0; i < 16; i++) {
        words[i] = (uint32_t)block[4 * i] << 24 | (uint32_t)block[4 * i + 1] << 16 |
                   (uint32_t)block[4 * i + 2] << 8 | block[4 * i + 3];
    }
    for (int i = 16; i < 64; i++) {
        const uint32_t early = words[i - 15], late = words[i - 2];
        words[i] = words[i - 16] + (rotate(early, 7) ^ rotate(early, 18) ^ early >> 3) + words[i - 7] +
                   (rotate(late, 17) ^ rotate(late, 19) ^ late >> 10);
    }
    memcpy(v, hash, sizeof v);
    for (int i = 0; i < 64; i += 8) {
        add_word(v, 0, round_constants[i] + words[i]);
        add_word(v, 1, round_constants[i + 1] + words[i + 1]);
        add_word(v, 2, round_constants[i + 2] + words[i + 2]);
        add_word(v, 3, round_constants[i + 3] + words[i + 3]);
        add_word(v, 4, round_constants[i + 4] + words[i + 4]);
        add_word(v, 5, round_constants[i + 5] + words[i + 5]);
        add_word(v, 6, round_constants[i + 6] + words[i + 6]);
        add_word(v, 7, round_constants[i + 7] + words[i + 7]);
    }
    for (int i = 0; i < 8; i++) {
        hash[i] += v[i];
    }
}

void textgen_sha256_init(textgen_sha256 *sum) {
    static const uint32_t initial[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                        0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    memcpy(sum->hash, initial, sizeof initial);
    sum->size = 0;
}

void textgen_sha256_add(textgen_sha256 *sum, const void *data, size_t size) {
    const unsigned char *bytes = data;
    while (size) {
        const size_t used = (size_t)(sum->size % sizeof sum->block), room = sizeof sum->block - used;
        const size_t part = size < room ? size : room;
        memcpy(sum->block + used, bytes, part);
        sum->size += part;
        bytes += part;
        size -= part;
        if (part == room) {
            add_block(sum->hash, sum->block);
        }
    }
}

void textgen_sha256_end(textgen_sha256 *sum, unsigned char digest[TEXTGEN_SHA256_SIZE]) {
    static const unsigned char padding[64] = {0x80};
    const uint64_t bits = sum->size * 8;
    const size_t used = (size_t)(sum->size % sizeof sum->block);
    unsigned char length[8];
    for (int i = 0; i < 8; i++) {
        length[i] = (unsigned char)(bits >> (56 - 8 * i));
    }
    textgen_sha256_add(sum, padding, (used < 56 ? 56 : 120) - used);
    textgen_sha256_add(sum, length, sizeof length);
    for (int i = 0; i < TEXTGEN_SHA256_SIZE; i++) {
        digest[i] = (unsigned char)(sum->hash[i / 4] >> (24 - i % 4 * 8));
    }
}
