/* A constraint on the generated text: a finite automaton over tokens. Its states are numbered; a text starts in
 * state 0, and matches if it ends in an accepting state. */
#ifndef TEXTGEN_CONSTRAINT_H
#define TEXTGEN_CONSTRAINT_H

#include "memory.h"
#include "sha256.h"
#include "vocabulary.h"

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

/* Read a table as JSON, as textgen-info writes it. constraint: zeros but for `arena` and `vocabulary`. The
 * caller releases the table, also after an error. */
int32_t textgen_constraint_read(textgen_view content, const textgen_vocabulary *vocabulary,
                                textgen_constraint *constraint, textgen_error *error);

/* Write `digest`, the SHA-256 of a table that is linked. Equal tables have equal digests in every language. */
void textgen_constraint_digest(textgen_constraint *constraint);

/* Forbid tokens that are never drawn, so that no text needs them to match. The digest stays, because another
 * language may know the banned tokens in another way. */
int32_t textgen_constraint_ban(textgen_constraint *constraint, const int64_t *banned, size_t count,
                               textgen_error *error);

void textgen_constraint_release(textgen_constraint *constraint);

#endif
