#include "parameters.h"

#include "spans.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

const textgen_parameters textgen_parameters_default = {
#define TEXTGEN_PARAMETER(name, kind, initial, ...) .name = initial,
#include "parameters.def"
};

void textgen_parameters_set(textgen_parameters *parameters, const double values[TEXTGEN_PARAMETER_COUNT]) {
#define TEXTGEN_PARAMETER(name, kind, ...)                                                                     \
    parameters->name = (TEXTGEN_TYPE_##kind)values[TEXTGEN_PARAMETER_##name];
#include "parameters.def"
}

void textgen_parameters_get(const textgen_parameters *parameters, double values[TEXTGEN_PARAMETER_COUNT]) {
#define TEXTGEN_PARAMETER(name, ...) values[TEXTGEN_PARAMETER_##name] = (double)parameters->name;
#include "parameters.def"
}

/* An enumeration can have the limits of whole parameters. */
#define HIGHEST_NUMBER(high) 0
#define HIGHEST_WHOLE(high) high
enum {
#define TEXTGEN_PARAMETER(name, kind, initial, off, low, limit, high, ...)                                     \
    HIGHEST_##name = HIGHEST_##kind(high),
#define TEXTGEN_TEXT_PARAMETER(name, kind, initial, off, low, limit, high, ...) HIGHEST_##name = high,
#include "parameters.def"
};
_Static_assert((int)HIGHEST_penalty_window == TEXTGEN_MAX_PENALTY_WINDOW,
               "the filters, whose size is part of the format of saved texts, have room for penalty_window");
_Static_assert((int)HIGHEST_max_copy == TEXTGEN_MAX_COPY, "texts keep as many tokens as max_copy needs");

#define NONE NAN
#define CLOSED 0
#define OPEN 1
#define HEADING_DRAW ""
#define HEADING_FILTER "filters, applied before the temperature"
#define HEADING_TRUNCATION HEADING_FILTER
#define HEADING_CHARACTER "characters"
#define HEADING_ENDING "where a text ends"
#define HEADING_CONSTRAINT "constraints of the complete text"
#define NAME_NUMBER "number"
#define NAME_WHOLE "whole"
#define NAME_SWITCH "switch"
#define NAME_TEXT "text"
#define NAME_TEXTS "texts"
#define NAME_CHARACTERS "characters"
#define NAME_BIASES "biases"
#define NAME_CHOICES "choices"
#define NAME_SCHEMA "schema"
#ifdef TEXTGEN_FAIL_ENDS
#define HELP(text) "" /* the types of JavaScript have it */
#else
#define HELP(text) text
#endif
#define DESCRIBE(name, kind, initial, off, low, limit, high, order, group, value, help, offset)                \
    {#name,         NAME_##kind,   HELP(HEADING_##group), HELP(value), HELP(help), (double)(initial),          \
     (double)(off), (double)(low), (double)(high),        limit,       order,      offset},

static const textgen_parameter_info known[] = {
#define TEXTGEN_PARAMETER(name, kind, initial, off, low, limit, high, order, group, value, help)               \
    DESCRIBE(name, kind, initial, off, low, limit, high, order, group, value, help,                            \
             offsetof(textgen_sampling, name))
#define TEXTGEN_TEXT_PARAMETER(name, kind, initial, off, low, limit, high, order, group, value, help)          \
    DESCRIBE(name, kind, initial, off, low, limit, high, order, group, value, help, 0)
#include "parameters.def"
};

const textgen_parameter_info *textgen_parameter(size_t index) {
    return index < sizeof known / sizeof *known ? &known[index] : NULL;
}

const char *textgen_parameter_requirement(const textgen_parameter_info *parameter,
                                          char buffer[TEXTGEN_REQUIREMENT_SIZE]) {
    const char *what = strcmp(parameter->kind, NAME_WHOLE) ? "a number" : "an integer";
    if (parameter->high == DBL_MAX) {
        snprintf(buffer, TEXTGEN_REQUIREMENT_SIZE, "a finite number, %g or more", parameter->low);
    } else {
        snprintf(buffer, TEXTGEN_REQUIREMENT_SIZE,
                 parameter->low_is_open ? "%s more than %g, at most %.10g" : "%s from %g to %.10g", what,
                 parameter->low, parameter->high);
    }
    return buffer;
}

int32_t textgen_parameter_accepts(const textgen_parameter_info *parameter, double value) {
    return value <= parameter->high &&
           (parameter->low_is_open ? value > parameter->low : value >= parameter->low);
}

int32_t textgen_parameters_read(const textgen_sampling *sampling, textgen_parameters *parameters,
                                textgen_error *error) {
    double values[TEXTGEN_PARAMETER_COUNT];
#define TEXTGEN_PARAMETER(name, ...) values[TEXTGEN_PARAMETER_##name] = (double)sampling->name;
#include "parameters.def"
    for (size_t i = 0; i < TEXTGEN_PARAMETER_COUNT; i++) {
        char requirement[TEXTGEN_REQUIREMENT_SIZE];
        if (values[i] == 0.0 && !textgen_parameter_accepts(&known[i], 0.0)) {
            values[i] = known[i].initial;
        }
        if (!textgen_parameter_accepts(&known[i], values[i])) {
            return textgen_fail_at(error, TEXTGEN_INVALID_ARGUMENT, known[i].name, -1, "must be %s, not %.10g",
                                   textgen_parameter_requirement(&known[i], requirement), values[i]);
        }
    }
    textgen_parameters_set(parameters, values);
    return TEXTGEN_OK;
}

#define TRUNCATES_DRAW false
#define TRUNCATES_FILTER false
#define TRUNCATES_TRUNCATION true
#define TRUNCATES_ENDING false

const char *textgen_parameters_truncation(const textgen_parameters *parameters) {
    const char *found = NULL;
#define TEXTGEN_PARAMETER(name, kind, initial, off, low, limit, high, order, group, ...)                       \
    found = TRUNCATES_##group && (double)parameters->name != (double)(off) ? #name : found;
#include "parameters.def"
    return found;
}

/* Without the table, so that a program that only checks parameters has no help texts. */
bool textgen_parameters_valid(const textgen_parameters *parameters) {
    bool valid = true;
#define TEXTGEN_PARAMETER(name, kind, initial, off, low, limit, high, ...)                                     \
    valid = valid && (double)parameters->name <= (double)(high) &&                                             \
            ((limit) == OPEN ? (double)parameters->name > (low) : (double)parameters->name >= (low));
#include "parameters.def"
    return valid;
}
