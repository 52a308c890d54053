/* What is behind the handles textgen_model and textgen_stream, and what the functions of streams share.
 *
 * A stream is a handle, then a block: all that changes while its text grows, without pointers. A copy of the
 * bytes of the block is a copy of the text, and a saved text is the block behind a header: see saved.c. All
 * numbers in it have fixed widths, so that it is the same in every language. Stop texts, the constraint and the
 * spans are no part of it. */
#ifndef TEXTGEN_TEXT_H
#define TEXTGEN_TEXT_H

#include "forward.h"
#include "sampler.h"
#include "tables.h"
#include "vocabulary.h"

/* How many tokens can be held back: those that may become a stop text, or the bytes of a character. */
enum { TEXTGEN_MAX_HELD = 1024, TEXTGEN_MAX_STOP = TEXTGEN_MAX_HELD - 4 /* tokens of all stop texts */ };
/* During a call, tokens wait there until there are so many, which saves most of the copies. */
enum { TEXTGEN_HELD_ROOM = TEXTGEN_MAX_HELD + 64 };

/* What a stream must know of the network that runs it. */
typedef struct {
    size_t vocabulary;
    size_t state_values; /* floats of the state */
    textgen_special special;
    bool is_bytes; /* whether tokens are bytes, of which several make a character */
    textgen_exp64 exp64;
} textgen_shape;

struct textgen_model {
    textgen_arena arena; /* counts the model itself, too */
    textgen_onnx file;   /* its content, for the hash, and its metadata */
    textgen_shape shape;
    textgen_vocabulary *vocabulary;
    textgen_network *network;         /* NULL with another engine */
    textgen_forward_function forward; /* the other engine, or NULL */
    void *context;
    textgen_model_info info;
};

/* The start of a block. The state, the logits, the tokens that are held back, the filters, and the tokens that
 * may begin a span of a corpus follow. */
typedef struct {
    textgen_parameters parameters;
    textgen_rng rng;
    int64_t filtered;   /* whether any filter is on */
    int64_t is_fed;     /* whether there are logits to draw from */
    int64_t ending;     /* why the latest text ended, 0 while it continues */
    int64_t since_feed; /* tokens since the latest feed, or since min_length changed */
    int64_t constraint_state;
    int64_t held;   /* how many tokens are held back; the next call looks for stop texts in these first */
    int64_t recent; /* how many of the latest tokens are kept for the spans */
} textgen_text;

struct textgen_stream {
    const textgen_model *model; /* NULL: a sampler, which only draws */
    textgen_shape shape;
    const textgen_constraint *constraint; /* or NULL */
    /* Of the constraint, which may be destroyed before another one is set; zeros if there is none. */
    unsigned char digest[TEXTGEN_SHA256_SIZE];
    const textgen_spans *spans; /* or NULL */
    bool keep_stop;
    uint64_t span_hash; /* of the latest tokens; see textgen_stream_hash */
    /* Stop texts: of each how many tokens it has, and the tokens; then 0. */
    int32_t *stops;
    /* Parts of the block. */
    float *state;             /* [state_values] */
    float *logits;            /* [vocabulary] */
    int32_t *held;            /* [TEXTGEN_HELD_ROOM] */
    textgen_filters *filters; /* in use if the text is `filtered` */
    int32_t *recent;          /* [TEXTGEN_MAX_RECENT], of which `recent` are in use */
    textgen_text text;
};

/* The most numbers of stop texts. */
enum { TEXTGEN_STOP_NUMBERS = 2 * TEXTGEN_MAX_STOP + 1 };

/* Whether a number can be the logit bias of a token. */
bool textgen_bias_is_valid(double bias);

/* Return the bytes of a stream, or of a sampler without its temporary memory. */
size_t textgen_stream_bytes(const textgen_shape *shape);

/* Create a stream, or a sampler, whose model is NULL, in memory of `size` bytes. It has not been fed. */
int32_t textgen_stream_place(textgen_memory memory, size_t size, const textgen_shape *shape,
                             const textgen_model *model, const textgen_sampling *sampling,
                             textgen_stream **stream, textgen_error *error);

/* Whether no token may follow until something is fed. */
static inline bool textgen_stream_is_complete(const textgen_stream *stream) {
    return stream->text.ending == TEXTGEN_CONSTRAINT_END || stream->text.ending == TEXTGEN_REACHED_END;
}

/* Return how many tokens the text needs to match its constraint. */
int64_t textgen_stream_needed(const textgen_stream *stream);

/* Return the sampler of a stream, which uses its random numbers and its filters. */
textgen_sampler_state textgen_stream_sampler(textgen_stream *stream);

/* Compute `span_hash`. */
void textgen_stream_hash(textgen_stream *stream);

/* Keep a token, which may be in a span that later ones complete. */
void textgen_stream_keep(textgen_stream *stream, int64_t token);

/* Return the logits to draw from, [vocabulary]: the given ones, or `masked`, a copy in which the tokens are
 * -infinity that the constraint, min_length or the spans forbid. remaining: see tables.h; 0 to draw as if there
 * were no constraint. */
const float *textgen_stream_mask(const textgen_stream *stream, int64_t remaining, const float *logits,
                                 float *masked);

/* Return the code of a draw that failed. logits: those of the network, which may be valid. scratch: temporary.
 */
int32_t textgen_draw_error(const textgen_shape *shape, const float *logits, int64_t code, double *scratch);

/* Return the natural logarithm of the probability of a token. scratch: temporary. */
double textgen_logprob(const textgen_shape *shape, const float *logits, int64_t token, double *scratch);

/* Return how many of the last tokens, which are bytes, are the beginning of a character whose other bytes may
 * follow. */
int64_t textgen_incomplete_bytes(const int32_t *tokens, int64_t count);

/* The parts of a workspace for some lanes. */
typedef struct {
    textgen_lane **running; /* [lanes], the lane in each slot */
    int64_t *drawn;         /* [lanes], the token of each slot */
    double *scratch;        /* see textgen_sampler_scratch */
    float *masked;          /* [vocabulary] */
    void *slots;            /* for textgen_slots_find; nothing with another engine */
    size_t bytes;
} textgen_workspace;

/* Check a workspace of the caller, and find its parts. */
int32_t textgen_workspace_open(const textgen_model *model, textgen_memory memory, size_t lanes,
                               textgen_workspace *workspace, textgen_error *error);

/* Run the network of a model, or the other engine, over tokens of one stream. */
int32_t textgen_stream_forward(textgen_stream *stream, const int64_t *tokens, size_t count, void *slots,
                               textgen_error *error);

/* Start the first record of a stream of records that has not been fed. Fail if nothing was fed to another. */
int32_t textgen_stream_ready(textgen_stream *stream, const textgen_workspace *workspace, textgen_error *error);

/* Check that tokens of the caller are in the vocabulary. */
int32_t textgen_check_tokens(const textgen_model *model, const int64_t *tokens, size_t count,
                             textgen_error *error);

#endif
