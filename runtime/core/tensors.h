/* What the stored tensors of a graph hold: sizes first, values later. */
#ifndef TEXTGEN_TENSORS_H
#define TEXTGEN_TENSORS_H

#include "names.h"
#include "onnx_reader.h"

typedef struct {
    const textgen_tensor *tensors;
    textgen_name *names;
    size_t count;
} textgen_tensors;

/* The tensors of a file by name; fails if a name is there twice. The caller frees `names`, also after an
 * error. */
int32_t textgen_tensors_create(const textgen_onnx *file, textgen_tensors *tensors, const textgen_error *error);

/* NULL if there is none of that name. */
const textgen_tensor *textgen_tensors_find(const textgen_tensors *tensors, textgen_view name);

/* Find a tensor and see that its size, type and place are right: `type` is TEXTGEN_ONNX_FLOAT or
 * TEXTGEN_ONNX_INT64. Every dimension is then 1 or more, and their product fits in a size_t. */
int32_t textgen_tensors_check(const textgen_tensors *tensors, textgen_view name, int32_t type,
                              size_t dimensions, const textgen_tensor **tensor, const textgen_error *error);

/* The value of an int64 tensor of shape [1], which textgen_tensors_check has checked. */
int32_t textgen_tensor_integer(const textgen_tensor *tensor, int64_t *value, const textgen_error *error);

/* Whether no value is NaN or infinite. */
bool textgen_all_finite(const float *values, size_t count);

/* A shape as it stands in a message, such as [12, 3]; at most TEXTGEN_MAX_DIMENSIONS are shown. Returns
 * `room`. */
enum { TEXTGEN_SHAPE = 22 * TEXTGEN_MAX_DIMENSIONS + 4 };
const char *textgen_shape_text(const int64_t *shape, size_t dimensions, char room[TEXTGEN_SHAPE]);

#endif
