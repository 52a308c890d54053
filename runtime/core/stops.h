/* Stop texts as an automaton, which finds, after each token, whether a text ends with one of them.
 *
 * Source: A. Aho and M. Corasick, Efficient string matching, 1975. A state is a prefix of a stop text: the
 * longest one that the generated text ends with. A text starts in state 0, the empty prefix. */
#ifndef TEXTGEN_STOPS_H
#define TEXTGEN_STOPS_H

#include <stddef.h>
#include <stdint.h>

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

#endif
