/* One running text: the block that changes while it grows, in memory without pointers, and how a token is
 * drawn for it. A copy of the bytes is a copy of the text, and a saved text is the bytes behind a header: see
 * saved.c. All numbers have fixed widths, so that the block is the same in every language.
 *
 * The block is a textgen_text, then the state of the network, the logits of the next token, the tokens that are
 * held back, the filters, and the tokens that may begin a span of a corpus. A text does not contain its stop
 * texts, its constraint and its spans, which are tables that many texts may share, nor the network. Each
 * function gets what it needs of them. */
#ifndef TEXTGEN_TEXT_H
#define TEXTGEN_TEXT_H

#include "constraint.h"
#include "sampler.h"
#include "spans.h"
#include "special.h"
#include "stops.h"

/* How many tokens can be held back: those that may become a stop text, or the bytes of a character. */
enum { TEXTGEN_MAX_HELD = 1024, TEXTGEN_MAX_STOP = TEXTGEN_MAX_HELD - 4 /* tokens of all stop texts */ };

/* What a text must know of the network that runs it. */
typedef struct {
    size_t vocabulary;
    size_t state_values; /* floats of the state */
    textgen_special special;
    bool is_bytes; /* whether tokens are bytes, of which several make a character */
    textgen_exp64 exp64;
} textgen_shape;

/* The tables of a text. Each may be NULL. */
typedef struct {
    const textgen_stop_state *stops;
    const textgen_constraint *constraint;
    const textgen_spans *spans;
} textgen_guide;

typedef struct {
    textgen_parameters parameters;
    textgen_rng rng;
    int64_t filtered;   /* whether any filter is on */
    int64_t is_fed;     /* whether there are logits to draw from */
    int64_t ending;     /* why the latest text ended, 0 while it continues */
    int64_t at_end;     /* whether the last token is the end of a record */
    int64_t since_feed; /* tokens since the latest feed, or since min_length changed */
    int64_t constraint_state;
    int64_t held;   /* how many tokens are held back; the next call looks for stop texts in these first */
    int64_t recent; /* how many of the latest tokens are kept for the spans */
} textgen_text;

/* Return a size that is a multiple of 8 bytes, to which all parts of a text are aligned. */
static inline size_t textgen_aligned(size_t size) { return (size + 7) / 8 * 8; }

/* Return the size of a block in bytes, and how many of them are in use, which a copy needs. */
size_t textgen_text_size(const textgen_shape *shape);
size_t textgen_text_used(const textgen_shape *shape, const textgen_text *text);

/* The parts of a block. Those without pointers here do not exist. */
typedef struct {
    float *state;             /* [state_values] */
    float *logits;            /* [vocabulary] */
    int32_t *held;            /* [TEXTGEN_MAX_HELD] */
    textgen_filters *filters; /* initialized if the text is `filtered` */
    int32_t *recent;          /* [TEXTGEN_MAX_RECENT], of which `recent` are initialized */
} textgen_text_parts;
textgen_text_parts textgen_text_find(const textgen_shape *shape, const textgen_text *text);

/* Initialize a text that has not been fed, with the default parameters and without a seed. */
void textgen_text_init(const textgen_shape *shape, textgen_text *text);

/* Start the random numbers of a seed at a position. */
void textgen_text_seed(textgen_text *text, textgen_uint128 seed, uint32_t substream, int64_t position);

/* Change the parameters. The filters keep their state; another min_length counts from the next token. bias:
 * the logit bias, [vocabulary], which is copied, and may be that of the text; or NULL. */
void textgen_text_configure(const textgen_shape *shape, textgen_text *text,
                            const textgen_parameters *parameters, const double *bias);

/* Let the next tokens begin new stop texts and a new constraint. Nothing is held back any more. restart:
 * whether to begin from the initial state, for which there are no logits yet. */
void textgen_text_begin(const textgen_shape *shape, textgen_text *text, bool restart);

/* Let the next token begin another text of the constraint. */
void textgen_text_begin_constraint(textgen_text *text);

/* Whether no token may follow until something is fed. */
bool textgen_text_is_complete(const textgen_text *text);

/* Return how many tokens the text needs to match its constraint, which may be NULL. */
int64_t textgen_text_needed(const textgen_text *text, const textgen_constraint *constraint);

/* Return a sampler for a text. Its random numbers are a copy. */
textgen_sampler_state textgen_text_sampler(const textgen_shape *shape, const textgen_text *text);

/* Write the probabilities of the next token, [vocabulary]: those of the model, or those of the next draw, with
 * the tables, min_length, the filters and the temperature. masked: temporary, [vocabulary]. scratch:
 * temporary, see textgen_sampler_scratch. Return 0 or a code. */
int32_t textgen_text_probabilities(const textgen_shape *shape, const textgen_text *text, textgen_guide guide,
                                   bool of_draw, double *probabilities, float *masked, double *scratch);

/* One lane of a call that generates: a text that draws tokens until it ends.
 *
 * generate.c calls textgen_lane_begin; then for each token textgen_lane_draw, the network, and
 * textgen_lane_ending; and in the end textgen_lane_finish. Before `tokens` is full, it drops some that are
 * decided. */
enum { TEXTGEN_LANE_TOKENS = TEXTGEN_MAX_HELD + 64 };
typedef struct {
    textgen_text *text;
    textgen_guide guide;
    int64_t length;   /* tokens until the lane ends, at most */
    int64_t must_end; /* the text must match its constraint within `length`, which otherwise may cut it */
    int64_t masked;   /* draw only allowed tokens; otherwise the first that is not allowed ends the lane */
    double *logprobs; /* output, [length]: see textgen_lane of textgen.h; or NULL */
    int64_t *tokens;  /* [TEXTGEN_LANE_TOKENS]: those held back before the call, without those after a stop
                         text among them, and the drawn ones */
    int64_t count;    /* of `tokens` */
    int64_t drawn;    /* output: how many were drawn */
    int64_t stop;     /* output: tokens of the stop text that ended the lane, the last ones; or 0 */
    int64_t ending;   /* output: a reason of textgen.h, or a code */
    textgen_sampler_state sampler; /* of the text, during the call */
    int64_t stop_state;            /* of the stop texts */
    uint64_t span_hash;            /* of the latest tokens, as textgen_spans_hash returns it */
} textgen_lane_call;

/* Prepare a call. Set `ending` if the text is complete, if its constraint is, or if a stop text is among the
 * tokens that are held back. */
void textgen_lane_begin(const textgen_shape *shape, textgen_lane_call *lane);

/* Draw a token from logits, [vocabulary], and return it. If the draw fails, or if the constraint forbids the
 * token, set `ending` and return -1: the token used a random number, but neither the filters nor the network
 * see it. A token that the constraint forbids ends the lane in an accepting state with TEXTGEN_CONSTRAINT_END,
 * otherwise with TEXTGEN_MISMATCH. No constraint forbids the end token in an accepting state, but min_length
 * does. Tokens that are never drawn have logits of -infinity. masked, scratch: as above. */
int64_t textgen_lane_draw(const textgen_shape *shape, textgen_lane_call *lane, const float *logits,
                          float *masked, double *scratch);

/* Return why the lane ends after its last token, or 0. The end token is one of the drawn tokens, but the
 * filters do not count it. */
int64_t textgen_lane_ending(const textgen_shape *shape, const textgen_lane_call *lane);

/* Return the entropy in bits of the distribution of the next draw. */
double textgen_lane_entropy(const textgen_shape *shape, const textgen_lane_call *lane, const float *logits,
                            float *masked, double *scratch);

/* Return how many of the first of `tokens` are decided: those that can become neither a stop text nor an
 * incomplete character. */
int64_t textgen_lane_decided(const textgen_shape *shape, const textgen_lane_call *lane);

/* Return how many of the last tokens, which are bytes, are the beginning of a character whose other bytes may
 * follow. */
int64_t textgen_incomplete_bytes(const int64_t *tokens, int64_t count);

/* Move the text to the end of its tokens, and hold back those that are not decided. The state and the logits
 * are not changed. Return how many are decided, without a stop text. */
int64_t textgen_lane_finish(const textgen_shape *shape, textgen_lane_call *lane);

#endif
