/* The structures behind the public handles textgen_model and textgen_stream, and the memory layout of streams
 * and workspaces. */
#ifndef TEXTGEN_HANDLES_H
#define TEXTGEN_HANDLES_H

#include "generate.h"
#include "vocabulary.h"

struct textgen_model {
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

/* The start of a stream's memory. State, logits and a workspace for one lane follow, at offsets that depend
 * only on the model, so a copy of the bytes is a copy of the stream. */
struct textgen_stream {
    const textgen_model *model;
    textgen_sampler sampler;
    int64_t remaining;     /* characters left to generate in the current call; 0 between calls */
    int64_t sampler_error; /* a textgen_sampler_error of the latest call, or 0 */
    bool has_prompt;
};

/* Pointers to the parts of a stream's memory. */
typedef struct {
    float *state[TEXTGEN_STATE_ARRAYS]; /* [layers][units] */
    float *logits;                      /* [vocabulary], of the next token */
    void *workspace;                    /* of textgen_workspace_size(model, 1) bytes */
} textgen_stream_parts;
textgen_stream_parts textgen_stream_find(textgen_stream *stream);

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
