/* The generation loop: sample, accept, forward; for many lanes, each with its own length. */
#ifndef TEXTGEN_GENERATE_H
#define TEXTGEN_GENERATE_H

#include "constraint.h"
#include "forward.h"
#include "sampler.h"
#include "stops.h"

/* Why a lane ended. If one token gives several reasons: the stop, else the end, else the constraint, else the
 * length. */
typedef enum {
    TEXTGEN_RUNNING = 0,
    TEXTGEN_REACHED_LENGTH = 1,
    TEXTGEN_REACHED_STOP = 2,   /* the text ends with a stop text */
    TEXTGEN_CONSTRAINT_END = 3, /* the text matches the constraint, and ends there */
    TEXTGEN_MISMATCH = 4,       /* the text would not match the constraint; only without its mask */
    TEXTGEN_REACHED_END = 5     /* the end token was drawn */
} textgen_ending;

/* One lane of a call. */
typedef struct {
    textgen_sampler *sampler;
    float *state;       /* the state arrays one after the other, each [rows][units]; updated in place */
    float *logits;      /* [vocabulary], of the next token; updated in place */
    int64_t *tokens;    /* output: the drawn tokens, [min(length, steps)] */
    int64_t length;     /* tokens to generate */
    int64_t min_length; /* the end token is not drawn before this many tokens are; 0 or less is off */
    int64_t generated;  /* output: the number of drawn tokens */
    int64_t ending;     /* output: a textgen_ending, or a textgen_sampler_error */
    double *logprobs; /* output: [min(length, steps)], the natural logarithm of the model's probability of each
                         drawn token, at temperature 1, before the constraint and the filters; or NULL */

    const textgen_constraint *constraint; /* or NULL */
    int64_t constraint_state;             /* updated in place */
    bool must_end; /* the text must match within `length`; otherwise `length` may cut it anywhere */
    bool masked;   /* draw only allowed tokens; otherwise the first that is not allowed ends the lane */

    const textgen_stops *stops; /* or NULL */
    int64_t stop_state;         /* updated in place; 0 after a stop */
    int64_t stop_length;  /* output: tokens of the stop text that ended the lane, the last drawn ones; or 0 */
    int64_t stop_reached; /* output: the state of the stop texts after the last token, also after a stop */
} textgen_token_lane;

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
 * A lane ends with a textgen_ending, or when its sampler fails; it keeps the tokens that it drew before. The
 * network is run with the last token too. A token that the constraint forbids is dropped, and ends the lane
 * before it: in an accepting state with TEXTGEN_CONSTRAINT_END, otherwise with TEXTGEN_MISMATCH. It used a
 * random number, but is not in `tokens`, and neither the filters nor the network see it. A lane whose
 * constraint is complete at the start ends without a draw. No constraint forbids the end token in an accepting
 * state, but min_length does. The filters do not see the end token.
 *
 * workspace: of textgen_slots_size(network, count, 1) bytes. measurements: added to; NULL to skip the
 * measuring, as a program with TEXTGEN_SMALL must: it runs the lanes one after the other.
 */
void textgen_generate_tokens(const textgen_network *network, textgen_token_lane *lanes, size_t count,
                             int64_t steps, void *workspace, textgen_measurements *measurements);

#endif
