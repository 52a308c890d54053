/* The generation loop: draw, accept, forward; for many lanes, each with its own end. */
#ifndef TEXTGEN_GENERATE_H
#define TEXTGEN_GENERATE_H

#include "forward.h"
#include "lane.h"

/* Return what the texts of a network must know of it. is_bytes: whether its tokens are bytes. */
static inline textgen_shape textgen_network_shape(const textgen_network *network, bool is_bytes) {
    const textgen_shape shape = {network->vocabulary, network->state_values, network->special, is_bytes,
                                 network->exp64};
    return shape;
}

/* Sums over a call. */
typedef struct {
    int64_t steps;      /* time steps; each is one draw for every running lane */
    int64_t draws;      /* draws of all lanes, with those of tokens that a constraint forbids */
    int64_t model_ns;   /* time in the network, in nanoseconds */
    int64_t sampler_ns; /* time in the samplers, in nanoseconds */
    double entropy;     /* of the distributions drawn from, in bits, summed over all draws */
    int64_t *latencies; /* [steps], the nanoseconds of each time step; or NULL */
} textgen_measurements;

/* Draw a token for each lane and run the network forward with it, up to `steps` times.
 *
 * A lane ends with a reason, or when its sampler fails; it keeps the tokens that it drew before. The
 * network is run with the last token too. A token that the constraint forbids is dropped, and ends the lane
 * before it: in an accepting state with TEXTGEN_CONSTRAINT_END, otherwise with TEXTGEN_MISMATCH. No constraint
 * forbids the end token in an accepting state, but min_length does.
 *
 * workspace: of textgen_slots_size(network, count, 1) bytes. measurements: added to; NULL to skip the
 * measuring, as a program with TEXTGEN_SMALL must: it runs the lanes one after the other. */
void textgen_generate_tokens(const textgen_network *network, const textgen_shape *shape,
                             textgen_lane_call *lanes, size_t count, int64_t steps, void *workspace,
                             textgen_measurements *measurements);

#endif
