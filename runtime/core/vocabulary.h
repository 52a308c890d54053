/* The vocabulary: reads it from the metadata, which it checks, and converts text to tokens and back.
 *
 * A vocabulary is a list of symbols. A token is an index into it. A symbol is a character, a byte or a word.
 * The special tokens have empty symbols. */
#ifndef TEXTGEN_VOCABULARY_H
#define TEXTGEN_VOCABULARY_H

#include "json.h"
#include "onnx.h"

#include <math.h>

/* The special tokens. Each is -1 if the vocabulary has none. */
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

/* The maximum number of characters of a word. */
enum { TEXTGEN_MAX_WORD = 64 };

/* The kinds of tokens. Each byte, which is a part of UTF-8, is one token at the second level. At the third, a
 * token is a character or a word. */
typedef enum { TEXTGEN_CHARACTER_LEVEL, TEXTGEN_BYTE_LEVEL, TEXTGEN_WORD_LEVEL } textgen_level;
enum { TEXTGEN_LEVELS = 3 };
extern const char *const textgen_level_names[TEXTGEN_LEVELS];

/* A node of a tree of bytes: the bytes on the way to it are a symbol, or the beginning of symbols. */
typedef struct {
    int32_t token;           /* of the symbol that ends here, or -1 */
    uint32_t child, sibling; /* the first node with one more byte; the next one with another last byte; or 0 */
    unsigned char byte;
} textgen_node;

typedef struct {
    textgen_level level;
    size_t count;          /* number of tokens */
    size_t longest;        /* bytes of the longest symbol, 1 or more */
    char *text;            /* all symbols, one after another */
    textgen_view *symbols; /* [count], the symbol of each token; empty for the special tokens */
    textgen_node *nodes;   /* of the symbols; the first 256 are those of first bytes */
    textgen_special special;
    const char *records; /* how records are separated, "lines" or "blank"; NULL if the model has no records */
    const char *unicode; /* "NFC", "NFD", "NFKC", "NFKD" or NULL */
    bool lowercase;
} textgen_vocabulary;

/* Fails if the metadata is not that of a text generator in a supported format. Call it before
 * textgen_onnx_describe: for an ONNX file that is not a text generator, this message is the helpful one. */
int32_t textgen_format_check(const textgen_onnx *file, textgen_error *error);

/* Read the vocabulary and the normalization, and check all other metadata. size: the number of logits of the
 * graph, or TEXTGEN_ANY_SIZE if it is not known; a vocabulary of another size is refused. */
#define TEXTGEN_ANY_SIZE SIZE_MAX
int32_t textgen_vocabulary_create(const textgen_onnx *file, size_t size, textgen_vocabulary **vocabulary,
                                  textgen_error *error);

/* Return the token of a symbol, or -1. */
int64_t textgen_vocabulary_find(const textgen_vocabulary *vocabulary, textgen_view symbol);

/* The same for a symbol as an entry of the metadata has it. */
int64_t textgen_vocabulary_find_entry(const textgen_vocabulary *vocabulary, const textgen_json *entry);

/* A text and the offset in bytes of its next symbol; start with offset 0. */
typedef struct {
    const char *text;
    size_t size;
    size_t offset;
    size_t start; /* of the latest symbol */
} textgen_encoder;

/* Encode the longest symbol that matches the start of the rest. Return 1 and set `*token`, return 0 at the end,
 * or return a negative code. Drops a byte-order mark at the start; \r\n and \r
 * become \n. Bytes are encoded as they are. */
int32_t textgen_encode_next(const textgen_vocabulary *vocabulary, textgen_encoder *encoder, int64_t *token,
                            textgen_error *error);

/* The same, but the token of a character that no text can have is -1. */
int32_t textgen_encode_known(const textgen_vocabulary *vocabulary, textgen_encoder *encoder, int64_t *token,
                             textgen_error *error);

/* Write the bytes of a token, at most `longest`. Return how many: 0 for a special token. */
size_t textgen_decode_token(const textgen_vocabulary *vocabulary, int64_t token, char *text);

#endif
