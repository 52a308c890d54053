/* Where a network works: padded state, logits and scratch for some lanes. */
#ifndef TEXTGEN_SLOTS_H
#define TEXTGEN_SLOTS_H

#include "pack.h"

/* Where the parts are. A lane's slot is its place among those that run. */
typedef struct {
    size_t count;                       /* for how many lanes there is room */
    double *exp_logits;                 /* [vocabulary] */
    const float **starts;               /* [slots] */
    int64_t *tokens;                    /* [slots] */
    size_t *lanes;                      /* [slots]: which lane runs in a slot */
    float *state[TEXTGEN_STATE_ARRAYS]; /* each [layers][slots][padded units] */
    float *scratch;                     /* [slots][padded units] */
    float *embedded;                    /* [slots][embedding size] */
    float *outputs;                     /* [kept][slots][padded units] */
    float *logits;                      /* [kept][slots][padded vocabulary] */
    size_t bytes;
} textgen_slots;

/* The bytes for some lanes, with outputs and logits of `kept` steps (1 for textgen_run). */
size_t textgen_slots_size(const textgen_network *network, size_t lanes, size_t kept);

/* The parts in memory of so many bytes, aligned as malloc aligns it. It holds nothing between calls. */
textgen_slots textgen_slots_find(const textgen_network *network, void *memory, size_t lanes, size_t kept);

/* Copy one lane's arrays, rows of [layers][batch][units] that are `stride` apart, into its slot and back. */
void textgen_slot_load(const textgen_network *network, const textgen_slots *slots, float *const *state,
                       size_t stride, size_t slot);
void textgen_slot_store(const textgen_network *network, const textgen_slots *slots, float *const *state,
                        size_t stride, size_t slot);

/* Copy the state and the logits of one slot to another. */
void textgen_slot_move(const textgen_network *network, const textgen_slots *slots, size_t from, size_t to);

#endif
