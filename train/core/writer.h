/* The model file of a run: its graph is the one that the core expects, because the same code writes it. */
#ifndef TEXTGEN_WRITER_H
#define TEXTGEN_WRITER_H

#include "onnx.h"
#include "run.h"

/* Write the weights as a model file. metadata: keys and values, which alternate, without a zero byte; `entries`
 * of both together. Return its bytes. file: room for them, or NULL to count them only. */
size_t textgen_write_model(const textgen_run *run, const char *const *metadata, size_t entries,
                           unsigned char *file);

#endif
