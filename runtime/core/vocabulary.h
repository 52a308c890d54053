/* The vocabulary: reads it from the metadata, and converts text to tokens and back.
 *
 * A vocabulary is a list of symbols. A token is an index into it. A symbol is a character, a byte or a word.
 * The special tokens have empty symbols. */
#ifndef TEXTGEN_VOCABULARY_H
#define TEXTGEN_VOCABULARY_H

#include "onnx_reader.h"
#include "symbols.h"

typedef struct {
    textgen_symbols symbols;
    textgen_special special;
    const char *records; /* how records are separated, "lines" or "blank"; NULL if the model has no records */
    const char *unicode; /* "NFC", "NFD", "NFKC", "NFKD" or NULL */
    bool lowercase;
} textgen_vocabulary;

/* Fails if the metadata is not that of a text generator in a supported format. Call it before matching the
 * graph: for an ONNX file that is not a text generator, this message is the helpful one. */
int32_t textgen_format_check(const textgen_onnx *file, textgen_error *error);

/* Read the vocabulary and the normalization, and check all other metadata. size: the number of logits of the
 * graph, or TEXTGEN_ANY_SIZE if it is not known; a vocabulary of another size is refused. */
#define TEXTGEN_ANY_SIZE SIZE_MAX
int32_t textgen_vocabulary_create(const textgen_onnx *file, size_t size, textgen_vocabulary **vocabulary,
                                  textgen_error *error);
void textgen_vocabulary_destroy(textgen_vocabulary *vocabulary);

/* A text and the offset in bytes of its next symbol; start with offset 0. */
typedef struct {
    const char *text;
    size_t size;
    size_t offset;
} textgen_encoder;

/* Encode the longest symbol that matches the start of the rest. Return 1 and set `*token`, return 0 at the end,
 * or return a negative code and leave the encoder unchanged. Drops a byte-order mark at the start; \r\n and \r
 * become \n. Bytes are encoded as they are. */
int32_t textgen_encode_next(const textgen_vocabulary *vocabulary, textgen_encoder *encoder, int64_t *token,
                            textgen_error *error);

/* The same, but the token of a character that no text can have is -1. */
int32_t textgen_encode_known(const textgen_vocabulary *vocabulary, textgen_encoder *encoder, int64_t *token,
                             textgen_error *error);

/* Return the token of a symbol, as an entry of the metadata has it, or -1. */
int64_t textgen_vocabulary_find(const textgen_vocabulary *vocabulary, const textgen_json *entry);

/* Write the bytes of a token, at most symbol_bytes. Return how many: 0 for a special token. */
size_t textgen_decode_token(const textgen_vocabulary *vocabulary, int64_t token, char *text);

#endif
