/* The filters that remove unlikely tokens. */
#ifndef TEXTGEN_TRUNCATION_H
#define TEXTGEN_TRUNCATION_H

#include "filters.h"

/* Whether any truncation is on. */
bool textgen_truncation_active(const textgen_parameters *parameters);

/* Set the logits of removed tokens, [count], to -infinity. At least one logit is finite, and none is NaN or
 * +infinity. mirostat_mu and the result: see textgen_filters and textgen_filters_apply. scratch: temporary,
 * [textgen_filters_scratch(count)]. */
double textgen_truncate(const textgen_parameters *parameters, double mirostat_mu, textgen_exp64 exp64,
                        double *logits, size_t count, double *scratch);

#endif
