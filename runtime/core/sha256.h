/* SHA-256 (FIPS 180-4). */
#ifndef TEXTGEN_SHA256_H
#define TEXTGEN_SHA256_H

#include <stddef.h>
#include <stdint.h>

enum { TEXTGEN_SHA256_SIZE = 32 };

typedef struct {
    uint32_t hash[8];
    uint64_t size; /* bytes so far */
    unsigned char block[64];
} textgen_sha256;

void textgen_sha256_init(textgen_sha256 *sum);
void textgen_sha256_add(textgen_sha256 *sum, const void *data, size_t size);
/* Write the digest. The sum is then of no more use. */
void textgen_sha256_end(textgen_sha256 *sum, unsigned char digest[TEXTGEN_SHA256_SIZE]);

#endif
