/* The tables that a text follows: stop texts end it, a constraint is what it must match, and spans are what it
 * must not copy. Many texts may share a table. */
#ifndef TEXTGEN_TABLES_H
#define TEXTGEN_TABLES_H

#include "memory.h"
#include "sha256.h"
#include "vocabulary.h"

/* Stop texts: an automaton finds, after each token, whether a text ends with one of them.
 *
 * Source: A. Aho and M. Corasick, Efficient string matching, 1975. A state is a prefix of a stop text: the
 * longest one that the generated text ends with. A text starts in state 0, the empty prefix. */
typedef struct {
    int32_t token;    /* the last token of the prefix */
    int16_t child;    /* the first state whose prefix is one token longer, or 0 */
    int16_t sibling;  /* the next state with the same parent, or 0 */
    int16_t failure;  /* the state of the longest proper suffix that is a state */
    int16_t queue;    /* the next state in the order of length; only for textgen_stops_link */
    uint16_t length;  /* tokens of the prefix */
    uint16_t matched; /* tokens of the longest stop text that the prefix ends with, or 0 */
    uint16_t pending; /* how many of the last tokens may still become a stop text */
    uint16_t unused;  /* instead of padding, so that the bytes of equal states are equal */
} textgen_stop_state;

/* Add a stop text of `length` tokens, 1 or more, to `count` states, of which the first is all zeros. Return the
 * new number of states, at most count + length. */
size_t textgen_stops_add(textgen_stop_state *states, size_t count, const int64_t *tokens, size_t length);

/* Complete the states when all texts are added. */
void textgen_stops_link(textgen_stop_state *states);

/* Return the state after a token. */
int64_t textgen_stops_next(const textgen_stop_state *states, int64_t state, int64_t token);

/* A constraint: a finite automaton over tokens. A text starts in state 0, and matches if it ends in an
 * accepting state. */
struct textgen_constraint {
    int16_t *next;     /* [states][vocabulary]: the state after a token, or -1 if the token is not allowed */
    int32_t *distance; /* [states]: tokens to the nearest accepting state; 0 if the state is accepting;
                          -1 if it is accepting and no token can follow; INT32_MAX if no text reaches it */
    size_t states, vocabulary;
    unsigned char digest[TEXTGEN_SHA256_SIZE];
    textgen_arena arena; /* of a constraint that textgen_constraint_read made */
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

/* Complete a table of `next` and `distance`, 0 for the accepting states and INT32_MAX for the others: check the
 * states, write the distances, and forbid the tokens after which no text can match. */
int32_t textgen_constraint_link(textgen_constraint *constraint, textgen_error *error);

/* Read a table as JSON, as textgen-info writes it. constraint: zeros but for `arena`. The caller releases the
 * table, also after an error. */
int32_t textgen_constraint_read(textgen_view content, const textgen_vocabulary *vocabulary,
                                textgen_constraint *constraint, textgen_error *error);
void textgen_constraint_release(textgen_constraint *constraint);

/* Write `digest`, the SHA-256 of a table that is linked. Equal tables have equal digests in every language. */
void textgen_constraint_digest(textgen_constraint *constraint);

/* Forbid tokens that are never drawn, so that no text needs them to match. The digest stays: a saved text goes
 * on in a language that bans the tokens in another way. */
int32_t textgen_constraint_ban(textgen_constraint *constraint, const int64_t *banned, size_t count,
                               textgen_error *error);

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
    textgen_arena arena; /* of spans that textgen_spans_create made */
};

/* Build the table. spans: zeros but for `arena`. tokens: [count], copied. The caller releases the table, also
 * after an error. */
int32_t textgen_spans_build(textgen_spans *spans, const int32_t *tokens, size_t count, size_t vocabulary,
                            size_t max_copy, textgen_error *error);

/* Build the table for a text, with \r\n and \r as \n. A model of words has none. */
int32_t textgen_spans_read(textgen_spans *spans, const textgen_vocabulary *vocabulary, const char *text,
                           size_t size, size_t max_copy, textgen_error *error);
void textgen_spans_release(textgen_spans *spans);

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
