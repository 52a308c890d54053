/* The loop of sample, accept and forward, for many lanes, each with its own end. */
#ifndef TEXTGEN_RUN_H
#define TEXTGEN_RUN_H

#include "forward.h"
#include "sampler.h"

typedef enum { TEXTGEN_RUNNING = 0, TEXTGEN_LENGTH = 1 } textgen_ending;

/* One lane of a call of textgen_run. */
typedef struct {
    textgen_sampler *sampler;
    float *state[TEXTGEN_STATE_ARRAYS]; /* the network's arrays, each [layers][units], changed in place */
    float *logits;                      /* [vocabulary], of the next token; changed in place */
    int64_t *tokens;                    /* what was drawn; room for min(length, steps) */
    int64_t length;                     /* tokens wanted of this lane */
    int64_t generated;                  /* result: how many tokens there are */
    int64_t ending;                     /* result: a textgen_ending, or a negative fault */
} textgen_run_lane;

/* What a measured run took. */
typedef struct {
    int64_t steps;          /* how often all running lanes drew */
    int64_t model, sampler; /* nanoseconds */
    double entropy;         /* bits, summed over all draws */
    int64_t *latencies;     /* NULL, or room for the nanoseconds of each step */
    double (*log)(double);  /* the C library's; given, so that the core needs no libm */
} textgen_measured;

/* Draw a token for each lane and run the network forward with it, up to `steps` times. A lane ends when it has
 * its length, or at a fault; what it drew before a fault stays. memory: of textgen_slots_size(network, count,
 * 1) bytes. measured: where to add up, or NULL, which saves the effort. */
void textgen_run(const textgen_network *network, textgen_run_lane *lanes, size_t count, int64_t steps,
                 void *memory, textgen_measured *measured);

#endif
