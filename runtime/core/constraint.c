#include "constraint.h"

#include <math.h>

int64_t textgen_constraint_next(const textgen_constraint *constraint, int64_t state, int64_t token,
                                int64_t remaining) {
    const int64_t next = constraint->next[(size_t)state * constraint->vocabulary + (size_t)token];
    return next < 0 || constraint->distance[next] > remaining - 1 ? -1 : next;
}

void textgen_constraint_mask(const textgen_constraint *constraint, int64_t state, int64_t remaining,
                             float *logits) {
    size_t token;
    if (textgen_constraint_accepting(constraint, state)) {
        return;
    }
    for (token = 0; token < constraint->vocabulary; token++) {
        if (textgen_constraint_next(constraint, state, (int64_t)token, remaining) < 0) {
            logits[token] = -INFINITY;
        }
    }
}
