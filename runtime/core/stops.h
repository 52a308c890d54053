/* Stop texts: an automaton that finds, after each token, whether the text ends with one of them.
 *
 * Source: A. Aho and M. Corasick, Efficient string matching, 1975. Its goto and failure functions are combined
 * in one table. A text starts in state 0. */
#ifndef TEXTGEN_STOPS_H
#define TEXTGEN_STOPS_H

#include <stddef.h>
#include <stdint.h>

typedef struct {
    const int16_t *next;     /* [states][vocabulary]: the state after a token */
    const uint16_t *matched; /* [states]: tokens of the longest stop text that the text ends with, or 0 */
    size_t vocabulary;
} textgen_stops;

/* Return the state after a token. */
static inline int64_t textgen_stops_next(const textgen_stops *stops, int64_t state, int64_t token) {
    return stops->next[(size_t)state * stops->vocabulary + (size_t)token];
}

#endif
