/* Tests the masks of random constraints against the definition. */
#include "automata.h"

#include <math.h>

enum { ROUNDS = 2000 };

static void check_state(const constraint *made, size_t from, int64_t remaining) {
    const size_t vocabulary = made->core.vocabulary;
    float logits[MOST_TOKENS];
    size_t t;
    for (t = 0; t < vocabulary; t++) {
        logits[t] = (float)t;
    }
    textgen_constraint_mask(&made->core, (int64_t)from, remaining, logits);
    CHECK(textgen_constraint_accepting(&made->core, (int64_t)from) == (made->distance[from] <= 0));
    CHECK(textgen_constraint_complete(&made->core, (int64_t)from) == (made->distance[from] == -1));
    for (t = 0; t < vocabulary; t++) {
        const bool allowed = is_allowed(&made->core, (int64_t)from, (int64_t)t, remaining);
        const int64_t next = textgen_constraint_next(&made->core, (int64_t)from, (int64_t)t, remaining);
        CHECK(logits[t] == (allowed || made->distance[from] <= 0 ? (float)t : -INFINITY));
        CHECK(next == (allowed ? made->next[from * vocabulary + t] : -1));
    }
}

int main(void) {
    const int64_t limits[] = {1, 2, 4, INT64_MAX};
    uint64_t state = 5;
    constraint made;
    size_t round, from, i;
    for (round = 0; round < ROUNDS; round++) {
        if (make_random_constraint(&made, 1 + random_up_to(&state, MOST_TOKENS - 1), -1, &state)) {
            for (from = 0; from < made.states; from++) {
                for (i = 0; i < 4; i++) {
                    check_state(&made, from, limits[i]);
                }
            }
        }
    }
    return 0;
}
