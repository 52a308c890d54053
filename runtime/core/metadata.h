/* What a model file's metadata says: JSON texts under the keys textgen.*. */
#ifndef TEXTGEN_METADATA_H
#define TEXTGEN_METADATA_H

#include "json.h"
#include "onnx_reader.h"

#define TEXTGEN_VOCABULARY_KEY "textgen.vocabulary"

/* Metadata other than the vocabulary has at most so many characters. */
enum { TEXTGEN_LONGEST_METADATA = 1 << 20 };

/* The value of a key. Fails if there is none, or if it is not JSON. */
int32_t textgen_metadata_read(const textgen_onnx *file, const char *key, textgen_json *value,
                              const textgen_error *error);

/* Fails if the tokens are not characters. */
int32_t textgen_metadata_check_level(const textgen_onnx *file, const textgen_error *error);

/* The token of the unknown symbol, or -1 if there is none; for a vocabulary of so many entries, 1 or more. */
int32_t textgen_metadata_unknown(const textgen_onnx *file, size_t entries, int64_t *unknown,
                                 const textgen_error *error);

/* `unicode` becomes "NFC", "NFD", "NFKC", "NFKD" or NULL. */
int32_t textgen_metadata_normalization(const textgen_onnx *file, bool *lowercase, const char **unicode,
                                       const textgen_error *error);

/* Fails if what the file says of the training is not an object. */
int32_t textgen_metadata_check_training(const textgen_onnx *file, const textgen_error *error);

#endif
