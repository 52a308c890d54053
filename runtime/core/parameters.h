/* The sampling parameters that the core applies, as parameters.def lists them. */
#ifndef TEXTGEN_PARAMETERS_H
#define TEXTGEN_PARAMETERS_H

#include "core.h"

#define TEXTGEN_TYPE_NUMBER double
#define TEXTGEN_TYPE_WHOLE uint64_t

/* A plain value. */
typedef struct {
#define TEXTGEN_PARAMETER(name, kind, ...) TEXTGEN_TYPE_##kind name;
#include "parameters.def"
} textgen_parameters;

enum { TEXTGEN_MAX_PENALTY_WINDOW = 1024 };

/* All have their defaults, with which no filter is on. */
extern const textgen_parameters textgen_parameters_default;

/* The numbers of the parameters, and how many there are. */
enum {
#define TEXTGEN_PARAMETER(name, ...) TEXTGEN_PARAMETER_##name,
#include "parameters.def"
    TEXTGEN_PARAMETER_COUNT
};

/* Set all parameters, in the order of parameters.def. The values were checked. */
void textgen_parameters_set(textgen_parameters *parameters, const double values[TEXTGEN_PARAMETER_COUNT]);

/* Write all values in this order. */
void textgen_parameters_get(const textgen_parameters *parameters, double values[TEXTGEN_PARAMETER_COUNT]);

/* Whether each of the values is valid. */
bool textgen_parameters_valid(const textgen_parameters *parameters);

/* Return the name of a truncation that is not off, or NULL. */
const char *textgen_parameters_truncation(const textgen_parameters *parameters);

/* Copy the parameters of a sampling. A 0 that is no value of a parameter stands for its default. */
int32_t textgen_parameters_read(const textgen_sampling *sampling, textgen_parameters *parameters,
                                textgen_error *error);

#endif
