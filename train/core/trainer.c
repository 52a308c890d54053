/* A run with its memory and its threads: what a program uses. See textgen_train.h. */

#include "core.h"
#include "corpus.h"
#include "model_file.h"
#include "pool.h"
#include "sha256.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Products of bfloat16 numbers are taken if the gradient is computed so many times as fast. */
#define MIN_SPEEDUP 1.2

/* A gradient is measured so often at least and at most, in so many seconds. The first time is longer, because
 * the memory is new. */
enum { MIN_TIMES = 2, MAX_TIMES = 8 };
#define MEASURED_SECONDS 0.01

/* Bytes of what the metadata says of the training. */
enum { MAX_TRAINING = 4096 };

struct textgen_trainer {
    const textgen_corpus *corpus;
    const textgen_learn_kernels *kernels;
    textgen_batches *batches;
    textgen_run *run;
    textgen_update *update;
    textgen_score *score;
    textgen_pool *pool;
    int32_t threads;
    char parent[TEXTGEN_HASH_DIGITS + 1]; /* the hash of the model file from which it started, or "" */
    size_t memory;                        /* bytes of the arrays */
    int array_count;
    void *arrays[4];
};

static const textgen_option_info options[] = {
#define TEXTGEN_OPTION(name, type, value, least, most, text)                                                   \
    {#name, offsetof(textgen_options, name), (type)0.5 != 0, value, least, most, text},
#include "textgen_options.def"
#undef TEXTGEN_OPTION
};

const textgen_option_info *textgen_option(size_t index) {
    return index < sizeof options / sizeof *options ? &options[index] : NULL;
}

/* Allocate an array of the trainer, of zeros, at an address that is aligned as blocks are. */
static void *allocate(textgen_trainer *trainer, uint64_t bytes) {
    const bool is_valid = bytes && bytes < SIZE_MAX - TEXTGEN_PART_ALIGNMENT;
    void *memory = is_valid ? calloc(1, (size_t)bytes + TEXTGEN_PART_ALIGNMENT) : NULL;
    if (!memory) {
        return NULL;
    }
    trainer->arrays[trainer->array_count++] = memory;
    trainer->memory += (size_t)bytes;
    return textgen_align(memory);
}

static void hash_corpus(const textgen_corpus *corpus, unsigned char digest[TEXTGEN_SHA256_SIZE]) {
    const textgen_tokens *parts[] = {&corpus->training, &corpus->held_out};
    textgen_sha256 sum;
    textgen_sha256_init(&sum);
    textgen_sha256_add(&sum, corpus->level, strlen(corpus->level));
    textgen_sha256_add(&sum, corpus->vocabulary, corpus->vocabulary_size);
    textgen_sha256_add(&sum, &corpus->before, sizeof corpus->before);
    for (int i = 0; i < 2; i++) {
        textgen_sha256_add(&sum, &parts[i]->count, sizeof parts[i]->count);
        textgen_sha256_add(&sum, parts[i]->data, (size_t)(parts[i]->count * parts[i]->bytes));
    }
    textgen_sha256_end(&sum, digest);
}

/* WebAssembly has no such clock, and no products of bfloat16 numbers. The steps of that of Windows are longer
 * than a gradient takes. */
static double processor_seconds(void) {
#if defined(__wasm__)
    return 0.0;
#elif defined(_WIN32)
    struct timespec now = {0};
    timespec_get(&now, TIME_UTC);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
#else
    return (double)clock() / CLOCKS_PER_SEC;
#endif
}

/* Return the shortest time of the gradient of a part, in seconds of the processor. It is that of a copy of the
 * run. */
static double time_gradient(const textgen_trainer *trainer, const textgen_learn_kernels *kernels) {
    const size_t size = (size_t)trainer->run->size + TEXTGEN_PART_ALIGNMENT;
    char *memory = calloc(1, size + (size_t)textgen_task_size(trainer->run, trainer->batches));
    double best = INFINITY, sum = 0.0;
    if (!memory) {
        return best;
    }
    textgen_run *copy = memcpy(textgen_align(memory), trainer->run, (size_t)trainer->run->size);
    textgen_update *update = textgen_update_init(trainer->update, copy, trainer->batches, kernels);
    textgen_update_begin(update, 0.0);
    for (int i = 0; i < MIN_TIMES || (i < MAX_TIMES && sum < MEASURED_SECONDS); i++) {
        const double start = processor_seconds();
        textgen_update_changed(update); /* so that the weights are packed, as in each update */
        textgen_update_task(update, TEXTGEN_GRADIENTS, copy->parts - 1, memory + size);
        const double seconds = processor_seconds() - start;
        best = fmin(best, seconds);
        sum += seconds;
    }
    free(memory);
    return best;
}

/* Choose the precision that is faster, and its kernels. */
static void choose_precision(textgen_trainer *trainer, const char *kernels) {
    const textgen_learn_kernels *fast = textgen_find_learn_kernels(kernels, true);
    const double seconds = fast ? time_gradient(trainer, trainer->kernels) : 0.0;
    const bool is_faster = fast && seconds > MIN_SPEEDUP * time_gradient(trainer, fast);
    trainer->kernels = is_faster ? fast : trainer->kernels;
    trainer->run->options.precision = is_faster;
    textgen_update_init(trainer->update, trainer->run, trainer->batches, trainer->kernels);
}

static int32_t create(textgen_trainer *trainer, const textgen_options *chosen, uint64_t seed,
                      const char *kernels, textgen_error *error) {
    const textgen_corpus *corpus = trainer->corpus;
    const int64_t vocabulary = (int64_t)corpus->info.vocabulary;
    void *memory;
    if (!textgen_run_has_room(chosen, vocabulary)) {
        return textgen_out_of_memory(error);
    }
#define ALLOCATE(bytes)                                                                                        \
    do {                                                                                                       \
        if (!(memory = allocate(trainer, bytes))) {                                                            \
            return textgen_out_of_memory(error);                                                               \
        }                                                                                                      \
    } while (0)
    ALLOCATE(textgen_batches_size(&corpus->training, chosen->batch, chosen->sequence_length));
    trainer->batches = textgen_batches_init(memory, &corpus->training, chosen->batch, chosen->sequence_length);
    const int64_t lanes = textgen_batches_lanes(trainer->batches);
    ALLOCATE(textgen_run_size(chosen, vocabulary, lanes));
    trainer->run = textgen_run_init(memory, chosen, vocabulary, lanes, seed, &corpus->training);
    hash_corpus(corpus, trainer->run->text);
    ALLOCATE(textgen_update_size(trainer->run));
    trainer->update = textgen_update_init(memory, trainer->run, trainer->batches, trainer->kernels);
    if (chosen->precision == TEXTGEN_FASTER) {
        choose_precision(trainer, kernels);
    }
    ALLOCATE(textgen_score_size(trainer->update, &corpus->held_out));
    trainer->score = textgen_score_init(memory, trainer->update, &corpus->held_out, corpus->before);
#undef ALLOCATE
    trainer->pool = textgen_pool_create(trainer->threads, textgen_task_size(trainer->run, trainer->batches));
    return trainer->pool ? TEXTGEN_OK : textgen_out_of_memory(error);
}

int32_t textgen_trainer_create(const textgen_corpus *corpus, const textgen_options *chosen, uint64_t seed,
                               int32_t threads, const char *kernels, textgen_trainer **trainer,
                               textgen_error *error) {
    const textgen_learn_kernels *found =
        textgen_find_learn_kernels(kernels, chosen->precision == TEXTGEN_BFLOAT16);
    TEXTGEN_TRY(textgen_check_options(chosen, error));
    if (threads < 1 || threads > TEXTGEN_MAX_THREADS) {
        return textgen_report_at(error, TEXTGEN_INVALID_ARGUMENT, "threads", -1,
                                 "must be from 1 to %d, not %ld", TEXTGEN_MAX_THREADS, (long)threads);
    }
    if (!found) {
        return textgen_report_at(error, TEXTGEN_INVALID_ARGUMENT, kernels ? "kernels" : "precision", -1,
                                 "is not supported by this processor");
    }
    textgen_trainer *created = calloc(1, sizeof *created);
    if (!created) {
        return textgen_out_of_memory(error);
    }
    created->corpus = corpus;
    created->kernels = found;
    created->threads = threads;
    const int32_t code = create(created, chosen, seed, kernels, error);
    if (code) {
        textgen_trainer_destroy(created);
        return code;
    }
    *trainer = created;
    return TEXTGEN_OK;
}

void textgen_trainer_destroy(textgen_trainer *trainer) {
    if (trainer) {
        textgen_pool_destroy(trainer->pool);
        for (int i = 0; i < trainer->array_count; i++) {
            free(trainer->arrays[i]);
        }
        free(trainer);
    }
}

textgen_trainer_info textgen_trainer_get_info(const textgen_trainer *trainer) {
    const textgen_run *run = trainer->run;
    const int64_t per_epoch = textgen_batches_per_epoch(trainer->batches);
    const textgen_network_shape shape = textgen_run_shape(run);
    const size_t units = (size_t)shape.units, vocabulary = (size_t)shape.vocabulary;
    const size_t embedding = (size_t)shape.embedding, layers = (size_t)shape.layers;
    const size_t inputs = embedding + (layers - 1) * units;
    return (textgen_trainer_info){.parameters = vocabulary * embedding +
                                                4 * units * (inputs + layers * (units + 2)) +
                                                vocabulary * (units + 1),
                                  .memory = trainer->memory,
                                  .per_epoch = (size_t)per_epoch,
                                  .step = (size_t)run->step,
                                  .epoch = (double)run->epoch + (double)run->batch / (double)per_epoch,
                                  .threads = textgen_pool_threads(trainer->pool),
                                  .precision = (int32_t)run->options.precision,
                                  .kernels = trainer->kernels->name,
                                  .parts = (size_t)run->parts,
                                  .part_size = (size_t)textgen_part_size(trainer->update),
                                  .weights = (size_t)textgen_weight_count(&shape)};
}

static void regularize(textgen_options *to, const textgen_options *from) {
    to->dropout = from->dropout;
    to->input_dropout = from->input_dropout;
    to->weight_dropout = from->weight_dropout;
    to->activation_penalty = from->activation_penalty;
    to->confidence_penalty = from->confidence_penalty;
}

int32_t textgen_trainer_regularize(textgen_trainer *trainer, const textgen_options *chosen,
                                   textgen_error *error) {
    TEXTGEN_TRY(textgen_check_options(chosen, error));
    regularize(&trainer->run->options, chosen);
    return TEXTGEN_OK;
}

double textgen_trainer_update(textgen_trainer *trainer, double progress) {
    textgen_trainer_begin(trainer, progress);
    textgen_pool_phase(trainer->pool, trainer->update, TEXTGEN_GRADIENTS);
    return textgen_trainer_end(trainer);
}

void textgen_trainer_begin(textgen_trainer *trainer, double progress) {
    /* Not a number becomes 0. */
    progress = progress > 0.0 ? progress : 0.0;
    textgen_update_begin(trainer->update, progress < 1.0 ? progress : 1.0);
}

double textgen_trainer_end(textgen_trainer *trainer) {
    textgen_pool_phase(trainer->pool, trainer->update, TEXTGEN_SUMS);
    textgen_pool_phase(trainer->pool, trainer->update, TEXTGEN_STEPS);
    return textgen_update_end(trainer->update);
}

void textgen_trainer_compute_part(textgen_trainer *trainer, size_t part) {
    textgen_update_task(trainer->update, TEXTGEN_GRADIENTS, (int64_t)part, textgen_pool_memory(trainer->pool));
}

void textgen_trainer_write_part(const textgen_trainer *trainer, size_t part, void *content) {
    textgen_update_write_part(trainer->update, (int64_t)part, content);
}

void textgen_trainer_read_part(textgen_trainer *trainer, size_t part, const void *content) {
    textgen_update_read_part(trainer->update, (int64_t)part, content);
}

const float *textgen_trainer_weights(const textgen_trainer *trainer) {
    return textgen_run_weights(trainer->run);
}

void textgen_trainer_follow(textgen_trainer *trainer, const float *weights) {
    textgen_update_follow(trainer->update, weights);
}

double textgen_trainer_score(textgen_trainer *trainer) {
    const textgen_network_shape shape = textgen_run_shape(trainer->run);
    const double squares =
        trainer->kernels->squares(textgen_run_weights(trainer->run), textgen_weight_count(&shape));
    if (!(squares - squares == 0.0)) {
        return (double)NAN;
    }
    return textgen_pool_score(trainer->pool, trainer->score) /
           (double)trainer->corpus->info.held_out_characters;
}

double textgen_trainer_score_start(textgen_trainer *trainer, size_t tokens) {
    textgen_tokens start = trainer->corpus->held_out;
    int64_t count = tokens < (size_t)start.count ? (int64_t)tokens : start.count;
    count += !count;
    while (start.end >= 0 && textgen_token_at(&start, count - 1) != start.end) {
        count++;
    }
    start.count = count;
    void *memory = calloc(1, (size_t)textgen_score_size(trainer->update, &start));
    if (!memory) {
        return (double)NAN;
    }
    const double loss = textgen_pool_score(
        trainer->pool, textgen_score_init(memory, trainer->update, &start, trainer->corpus->before));
    free(memory);
    return loss / (double)count;
}

/* Write a number. Whatever the locale of the program is, JSON has a decimal point. */
enum { NUMBER_SIZE = 32 };
static const char *as_json(double value, char text[NUMBER_SIZE]) {
    static const char digits[] = "-0123456789";
    snprintf(text, NUMBER_SIZE, "%.17g", value);
    char *point = text + strspn(text, digits);
    if (*point && *point != 'e') {
        const char *rest = point + strcspn(point, digits);
        *point = '.';
        memmove(point + 1, rest, strlen(rest) + 1);
    }
    return text;
}

/* Write what the metadata says of the training: JSON. The options have the names of the fields of a recipe.
 * Return its size as snprintf does. */
static size_t describe_training(const textgen_trainer *trainer, double held_out_nats, char *text, size_t size) {
    const textgen_corpus *corpus = trainer->corpus;
    const textgen_corpus_info *info = &corpus->info;
    const textgen_trainer_info of_run = textgen_trainer_get_info(trainer);
    size_t used = 0;
    char number[NUMBER_SIZE];
#define PUT(...)                                                                                               \
    used += (size_t)snprintf(used < size ? text + used : NULL, used < size ? size - used : 0, __VA_ARGS__)
    PUT("{\"corpus\": %s, \"sha256\": \"%s\", \"characters\": %zu, \"split\": {\"training_characters\": %zu, "
        "\"held_out_characters\": %zu}, \"parameters\": %zu, ",
        corpus->name, corpus->sha256, info->training_characters + info->held_out_characters,
        info->training_characters, info->held_out_characters, of_run.parameters);
    /* Of a fixed width, so that the size of the file does not depend on the loss. */
    if (held_out_nats - held_out_nats == 0.0) {
        PUT("\"held_out_nats\": %24s, ", as_json(held_out_nats, number));
    } else {
        PUT("\"held_out_nats\": %24s, ", "null");
    }
    PUT("\"evaluation\": {\"step\": %zu, \"epoch\": %s}, \"recipe\": {\"name\": \"default\", \"cell\": "
        "\"lstm\"",
        of_run.step, as_json(of_run.epoch, number));
    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        const char *value = (const char *)&trainer->run->options + options[i].offset;
        if (options[i].is_number) {
            PUT(", \"%s\": %s", options[i].name, as_json(*(const double *)(const void *)value, number));
        } else {
            PUT(", \"%s\": %lld", options[i].name, (long long)*(const int64_t *)(const void *)value);
        }
    }
    PUT(", \"seed\": %llu}", (unsigned long long)trainer->run->seed);
    if (*trainer->parent) {
        PUT(", \"parent\": {\"sha256\": \"%s\", \"corpus\": null}", trainer->parent);
    }
    PUT("}");
#undef PUT
    return used;
}

size_t textgen_trainer_write_model(const textgen_trainer *trainer, double held_out_nats, const char *training,
                                   unsigned char *file) {
    const textgen_corpus *corpus = trainer->corpus;
    const bool is_plain = !strcmp(corpus->level, "\"character\"") && !corpus->special;
    char description[MAX_TRAINING];
    if (!training) {
        describe_training(trainer, held_out_nats, description, sizeof description);
    }
    const char *const metadata[] = {"textgen.format", is_plain ? "1" : "2", "textgen.vocabulary",
                                    corpus->vocabulary, "textgen.level", corpus->level, "textgen.normalization",
                                    corpus->normalization, "textgen.prompts", corpus->prompts,
                                    "textgen.training", training ? training : description,
                                    /* Where there are any. */
                                    "textgen.special", corpus->special, "textgen.records", corpus->records};
    return textgen_write_model(trainer->run, metadata, corpus->records ? 16 : corpus->special ? 14 : 12, file);
}

int32_t textgen_trainer_start_from(textgen_trainer *trainer, const void *file, size_t size,
                                   textgen_error *error) {
    const textgen_corpus *corpus = trainer->corpus;
    if (trainer->run->step) {
        return textgen_report(error, TEXTGEN_INVALID_ARGUMENT,
                              "the run has begun: it cannot start from a model");
    }
    TEXTGEN_TRY(textgen_read_model(trainer->run, (textgen_view){file, size}, corpus->symbols, &corpus->training,
                                   error));
    textgen_update_changed(trainer->update);
    textgen_hash((textgen_view){file, size}, trainer->parent);
    return TEXTGEN_OK;
}

int32_t textgen_trainer_teach(textgen_trainer *trainer, const uint16_t *shares, const void *tokens,
                              size_t columns, double weight, textgen_error *error) {
    const textgen_corpus *corpus = trainer->corpus;
    const size_t vocabulary = corpus->info.vocabulary;
    textgen_teacher teacher = {shares, corpus->training, (ptrdiff_t)columns, (float)weight};
    teacher.tokens.data = tokens;
    if (!columns || columns > vocabulary || (!tokens && columns != vocabulary)) {
        return textgen_report_at(error, TEXTGEN_INVALID_ARGUMENT, "columns", -1, "must be %s%zu, not %zu",
                                 tokens ? "at most " : "", vocabulary, columns);
    }
    if (!(weight >= 0.0 && weight <= 1.0)) {
        return textgen_report_at(error, TEXTGEN_INVALID_ARGUMENT, "weight", -1, "must be in [0, 1], not %g",
                                 weight);
    }
    textgen_update_teach(trainer->update, &teacher);
    return TEXTGEN_OK;
}

const void *textgen_trainer_save(const textgen_trainer *trainer, size_t *size) {
    *size = (size_t)trainer->run->size;
    return trainer->run;
}

int32_t textgen_trainer_resume(textgen_trainer *trainer, const void *data, size_t size, textgen_error *error) {
    const textgen_run *saved = data;
    textgen_run *run = trainer->run;
    TEXTGEN_TRY(textgen_run_check(data, size, error));
    TEXTGEN_TRY(textgen_run_check_text(saved, trainer->batches, run->vocabulary, error));
    textgen_options expected = run->options;
    const int64_t precision = expected.precision;
    expected.precision = saved->options.precision;
    regularize(&expected, &saved->options);
    if (memcmp(&expected, &saved->options, sizeof expected) != 0 || run->seed != saved->seed) {
        return textgen_report(error, TEXTGEN_OTHER_SAVED, "the saved run has other options or another seed");
    }
    if (memcmp(run->text, saved->text, sizeof run->text) != 0) {
        return textgen_report(error, TEXTGEN_OTHER_SAVED, "the saved run is of another text");
    }
    memcpy(run, data, size);
    run->options.precision = precision;
    textgen_update_changed(trainer->update);
    return TEXTGEN_OK;
}

/* ---- Batches ---- */

int32_t textgen_batches_create(const textgen_corpus *corpus, const textgen_options *chosen,
                               textgen_batches **batches, textgen_error *error) {
    TEXTGEN_TRY(textgen_check_options(chosen, error));
    const uint64_t size = textgen_batches_size(&corpus->training, chosen->batch, chosen->sequence_length);
    void *memory = size < SIZE_MAX ? calloc(1, (size_t)size) : NULL;
    if (!memory) {
        return textgen_out_of_memory(error);
    }
    *batches = textgen_batches_init(memory, &corpus->training, chosen->batch, chosen->sequence_length);
    return TEXTGEN_OK;
}

void textgen_batches_destroy(textgen_batches *batches) {
    free(batches ? textgen_batches_memory(batches) : NULL);
}

size_t textgen_batches_get_per_epoch(const textgen_batches *batches) {
    return (size_t)textgen_batches_per_epoch(batches);
}

textgen_batch_content textgen_batches_get_content(textgen_batches *batches, uint64_t seed, size_t epoch,
                                                  size_t index) {
    const textgen_batch *batch = textgen_batches_get(batches, seed, (int64_t)epoch, (int64_t)index);
    return (textgen_batch_content){.time = (size_t)batch->time,
                                   .lanes = (size_t)batch->lanes,
                                   .is_start = batch->is_start,
                                   .targets = batch->targets,
                                   .divisor = batch->divisor,
                                   .inputs = batch->inputs,
                                   .next = batch->next,
                                   .places = batch->places};
}
