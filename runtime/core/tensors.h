/* The initializers of a graph: finds them by name, checks their sizes, and reads their values. */
#ifndef TEXTGEN_TENSORS_H
#define TEXTGEN_TENSORS_H

#include "names.h"
#include "onnx_reader.h"

typedef struct {
    const textgen_tensor *tensors;
    textgen_name *names;
    size_t count;
} textgen_tensors;

/* Index the tensors of a file by name. Fails if a name is used twice. The caller frees `names`, even after a
 * failure. */
int32_t textgen_tensors_create(const textgen_onnx *file, textgen_tensors *tensors, textgen_error *error);

/* Return the tensor with this name, or NULL. */
const textgen_tensor *textgen_tensors_find(const textgen_tensors *tensors, textgen_view name);

/* Find a tensor, and check its type (TEXTGEN_ONNX_FLOAT, _INT8 or _INT64), its number of dimensions and its
 * size in bytes. The values of an int8 tensor are then in `raw`. On success every dimension is 1 or more, and
 * their product fits in a size_t. */
int32_t textgen_tensors_check(const textgen_tensors *tensors, textgen_view name, int32_t type,
                              size_t dimensions, const textgen_tensor **tensor, textgen_error *error);

/* Read an int64 tensor of shape [1] that textgen_tensors_check accepted. */
int32_t textgen_tensor_integer(const textgen_tensor *tensor, int64_t *value, textgen_error *error);

/* Return whether no value is NaN or infinite. */
bool textgen_all_finite(const float *values, size_t count);

/* Write a shape into `buffer` for an error message, such as [12, 3], with at most TEXTGEN_MAX_DIMENSIONS
 * dimensions. Return `buffer`. */
enum { TEXTGEN_SHAPE_SIZE = 22 * TEXTGEN_MAX_DIMENSIONS + 4 };
const char *textgen_format_shape(const int64_t *shape, size_t dimensions, char buffer[TEXTGEN_SHAPE_SIZE]);

#endif
