/* What the module that learns has besides textgen_train.h: functions for JavaScript, without structs. The
 * options of a run are an array of float64 numbers, in the order of textgen_option. */
#include "run.h"

#include <string.h>

#define EXPORT(name) __attribute__((export_name(#name))) name

static void write_options(const textgen_options *options, double *values) {
    const textgen_option_info *info;
    for (size_t i = 0; (info = textgen_option(i)); i++) {
        const char *field = (const char *)options + info->offset;
        values[i] = info->is_number ? *(const double *)(const void *)field
                                    : (double)*(const int64_t *)(const void *)field;
    }
}

static textgen_options read_options(const double *values) {
    textgen_options options;
    const textgen_option_info *info;
    memset(&options, 0, sizeof options);
    for (size_t i = 0; (info = textgen_option(i)); i++) {
        char *field = (char *)&options + info->offset;
        if (info->is_number) {
            *(double *)(void *)field = values[i];
        } else {
            *(int64_t *)(void *)field = (int64_t)values[i];
        }
    }
    return options;
}

/* The texts end with a zero; "" is NULL. Symbols that the vocabulary lacks are added. */
int32_t EXPORT(corpus)(const void *text, size_t size, const char *name, const char *level, const char *records,
                       const char *unicode, const char *vocabulary, const char *special, int32_t lowercase,
                       textgen_corpus **corpus, textgen_error *error) {
    const textgen_corpus_options options = {.name = name,
                                            .level = level,
                                            .records = *records ? records : NULL,
                                            .unicode = *unicode ? unicode : NULL,
                                            .lowercase = lowercase,
                                            .vocabulary = *vocabulary ? vocabulary : NULL,
                                            .special = *special ? special : NULL,
                                            .extend = 1};
    return textgen_corpus_create(text, size, &options, corpus, error);
}

/* Write the options of a preset. Return whether there is such a preset. */
int32_t EXPORT(preset)(const textgen_corpus *corpus, const char *name, double epochs, double *values) {
    const textgen_corpus_info *info = textgen_corpus_get_info(corpus);
    textgen_options options = textgen_default_options();
    const int32_t is_known = textgen_choose_preset(name, info->common, info->training_tokens, epochs, &options);
    write_options(&options, values);
    return is_known;
}

int32_t EXPORT(create)(const textgen_corpus *corpus, const double *values, uint64_t seed,
                       textgen_trainer **trainer, textgen_error *error) {
    const textgen_options options = read_options(values);
    return textgen_trainer_create(corpus, &options, seed, 1, NULL, trainer, error);
}

int32_t EXPORT(regularize)(textgen_trainer *trainer, const double *values, textgen_error *error) {
    const textgen_options options = read_options(values);
    return textgen_trainer_regularize(trainer, &options, error);
}

/* Write the options of a run. */
void EXPORT(options)(const textgen_trainer *trainer, double *values) {
    size_t size;
    write_options(&((const textgen_run *)textgen_trainer_save(trainer, &size))->options, values);
}

/* Write the numbers that trainer.js names, in this order. */
void EXPORT(describe)(const textgen_corpus *corpus, const textgen_trainer *trainer, double *numbers) {
    const textgen_corpus_info *text = textgen_corpus_get_info(corpus);
    const textgen_trainer_info run = textgen_trainer_get_info(trainer);
    const double written[] = {(double)text->training_tokens,
                              (double)text->training_characters,
                              (double)text->held_out_characters,
                              (double)run.parameters,
                              (double)run.per_epoch,
                              (double)run.step,
                              run.epoch,
                              (double)run.parts,
                              (double)run.part_size,
                              (double)run.weights};
    _Static_assert(sizeof written == 10 * sizeof *written, "trainer.js has their names");
    memcpy(numbers, written, sizeof written);
}

/* Return the SHA-256 of the text, in hexadecimal digits. */
const char *EXPORT(digest)(const textgen_corpus *corpus) { return textgen_corpus_get_content(corpus).sha256; }
