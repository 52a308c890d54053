/* textgen: generates text on a CPU, one character at a time, from a model file that textgen-train wrote.
 *
 * A model is created from the bytes of its file. It never changes, and any number of threads may share it. A
 * stream is one running text. It lives in memory that the caller gives, and one thread uses it at a time. Only
 * textgen_model_create allocates. No function prints, reads a file or writes a global variable.
 *
 * Text is UTF-8. textgen_model_info says whether a model needs lower case or a Unicode normal form, which is
 * the caller's part. A character that the model does not know is an error, or becomes its unknown symbol.
 *
 * Model file, prompt, sampling and instruction set determine a text, whichever compiler built the library; with
 * -ffast-math and its parts it does not compile where it can tell. Programs need no other library, not even
 * libm.
 *
 * Functions return TEXTGEN_OK or a negative code, and then write one line that says what is wrong into `error`,
 * which has room for `error_size` bytes and may be NULL; the line is cut where the room ends. A function that
 * fails changes nothing else, except as textgen_generate says.
 *
 * A structure starts with its struct_size, which the caller sets to its sizeof: a multiple of sizeof(size_t)
 * and at most 4096. Later versions add fields at the end. A field that the caller does not have counts as 0. A
 * field that the library does not know must be 0 in what it is given, and becomes 0 in what it fills in. */
#ifndef TEXTGEN_H
#define TEXTGEN_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
#if !defined(TEXTGEN_API) && defined(__GNUC__)
#define TEXTGEN_API __attribute__((__visibility__("default"))) /* exported with -fvisibility=hidden too */
#elif !defined(TEXTGEN_API)
#define TEXTGEN_API /* what a shared library's export needs, such as __declspec(dllexport) */
#endif
/* major * 10000 + minor * 100 + patch: of this header, and of the library that runs. */
#define TEXTGEN_VERSION 100
TEXTGEN_API int32_t textgen_version(void);

enum {
    TEXTGEN_OK = 0,
    TEXTGEN_INVALID_ARGUMENT = -1, /* a null pointer, a number out of its range, a wrong struct_size */
    TEXTGEN_BUFFER_TOO_SMALL = -2,
    TEXTGEN_OUT_OF_MEMORY = -3,
    TEXTGEN_DAMAGED_MODEL = -4,     /* not a model file, or a damaged one */
    TEXTGEN_UNKNOWN_GRAPH = -5,     /* an ONNX graph that this library does not run; onnxruntime may */
    TEXTGEN_UNKNOWN_CHARACTER = -6, /* the model does not know a character of the text */
    TEXTGEN_INVALID_UTF8 = -7,
    TEXTGEN_INVALID_LOGITS = -8, /* NaN, +infinity, or no token is possible */
    TEXTGEN_RNG_EXHAUSTED = -9,  /* a stream draws at most 2^63 - 1 characters */
    TEXTGEN_NO_PROMPT = -10,     /* the stream was fed nothing yet */
    TEXTGEN_LANE_FAILED = -11,   /* a lane ended before its length: its `result` says why */
    TEXTGEN_TOO_LARGE = -12,     /* a model beyond this library's limits; onnxruntime may run it */
    TEXTGEN_NEWER_FORMAT = -13   /* a model file for a newer version of this library */
};
TEXTGEN_API const char *textgen_code_text(int32_t code); /* what a code means, for people */

typedef struct textgen_model textgen_model;
typedef struct textgen_stream textgen_stream;
typedef struct {
    size_t struct_size;
    const char *kernels; /* an instruction set: "avx512", "avx2" or "baseline"; NULL: the best there is */
} textgen_model_options;

typedef struct {
    size_t struct_size;
    size_t vocabulary;   /* tokens */
    size_t layers;       /* see textgen_model_get_layer */
    size_t parameters;   /* float32 values in the file */
    size_t symbol_bytes; /* UTF-8 bytes of the longest symbol */
    size_t lowercase;    /* 1 if text must be in lower case, or 0 */
    const char *unicode; /* the normal form that text must be in: "NFC", "NFD", "NFKC", "NFKD"; or NULL */
    const char *kernels; /* the instruction set in use */
    size_t unknown;      /* 1 if there is a symbol for unknown characters, which is never drawn, or 0 */
} textgen_model_info;

/* One layer, in the order in which a token goes through them. */
typedef struct {
    size_t struct_size;
    const char *kind; /* "embedding", "lstm" or "linear" */
    size_t inputs;    /* for an embedding the vocabulary */
    size_t outputs;   /* for an lstm its units */
} textgen_layer_info;

/* What a stream draws with. */
typedef struct {
    size_t struct_size;
    double temperature; /* 0 or more, finite; 0 takes the likeliest character */
    uint64_t seed;      /* the low 64 bits of the seed */
    uint64_t seed_high; /* the high ones */
    uint64_t substream; /* of several texts from one seed: which one; below 2^32 */
} textgen_sampling;
#define TEXTGEN_SAMPLING_DEFAULT {sizeof(textgen_sampling), 0.5, 0, 0, 0}

/* One stream's part of textgen_generate. */
typedef struct {
    size_t struct_size;     /* the same for all lanes of a call */
    textgen_stream *stream; /* no two lanes have the same; all are of one model */
    size_t length;          /* characters to generate, 1 or more */
    char *text;             /* the lane's own room: length * symbol_bytes + 1 bytes or more */
    size_t size;            /* the room there is, in bytes */
    size_t written;         /* result: bytes of text. A zero byte follows; a symbol may be one too (U+0000) */
    int32_t result;         /* result: TEXTGEN_OK, or why the lane ended before its length */
    int32_t reserved;       /* 0 */
} textgen_lane;

/* Create a model from the content of its file. The buffer must neither change nor be freed before
 * textgen_model_destroy: it holds the metadata. Weights are copied. `options` may be NULL. */
TEXTGEN_API int32_t textgen_model_create(const void *data, size_t size, const textgen_model_options *options,
                                         textgen_model **model, char *error, size_t error_size);
/* Free a model; NULL is allowed. Its streams must not be used afterwards. */
TEXTGEN_API void textgen_model_destroy(textgen_model *model);

/* Fill in a structure whose struct_size is set. Texts in it live as long as the model. */
TEXTGEN_API int32_t textgen_model_get_info(const textgen_model *model, textgen_model_info *info, char *error,
                                           size_t error_size);
TEXTGEN_API int32_t textgen_model_get_layer(const textgen_model *model, size_t index, textgen_layer_info *layer,
                                            char *error, size_t error_size);
/* A metadata entry, such as "textgen.training", as it stands in the file: `size` bytes there; NULL if none. */
TEXTGEN_API const char *textgen_model_get_metadata(const textgen_model *model, const char *key, size_t *size);

TEXTGEN_API size_t textgen_stream_size(const textgen_model *model); /* the bytes it needs; 0 for NULL */
/* Make a stream in `memory`, aligned to 8 bytes; it needs no clean-up. `sampling` may be NULL: the default. */
TEXTGEN_API int32_t textgen_stream_init(void *memory, size_t size, const textgen_model *model,
                                        const textgen_sampling *sampling, textgen_stream **stream, char *error,
                                        size_t error_size);
/* Copy a stream to other memory; the copy goes on exactly as the original does. */
TEXTGEN_API int32_t textgen_stream_copy(const textgen_stream *stream, void *memory, size_t size,
                                        textgen_stream **copy, char *error, size_t error_size);
/* Draw with other parameters from now on. With another seed or substream the random numbers start anew. */
TEXTGEN_API int32_t textgen_stream_set_sampling(textgen_stream *stream, const textgen_sampling *sampling,
                                                char *error, size_t error_size);
/* Append a text to the stream's; at an error nothing of it. It counts as a whole: a byte-order mark at its
 * start is dropped, \r\n and \r become \n, and its last character must be complete. */
TEXTGEN_API int32_t textgen_stream_feed(textgen_stream *stream, const char *text, size_t size, char *error,
                                        size_t error_size);
/* Generate characters; the arguments are textgen_lane's fields, and `written` may be NULL. */
TEXTGEN_API int32_t textgen_stream_generate(textgen_stream *stream, size_t length, char *text, size_t size,
                                            size_t *written, char *error, size_t error_size);

/* Generate for several streams together, which is faster and does not change their texts. Lanes may come and go
 * between calls. `workspace` is aligned to 8 bytes. A lane that fails on its way keeps what it has written; the
 * others go on, the call returns TEXTGEN_LANE_FAILED, and `error` tells of the first. */
TEXTGEN_API size_t textgen_workspace_size(const textgen_model *model, size_t lanes); /* bytes; 0: too many */
TEXTGEN_API int32_t textgen_generate(textgen_lane *lanes, size_t count, void *workspace, size_t workspace_size,
                                     char *error, size_t error_size);

#ifdef __cplusplus
}
#endif
#endif
