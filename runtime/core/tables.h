/* The tables that a text follows: a constraint is what it must match, and spans are what it must not copy. Many
 * texts may share a table. */
#ifndef TEXTGEN_TABLES_H
#define TEXTGEN_TABLES_H

#include "sha256.h"
#include "vocabulary.h"

/* A constraint: a finite automaton over tokens. A text starts in state 0, and matches if it ends in an
 * accepting state. */
struct textgen_constraint {
    int16_t *next;     /* [states][vocabulary]: the state after a token, or -1 if the token is not allowed */
    int32_t *distance; /* [states]: tokens to the nearest accepting state; 0 if the state is accepting;
                          -1 if it is accepting and no token can follow; INT32_MAX if no text reaches it */
    size_t states, vocabulary;
    /* The SHA-256 of the table as it was given. Equal tables have equal digests in every language. Tokens that
     * are never drawn do not change it: a language may ban them in another way. */
    unsigned char digest[TEXTGEN_SHA256_SIZE];
};

/* A token is forbidden if it is not allowed, or if the text could not end in time after it: if the distance of
 * the next state is more than remaining - 1. remaining: how many tokens the text may still have, including this
 * one; INT64_MAX for no limit. */

/* Set the logits of forbidden tokens, [vocabulary], to -infinity. In an accepting state nothing is masked: a
 * draw of a forbidden token ends the text before it, so that the model decides where the text ends. */
void textgen_constraint_mask(const textgen_constraint *constraint, int64_t state, int64_t remaining,
                             float *logits);

/* Return the state after a token, or -1 if the token is forbidden, also in an accepting state. */
int64_t textgen_constraint_next(const textgen_constraint *constraint, int64_t state, int64_t token,
                                int64_t remaining);

/* Whether the text matches if it ends in this state. */
static inline bool textgen_constraint_accepting(const textgen_constraint *constraint, int64_t state) {
    return constraint->distance[state] <= 0;
}

/* Whether the text matches and no token can follow. */
static inline bool textgen_constraint_complete(const textgen_constraint *constraint, int64_t state) {
    return constraint->distance[state] < 0;
}

/* The spans of a corpus that no text copies: its successive tokens that are one more than max_copy.
 *
 * They are in a hash table by their context, which is all of a span but its last token. The hash of a context
 * is updated for each token (Karp and Rabin, "Efficient randomized pattern-matching algorithms", 1987).
 * Whatever has the hash of a context is compared with the corpus, so that the answers are exact. One look-up
 * for each token finds all that may not follow, whatever max_copy is: most contexts are not in the corpus.
 *
 * A text keeps its latest tokens, at least the last TEXTGEN_MAX_COPY if there are so many. */
enum { TEXTGEN_MAX_COPY = 1000, TEXTGEN_MAX_RECENT = 2 * TEXTGEN_MAX_COPY };
struct textgen_spans {
    int32_t *tokens;  /* [count]: the corpus; -1 for a character that no text can have */
    uint32_t *places; /* [2 ** (64 - shift)]: where spans begin in `tokens`, plus 1; 0 for an empty place */
    size_t count, vocabulary;
    int64_t max_copy;
    uint64_t oldest; /* the factor of the first token in the hash of max_copy tokens */
    int32_t shift;
};

/* Return the hash of the last max_copy of `count` tokens, or of all if there are fewer. */
uint64_t textgen_spans_hash(const textgen_spans *spans, const int32_t *recent, int64_t count);

/* Return the hash after one more token, given the hash of the tokens before it. */
uint64_t textgen_spans_next(const textgen_spans *spans, const int32_t *recent, int64_t count, uint64_t hash,
                            int64_t token);

/* Return the logits, [vocabulary], if no token would complete a span after these tokens. Otherwise, return
 * `masked`: a copy in which those that would are -infinity. It may be the logits themselves. */
const float *textgen_spans_mask(const textgen_spans *spans, const int32_t *recent, int64_t count, uint64_t hash,
                                const float *logits, float *masked);

#endif
