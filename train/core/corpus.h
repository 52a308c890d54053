/* What is behind a corpus. */
#ifndef TEXTGEN_CORPUS_H
#define TEXTGEN_CORPUS_H

#include "batches.h"
#include "core.h"
#include "textgen_train.h"

struct textgen_corpus {
    textgen_arena arena;
    textgen_corpus_info info;
    textgen_tokens training, held_out;
    int32_t before;      /* the token before the held-out text: the last one of the training text, or `begin` */
    bool is_bytes;       /* whether a token is a byte */
    const char *records; /* NULL if the text is continuous */
    uint32_t *symbols;   /* [vocabulary], the code point or byte of each token that is not special */
    size_t symbol_count;
    char sha256[65]; /* of the text, in hexadecimal digits */
    /* What the metadata of a model says of the corpus: JSON texts. */
    char *name, *vocabulary, *normalization, *prompts;
};

#endif
