/* Warnings about characters outside the vocabulary, in the prompt and in stop texts. They are those of
 * textgen-run, which also escapes unassigned characters and some format characters, and normalizes first: here,
 * a decomposed character or a capital other than A to Z counts as outside the vocabulary if only its normal
 * form is in it. */
#ifndef COMMAND_WARNINGS_H
#define COMMAND_WARNINGS_H

#include "input.h"

/* Warn about characters of a prompt that the model reads as its unknown symbol. */
void warn_unknown(const textgen_model *model, content prompt);

/* Warn about stop texts that cannot be generated, and remove them. Give the others to the sampling. */
void keep_possible_stops(const textgen_model *model, const textgen_model_info *info, command_options *options);

#endif
