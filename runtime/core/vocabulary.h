/* The model's symbols and the conversion between UTF-8 text and tokens, from the file's metadata. */
#ifndef TEXTGEN_VOCABULARY_H
#define TEXTGEN_VOCABULARY_H

#include "onnx_reader.h"

typedef struct textgen_vocabulary textgen_vocabulary;

/* See that the metadata is a text generator's, of a format that this version reads. Check it before the graph:
 * a file that is no text generator has an unknown graph, and that is not what is wrong with it. */
int32_t textgen_format_check(const textgen_onnx *file, const textgen_error *error);

/* Read textgen.format, textgen.level, textgen.vocabulary, textgen.special and textgen.normalization, and see
 * that textgen.prompts and textgen.training are what they should be. `size` is how many logits the graph has; a
 * vocabulary of another size is refused. */
int32_t textgen_vocabulary_create(const textgen_onnx *file, size_t size, textgen_vocabulary **vocabulary,
                                  const textgen_error *error);
void textgen_vocabulary_destroy(textgen_vocabulary *vocabulary);

/* The token that stands for all unknown characters, or -1. */
int64_t textgen_vocabulary_unknown(const textgen_vocabulary *vocabulary);
size_t textgen_vocabulary_symbol_bytes(const textgen_vocabulary *vocabulary);
bool textgen_vocabulary_lowercase(const textgen_vocabulary *vocabulary);
/* "NFC", "NFD", "NFKC", "NFKD" or NULL. */
const char *textgen_vocabulary_unicode(const textgen_vocabulary *vocabulary);

/* Where encoding stands in a text. */
typedef struct {
    const char *text;
    size_t size;
    size_t place; /* 0 at the start */
} textgen_encoder;

/* The next token of a text: 1 and a token, 0 at the end, or a negative code, after which the encoder stays
 * where it is. Drops a byte-order mark at the start and folds line ends. */
int32_t textgen_encode_next(const textgen_vocabulary *vocabulary, textgen_encoder *encoder, int64_t *token,
                            const textgen_error *error);

/* Write a token's UTF-8 bytes, symbol_bytes at most; returns how many: 0 for the unknown symbol. The token is
 * one of the vocabulary. */
size_t textgen_decode_token(const textgen_vocabulary *vocabulary, int64_t token, char *text);

#endif
