/* The structures behind the handles textgen_model and textgen_stream, and what their functions share. */
#ifndef TEXTGEN_HANDLES_H
#define TEXTGEN_HANDLES_H

#include "forward.h"
#include "text.h"

struct textgen_model {
    textgen_arena arena;  /* counts the model itself, too */
    textgen_view content; /* the file, for its hash */
    textgen_shape shape;
    textgen_vocabulary *vocabulary;
    textgen_network *network;         /* NULL with another engine */
    textgen_forward_function forward; /* the other engine, or NULL */
    void *context;
    textgen_property *properties;
    size_t property_count;
    textgen_model_info info;
};

/* The start of a stream's memory: what it refers to. The block of its text and its stop texts follow, at
 * offsets that depend only on the model. */
struct textgen_stream {
    const textgen_model *model;
    const textgen_constraint *constraint; /* or NULL */
    const textgen_spans *spans;           /* or NULL */
    size_t stop_states;                   /* 1 without stop texts */
    bool keep_stop;
    bool claimed; /* whether the current call has a lane for it */
};

/* Return the block of a stream, and its tables. */
textgen_text *textgen_stream_text(const textgen_stream *stream);
textgen_guide textgen_stream_guide(const textgen_stream *stream);

/* Write a stream with the default parameters, which has not been fed, to memory of textgen_stream_size bytes.
 */
textgen_stream *textgen_stream_place(void *memory, const textgen_model *model);

/* Set the stop texts, the constraint and the spans of a sampling that was checked. */
void textgen_stream_set_tables(textgen_stream *stream, const textgen_sampling *sampling);

/* Check a sampling, also for a model if there is one, and copy the parameters that the core has of it. */
int32_t textgen_sampling_read(const textgen_sampling *sampling, const textgen_model *model,
                              textgen_parameters *parameters, textgen_error *error);

/* Set the parameters, the logit bias and, if they change, the random numbers of a text. */
void textgen_sampling_apply(const textgen_sampling *sampling, const textgen_parameters *parameters,
                            const textgen_shape *shape, textgen_text *text);

/* Build the automaton of stop texts that were checked, at most TEXTGEN_MAX_STOP + 1 states. Return their
 * number. */
size_t textgen_stops_build(const textgen_sampling *sampling, const textgen_vocabulary *vocabulary,
                           textgen_stop_state *states);

/* Whether a number can be the logit bias of a token. */
bool textgen_bias_is_valid(double bias);

/* The parts of a workspace for some lanes. */
typedef struct {
    textgen_lane_call *calls; /* [lanes] */
    int64_t *tokens;          /* [lanes][TEXTGEN_LANE_TOKENS] */
    size_t *running;          /* [lanes], the lane in each slot */
    int64_t *drawn;           /* [lanes], the token of each slot */
    double *scratch;          /* see textgen_sampler_scratch */
    float *masked;            /* [vocabulary] */
    void *slots;              /* for textgen_slots_find; nothing with another engine */
    size_t bytes;
} textgen_workspace;

/* Find the parts in memory that was checked. */
textgen_workspace textgen_workspace_find(const textgen_model *model, void *memory, size_t lanes);

/* Run the network of a model, or the other engine, over tokens of one text. */
int32_t textgen_text_forward(const textgen_model *model, textgen_text *text, const int64_t *tokens,
                             size_t count, void *slots, textgen_error *error);

/* Start the first record of a stream of records that has not been fed. Fail if nothing was fed to another. */
int32_t textgen_stream_ready(textgen_stream *stream, const textgen_workspace *workspace, textgen_error *error);

/* Check that tokens of the caller are in the vocabulary. */
int32_t textgen_check_tokens(const textgen_model *model, const int64_t *tokens, size_t count,
                             textgen_error *error);

/* Check memory of the caller. needed: bytes, or 0 if they exceed a size_t. */
int32_t textgen_check_memory(textgen_memory memory, size_t needed, const char *name, textgen_error *error);

/* Find zeros for an object of `size` bytes, at the start of the caller's memory or on the heap. */
int32_t textgen_find_place(textgen_memory memory, size_t size, textgen_arena *arena, void **place,
                           textgen_error *error);

/* Return the code with which an object could not be created in an arena: its memory may be too small. */
int32_t textgen_creation_code(const textgen_arena *arena, int32_t code, textgen_error *error);

#endif
