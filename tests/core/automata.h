/* Random constraints and stop texts, built from their definitions. */
#ifndef AUTOMATA_H
#define AUTOMATA_H

#include "check.h"

#include "tables.h"

enum { MOST_TOKENS = 16, MOST_STATES = 40, STOPS = 3, STOP_LENGTH = 4 };

/* A random automaton. Each state leads to an accepting one. */
typedef struct {
    int16_t next[MOST_STATES * MOST_TOKENS];
    int32_t distance[MOST_STATES];
    textgen_constraint core;
} constraint;

/* end: the end token, which no state allows, or -1. */
static inline bool make_random_constraint(constraint *made, size_t vocabulary, int64_t end, uint64_t *state) {
    const size_t states = 1 + random_up_to(state, 9);
    for (size_t s = 0; s < states; s++) {
        for (size_t t = 0; t < vocabulary; t++) {
            const bool allowed = random_below(state, 1.0) < 0.15 && (int64_t)t != end;
            made->next[s * vocabulary + t] = allowed ? (int16_t)random_up_to(state, states - 1) : -1;
        }
        made->distance[s] = random_below(state, 1.0) < 0.15 ? 0 : MOST_STATES;
    }
    for (size_t round = 0; round < states; round++) {
        for (size_t s = 0; s < states; s++) {
            for (size_t t = 0; t < vocabulary; t++) {
                const int16_t next = made->next[s * vocabulary + t];
                if (next >= 0 && made->distance[next] + 1 < made->distance[s]) {
                    made->distance[s] = made->distance[next] + 1;
                }
            }
        }
    }
    for (size_t s = 0; s < states; s++) {
        bool leads_on = false;
        for (size_t t = 0; t < vocabulary; t++) {
            int16_t *next = &made->next[s * vocabulary + t];
            *next = *next >= 0 && made->distance[*next] >= MOST_STATES ? -1 : *next;
            leads_on |= *next >= 0;
        }
        made->distance[s] = made->distance[s] == 0 && !leads_on ? -1 : made->distance[s];
    }
    made->core = (textgen_constraint){made->next, made->distance, states, vocabulary, {0}, {0}};
    return made->distance[0] < MOST_STATES;
}

/* The definition of forbidden tokens. */
static inline bool is_allowed(const textgen_constraint *core, int64_t from, int64_t token, int64_t remaining) {
    const int16_t next = core->next[(size_t)from * core->vocabulary + (size_t)token];
    return next >= 0 && core->distance[next] <= remaining - 1;
}

/* Stop texts, and the prefixes of them, each of which is a state. */
typedef struct {
    int64_t texts[STOPS][STOP_LENGTH];
    size_t lengths[STOPS], count, states;
    int64_t prefixes[MOST_STATES][STOP_LENGTH];
    size_t depths[MOST_STATES];
    textgen_stop_state built[MOST_STATES];
} stop_texts;

static inline bool ends_with(const int64_t *text, size_t length, const int64_t *end, size_t end_length) {
    return end_length <= length && !memcmp(text + length - end_length, end, end_length * sizeof *end);
}

/* The tokens of the longest stop text that a text ends with. */
static inline size_t find_stop(const stop_texts *stops, const int64_t *text, size_t length) {
    size_t longest = 0;
    for (size_t i = 0; i < stops->count; i++) {
        if (ends_with(text, length, stops->texts[i], stops->lengths[i]) && stops->lengths[i] > longest) {
            longest = stops->lengths[i];
        }
    }
    return longest;
}

/* The state whose prefix is the longest that a text ends with. */
static inline size_t find_state(const stop_texts *stops, const int64_t *text, size_t length) {
    size_t best = 0;
    for (size_t s = 0; s < stops->states; s++) {
        if (ends_with(text, length, stops->prefixes[s], stops->depths[s]) &&
            stops->depths[s] > stops->depths[best]) {
            best = s;
        }
    }
    return best;
}

/* The tokens of the longest proper prefix of a stop text that a text ends with. */
static inline size_t find_pending(const stop_texts *stops, const int64_t *text, size_t length) {
    size_t longest = 0;
    for (size_t i = 0; i < stops->count; i++) {
        for (size_t prefix = 1; prefix < stops->lengths[i]; prefix++) {
            if (ends_with(text, length, stops->texts[i], prefix) && prefix > longest) {
                longest = prefix;
            }
        }
    }
    return longest;
}

/* Check the states against their definitions. */
static inline void check_stops(const stop_texts *made, size_t vocabulary) {
    for (size_t s = 0; s < made->states; s++) {
        const textgen_stop_state *built = &made->built[s];
        int64_t text[STOP_LENGTH + 1];
        memcpy(text, made->prefixes[s], made->depths[s] * sizeof *text);
        CHECK(built->length == made->depths[s]);
        CHECK(built->matched == find_stop(made, text, made->depths[s]));
        CHECK(built->pending == find_pending(made, text, made->depths[s]));
        for (size_t t = 0; t < vocabulary; t++) {
            text[made->depths[s]] = (int64_t)t;
            CHECK(textgen_stops_next(made->built, (int64_t)s, (int64_t)t) ==
                  (int64_t)find_state(made, text, made->depths[s] + 1));
        }
    }
}

static inline void make_random_stops(stop_texts *made, size_t vocabulary, uint64_t *state) {
    size_t built = 1;
    memset(made->built, 0, sizeof made->built);
    made->count = 1 + random_up_to(state, STOPS - 1);
    made->states = 1;
    made->depths[0] = 0;
    for (size_t i = 0; i < made->count; i++) {
        made->lengths[i] = 1 + random_up_to(state, STOP_LENGTH - 1);
        for (size_t t = 0; t < made->lengths[i]; t++) {
            made->texts[i][t] = (int64_t)random_up_to(state, vocabulary / 2);
        }
        for (size_t depth = 1; depth <= made->lengths[i]; depth++) {
            if (made->depths[find_state(made, made->texts[i], depth)] < depth) {
                memcpy(made->prefixes[made->states], made->texts[i], depth * sizeof **made->texts);
                made->depths[made->states++] = depth;
            }
        }
        built = textgen_stops_add(made->built, built, made->texts[i], made->lengths[i]);
    }
    CHECK(built == made->states);
    textgen_stops_link(made->built);
    check_stops(made, vocabulary);
}

#endif
