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
    /* Of the constraint: another one may be where one was that is destroyed. */
    unsigned char digest[TEXTGEN_SHA256_SIZE];
    const textgen_spans *spans; /* or NULL */
    bool keep_stop;
    bool claimed; /* whether the current call has a lane for it */
    /* Stop texts: of each how many tokens it has, and the tokens; then 0. Not of a sampler. */
    int32_t *stops;
    /* Parts of the block. */
    float *state;             /* [state_values] */
    float *logits;            /* [vocabulary] */
    int32_t *held;            /* [TEXTGEN_MAX_HELD] */
    textgen_filters *filters; /* in use if the text is `filtered` */
    int32_t *recent;          /* [TEXTGEN_MAX_RECENT], of which `recent` are in use; not of a sampler */
    textgen_text text;
};

/* The most numbers of stop texts. */
enum { TEXTGEN_STOP_NUMBERS = 2 * TEXTGEN_MAX_STOP + 1 };

/* What was read of a textgen_sampling. */
typedef struct {
    textgen_parameters parameters;
    int32_t stops[TEXTGEN_STOP_NUMBERS]; /* not for a sampler */
} textgen_choice;

/* Check a sampling for a shape, and for a model unless it is NULL, and read it. */
int32_t textgen_sampling_read(const textgen_sampling *sampling, const textgen_shape *shape,
                              const textgen_model *model, textgen_choice *choice, textgen_error *error);

/* Use a sampling that was read. The filters keep their state. */
void textgen_stream_apply(textgen_stream *stream, const textgen_sampling *sampling,
                          const textgen_choice *choice);

/* Use its tables only: the stop texts, the constraint and the spans. */
void textgen_stream_set_tables(textgen_stream *stream, const textgen_sampling *sampling,
                               const textgen_choice *choice);

/* Whether a number can be the logit bias of a token. */
bool textgen_bias_is_valid(double bias);

/* Return the bytes of a stream, or of a sampler without its temporary memory. */
size_t textgen_stream_bytes(const textgen_shape *shape, bool is_sampler);

/* Write a stream with the default parameters and without a seed, which has not been fed, to memory of so many
 * bytes. model: NULL for a sampler. */
textgen_stream *textgen_stream_place(void *memory, const textgen_shape *shape, const textgen_model *model);

/* Whether no token may follow until something is fed. */
static inline bool textgen_stream_is_complete(const textgen_stream *stream) {
    return stream->text.ending == TEXTGEN_CONSTRAINT_END || stream->text.ending == TEXTGEN_REACHED_END;
}

/* Return how many tokens the text needs to match its constraint. */
int64_t textgen_stream_needed(const textgen_stream *stream);

/* Return the sampler of a stream, which uses its random numbers and its filters. */
textgen_sampler_state textgen_stream_sampler(textgen_stream *stream);

/* Return the logits to draw from, [vocabulary]: the given ones, or `masked`, a copy in which the tokens are
 * -infinity that the constraint, min_length or the spans forbid. drawn: tokens that `since_feed` does not count
 * yet. remaining: see tables.h; 0 to draw as if there were no constraint. span_hash: see textgen_spans_hash. */
const float *textgen_stream_mask(const textgen_stream *stream, int64_t drawn, int64_t remaining,
                                 uint64_t span_hash, const float *logits, float *masked);

/* Return the code of a draw that failed. logits: those of the network, which may be valid. scratch: temporary.
 */
int32_t textgen_draw_error(const textgen_shape *shape, const float *logits, int64_t code, double *scratch);

/* Return the natural logarithm of the probability of a token. scratch: temporary. */
double textgen_logprob(const textgen_shape *shape, const float *logits, int64_t token, double *scratch);

/* Return how many of the last tokens, which are bytes, are the beginning of a character whose other bytes may
 * follow. */
int64_t textgen_incomplete_bytes(const int32_t *tokens, int64_t count);

/* A lane in a call of textgen_generate: see generate.c. */
enum { TEXTGEN_LANE_TOKENS = TEXTGEN_MAX_HELD + 64 };
typedef struct {
    textgen_lane *lane;
    textgen_stream *stream;
    textgen_sampler_state sampler;
    int32_t *tokens;    /* [TEXTGEN_LANE_TOKENS]: those that are not written yet, from those held back on */
    int64_t count;      /* of `tokens` */
    int64_t pending;    /* how many of the last tokens may still become a stop text */
    int64_t stop;       /* tokens of the stop text that ended the lane, the last ones; or 0 */
    int64_t ending;     /* a reason of textgen.h, or a code */
    uint64_t span_hash; /* of the latest tokens, as textgen_spans_hash returns it */
} textgen_lane_call;

/* The parts of a workspace for some lanes. */
typedef struct {
    textgen_lane_call *calls; /* [lanes] */
    int32_t *tokens;          /* [lanes][TEXTGEN_LANE_TOKENS] */
    size_t *running;          /* [lanes], the lane in each slot */
    int64_t *drawn;           /* [lanes], the token of each slot */
    double *scratch;          /* see textgen_sampler_scratch */
    float *masked;            /* [vocabulary] */
    void *slots;              /* for textgen_slots_find; nothing with another engine */
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

/* An object begins with the arena of its memory. Create one of zeros, in the caller's memory or on the heap. */
int32_t textgen_object_create(textgen_memory memory, size_t size, void **object, textgen_error *error);
void textgen_object_destroy(void *object);

/* Return the code with which an object could not be created: its memory may be too small. */
int32_t textgen_object_code(const void *object, int32_t code, textgen_error *error);

/* Check memory of the caller. needed: bytes, or 0 if they exceed a size_t. */
int32_t textgen_check_memory(textgen_memory memory, size_t needed, const char *name, textgen_error *error);

/* Check that tokens of the caller are in the vocabulary. */
int32_t textgen_check_tokens(const textgen_model *model, const int64_t *tokens, size_t count,
                             textgen_error *error);

#endif
