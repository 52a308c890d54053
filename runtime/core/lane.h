/* One lane of a call that generates: the block of a text that draws tokens until it ends.
 *
 * Whoever runs a network calls textgen_lane_begin; then for each token textgen_lane_draw, the network, and
 * textgen_lane_ending; and in the end textgen_lane_finish. generate.c does this for the networks of the core.
 * lanes.c calls it for the public handles, and decodes the tokens to characters. */
#ifndef TEXTGEN_LANE_H
#define TEXTGEN_LANE_H

#include "text.h"

typedef struct {
    textgen_text *text;
    textgen_guide guide;
    int64_t length;    /* tokens to generate, at most */
    int32_t must_end;  /* the text must match its constraint within `length`, which otherwise may cut it */
    int32_t masked;    /* draw only allowed tokens; otherwise the first that is not allowed ends the lane */
    int32_t keep_stop; /* whether a stop text is part of the text */
    int32_t unused;
    int64_t *tokens;  /* output, [TEXTGEN_MAX_HELD + min(length, steps)]: those held back, and the drawn ones */
    double *logprobs; /* output, [min(length, steps)]: the natural logarithm of the model's probability of each
                         drawn token, at temperature 1, before the constraint and the filters; or NULL */
    int64_t held; /* output: how many of `tokens` were held back before the call; those after a stop text among
                     them are dropped */
    int64_t generated; /* output: how many were drawn */
    int64_t decided;   /* output: how many of `tokens` are decided, from the first on. The others are held back,
                          or are a stop text that is no part of the text. */
    int64_t stop_length;     /* output: tokens of the stop text that ended the lane, the last ones; or 0 */
    int64_t ending;          /* output: a reason or a code of textgen.h, or a reason of text.h */
    textgen_sampler sampler; /* of the text, during the call */
    int64_t stop_state;      /* of the stop texts */
    int32_t *recent;         /* of the text */
    uint64_t span_hash;      /* of the latest tokens, as textgen_spans_hash returns it */
} textgen_lane_call;

/* Prepare a call. Set `ending` if the text is complete, if its constraint is, or if a stop text is among the
 * tokens that are held back. */
void textgen_lane_begin(const textgen_shape *shape, textgen_lane_call *lane);

/* Draw a token from logits, [vocabulary], and return it. If the sampler fails, or if the constraint forbids the
 * token, set `ending` and return -1: the token used a random number, but neither the filters nor the network
 * see it. Tokens that are never drawn have logits of -infinity. masked: temporary, [vocabulary]. scratch:
 * temporary, see textgen_sampler_scratch. */
int64_t textgen_lane_draw(const textgen_shape *shape, textgen_lane_call *lane, const float *logits,
                          float *masked, double *scratch);

/* Return why the lane ends after its last token, or 0. The end token is one of the drawn tokens, but the
 * filters do not count it. */
int64_t textgen_lane_ending(const textgen_shape *shape, const textgen_lane_call *lane);

/* Return the entropy in bits of the distribution of the next draw. */
double textgen_lane_entropy(const textgen_shape *shape, const textgen_lane_call *lane, const float *logits,
                            float *masked, double *scratch);

/* Return how many of the last tokens, which are bytes, are the beginning of a character whose other bytes may
 * follow. */
int64_t textgen_incomplete_bytes(const int64_t *tokens, int64_t count);

/* Move the text to the end of its tokens, and set `decided`. The state and the logits are not changed. */
void textgen_lane_finish(const textgen_shape *shape, textgen_lane_call *lane);

#endif
