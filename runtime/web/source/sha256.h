/* SHA-256: the identity of a model file, and the check of a saved generation. */
#ifndef TEXTGEN_SHA256_H
#define TEXTGEN_SHA256_H

#include <stddef.h>

void textgen_sha256(const unsigned char *data, size_t size, unsigned char digest[32]);

#endif
