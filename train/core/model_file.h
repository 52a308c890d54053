/* The model file of a run, which is written and read. Its graph is the one that the core expects, because the
 * same code writes it. */
#ifndef TEXTGEN_MODEL_FILE_H
#define TEXTGEN_MODEL_FILE_H

#include "run.h"
#include "vocabulary.h"

/* Write the weights as a model file. metadata: keys and values, which alternate, without a zero byte; `entries`
 * of both together. Return its bytes. file: room for them, or NULL to count them only. */
size_t textgen_write_model(const textgen_run *run, const char *const *metadata, size_t entries,
                           unsigned char *file);

/* Replace the weights by those of a model file: see textgen_trainer_start_from. vocabulary, tokens: of the text
 * that is learned. */
int32_t textgen_read_model(textgen_run *run, textgen_view content, const textgen_vocabulary *vocabulary,
                           const textgen_tokens *tokens, textgen_error *error);

#endif
