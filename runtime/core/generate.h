/* The generation loop: sample, accept, forward; for many lanes, each with its own length. */
#ifndef TEXTGEN_GENERATE_H
#define TEXTGEN_GENERATE_H

#include "forward.h"
#include "sampler.h"

typedef enum { TEXTGEN_RUNNING = 0, TEXTGEN_REACHED_LENGTH = 1 } textgen_ending;

/* One lane of a call. */
typedef struct {
    textgen_sampler *sampler;
    float *state[TEXTGEN_STATE_ARRAYS]; /* the network's state arrays, each [layers][units], updated in place */
    float *logits;                      /* [vocabulary], of the next token; updated in place */
    int64_t *tokens;                    /* output: the drawn tokens, [min(length, steps)] */
    int64_t length;                     /* tokens to generate */
    int64_t generated;                  /* output: the number of drawn tokens */
    int64_t ending;                     /* output: a textgen_ending, or a textgen_sampler_error */
} textgen_token_lane;

/* Sums over a call. */
typedef struct {
    int64_t steps;         /* time steps; each is one draw for every running lane */
    int64_t model_ns;      /* time in the network, in nanoseconds */
    int64_t sampler_ns;    /* time in the samplers, in nanoseconds */
    double entropy;        /* of the distributions drawn from, in bits, summed over all draws */
    int64_t *latencies;    /* [steps], the nanoseconds of each time step; or NULL */
    double (*log)(double); /* the C library's; passed in, so that the core does not need libm */
} textgen_measurements;

/* Draw a token for each lane and run the network forward with it, up to `steps` times. A lane ends when it
 * reaches its length, or when its sampler fails; it keeps the tokens that it drew before. workspace: of
 * textgen_slots_size(network, count, 1) bytes. measurements: added to; NULL to skip the measuring. */
void textgen_generate_tokens(const textgen_network *network, textgen_token_lane *lanes, size_t count,
                             int64_t steps, void *workspace, textgen_measurements *measurements);

#endif
