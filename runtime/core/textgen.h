/* textgen: generates text on a CPU, one token at a time, from a model file that textgen-train wrote.
 * Objects: a model is created from the bytes of its file, a constraint from a table that textgen-info wrote,
 * and spans from a corpus. All are immutable, and threads may share them. A stream is one running text, in
 * memory that the caller provides and frees. Only one thread may use it at a time. Only functions that create
 * a model, a constraint or spans allocate memory. No function prints, reads a file or writes a global variable.
 * Text: UTF-8, or at level byte any bytes. textgen_model_info states whether prompts need lower case or a
 * Unicode normal form. Characters outside the vocabulary are errors, unless it has a symbol for them. A token
 * is the index of a symbol: a character, a byte or a word. Records: a stream of a record model starts a record.
 * Where the record ends, textgen_stream_ending returns TEXTGEN_REACHED_END, and nothing more is generated until
 * textgen_stream_feed, also of no text, starts the next one. Reproducibility: the text depends on the model
 * file, the prompt, the sampling parameters and the instruction set, not on the compiler. With 8-bit weights it
 * does not depend on the instruction set either. -ffast-math is refused where it can be detected. Errors:
 * functions return TEXTGEN_OK or a negative code, and then write one line to `error`, a buffer of `error_size`
 * bytes, or NULL. A failure changes nothing else, but a call that generates keeps its text. Structures: begin
 * with the initializer of the same name. Later versions add fields at the end. Fields that the caller lacks
 * count as 0; those that only the caller has must be 0, and are set to 0 on output. */
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
#define TEXTGEN_API /* define it to export from a shared library, for example as __declspec(dllexport) */
#endif
#define TEXTGEN_VERSION 100                /* of this header: major * 10000 + minor * 100 + patch */
TEXTGEN_API int32_t textgen_version(void); /* of the linked library */
enum {
    TEXTGEN_OK = 0,
    TEXTGEN_INVALID_ARGUMENT = -1, /* a null pointer, a value out of range, a wrong struct_size */
    TEXTGEN_BUFFER_TOO_SMALL = -2,
    TEXTGEN_OUT_OF_MEMORY = -3,
    TEXTGEN_DAMAGED_MODEL = -4,     /* the file is damaged, or is not a model file */
    TEXTGEN_UNKNOWN_GRAPH = -5,     /* an ONNX graph that this library does not support; onnxruntime may */
    TEXTGEN_UNKNOWN_CHARACTER = -6, /* a character of the text is not in the vocabulary */
    TEXTGEN_INVALID_UTF8 = -7,
    TEXTGEN_INVALID_LOGITS = -8, /* NaN, +infinity, or every logit is -infinity */
    TEXTGEN_RNG_EXHAUSTED = -9,  /* a stream can draw at most 2^63 - 1 tokens */
    TEXTGEN_NO_PROMPT = -10,     /* textgen_stream_feed was not called yet */
    TEXTGEN_LANE_FAILED = -11,   /* a lane stopped before its length; its `result` is the reason */
    TEXTGEN_TOO_LARGE = -12,     /* the model exceeds this library's limits; onnxruntime may support it */
    TEXTGEN_NEWER_FORMAT = -13,  /* the model file or the saved stream needs a newer version of this library */
    TEXTGEN_DAMAGED_SAVED = -14, /* the saved stream is damaged, or is of another model or constraint */
    TEXTGEN_NO_TOKEN = -15       /* the logit bias, min_length, the constraint or the spans allow no token */
};
TEXTGEN_API const char *textgen_code_text(int32_t code); /* describe a code; never NULL */
typedef struct textgen_model textgen_model;
typedef struct textgen_constraint textgen_constraint;
typedef struct textgen_spans textgen_spans;
typedef struct textgen_stream textgen_stream;
enum { /* why the text of a stream ended; if there are several reasons, the stop text, the record, the
          constraint */
       TEXTGEN_CONTINUES = 0, /* it has not ended */
       TEXTGEN_REACHED_LENGTH = 1,
       TEXTGEN_REACHED_STOP = 2,   /* the next call continues after the stop text */
       TEXTGEN_CONSTRAINT_END = 3, /* the text matches its constraint; a feed begins another one */
       TEXTGEN_REACHED_END = 5     /* the end of a record; a feed begins another one */
};
typedef struct {
    size_t struct_size;
    const char *kernels; /* "avx512vnni", "avx512", "avx2", "baseline", "relaxed-simd"; NULL for the best */
    void *memory;        /* for the model, aligned to 8 bytes, until textgen_model_destroy; NULL for the heap */
    size_t memory_size;  /* its bytes; a model that was created on the heap tells how many it needs */
} textgen_model_options;
#define TEXTGEN_MODEL_OPTIONS_DEFAULT {sizeof(textgen_model_options), NULL, NULL, 0}
typedef struct {
    size_t struct_size;
    size_t vocabulary;   /* number of tokens */
    size_t layers;       /* for textgen_model_get_layer; layer 0 is the embedding */
    size_t parameters;   /* number of weights in the file, without the scales of 8-bit weights */
    size_t symbol_bytes; /* bytes of the longest symbol */
    size_t lowercase;    /* 1 if text must be in lower case, or 0 */
    const char *unicode; /* the required normal form, "NFC", "NFD", "NFKC" or "NFKD"; NULL for none */
    const char *kernels; /* the instruction set in use */
    size_t unknown;      /* 1 if there is a symbol for unknown characters, which is never generated, or 0 */
    const char *level;   /* "character", "byte" or "word" */
    const char *records; /* how records are separated, "lines" or "blank"; NULL if the text is continuous */
    size_t bits;         /* of each weight, 32 for float32, or 8 */
    size_t memory;       /* the memory_size that creating this model takes */
} textgen_model_info;    /* strings are valid until the model is freed */
#define TEXTGEN_MODEL_INFO_DEFAULT {sizeof(textgen_model_info), 0, 0, 0, 0, 0, NULL, NULL, 0, NULL, NULL, 0, 0}
typedef struct {
    size_t struct_size;
    const char *kind; /* "embedding", "lstm" or "linear" */
    size_t inputs;    /* input size; the vocabulary size for an embedding */
    size_t outputs;   /* output size; the number of units for an lstm */
} textgen_layer_info;
#define TEXTGEN_LAYER_INFO_DEFAULT {sizeof(textgen_layer_info), NULL, 0, 0}
/* The sampling parameters of a stream: the random numbers, and what textgen_parameter describes. A 0 that is no
 * value of a parameter stands for its default. */
typedef struct {
    size_t struct_size;
    uint64_t seed, seed_high; /* the low and the high 64 bits of the seed */
    uint64_t substream;       /* selects one of the seed's independent random streams; below 2^32 */
    const float *logit_bias;  /* added to the logits; -INFINITY forbids a token; copied; NULL for none */
    size_t logit_bias_count;  /* the vocabulary size; 0 if logit_bias is NULL */
    const char *const *stop;  /* a text ends before one of these texts; at most 250 tokens in all; copied */
    size_t stop_count;        /* how many stop texts */
    size_t keep_stop;         /* 1 if a stop text is part of the text, or 0 */
    const textgen_constraint *constraint; /* the text matches it; not copied; NULL for none */
    const textgen_spans *spans; /* what the text may copy of a corpus; not copied; NULL for everything */
    /* The rest is generated from parameters.def. */
    /* sampling temperature; 0 always selects the most likely token, and higher values give more random
     * texts */
    double temperature; /* a finite number, 0 or more; default 0.5 */
    /* divide the positive logits of recent characters by X, and multiply the negative ones by X */
    double repetition_penalty; /* a number more than 0, at most 100; default 1, off */
    /* subtract X from the logit of a character for each of its recent occurrences */
    double frequency_penalty; /* a number from -100 to 100; default 0, off */
    /* subtract X from the logit of each recent character */
    double presence_penalty; /* a number from -100 to 100; default 0, off */
    /* number of last generated characters that the penalties count as recent */
    uint64_t penalty_window; /* an integer from 1 to 1024; default 64 */
    /* draw from the N most likely characters */
    uint64_t top_k; /* an integer from 0 to 2147483647; default 0, off */
    /* draw only from the characters whose surprisal is nearest to the entropy; take the fewest that
     * have together at least the probability P */
    double typical_p; /* a number more than 0, at most 1; default 1, off */
    /* draw only from the most likely characters; take the fewest that have together at least the
     * probability P */
    double top_p; /* a number more than 0, at most 1; default 1, off */
    /* draw from the characters that have at least P times the probability of the most likely one */
    double min_p; /* a number from 0 to 1; default 0, off */
    /* keep the mean surprisal of the characters near this number of bits; this is mirostat version 2,
     * which replaces top_k, typical_p, top_p and min_p; use temperature 1 with it */
    double mirostat_tau; /* a number from 0 to 100; default 0, off */
    /* learning rate of mirostat */
    double mirostat_eta; /* a number more than 0, at most 1; default 0.1 */
    /* end no record before it has N generated tokens; only for a model of records */
    uint64_t min_length; /* an integer from 0 to 2147483647; default 0, off */
} textgen_sampling;
/* clang-format off */
#define TEXTGEN_SAMPLING_DEFAULT \
    {sizeof(textgen_sampling), 0, 0, 0, NULL, 0, NULL, 0, 0, NULL, NULL, 0.5, 1, 0, 0, 64, 0, 1, 1, \
    0, 0, 0.1, 0}
/* clang-format on */
/* End of the generated part. */
/* What there is to know of a sampling parameter, for a program that offers them all. */
typedef struct {
    const char *name;    /* such as "top_p" */
    const char *kind;    /* "number" or "whole"; of those that the core does not apply, other kinds, too */
    const char *group;   /* a heading; "" for the temperature */
    const char *value;   /* a name for the value, such as "P" */
    const char *help;    /* one line; {top_p} stands for the parameter top_p, as the program spells it */
    double initial;      /* the default */
    double off;          /* the value that turns it off; NaN if there is none */
    double low, high;    /* the least and the largest value */
    int32_t low_is_open; /* 1 if `low` is itself no value, or 0 */
    int32_t order;       /* one draw applies the parameters in this order */
    size_t offset;       /* of its field in textgen_sampling, a double or, for "whole", a uint64_t; or 0 */
} textgen_parameter_info;
TEXTGEN_API const textgen_parameter_info *textgen_parameter(size_t index); /* NULL after the last one */
typedef struct {
    size_t struct_size;     /* equal in all lanes of a call */
    textgen_stream *stream; /* a different stream in each lane, all of the same model */
    size_t length;          /* tokens to generate, 1 or more; the text may end earlier */
    size_t finish; /* 1 if the text is complete after `length` tokens: nothing is held back then, and a text
                      with a constraint matches it; or 0 */
    char *text; /* a separate buffer for each lane, of textgen_stream_text_size(stream, length) bytes or more */
    size_t size;      /* the size of `text` in bytes */
    double *logprobs; /* output: [length], the natural logarithm of the model's probability of each drawn token;
                         or NULL */
    size_t drawn;     /* output: how many tokens were drawn */
    size_t written;   /* output: bytes in `text` before the final zero byte; they may include U+0000 */
    int32_t result;   /* output: TEXTGEN_OK, or the code of the error that stopped the lane */
    int32_t ending;   /* output: as textgen_stream_ending returns it */
} textgen_lane;       /* one stream in a call of textgen_generate */
#define TEXTGEN_LANE_DEFAULT {sizeof(textgen_lane), NULL, 0, 0, NULL, 0, NULL, 0, 0, 0, 0}
typedef struct {
    int64_t token;
    double probability;      /* of the model */
    double draw_probability; /* of the next draw: with everything in the sampling */
} textgen_next_token;
/* Create a model from the content of its file. Weights are copied, metadata is not: `data` must not change or
 * be freed before textgen_model_destroy. `options` may be NULL. */
TEXTGEN_API int32_t textgen_model_create(const void *data, size_t size, const textgen_model_options *options,
                                         textgen_model **model, char *error, size_t error_size);
TEXTGEN_API void textgen_model_destroy(textgen_model *model); /* and its streams; it may be NULL */
TEXTGEN_API int32_t textgen_model_get_info(const textgen_model *model, textgen_model_info *info, char *error,
                                           size_t error_size);
TEXTGEN_API int32_t textgen_model_get_layer(const textgen_model *model, size_t index, textgen_layer_info *layer,
                                            char *error, size_t error_size);
/* Return a metadata entry of the file, for example "textgen.training": JSON text of `*size` bytes without a
 * final zero byte, or NULL if there is no such entry. `size` may be NULL. */
TEXTGEN_API const char *textgen_model_get_metadata(const textgen_model *model, const char *key, size_t *size);
/* Return the token of a symbol of `size` bytes, or -1 if there is none. */
TEXTGEN_API int64_t textgen_model_get_token(const textgen_model *model, const char *symbol, size_t size);
/* Write the symbol of a token to `symbol`, a buffer of symbol_bytes. Return its bytes: 0 for a token without
 * text. */
TEXTGEN_API size_t textgen_model_get_symbol(const textgen_model *model, int64_t token, char *symbol);
/* Create a constraint from a table: the JSON that `textgen-info MODEL --match EXPRESSION` writes. The data is
 * not needed any more. banned: [banned_count], the tokens that the streams never draw, because their logit_bias
 * is -INFINITY; NULL for none. memory: aligned to 8 bytes, until textgen_constraint_destroy; NULL for the heap.
 * If it is too small, the message says how many bytes are needed at least. */
TEXTGEN_API int32_t textgen_constraint_create(const textgen_model *model, const void *data, size_t size,
                                              const int64_t *banned, size_t banned_count, void *memory,
                                              size_t memory_size, textgen_constraint **constraint, char *error,
                                              size_t error_size);
TEXTGEN_API void textgen_constraint_destroy(textgen_constraint *constraint); /* it may be NULL */
/* Create the spans of a corpus, of `size` bytes, of which a text copies at most `max_copy` successive
 * characters or bytes, 1 to 1000. A model of words has none: a word can be spelled in other tokens. The text is
 * not needed any more. It must be in lower case and in the normal form that prompts need. The spans take up to
 * 20 bytes for each token. memory: as for a constraint. */
TEXTGEN_API int32_t textgen_spans_create(const textgen_model *model, const char *text, size_t size,
                                         size_t max_copy, void *memory, size_t memory_size,
                                         textgen_spans **spans, char *error, size_t error_size);
TEXTGEN_API void textgen_spans_destroy(textgen_spans *spans); /* it may be NULL */

TEXTGEN_API size_t textgen_stream_size(const textgen_model *model); /* bytes of memory; 0 for a NULL model */
/* Create a stream in `memory`, aligned to 8 bytes. If `sampling` is NULL, TEXTGEN_SAMPLING_DEFAULT is used. */
TEXTGEN_API int32_t textgen_stream_init(void *memory, size_t size, const textgen_model *model,
                                        const textgen_sampling *sampling, textgen_stream **stream, char *error,
                                        size_t error_size);
TEXTGEN_API int32_t textgen_stream_copy(const textgen_stream *stream, void *memory, size_t size,
                                        textgen_stream **copy, char *error, size_t error_size);
/* Change the sampling parameters. A different seed or substream restarts the random numbers. Another
 * constraint, also an equal one, begins with the next token, other stop texts with the text that is held back:
 * if one is in it, the next call that generates ends the text there, draws nothing, and drops the rest of what
 * was held back. */
TEXTGEN_API int32_t textgen_stream_set_sampling(textgen_stream *stream, const textgen_sampling *sampling,
                                                char *error, size_t error_size);
/* Append a text of `size` bytes to the stream, which begins another text for stop texts and constraints.
 * Characters must be complete within one call. A byte-order mark at the start of `text` is dropped, and \r\n
 * and \r become \n. At level byte, the text is fed as it is. Text that is held back is dropped: see
 * textgen_stream_finish. */
TEXTGEN_API int32_t textgen_stream_feed(textgen_stream *stream, const char *text, size_t size, char *error,
                                        size_t error_size);
/* Feed a text, and write the natural logarithm of the probability of each of its tokens to `logprobs`, of
 * `capacity` elements: -INFINITY for a token that is never drawn, NaN if the logits are invalid. `*count`
 * becomes the number of tokens. */
TEXTGEN_API int32_t textgen_stream_score(textgen_stream *stream, const char *text, size_t size,
                                         double *logprobs, size_t capacity, size_t *count, char *error,
                                         size_t error_size);
/* Write the likeliest next tokens, at most `count`, by their probability in the next draw, and then by that of
 * the model. `*written` becomes how many there are: 0 if nothing may follow before a feed. */
TEXTGEN_API int32_t textgen_stream_next(textgen_stream *stream, textgen_next_token *tokens, size_t count,
                                        size_t *written, char *error, size_t error_size);
/* Return the bytes that a buffer for the text of `length` tokens needs, with the text that is held back. */
TEXTGEN_API size_t textgen_stream_text_size(const textgen_stream *stream, size_t length);
/* Generate with one stream. The arguments are the fields of textgen_lane; `written` may be NULL. Text is held
 * back while it may become a stop text, or while the other bytes of a character are missing; a later call
 * writes it. */
TEXTGEN_API int32_t textgen_stream_generate(textgen_stream *stream, size_t length, char *text, size_t size,
                                            size_t *written, char *error, size_t error_size);
/* Write the text that is held back. The next call continues after it. */
TEXTGEN_API int32_t textgen_stream_finish(textgen_stream *stream, char *text, size_t size, size_t *written,
                                          char *error, size_t error_size);
TEXTGEN_API int32_t textgen_stream_ending(const textgen_stream *stream); /* TEXTGEN_CONTINUES, ... */
/* Save a stream: its place in the text, its random numbers and its parameters. It continues exactly in any
 * later version, and in Python and JavaScript. The model, the stop texts, the constraint and the spans are not
 * in the data. */
TEXTGEN_API size_t textgen_stream_saved_size(const textgen_stream *stream); /* bytes; 0 for NULL */
TEXTGEN_API int32_t textgen_stream_save(const textgen_stream *stream, void *data, size_t size, char *error,
                                        size_t error_size);
/* Create a stream from saved data, which may come from anywhere. sampling: its stop texts, keep_stop,
 * constraint and spans are used; all else is in the data. With another model or constraint, resuming fails;
 * other spans are not noticed. If the data is damaged, `memory` holds a stream without a text, which may be
 * fed. */
TEXTGEN_API int32_t textgen_stream_resume(void *memory, size_t size, const textgen_model *model,
                                          const textgen_sampling *sampling, const void *data, size_t data_size,
                                          textgen_stream **stream, char *error, size_t error_size);
/* Generate with several streams at once, which is faster, and does not change their texts. `workspace` is
 * aligned to 8 bytes. If lanes fail, the others continue, and the message is that of the first failed one. */
TEXTGEN_API size_t textgen_workspace_size(const textgen_model *model, size_t lanes); /* bytes; 0 if too many */
TEXTGEN_API int32_t textgen_generate(textgen_lane *lanes, size_t count, void *workspace, size_t workspace_size,
                                     char *error, size_t error_size);
#ifdef __cplusplus
}
#endif
#endif
