/* Runs streams with random parameters, stop texts and constraints, also what can be resumed of damaged ones. */
#ifndef FUZZ_STREAMS_H
#define FUZZ_STREAMS_H

#include "textgen.h"

#include <stdbool.h>

enum { ERROR_SIZE = 600 };

/* Whether a message is one line that was not cut. */
bool is_line(const char *line);

/* Run streams of a model. Return false if one of them fails in a way that textgen.h does not describe. The
 * latest message is in `error`, of ERROR_SIZE bytes. */
bool run_streams(const textgen_model *model, const textgen_model_info *info, char *error);

#endif
