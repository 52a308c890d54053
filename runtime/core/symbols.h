/* The symbols of a vocabulary: reads and checks its entries, and finds the symbols in a text. */
#ifndef TEXTGEN_SYMBOLS_H
#define TEXTGEN_SYMBOLS_H

#include "json.h"
#include "memory.h"
#include "names.h"
#include "special.h"

/* The maximum number of characters of a word. */
enum { TEXTGEN_MAX_WORD = 64 };

/* The kinds of tokens. Each byte, which is a part of UTF-8, is one token at the second level. At the third, a
 * token is a character or a word. */
typedef enum { TEXTGEN_CHARACTER_LEVEL, TEXTGEN_BYTE_LEVEL, TEXTGEN_WORD_LEVEL } textgen_level;
enum { TEXTGEN_LEVELS = 3 };
extern const char *const textgen_level_names[TEXTGEN_LEVELS];

typedef struct {
    textgen_level level;
    size_t count;          /* number of tokens */
    size_t longest;        /* bytes of the longest symbol, 1 or more */
    char *text;            /* all symbols, one after another */
    textgen_view *symbols; /* [count], the symbol of each token; empty for the special tokens */
    textgen_name *sorted;  /* [sorted_count], without the special tokens, in the order of their bytes */
    size_t sorted_count;
    /* [sorted_count], of each symbol: the place of the longest other symbol that is a prefix of it, from 1; 0
     * if there is none */
    size_t *prefixes;
    textgen_arena *arena; /* for these arrays; NULL for the heap */
} textgen_symbols;

/* Read the entries of a JSON array, which is not empty. symbols: zeros but for `arena`; the caller frees it
 * after a failure too. */
int32_t textgen_symbols_read(const textgen_json *list, size_t count, textgen_level level,
                             const textgen_special *special, textgen_symbols *symbols, textgen_error *error);
void textgen_symbols_free(textgen_symbols *symbols);

/* Return the token of a symbol, or -1. */
int64_t textgen_symbols_find(const textgen_symbols *symbols, textgen_view symbol);

/* Return the token of the longest symbol at `*offset`, where a valid character is, and move `*offset` past the
 * symbol. Return -1 and leave `*offset` unchanged if there is none. */
int64_t textgen_symbols_match(const textgen_symbols *symbols, textgen_view text, size_t *offset);

#endif
