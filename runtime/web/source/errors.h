/* The errors of the module. */
#ifndef TEXTGEN_WEB_ERRORS_H
#define TEXTGEN_WEB_ERRORS_H

#include "core.h"

#define EXPORT(name) __attribute__((export_name(#name))) name

/* The buffer of the message. */
extern textgen_error web_error;

/* Return the message of the latest error. */
const char *message(void);

/* Return the code of the error of a model file, which made the module trap, or 0 if something else did. */
int32_t failure(void);

#endif
