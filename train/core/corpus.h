/* What is behind a corpus. */
#ifndef TEXTGEN_CORPUS_H
#define TEXTGEN_CORPUS_H

#include "batches.h"
#include "core.h"
#include "textgen_train.h"
#include "vocabulary.h"

/* Write the SHA-256 of a content in hexadecimal digits. What follows them stays zero. */
enum { TEXTGEN_HASH_DIGITS = 64 };
void textgen_hash(textgen_view content, char digits[TEXTGEN_HASH_DIGITS + 1]);

struct textgen_corpus {
    textgen_arena arena;
    textgen_corpus_info info;
    textgen_tokens training, held_out;
    int32_t before;                       /* the token before the held-out text */
    char sha256[TEXTGEN_HASH_DIGITS + 1]; /* of the text */
    /* What the metadata of a model says of the corpus: JSON texts. special, records: NULL if there are none. */
    const char *level;
    const textgen_vocabulary *symbols;
    char *name, *vocabulary, *special, *records, *normalization, *prompts;
    size_t vocabulary_size; /* bytes of vocabulary, special and records, which follow each other */
};

#endif
