/* The vocabulary: reads it from the metadata, and converts UTF-8 text to tokens and back.
 *
 * A vocabulary is a list of symbols. A token is an index into it. Each symbol is one character, except that of
 * the unknown symbol, which is empty. */
#ifndef TEXTGEN_VOCABULARY_H
#define TEXTGEN_VOCABULARY_H

#include "onnx_reader.h"

typedef struct textgen_vocabulary textgen_vocabulary;

/* Fails if the metadata is not that of a text generator in a supported format. Call it before matching the
 * graph: for an ONNX file that is not a text generator, this message is the helpful one. */
int32_t textgen_format_check(const textgen_onnx *file, const textgen_error *error);

/* Read the vocabulary and the normalization, and check all other metadata. size: the number of logits of the
 * graph; a vocabulary of another size is refused. */
int32_t textgen_vocabulary_create(const textgen_onnx *file, size_t size, textgen_vocabulary **vocabulary,
                                  const textgen_error *error);
void textgen_vocabulary_destroy(textgen_vocabulary *vocabulary);

/* Return the token of the unknown symbol, which replaces characters outside the vocabulary, or -1. */
int64_t textgen_vocabulary_unknown(const textgen_vocabulary *vocabulary);
size_t textgen_vocabulary_symbol_bytes(const textgen_vocabulary *vocabulary);
bool textgen_vocabulary_lowercase(const textgen_vocabulary *vocabulary);
/* Return "NFC", "NFD", "NFKC", "NFKD" or NULL. */
const char *textgen_vocabulary_unicode(const textgen_vocabulary *vocabulary);

/* A text and the offset in bytes of its next character; start with offset 0. */
typedef struct {
    const char *text;
    size_t size;
    size_t offset;
} textgen_encoder;

/* Encode the next character. Return 1 and set `*token`, return 0 at the end, or return a negative code and
 * leave the encoder unchanged. Drops a byte-order mark at the start; \r\n and \r become \n. */
int32_t textgen_encode_next(const textgen_vocabulary *vocabulary, textgen_encoder *encoder, int64_t *token,
                            const textgen_error *error);

/* Write the UTF-8 bytes of a token, at most symbol_bytes. Return how many: 0 for the unknown symbol. */
size_t textgen_decode_token(const textgen_vocabulary *vocabulary, int64_t token, char *text);

#endif
