/* What is behind the public handles, and how the caller's structures are read and written. */
#ifndef TEXTGEN_HANDLES_H
#define TEXTGEN_HANDLES_H

#include "run.h"
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

/* A stream's memory begins with this. State, logits and the workspace of one lane follow, at places that depend
 * on the model alone: a copy of the bytes is a copy of the stream. */
struct textgen_stream {
    const textgen_model *model;
    textgen_sampler sampler;
    int64_t remaining; /* during a call: characters still to generate; otherwise 0 */
    int64_t fault;     /* of the latest call, or 0 */
    bool has_prompt;
};

/* Where the parts of a stream are. */
typedef struct {
    float *state[TEXTGEN_STATE_ARRAYS]; /* [lstms][units] */
    float *logits;                      /* [vocabulary], of the next token */
    void *workspace;                    /* as textgen_generate needs it for one lane */
} textgen_stream_parts;
textgen_stream_parts textgen_stream_find(textgen_stream *stream);

/* The parts of the caller's workspace for some lanes. Each lane has a chunk of CHUNK tokens. */
enum { TEXTGEN_CHUNK = 64 };
typedef struct {
    textgen_run_lane *lanes;
    int64_t *tokens;
    void *slots; /* textgen_slots_find finds the parts */
} textgen_workspace_parts;
textgen_workspace_parts textgen_workspace_find(void *workspace, size_t lanes);

enum { TEXTGEN_CALLER_ALIGNMENT = 8 };
/* Check memory that a caller gives. `needed` is 0 where no size_t can hold what is needed. */
int32_t textgen_check_memory(const void *memory, size_t size, size_t needed, const char *name,
                             const textgen_error *error);

/* Copy a caller's structure, which begins with its struct_size, into one of `known` bytes; fields that the
 * caller does not have become 0. `first` is where the fields of the first version end. */
int32_t textgen_read_struct(const void *given, size_t first, void *copy, size_t known, const char *name,
                            const textgen_error *error);

/* The other direction, for a structure of results; fields that only the caller knows become 0. */
int32_t textgen_write_struct(void *given, size_t first, void *values, size_t known, const char *name,
                             const textgen_error *error);

/* Where the fields of a structure end whose last one this is. */
#define TEXTGEN_FIELDS_END(type, last) (offsetof(type, last) + sizeof(((type *)0)->last))

#endif
