/* A constraint on the generated text: a finite automaton over tokens. Its states are numbered; a text starts in
 * state 0, and matches if it ends in an accepting state. */
#ifndef TEXTGEN_CONSTRAINT_H
#define TEXTGEN_CONSTRAINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct {
    const int16_t *next; /* [states][vocabulary]: the state after a token, or -1 if the token is not allowed */
    const int32_t *distance; /* [states]: tokens to the nearest accepting state; 0 if the state is accepting;
                                -1 if it is accepting and no token can follow */
    size_t vocabulary;
} textgen_constraint;

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

#endif
