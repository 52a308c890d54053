/* Writes model files with consistent sizes, which may be extreme. */
#ifndef FUZZ_MODELS_H
#define FUZZ_MODELS_H

#include "symbols.h"

#include <stdbool.h>
#include <stddef.h>

/* A growing buffer. The caller frees `data`. */
typedef struct {
    unsigned char *data;
    size_t size, capacity;
} content;

void append(content *to, const void *data, size_t size);

typedef struct {
    size_t symbols, embedding, units, layers;
    bool unknown;    /* whether token 0 is the unknown symbol */
    bool typed;      /* float32 weights are in float_data, not in raw_data */
    bool int8;       /* weights have 8 bits, and `weight` is their scale */
    bool long_texts; /* characters of 4 bytes of UTF-8, and words of 64 characters */
    float weight;    /* the value of all weights */
    textgen_level level;
    bool records; /* whether the last two tokens are begin and end */
} sizes;

/* Append a model file. */
void append_model(content *to, const sizes *model);

#endif
