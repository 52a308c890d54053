/* The special tokens of a vocabulary, which have no text. */
#ifndef TEXTGEN_SPECIAL_H
#define TEXTGEN_SPECIAL_H

#include <math.h>
#include <stdint.h>

/* Each is -1 if the vocabulary has none. */
typedef struct {
    int64_t unknown; /* stands for rare characters; never drawn */
    int64_t begin;   /* the first token of each record; never drawn */
    int64_t end;     /* the last token of each record: a text ends where it is drawn */
} textgen_special;

/* Set the values of the tokens that are never drawn to -infinity. values: [vocabulary], logits or biases. */
static inline void textgen_special_mask(const textgen_special *special, float *values) {
    if (special->unknown >= 0) {
        values[special->unknown] = -INFINITY;
    }
    if (special->begin >= 0) {
        values[special->begin] = -INFINITY;
    }
}

#endif
