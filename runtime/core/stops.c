#include "stops.h"

/* Return the state after a token of a prefix that the token makes longer, or 0. */
static int16_t find_child(const textgen_stop_state *states, int64_t state, int64_t token) {
    int16_t child = states[state].child;
    while (child && states[child].token != token) {
        child = states[child].sibling;
    }
    return child;
}

int64_t textgen_stops_next(const textgen_stop_state *states, int64_t state, int64_t token) {
    int16_t child = find_child(states, state, token);
    while (!child && state) {
        state = states[state].failure;
        child = find_child(states, state, token);
    }
    return child;
}

size_t textgen_stops_add(textgen_stop_state *states, size_t count, const int64_t *tokens, size_t length) {
    int16_t state = 0;
    for (size_t i = 0; i < length; i++) {
        int16_t child = find_child(states, state, tokens[i]);
        if (!child) {
            const textgen_stop_state added = {
                .token = (int32_t)tokens[i], .sibling = states[state].child, .length = (uint16_t)(i + 1)};
            child = (int16_t)count++;
            states[child] = added;
            states[state].child = child;
        }
        state = child;
    }
    states[state].matched = states[state].length;
    return count;
}

/* Shorter prefixes come first, because the failure state of a prefix is shorter. */
void textgen_stops_link(textgen_stop_state *states) {
    int16_t state = 0, last = 0;
    do {
        textgen_stop_state *linked = &states[state];
        const textgen_stop_state *failure = &states[linked->failure];
        if (!linked->matched) {
            linked->matched = failure->matched;
        }
        linked->pending = linked->child ? linked->length : failure->pending;
        for (int16_t child = linked->child; child; child = states[child].sibling) {
            states[child].failure =
                state ? (int16_t)textgen_stops_next(states, linked->failure, states[child].token) : 0;
            states[last].queue = child;
            last = child;
        }
        state = linked->queue;
    } while (state);
}
