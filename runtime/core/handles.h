/* The structures behind the public handles textgen_model and textgen_stream, and the memory layout of streams
 * and workspaces. */
#ifndef TEXTGEN_HANDLES_H
#define TEXTGEN_HANDLES_H

#include "generate.h"
#include "stream_stops.h"

struct textgen_model {
    textgen_arena arena;  /* counts the model itself, too */
    textgen_view content; /* the file, for its hash */
    textgen_shape shape;
    textgen_vocabulary *vocabulary;
    textgen_network *network;
    textgen_property *properties;
    size_t property_count;
    struct {
        textgen_layer_kind kind;
        size_t inputs, outputs;
    } *layers;
    size_t layer_count;
    uint64_t parameters;
};

/* Read a file into a model of zeros but for its arena. The caller destroys the model after an error too. */
int32_t textgen_model_read(textgen_model *model, textgen_view content, const textgen_kernels *kernels,
                           textgen_error *error);

/* See textgen_model_get_info and textgen_model_get_layer. struct_size is not set. */
textgen_model_info textgen_model_describe(const textgen_model *model);
textgen_layer_info textgen_layer_describe(const textgen_model *model, size_t index);

/* The start of a stream's memory: what it refers to, and then the block of its text and a workspace for one
 * lane, at offsets that depend only on the model. */
struct textgen_stream {
    const textgen_model *model;
    const textgen_constraint *constraint; /* or NULL */
    const textgen_spans *spans;           /* or NULL */
    textgen_stream_stops stop_texts;
    bool keep_stop;
    bool claimed; /* whether the current call has a lane for it */
};

/* Return the block of a stream, its tables, and the workspace, of textgen_workspace_size(model, 1) bytes. */
textgen_text *textgen_stream_text(const textgen_stream *stream);
textgen_guide textgen_stream_guide(const textgen_stream *stream);
void *textgen_stream_workspace(textgen_stream *stream);

/* A caller's sampling, copied and checked, with the parameters and the stop texts that the core has of it. */
typedef struct {
    textgen_sampling sampling;
    textgen_parameters parameters;
    textgen_stream_stops stops;
} textgen_stream_sampling;

/* Check what a stream is created of, without a change. */
int32_t textgen_stream_check(const void *memory, size_t size, const textgen_model *model,
                             const textgen_sampling *sampling, textgen_stream_sampling *read,
                             textgen_error *error);

/* Write a stream that has not been fed to memory that was checked, and return it. */
textgen_stream *textgen_stream_place(void *memory, const textgen_model *model,
                                     const textgen_stream_sampling *read);

/* Run the network over tokens. */
void textgen_stream_forward(textgen_stream *stream, const int64_t *tokens, size_t count);

/* Prepare for tokens that are fed: begin new stop texts and a new constraint, and after the end of a record the
 * next one. */
void textgen_stream_begin_text(textgen_stream *stream);

/* Encode a text without feeding it. Return how many tokens it has, or a negative code. */
int64_t textgen_stream_check_text(const textgen_stream *stream, const char *text, size_t size,
                                  textgen_error *error);

/* Copy and check a sampling; the defaults if `given` is NULL. */
int32_t textgen_sampling_read(const textgen_sampling *given, const textgen_model *model,
                              textgen_stream_sampling *read, textgen_error *error);

/* Set everything that a sampling says of a stream. restart: whether to seed even if the seed and
 * the substream are unchanged. */
void textgen_sampling_apply(textgen_stream *stream, const textgen_stream_sampling *read, bool restart);

/* Pointers to the parts of the workspace that the caller provides. Each lane has room for a chunk of tokens,
 * and for those that were held back: a text of Python can hold back more than the stop texts of a stream. */
enum { TEXTGEN_CHUNK = 64, TEXTGEN_LANE_TOKENS = TEXTGEN_MAX_HELD + TEXTGEN_CHUNK };
typedef struct {
    textgen_lane_call *lanes; /* [lanes] */
    int64_t *tokens;          /* [lanes][TEXTGEN_LANE_TOKENS] */
    void *slots;              /* for textgen_slots_find */
} textgen_workspace_parts;
textgen_workspace_parts textgen_workspace_find(void *workspace, size_t lanes);

/* Check what a caller passes: a pointer that must not be NULL, data that is read, and memory that is used, of
 * `needed` bytes, or 0 if they exceed a size_t. */
int32_t textgen_check_pointer(const void *pointer, const char *name, textgen_error *error);
int32_t textgen_check_data(const void *data, size_t size, const char *name, const char *size_name,
                           textgen_error *error);
int32_t textgen_check_memory(const void *memory, size_t size, size_t needed, const char *name,
                             textgen_error *error);

/* Find zeros for an object of `size` bytes, at the start of the caller's memory or on the heap. arena: only its
 * `memory` and `size` are set. */
int32_t textgen_find_place(textgen_arena *arena, size_t size, const char *name, void **place,
                           textgen_error *error);

/* Fail because the memory of an arena is too small. */
int32_t textgen_too_small(const textgen_arena *arena, textgen_error *error);

/* Return an ending as a reason of textgen.h. */
int32_t textgen_public_ending(const textgen_text *text, int64_t ending);

/* Fail if nothing was fed to a stream. */
int32_t textgen_check_fed(const textgen_stream *stream, textgen_error *error);

/* Copy a structure of the caller, which begins with its struct_size, to `copy`, of `known` bytes. Fields that
 * the caller's version lacks become 0. first: the end of the fields of the first version, in bytes. */
int32_t textgen_read_struct(const void *given, size_t first, void *copy, size_t known, const char *name,
                            textgen_error *error);

/* Copy `values` to a structure of the caller. Fields that only the caller's version has become 0. */
int32_t textgen_write_struct(void *given, size_t first, void *values, size_t known, const char *name,
                             textgen_error *error);

/* The end, in bytes, of the fields of a structure up to and including `last`. */
#define TEXTGEN_FIELDS_END(type, last) (offsetof(type, last) + sizeof(((type *)0)->last))

#endif
