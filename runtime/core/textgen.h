/* textgen: generates text on a CPU, one token at a time, from a model file that textgen-train wrote. This
 * header is the only interface of Python, JavaScript and C.
 *
 * Objects. A model is created from the bytes of its file, a constraint from a table, and spans from a corpus.
 * They are immutable, and threads may share them. A stream is one running text, in memory that the caller
 * provides and frees; a copy of a stream goes on as the stream does. What runs the network or draws needs a
 * workspace, where nothing is kept between calls. Only one thread may use a stream or a workspace at a time.
 * Only functions that create a constraint, spans, or a model without memory of the caller allocate memory. No
 * function prints, reads a file or writes a global variable.
 *
 * Text is UTF-8, or at level byte any bytes. textgen_model_info states whether prompts need lower case or a
 * Unicode normal form. A token is the index of a symbol: a character, a byte or a word. A stream of a record
 * model starts a record; where that ends, nothing more is generated until a feed, also of no text, starts the
 * next one.
 *
 * Reproducibility: a text depends on the model file, the prompt, the sampling and the instruction set, not on
 * the compiler. With 8-bit weights it does not depend on the instruction set either.
 *
 * Errors: functions return TEXTGEN_OK or a negative code, and describe it in `error`, which may be NULL. A
 * failure changes nothing else, but a call that generates keeps its text, and if another engine fails, the
 * stream has advanced. Pointers are not checked. */
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
#define TEXTGEN_VERSION 100 /* major * 10000 + minor * 100 + patch */

enum {
    TEXTGEN_OK = 0,
    TEXTGEN_INVALID_ARGUMENT = -1,
    TEXTGEN_BUFFER_TOO_SMALL = -2,
    TEXTGEN_OUT_OF_MEMORY = -3,
    TEXTGEN_DAMAGED_MODEL = -4,     /* the file is damaged, or is not a model file */
    TEXTGEN_UNKNOWN_GRAPH = -5,     /* a graph that the core does not run; onnxruntime may */
    TEXTGEN_UNKNOWN_CHARACTER = -6, /* a character of the text is not in the vocabulary */
    TEXTGEN_INVALID_UTF8 = -7,
    TEXTGEN_INVALID_LOGITS = -8, /* NaN, +infinity, or every logit is -infinity */
    TEXTGEN_RNG_EXHAUSTED = -9,  /* a stream can draw at most 2^63 - 1 tokens */
    TEXTGEN_NO_PROMPT = -10,     /* nothing was fed yet */
    TEXTGEN_LANE_FAILED = -11,   /* a lane stopped before its length; its `result` is the reason */
    TEXTGEN_TOO_LARGE = -12,     /* the model exceeds the limits of the core; onnxruntime may run it */
    TEXTGEN_NEWER_FORMAT = -13,  /* the model file or the saved stream needs a newer version */
    TEXTGEN_DAMAGED_SAVED = -14, /* the saved stream is damaged */
    TEXTGEN_NO_TOKEN = -15,      /* the logit bias, min_length, the constraint or the spans allow no token */
    TEXTGEN_OTHER_SAVED = -16,   /* the stream was saved from another model, or with another constraint */
    TEXTGEN_FORWARD_FAILED = -17 /* the other engine failed: see textgen_model_options */
};
TEXTGEN_API const char *textgen_code_text(int32_t code); /* describe a code; never NULL */

typedef struct {
    int32_t code;
    /* What is wrong: a parameter such as "top_p", an argument, or a part of a file; or NULL. */
    const char *parameter;
    int64_t place;     /* the byte of a text or a file, or the index in an array; or -1 */
    char message[244]; /* without the parameter: "must be a number from 0 to 1, not 3" */
} textgen_error;

typedef struct textgen_model textgen_model;
typedef struct textgen_constraint textgen_constraint;
typedef struct textgen_spans textgen_spans;
typedef struct textgen_stream textgen_stream;

/* Memory of the caller, aligned to 8 bytes. */
typedef struct {
    void *data;
    size_t size; /* bytes */
} textgen_memory;

/* ---- Models ---- */

/* Run another engine over `count` tokens of one lane: change `state`, [state_values], and write the logits
 * after the last token to `logits`, [vocabulary]. Return 0; or a negative number, which ends the call of the
 * core. */
typedef int32_t (*textgen_forward_function)(void *context, const int64_t *tokens, size_t count, float *state,
                                            float *logits);

typedef struct {           /* zeros are the defaults */
    const char *kernels;   /* a name as textgen_kernels_name returns it; NULL for the best of this processor */
    textgen_memory memory; /* for the model, until textgen_model_destroy; no data: the heap */
    /* Another engine, which runs the network, whatever graph the file has. The vocabulary and all that is done
     * with logits stay those of the core. */
    textgen_forward_function forward; /* NULL: the core runs the network */
    void *context;                    /* of `forward` */
    size_t state_values;              /* floats of the state of one lane, with `forward` */
    size_t vocabulary;                /* number of logits, with `forward`; 0: as the metadata says */
} textgen_model_options;

typedef struct {
    size_t vocabulary; /* number of tokens */
    /* Floats of the state of one lane: of an LSTM hidden, then cell, each [layers][units]. */
    size_t state_values;
    size_t layers, units, embedding; /* of the network; 0 with another engine */
    size_t residual;                 /* 1 if each layer after the first adds its input to its output, or 0 */
    size_t bits;                     /* of each weight, 32 for float32, or 8; 0 with another engine */
    size_t parameters;               /* number of weights in the file, without the scales of 8-bit weights */
    size_t step_bytes;               /* bytes of weights that one step of one lane reads */
    size_t memory;                   /* the memory that creating this model takes */
    size_t symbol_bytes;             /* bytes of the longest symbol */
    int64_t unknown, begin, end; /* special tokens, -1 if there is none; unknown and begin are never drawn */
    int32_t lowercase;           /* 1 if text must be in lower case, or 0 */
    const char *unicode;         /* the required normal form, "NFC", "NFD", "NFKC" or "NFKD"; NULL for none */
    const char *level;           /* "character", "byte" or "word" */
    const char *records; /* how records are separated, "lines" or "blank"; NULL if the text is continuous */
    const char *kernels; /* the instruction set in use */
} textgen_model_info;    /* strings are valid until the model is destroyed */

/* Return the name of an instruction set of this processor, the best at index 0, or NULL after the last one. */
TEXTGEN_API const char *textgen_kernels_name(size_t index);

/* Create a model from the content of its file. Weights are copied, metadata is not: `data` must not change or
 * be freed before textgen_model_destroy. `options` may be NULL. */
TEXTGEN_API int32_t textgen_model_create(const void *data, size_t size, const textgen_model_options *options,
                                         textgen_model **model, textgen_error *error);
TEXTGEN_API void textgen_model_destroy(textgen_model *model); /* it may be NULL */
TEXTGEN_API const textgen_model_info *textgen_model_get_info(const textgen_model *model);

/* Return a metadata entry of the file, for example "textgen.training": JSON text of `*size` bytes without a
 * final zero byte, or NULL if there is no such entry. */
TEXTGEN_API const char *textgen_model_get_metadata(const textgen_model *model, const char *key, size_t *size);

/* Write a prompt that the file has, which is not empty, to `prompt`, and return its bytes: 0 after the last
 * one. If `prompt` is NULL, return how many bytes are enough. */
TEXTGEN_API size_t textgen_model_get_prompt(const textgen_model *model, size_t index, char *prompt);

/* Write the symbol of a token to `symbol`, of symbol_bytes. Return its bytes: 0 for a token without text. */
TEXTGEN_API size_t textgen_model_get_symbol(const textgen_model *model, int64_t token, char *symbol);

/* Convert a text to tokens: [size] is always enough room for them. At its start a byte-order mark
 * is dropped, and line ends become \n, except at level byte. skip: 1 to leave out characters outside the
 * vocabulary; 0 to encode them as the unknown symbol, or to fail. tokens: NULL only counts them. */
TEXTGEN_API int32_t textgen_encode(const textgen_model *model, const char *text, size_t size, int32_t skip,
                                   int64_t *tokens, size_t *count, textgen_error *error);

/* Run the network over `time` tokens of each of `batch` lanes, without a stream. tokens: [time][batch]. state:
 * [state arrays][layers][batch][units], changed in place. logits: [logit_steps][batch][vocabulary], after each
 * of the last `logit_steps` tokens, 1 to `time`. With another engine, and in a core that was compiled with
 * TEXTGEN_SMALL, `batch` and `logit_steps` are 1. */
TEXTGEN_API size_t textgen_forward_size(const textgen_model *model, size_t batch,
                                        size_t logit_steps); /* bytes */
TEXTGEN_API int32_t textgen_forward(const textgen_model *model, const int64_t *tokens, size_t time,
                                    size_t batch, float *state, size_t logit_steps, float *logits,
                                    textgen_memory workspace, textgen_error *error);
/* Read all weights once, as a step does, and return a sum of their bits: to measure how long that takes. */
TEXTGEN_API uint32_t textgen_model_read(const textgen_model *model);

/* ---- Tables that texts follow ---- */

/* Create a constraint from the JSON that `textgen-info MODEL --match EXPRESSION` writes, or from a table.
 * banned: tokens that are never drawn, so that no text needs them to match. */
TEXTGEN_API int32_t textgen_constraint_create(const textgen_model *model, const void *json, size_t size,
                                              const int64_t *banned, size_t banned_count,
                                              textgen_constraint **constraint, textgen_error *error);
/* The limits of a table: its states, whose numbers are an int16, and its entries, of at most 256 MiB. */
enum { TEXTGEN_MAX_STATES = 1 << 15, TEXTGEN_MAX_ENTRIES = 1 << 27 };
/* next: [states][vocabulary], the state after each token, or -1. accepting: [states], 1 if a text may end
 * there. */
TEXTGEN_API int32_t textgen_constraint_create_table(const int16_t *next, const uint8_t *accepting,
                                                    size_t states, size_t vocabulary, const int64_t *banned,
                                                    size_t banned_count, textgen_constraint **constraint,
                                                    textgen_error *error);
TEXTGEN_API void textgen_constraint_destroy(textgen_constraint *constraint); /* it may be NULL */

/* Create the spans of a corpus, of which a text copies at most `max_copy` successive tokens, 1 to 1000. The
 * text must be in lower case and in the normal form that prompts need. It is copied: up to 20 bytes for each
 * token. */
TEXTGEN_API int32_t textgen_spans_create(const textgen_model *model, const char *text, size_t size,
                                         size_t max_copy, textgen_spans **spans, textgen_error *error);
/* The same for tokens; -1 is a character that no text can have. */
TEXTGEN_API int32_t textgen_spans_create_tokens(const int32_t *tokens, size_t count, size_t vocabulary,
                                                size_t max_copy, textgen_spans **spans, textgen_error *error);
TEXTGEN_API void textgen_spans_destroy(textgen_spans *spans); /* it may be NULL */
/* Return how many of some tokens are in spans that the corpus has, too. */
TEXTGEN_API size_t textgen_spans_count(const textgen_spans *spans, const int32_t *tokens, size_t count);

/* ---- Sampling ---- */

/* The sampling parameters: the random numbers, and what textgen_parameter describes. A 0 that is no value of a
 * parameter stands for its default. */
typedef struct {
    uint64_t seed, seed_high; /* the low and the high 64 bits of the seed */
    uint64_t substream;       /* selects one of the seed's independent random streams; below 2^32 */
    const double
        *logit_bias;         /* [vocabulary], added to the logits; -INFINITY forbids a token; copied; or NULL */
    const char *const *stop; /* a text ends before one of these texts; at most 1020 tokens in all; copied */
    size_t stop_count;
    size_t keep_stop;                     /* 1 if a stop text is part of the text, or 0 */
    const textgen_constraint *constraint; /* the text matches it; not copied; or NULL */
    const textgen_spans *spans;           /* what the text may copy of a corpus; not copied; or NULL */
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
    /* draw from the characters whose surprisal is nearest to the entropy, until they have together the
     * probability P */
    double typical_p; /* a number more than 0, at most 1; default 1, off */
    /* draw from the fewest most likely characters that have together at least the probability P */
    double top_p; /* a number more than 0, at most 1; default 1, off */
    /* draw from the characters that have at least P times the probability of the most likely one */
    double min_p; /* a number from 0 to 1; default 0, off */
    /* keep the mean surprisal of the characters near this number of bits (mirostat version 2); top_k,
     * typical_p, top_p and min_p are then ignored; use temperature 1 with it */
    double mirostat_tau; /* a number from 0 to 100; default 0, off */
    /* learning rate of mirostat */
    double mirostat_eta; /* a number more than 0, at most 1; default 0.1 */
    /* let a record have at least N generated tokens; only for a model of records */
    uint64_t min_length; /* an integer from 0 to 2147483647; default 0, off */
} textgen_sampling;
/* clang-format off */
#define TEXTGEN_SAMPLING_DEFAULT \
    {0, 0, 0, NULL, NULL, 0, 0, NULL, NULL, 0.5, 1, 0, 0, 64, 0, 1, 1, 0, 0, 0.1, 0}
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
/* Return 1 if a number is a value of the parameter, or 0. */
TEXTGEN_API int32_t textgen_parameter_accepts(const textgen_parameter_info *parameter, double value);
/* Write what a value must be, such as "a number from 0 to 1", to `buffer`, and return it. */
enum { TEXTGEN_REQUIREMENT_SIZE = 64 };
TEXTGEN_API const char *textgen_parameter_requirement(const textgen_parameter_info *parameter,
                                                      char buffer[TEXTGEN_REQUIREMENT_SIZE]);

/* A sampler is a stream without a model. It draws from logits of any origin, with the random numbers, the logit
 * bias, the filters and the temperature of a sampling, whose other fields are ignored. The functions below and
 * textgen_stream_set_sampling, _get_sampling, _seek and _get_info take it. */
TEXTGEN_API size_t textgen_sampler_size(size_t vocabulary); /* bytes; 0 if too many */
TEXTGEN_API int32_t textgen_sampler_init(textgen_memory memory, size_t vocabulary,
                                         const textgen_sampling *sampling, textgen_stream **sampler,
                                         textgen_error *error);
/* Draw a token from logits, [vocabulary]: float if `is_float` is 1, or double. Return it, or a negative code.
 * Each draw takes one random number. */
TEXTGEN_API int64_t textgen_sampler_draw(textgen_stream *sampler, const void *logits, int32_t is_float);
/* Write the distribution of the next draw to `probabilities`, [vocabulary]. Return TEXTGEN_OK or a code. */
TEXTGEN_API int32_t textgen_sampler_probabilities(textgen_stream *sampler, const double *logits,
                                                  double *probabilities);
/* Write the softmax of logits / temperature to `probabilities`, [count]. Return TEXTGEN_OK or a code. */
TEXTGEN_API int32_t textgen_softmax(const double *logits, size_t count, double temperature,
                                    double *probabilities);
/* Return the lowest token whose cumulative probability exceeds `uniform`, a number in [0, 1), or a code.
 * exp_logits: temporary, [count]. */
TEXTGEN_API int64_t textgen_draw_with(const double *logits, size_t count, double temperature, double uniform,
                                      double *exp_logits);

/* ---- Streams ---- */

enum { /* why a text ended; if there are several reasons, the stop text, the record, the constraint */
       TEXTGEN_CONTINUES = 0, /* it has not ended */
       TEXTGEN_REACHED_LENGTH = 1,
       TEXTGEN_REACHED_STOP = 2,   /* the next call continues after the stop text */
       TEXTGEN_CONSTRAINT_END = 3, /* the text matches its constraint; a feed begins another one */
       TEXTGEN_MISMATCH = 4,   /* the constraint forbids the drawn token; only of a lane that is `unmasked` */
       TEXTGEN_REACHED_END = 5 /* the end of a record; a feed begins another one */
};

typedef struct {
    int32_t ending;      /* of the latest text, as above */
    int32_t is_fed;      /* 1 if there are logits to draw from, or 0 */
    int32_t is_complete; /* 1 if no token may follow until a feed, or 0 */
    int32_t at_end; /* 1 if the last token is the end of a record, so that a feed starts the next one, or 0 */
    int64_t drawn;  /* random numbers drawn so far */
    size_t needed;  /* tokens that the text needs to match its constraint */
    size_t held;    /* tokens that are held back: they may become a stop text, or a character */
    size_t recent;  /* latest tokens that are kept for the spans; 0 without spans */
    /* The parts of a stream, which a caller may read and change while it is not running. */
    float *state;               /* [state_values] */
    float *logits;              /* [vocabulary], of the next token */
    const int32_t *held_tokens; /* [held] */
} textgen_stream_info;

TEXTGEN_API size_t textgen_stream_size(const textgen_model *model); /* bytes of memory of a stream */
/* Bytes of a workspace for so many lanes; 0 if they are too many. */
TEXTGEN_API size_t textgen_workspace_size(const textgen_model *model, size_t lanes);

/* Create a stream that has not been fed. One of a record model starts its first record when it is first used.
 * If `sampling` is NULL, TEXTGEN_SAMPLING_DEFAULT is used. If the sampling is refused, `memory` holds no
 * stream. */
TEXTGEN_API int32_t textgen_stream_init(textgen_memory memory, const textgen_model *model,
                                        const textgen_sampling *sampling, textgen_stream **stream,
                                        textgen_error *error);
/* Copy a stream to other memory. */
TEXTGEN_API int32_t textgen_stream_copy(const textgen_stream *stream, textgen_memory memory,
                                        textgen_stream **copy, textgen_error *error);
/* Change the sampling parameters. The filters keep their state. A different seed or substream restarts the
 * random numbers. A constraint of another table begins with the next token, other stop texts with the text that
 * is held back: if one is in it, the next call that generates ends the text there, draws nothing, and drops the
 * rest of what was held back. */
TEXTGEN_API int32_t textgen_stream_set_sampling(textgen_stream *stream, const textgen_sampling *sampling,
                                                textgen_error *error);
/* Write the parameters of a stream. logit_bias: that of the stream, until its sampling changes, or NULL; stop
 * is NULL. */
TEXTGEN_API void textgen_stream_get_sampling(const textgen_stream *stream, textgen_sampling *sampling);
TEXTGEN_API void textgen_stream_seek(textgen_stream *stream, int64_t drawn); /* to a random number, 0 or more */
TEXTGEN_API textgen_stream_info textgen_stream_get_info(const textgen_stream *stream);

/* Append a text to the stream, which begins another text for stop texts and constraints. Text that is held back
 * is dropped. Characters must be complete within one call; see textgen_encode. */
TEXTGEN_API int32_t textgen_stream_feed(textgen_stream *stream, const char *text, size_t size,
                                        textgen_memory workspace, textgen_error *error);
enum {
    TEXTGEN_FEED_MORE = 0, /* more tokens of the same text */
    TEXTGEN_FEED_TEXT = 1, /* another text; after the end of a record, the next record */
    TEXTGEN_FEED_START = 2 /* another text from the initial state, of a record model after its begin token */
};
/* Append `count` tokens, 0 or more, each in [0, vocabulary). logprobs: NULL, or [count], where the natural
 * logarithm of the probability of each is written: -INFINITY for a token that is never drawn, NaN if the logits
 * are invalid. It needs a stream that was fed, or one of records. */
TEXTGEN_API int32_t textgen_stream_feed_tokens(textgen_stream *stream, const int64_t *tokens, size_t count,
                                               int32_t how, double *logprobs, textgen_memory workspace,
                                               textgen_error *error);

/* Write the probabilities of the next token, [vocabulary]. of_draw: 0 for those of the model, 1 for those of
 * the next draw, with the constraint, min_length, the spans, the filters and the temperature. */
TEXTGEN_API int32_t textgen_stream_probabilities(textgen_stream *stream, int32_t of_draw, double *probabilities,
                                                 textgen_memory workspace, textgen_error *error);

/* ---- Generation ---- */

/* One stream in a call of textgen_generate. */
typedef struct {
    textgen_stream *stream; /* a different stream in each lane, all of the same model */
    size_t length;          /* tokens to generate, 1 or more; the text may end earlier */
    int32_t finish;   /* 1 if the text is complete after `length` tokens: nothing is held back then, and a text
                         with a constraint matches it; or 0 */
    int32_t unmasked; /* 1 to draw as if there were no constraint, until a token that it forbids; or 0 */
    char *text;       /* output, of textgen_stream_text_size(stream, length) bytes; or NULL */
    int64_t *tokens;  /* output, [held + length]: those that are decided, then those of a stop text; or NULL */
    double *logprobs; /* output, [length]: the natural logarithm of the model's probability of each drawn token,
                         at temperature 1, before the constraint and the filters; or NULL */
    size_t drawn;     /* output: how many tokens were drawn */
    size_t decided;   /* output: how many of `tokens` are decided */
    size_t stop;      /* output: how many tokens the stop text has that ended the lane, or 0 */
    size_t written;   /* output: bytes in `text` before the final zero byte; they may include U+0000 */
    int32_t result;   /* output: TEXTGEN_OK, or the code of the error that stopped the lane */
    int32_t ending;   /* output: as in textgen_stream_info */
} textgen_lane;

/* Generate with several streams at once, which is faster, and does not change their texts. If lanes fail, the
 * others continue, and the error is that of the first failed one, with its number as `place`. With another
 * engine that fails, the streams have advanced: go on with copies from before. count: 1 or more. steps: at most
 * so many tokens of each lane in this call; 0 for all. Buffers then need room for min(length, steps) tokens.
 * latencies: output, the nanoseconds of each step, of which there are as many as tokens of the lane that draws
 * most; or NULL. */
TEXTGEN_API int32_t textgen_generate(textgen_lane *lanes, size_t count, size_t steps, textgen_memory workspace,
                                     int64_t *latencies, textgen_error *error);
/* Generate with one stream: up to `length` tokens, whose text is `*written` bytes of `text`. */
TEXTGEN_API int32_t textgen_stream_generate(textgen_stream *stream, size_t length, char *text, size_t size,
                                            size_t *written, textgen_memory workspace, textgen_error *error);
/* Return the bytes that a buffer for the text of `length` tokens needs, with the text that is held back;
 * SIZE_MAX if they are too many. */
TEXTGEN_API size_t textgen_stream_text_size(const textgen_stream *stream, size_t length);
/* Write the text that is held back, and hold nothing back: but for the bytes of an incomplete character, if
 * `complete` is 1, which stay. */
TEXTGEN_API int32_t textgen_stream_finish(textgen_stream *stream, int32_t complete, char *text, size_t size,
                                          size_t *written, textgen_error *error);

/* ---- Saved streams ---- */

/* Save a stream: its place in the text, its random numbers and its parameters, and a description of the caller,
 * such as JSON. It continues exactly in any later version, and in every language. The stop texts, the
 * constraint and the spans are not in the data. textgen_stream_saved_size returns bytes, 0 if too many. */
TEXTGEN_API size_t textgen_stream_saved_size(const textgen_stream *stream, size_t description_size);
TEXTGEN_API int32_t textgen_stream_save(const textgen_stream *stream, const void *description,
                                        size_t description_size, textgen_memory data, textgen_error *error);
/* Find the description in saved data, which may come from anywhere. */
TEXTGEN_API int32_t textgen_saved_description(const void *data, size_t size, const void **description,
                                              size_t *description_size, textgen_error *error);
/* Create a stream from saved data, which may come from anywhere. sampling: its stop texts, keep_stop,
 * constraint and spans are used; all else is in the data. Other spans are not noticed. If the block is damaged
 * or the sampling is refused, `memory` holds no stream any more. */
TEXTGEN_API int32_t textgen_stream_resume(textgen_memory memory, const textgen_model *model,
                                          const textgen_sampling *sampling, const void *data, size_t size,
                                          textgen_stream **stream, textgen_error *error);
#ifdef __cplusplus
}
#endif
#endif
