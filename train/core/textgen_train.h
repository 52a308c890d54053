/* textgen_train: learns a text on a CPU, and makes a model file of it, which textgen.h and all other parts of
 * this project read.
 *
 * Objects. A corpus is made from a text: its vocabulary, its tokens, and the part of it that is held out. It is
 * immutable. A trainer learns a corpus. Both take their memory from the heap. A corpus must outlive its
 * trainers. A trainer may be used by one thread at a time; it starts threads of its own.
 *
 * Reproducibility: the same corpus, options, seed, budget in epochs, precision and instruction set give the
 * same model, on any number of threads.
 *
 * Errors are those of textgen.h. */
#ifndef TEXTGEN_TRAIN_H
#define TEXTGEN_TRAIN_H

#include "textgen.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Corpora ---- */

/* Zeros are the defaults, except for `name`. The caller normalizes the text. */
typedef struct {
    const char *name;    /* of the corpus, for the metadata of the model, at most 255 bytes */
    const char *level;   /* what a token is: "character", "byte" or "word"; NULL: "character" */
    const char *records; /* what a record is: each of the "lines", or what is between "blank" lines; NULL: the
                          * text is continuous */
    double held_out;     /* the share of the text that is held out, below 1; 0: a tenth, at most a million
                            characters */
    const char *unicode; /* the normal form of the text, "NFC", "NFD", "NFKC" or "NFKD", or NULL */
    int32_t lowercase;   /* 1 if the text is in lower case, or 0 */
    /* A separate text that is held out, prepared like the first one; NULL: a share of the first one. */
    const void *held_out_text;
    size_t held_out_size;
    /* The vocabulary, as a model file has it: the JSON texts of textgen.vocabulary and textgen.special, which
     * may be NULL. NULL: the characters of both texts, or the bytes. The level "word" needs one. A character
     * that it lacks becomes its unknown symbol, or is added to it. */
    const char *vocabulary, *special;
    int32_t extend; /* 1 to add the characters of both texts that the vocabulary lacks, or 0 */
} textgen_corpus_options;

typedef struct textgen_corpus textgen_corpus;

typedef struct {
    size_t vocabulary;                       /* number of tokens of the vocabulary */
    size_t common;                           /* number of the tokens that make up 99% of the training text */
    size_t training_tokens, held_out_tokens; /* with the end of each record */
    size_t training_characters, held_out_characters; /* the end of a record counts as one */
    size_t training_records, held_out_records;       /* 0 if the text is continuous */
    double held_out;                                 /* the share that is held out; 0 for a separate text */
} textgen_corpus_info;

/* Make a corpus of a text in UTF-8, or at level byte of any bytes. The text is not needed afterwards. Without
 * records, its end is held out; with them, those that a hash of their content selects. A byte-order mark at the
 * start is dropped, and line ends become \n, except at level byte. Fail with TEXTGEN_INVALID_ARGUMENT, and the
 * name "text", if the text is too short, or has only one character; with TEXTGEN_INVALID_UTF8; with
 * TEXTGEN_OUT_OF_MEMORY. */
TEXTGEN_API int32_t textgen_corpus_create(const void *text, size_t size, const textgen_corpus_options *options,
                                          textgen_corpus **corpus, textgen_error *error);
TEXTGEN_API void textgen_corpus_destroy(textgen_corpus *corpus); /* it may be NULL */
TEXTGEN_API const textgen_corpus_info *textgen_corpus_get_info(const textgen_corpus *corpus);

/* What a corpus has, valid as long as the corpus. */
typedef struct {
    const void *training, *held_out;            /* tokens; info has their numbers */
    int32_t bytes;                              /* of a token: 1, 2 or 4, without a sign */
    int32_t before;                             /* the token before the held-out text; `begin` with records */
    const char *vocabulary, *special, *prompts; /* JSON texts, as a model file has them; special may be NULL */
    const char *sha256;                         /* of the text, in hexadecimal digits */
} textgen_corpus_content;
TEXTGEN_API textgen_corpus_content textgen_corpus_get_content(const textgen_corpus *corpus);

/* ---- Options of a run ---- */

/* Values of the option `precision`. */
enum { TEXTGEN_FLOAT32, TEXTGEN_BFLOAT16, TEXTGEN_FASTER /* which is measured */ };

/* textgen_options.def has their ranges and meanings. */
#define TEXTGEN_OPTION(name, type, value, least, most, text) type name;
typedef struct {
#include "textgen_options.def"
} textgen_options;
#undef TEXTGEN_OPTION

/* Describe an option: the index counts from 0. Return NULL after the last one. */
typedef struct {
    const char *name;
    size_t offset;     /* of its field in textgen_options */
    int32_t is_number; /* 1: the field is a double; 0: an int64_t */
    double initial, least, most;
    const char *help;
} textgen_option_info;
TEXTGEN_API const textgen_option_info *textgen_option(size_t index);

/* The default of every option. */
TEXTGEN_API textgen_options textgen_default_options(void);

/* Set the sizes of the network and what is against overfitting to those of a preset, "small", "medium" or
 * "large", for a vocabulary and the length of a run. common, tokens: of the training text. epochs: those that
 * the run is expected to have, or 0 if that is not known. Return 0 if there is no such preset, else 1. */
TEXTGEN_API int32_t textgen_choose_preset(const char *preset, size_t common, size_t tokens, double epochs,
                                          textgen_options *options);

/* Return the preset that has the lowest loss after a run of some time. common, tokens: of the training text.
 * epochs: those that "small" would complete in that time, which the time of some updates shows. */
TEXTGEN_API const char *textgen_preset_for(size_t common, size_t tokens, double epochs);

/* Return the preset whose layers have the most similar number of weights. */
TEXTGEN_API const char *textgen_nearest_preset(size_t layers, size_t units);

/* Return the factor of the learning rates of an update: linear warm-up, cosine annealing, and the units. */
TEXTGEN_API double textgen_rate_factor(const textgen_options *options, size_t step, double progress);

/* ---- Batches, for a learner other than the trainer of this library ---- */

typedef struct {
    size_t time, lanes;
    int32_t is_start; /* whether each lane starts from the initial state, or continues the batch before */
    double targets;   /* how many there are without padding */
    /* The sum of the losses is divided by it: the mean number of targets of a batch, so that all targets of an
     * epoch count the same. */
    double divisor;
    const int32_t *inputs, *next; /* tokens and their targets, [time][lanes]; -1 for no target */
    const int64_t *places;        /* of the targets in the training text, [time][lanes] */
} textgen_batch_content;

typedef struct textgen_batches textgen_batches;
TEXTGEN_API int32_t textgen_batches_create(const textgen_corpus *corpus, const textgen_options *options,
                                           textgen_batches **batches, textgen_error *error);
TEXTGEN_API void textgen_batches_destroy(textgen_batches *batches); /* it may be NULL */
TEXTGEN_API size_t textgen_batches_get_per_epoch(const textgen_batches *batches);

/* Return a batch of an epoch, both counted from 0. It is valid until the next call. */
TEXTGEN_API textgen_batch_content textgen_batches_get_content(textgen_batches *batches, uint64_t seed,
                                                              size_t epoch, size_t index);

/* ---- Trainers ---- */

typedef struct textgen_trainer textgen_trainer;

typedef struct {
    size_t parameters;   /* weights of the model */
    size_t memory;       /* bytes that the trainer has, without threads */
    size_t per_epoch;    /* updates of an epoch; a continuous text is cut into lanes of equal lengths, so that
                          * up to `batch` tokens at its end are left out */
    size_t step;         /* updates so far */
    double epoch;        /* epochs so far */
    int32_t threads;     /* threads that run */
    int32_t precision;   /* TEXTGEN_FLOAT32 or TEXTGEN_BFLOAT16 */
    const char *kernels; /* the instruction set */
    size_t parts;        /* groups of lanes of a batch, each with a gradient of its own */
    size_t part_size;    /* bytes of a part of an update */
    size_t weights;      /* numbers that textgen_trainer_weights returns */
} textgen_trainer_info;

enum { TEXTGEN_MAX_THREADS = 256 };

/* Begin a run. threads: at least 1. kernels: the name of an instruction set, "avx512", "avx2" or "baseline" for
 * float32, "amx" or "avx512bf16" for bfloat16, or NULL for the best one. With TEXTGEN_FASTER and NULL, a
 * measurement of some hundredths of a second chooses the precision, and large networks take longer; the run is
 * then that of the precision that was chosen. Fail with TEXTGEN_INVALID_ARGUMENT, and the name of the argument
 * or option. */
TEXTGEN_API int32_t textgen_trainer_create(const textgen_corpus *corpus, const textgen_options *options,
                                           uint64_t seed, int32_t threads, const char *kernels,
                                           textgen_trainer **trainer, textgen_error *error);
TEXTGEN_API void textgen_trainer_destroy(textgen_trainer *trainer); /* it may be NULL */
TEXTGEN_API textgen_trainer_info textgen_trainer_get_info(const textgen_trainer *trainer);

/* Change the options of a run that are against overfitting, and no others: the dropouts and the penalties. A
 * budget of minutes needs it: how many epochs it gives, and so which preset it needs, is known only after some
 * updates. */
TEXTGEN_API int32_t textgen_trainer_regularize(textgen_trainer *trainer, const textgen_options *options,
                                               textgen_error *error);

/* Make an update. progress: the share of the budget that is used, in [0, 1]; learning rates depend on it.
 * Return the mean loss of a token before the update, in nats; NaN if the gradient was not finite, and the
 * weights did not change. */
TEXTGEN_API double textgen_trainer_update(textgen_trainer *trainer, double progress);

/* Trainers of the same corpus, options and seed make updates together, in processes or workers that share no
 * memory. Each begins the update, and some compute its parts. One of them reads the parts that it has not
 * computed, and ends the update, as textgen_trainer_update does. The others get its weights. The result is that
 * of one trainer if the precision and the instruction set of all are equal, the same trainer ends each update,
 * and each part is always computed by the same one: only that one has the states of its lanes. part: below
 * textgen_trainer_info.parts. content: part_size bytes. */
TEXTGEN_API void textgen_trainer_begin(textgen_trainer *trainer, double progress);
TEXTGEN_API void textgen_trainer_compute_part(textgen_trainer *trainer, size_t part);
TEXTGEN_API void textgen_trainer_write_part(const textgen_trainer *trainer, size_t part, void *content);
TEXTGEN_API void textgen_trainer_read_part(textgen_trainer *trainer, size_t part, const void *content);
TEXTGEN_API double textgen_trainer_end(textgen_trainer *trainer);
TEXTGEN_API const float *textgen_trainer_weights(const textgen_trainer *trainer);
TEXTGEN_API void textgen_trainer_follow(textgen_trainer *trainer, const float *weights);

/* Return the loss of the held-out text, in nats per character; NaN if training has diverged. */
TEXTGEN_API double textgen_trainer_score(textgen_trainer *trainer);

/* Return the mean loss of the first tokens of the held-out text, or of its first complete records that have at
 * least so many, in nats per token, to compare a model file with the network; NaN without memory. */
TEXTGEN_API double textgen_trainer_score_start(textgen_trainer *trainer, size_t tokens);

/* Write the model file. held_out_nats: as textgen_trainer_score returned it, or NaN. training: the JSON object
 * textgen.training of the metadata; NULL: a description of the run, with held_out_nats. Return its bytes. file:
 * room for them, or NULL to count them only. */
TEXTGEN_API size_t textgen_trainer_write_model(const textgen_trainer *trainer, double held_out_nats,
                                               const char *training, unsigned char *file);

/* Start from the weights of a model file, of float32 or 8 bits, instead of random ones. Its network must be
 * that of the options, and the vocabulary of the corpus must begin with its vocabulary. A new symbol gets the
 * mean rows of the known ones, and an output bias by its frequency. Fail after the first update. The metadata
 * name the model file, but not after textgen_trainer_resume. */
TEXTGEN_API int32_t textgen_trainer_start_from(textgen_trainer *trainer, const void *file, size_t size,
                                               textgen_error *error);

/* Also learn from predictions: the distribution of each target is `weight` times the predicted one, and the
 * target has the rest. shares: [training tokens][columns], in units of 1 / 65535, for each token of the
 * training text given the tokens before it. tokens: those of the shares, of the type of the corpus' tokens, or
 * NULL if there are as many columns as symbols. Both must outlive the trainer. */
TEXTGEN_API int32_t textgen_trainer_teach(textgen_trainer *trainer, const uint16_t *shares, const void *tokens,
                                          size_t columns, double weight, textgen_error *error);

/* Return the run, all that it needs to go on exactly: `*size` bytes, valid until the next call that changes the
 * trainer. */
TEXTGEN_API const void *textgen_trainer_save(const textgen_trainer *trainer, size_t *size);

/* Replace the run by a saved one of the same corpus, seed and options, but for the precision. data: aligned to
 * 8 bytes; it may come from an untrusted source, because it is checked. Fail with TEXTGEN_DAMAGED_SAVED or
 * TEXTGEN_OTHER_SAVED. */
TEXTGEN_API int32_t textgen_trainer_resume(textgen_trainer *trainer, const void *data, size_t size,
                                           textgen_error *error);

/* ---- 8 bits ---- */

/* Convert a model file to 8-bit weights. more: more metadata, pairs of keys and JSON texts that end with NULL;
 * NULL: none. A key that the file has gets the new text. Return its bytes through `size`. converted: room for
 * them, or NULL to count them only. Fail as textgen_model_create does, or with TEXTGEN_INVALID_ARGUMENT if the
 * weights have 8 bits already. */
TEXTGEN_API int32_t textgen_quantize(const void *file, size_t file_size, const char *const *more,
                                     unsigned char *converted, size_t *size, textgen_error *error);

#ifdef __cplusplus
}
#endif
#endif
