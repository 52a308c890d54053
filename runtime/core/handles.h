/* The structures behind the public handles textgen_model and textgen_stream, and the memory layout of streams
 * and workspaces. */
#ifndef TEXTGEN_HANDLES_H
#define TEXTGEN_HANDLES_H

#include "generate.h"
#include "stream_stops.h"

struct textgen_model {
    textgen_arena arena; /* counts the model itself, too */
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
                           const textgen_error *error);

/* See textgen_model_get_info and textgen_model_get_layer. struct_size is not set. */
textgen_model_info textgen_model_describe(const textgen_model *model);
textgen_layer_info textgen_layer_describe(const textgen_model *model, size_t index);

/* The start of a stream's memory. State, logits, filters and a workspace for one lane follow, at offsets that
 * depend only on the model, so a copy of the bytes is a copy of the stream. */
struct textgen_stream {
    const textgen_model *model;
    textgen_sampler sampler; /* its `filters` are set in each call, because they point into the stream */
    int64_t remaining;       /* tokens left to generate in the current call; 0 between calls */
    int64_t sampler_error;   /* a textgen_sampler_error of the latest call, or 0 */
    bool has_prompt;         /* whether a token was fed */
    bool ended;              /* the end of a record was drawn, and nothing was fed since */
    bool filtered;           /* whether any filter is on */
    bool stopped;            /* the latest call ended at a stop text */
    int64_t drawn;           /* tokens since the latest feed, or since min_length changed */
    int64_t stop_state;      /* of the text since the prompt or the latest stop text */
    int64_t stop_reached;    /* the state after the last token; differs from `stop_state` after a stop text */
    textgen_stops stops;     /* `states` is set in each call, because it points into the stream */
    textgen_stream_stops stop_texts;
};

/* Pointers to the parts of a stream's memory. */
typedef struct {
    float *state;             /* the arrays one after the other, each [rows][units] */
    float *logits;            /* [vocabulary], of the next token */
    textgen_filters *filters; /* initialized if the stream is `filtered` */
    void *workspace;          /* of textgen_workspace_size(model, 1) bytes */
} textgen_stream_parts;
textgen_stream_parts textgen_stream_find(textgen_stream *stream);

/* What a caller's sampling stands for. */
typedef struct {
    textgen_sampling sampling;
    textgen_parameters parameters;
    textgen_stream_stops stops;
} textgen_stream_sampling;

/* Copy and check a sampling; the defaults if `given` is NULL. */
int32_t textgen_sampling_read(const textgen_sampling *given, const textgen_model *model,
                              textgen_stream_sampling *read, const textgen_error *error);

/* Set the sampler, the filters and the stop texts of a stream. restart: whether to seed even if the seed and
 * the substream are unchanged. */
void textgen_sampling_apply(textgen_stream *stream, const textgen_stream_sampling *read, bool restart);

/* Pointers to the parts of the workspace that the caller provides. Each lane has room for a chunk of tokens. */
enum { TEXTGEN_CHUNK = 64 };
typedef struct {
    textgen_token_lane *lanes; /* [lanes] */
    int64_t *tokens;           /* [lanes][TEXTGEN_CHUNK] */
    void *slots;               /* for textgen_slots_find */
} textgen_workspace_parts;
textgen_workspace_parts textgen_workspace_find(void *workspace, size_t lanes);

enum { TEXTGEN_CALLER_ALIGNMENT = 8 };
/* Check memory that a caller provides. `needed` is in bytes, or 0 if it exceeds a size_t. */
int32_t textgen_check_memory(const void *memory, size_t size, size_t needed, const char *name,
                             const textgen_error *error);

/* Copy a structure of the caller, which begins with its struct_size, to `copy`, of `known` bytes. Fields that
 * the caller's version lacks become 0. first: the end of the fields of the first version, in bytes. */
int32_t textgen_read_struct(const void *given, size_t first, void *copy, size_t known, const char *name,
                            const textgen_error *error);

/* Copy `values` to a structure of the caller. Fields that only the caller's version has become 0. */
int32_t textgen_write_struct(void *given, size_t first, void *values, size_t known, const char *name,
                             const textgen_error *error);

/* The end, in bytes, of the fields of a structure up to and including `last`. */
#define TEXTGEN_FIELDS_END(type, last) (offsetof(type, last) + sizeof(((type *)0)->last))

#endif
