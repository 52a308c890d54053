/* What the command reads: files, standard input and the prompts of the model. */
#ifndef COMMAND_INPUT_H
#define COMMAND_INPUT_H

#include "options.h"

typedef struct {
    char *data;
    size_t size;
} content;

/* Allocate memory, or fail. */
void *allocate(size_t size);

/* Read a file, or standard input if the path is "-". kind: what it is, for messages. */
content read_content(const char *path, const char *kind);

/* Return the path of model.onnx if a folder has this file, or else the path itself. */
const char *find_model(const char *path);

/* Return the prompt of the arguments as the model's corpus was normalized, except for Unicode normal forms. Its
 * `data` is NULL if the arguments have none. */
content read_prompt(const command_options *options, const textgen_model_info *info);

/* Convert the letters A to Z. */
void make_lowercase(char *text, size_t size);

/* Return a prompt that the model stores: the seed and the substream determine which one. Its `data` is NULL if
 * there is none. */
content stored_prompt(const textgen_model *model, const textgen_sampling *sampling);

/* Return a random seed of 32 bits, short enough to type. */
uint32_t fresh_seed(void);

#endif
