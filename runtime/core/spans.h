/* The spans of a corpus that no text copies: its successive tokens that are one more than max_copy.
 *
 * They are in a hash table by their context, which is all of a span but its last token. The hash of a context
 * is updated for each token (Karp and Rabin, "Efficient randomized pattern-matching algorithms", 1987).
 * Whatever has the hash of a context is compared with the corpus, so that the answers are exact. One look-up
 * for each token finds all that may not follow, whatever max_copy is: most contexts are not in the corpus. The
 * spans of one context are in a row, so the table takes longer to build where many tokens follow a context:
 * seconds for 2,000,000 words with max_copy 1, and milliseconds with 10. */
#ifndef TEXTGEN_SPANS_H
#define TEXTGEN_SPANS_H

#include "memory.h"
#include "vocabulary.h"

enum { TEXTGEN_MAX_COPY = 1000 };

struct textgen_spans {
    int32_t *tokens;  /* [count]: the corpus; -1 for a character that no text can have */
    uint32_t *places; /* [2 ** (64 - shift)]: where spans begin in `tokens`, plus 1; 0 for an empty place */
    size_t count, vocabulary;
    int64_t max_copy;
    uint64_t oldest; /* the factor of the first token in the hash of max_copy tokens */
    int32_t shift;
    textgen_arena arena; /* of spans that textgen_spans_create made */
};

/* A text keeps its latest tokens, at least the last TEXTGEN_MAX_COPY if there are so many. */
enum { TEXTGEN_MAX_RECENT = 2 * TEXTGEN_MAX_COPY };

/* Build the table. spans: zeros but for `arena`. tokens: [count], copied. The caller releases the table, also
 * after an error. */
int32_t textgen_spans_build(textgen_spans *spans, const int32_t *tokens, size_t count, size_t vocabulary,
                            size_t max_copy, textgen_error *error);
void textgen_spans_release(textgen_spans *spans);

/* Build the table for a text, with \r\n and \r as \n. */
int32_t textgen_spans_read(textgen_spans *spans, const textgen_vocabulary *vocabulary, const char *text,
                           size_t size, size_t max_copy, textgen_error *error);

/* Return the hash of the last max_copy of `count` tokens, or of all if there are fewer. */
uint64_t textgen_spans_hash(const textgen_spans *spans, const int32_t *recent, int64_t count);

/* Return the hash after one more token, given the hash of the tokens before it. */
uint64_t textgen_spans_next(const textgen_spans *spans, const int32_t *recent, int64_t count, uint64_t hash,
                            int64_t token);

/* Whether a token after these would complete a span. hash: of the tokens. */
bool textgen_spans_has(const textgen_spans *spans, const int32_t *recent, int64_t count, uint64_t hash,
                       int64_t token);

/* Return the logits, [vocabulary], if no token would complete a span after these tokens. Otherwise, return
 * `masked`: a copy in which those that would are -infinity. It may be the logits themselves. */
const float *textgen_spans_mask(const textgen_spans *spans, const int32_t *recent, int64_t count, uint64_t hash,
                                const float *logits, float *masked);

#endif
