/* One running text as a block: everything that changes while it grows, in memory without pointers. The handle
 * of the C library, a textgen_stream, is a block with what it refers to: see handles.h. A copy of the bytes is
 * a copy of the text, and a saved text is the bytes behind a header: see saved.h. All numbers have fixed
 * widths, so that the block is the same in every language.
 *
 * The block is a textgen_text, then the recurrent state, the logits of the next token, the tokens that are held
 * back, the filters, and the tokens that may begin a span of a corpus. A text does not contain its stop texts,
 * its constraint and its spans, which are tables that many texts may share, nor the network. Each function gets
 * what it needs of them. */
#ifndef TEXTGEN_TEXT_H
#define TEXTGEN_TEXT_H

#include "sampler.h"
#include "tables.h"
#include "vocabulary.h"

/* Why a text ended, besides the public reasons. */
enum {
    TEXTGEN_MISMATCH = 4,  /* the text would not match the constraint; only without its mask */
    TEXTGEN_MASKED_END = 6 /* the text matches with the mask, after others without it did not */
};

/* How many tokens can be held back: those that may become a stop text, or the bytes of a character. */
enum { TEXTGEN_MAX_HELD = 1024, TEXTGEN_MAX_STOP = TEXTGEN_MAX_HELD - 4 /* tokens of a stop text */ };

/* What a text must know of the network that runs it. */
typedef struct {
    size_t vocabulary;
    size_t state_values; /* floats of the recurrent state: the arrays one after the other, each [rows][units] */
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
textgen_text_parts textgen_text_find(const textgen_shape *shape, textgen_text *text);

/* Initialize a text that has not been fed, with the default parameters. */
void textgen_text_init(const textgen_shape *shape, textgen_text *text, textgen_uint128 seed,
                       uint32_t substream);

/* Start the random numbers of a seed at a position. */
void textgen_text_seed(textgen_text *text, textgen_uint128 seed, uint32_t substream, int64_t position);

/* Change the parameters. The filters keep their state; another min_length counts from the next token. biased:
 * whether the caller then writes a logit bias, which is zeros after this. */
void textgen_text_configure(const textgen_shape *shape, textgen_text *text,
                            const textgen_parameters *parameters, bool biased);

/* Note that a text is fed, which begins new stop texts and a new constraint. restart: whether to begin from the
 * initial state. Nothing is held back any more. */
void textgen_text_feed(const textgen_shape *shape, textgen_text *text, bool restart);

/* Let the next token begin another text of the constraint. */
void textgen_text_begin_constraint(textgen_text *text);

/* Whether no token may follow until something is fed. */
bool textgen_text_is_complete(const textgen_text *text);

/* Return how many tokens the text needs to match its constraint, which may be NULL. */
int64_t textgen_text_needed(const textgen_text *text, const textgen_constraint *constraint);

/* Return the logits to draw from, [vocabulary]: those of the network, or `masked`, a copy in which the tokens
 * are -infinity that the constraint, min_length or the spans forbid. It may be the logits themselves. drawn:
 * tokens of this call, which `since_feed` does not count yet. remaining: see tables.h. span_hash: see
 * textgen_spans_hash. */
const float *textgen_text_mask(const textgen_shape *shape, textgen_text *text, textgen_guide guide,
                               int64_t drawn, int64_t remaining, uint64_t span_hash, const float *logits,
                               float *masked);

/* Return the error of a draw from masked logits. logits: those of the network. scratch: temporary. */
int64_t textgen_text_draw_error(const textgen_shape *shape, const float *logits, int64_t error,
                                double *scratch);

/* Write the probabilities of the next token, [vocabulary]: those of the model, or those of the next draw, with
 * the tables, min_length, the filters and the temperature. masked: temporary, [vocabulary]. scratch:
 * temporary, see textgen_sampler_scratch. Return 0 or a code. */
int64_t textgen_text_probabilities(const textgen_shape *shape, textgen_text *text, textgen_guide guide,
                                   bool of_draw, double *probabilities, float *masked, double *scratch);

#endif
