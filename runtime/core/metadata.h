/* Checks and reads a model file's metadata: JSON text under the keys textgen.*. */
#ifndef TEXTGEN_METADATA_H
#define TEXTGEN_METADATA_H

#include "json.h"
#include "onnx_reader.h"
#include "symbols.h"

#define TEXTGEN_VOCABULARY_KEY "textgen.vocabulary"

/* The limit in characters for each entry except the vocabulary. */
enum { TEXTGEN_MAX_METADATA_LENGTH = 1 << 20 };

/* Read the value of a key. Fails if the key is missing or its value is not JSON. */
int32_t textgen_metadata_read(const textgen_onnx *file, const char *key, textgen_json *value,
                              textgen_error *error);

int32_t textgen_metadata_format(const textgen_onnx *file, int64_t *format, textgen_error *error);

int32_t textgen_metadata_level(const textgen_onnx *file, textgen_level *level, textgen_error *error);

/* Read the special tokens. entries: the size of the vocabulary, 1 or more. */
int32_t textgen_metadata_special(const textgen_onnx *file, size_t entries, textgen_special *special,
                                 textgen_error *error);

/* Read how records are separated: "lines" or "blank"; NULL for a model without the tokens begin and end. */
int32_t textgen_metadata_records(const textgen_onnx *file, const textgen_special *special, const char **records,
                                 textgen_error *error);

/* Read the text normalization. `*unicode` becomes "NFC", "NFD", "NFKC", "NFKD" or NULL. */
int32_t textgen_metadata_normalization(const textgen_onnx *file, bool *lowercase, const char **unicode,
                                       textgen_error *error);

/* Fails if textgen.training is not a JSON object. */
int32_t textgen_metadata_check_training(const textgen_onnx *file, textgen_error *error);

/* Fails if textgen.quantization, which only files with 8-bit weights have, does not describe 8-bit weights. */
int32_t textgen_metadata_check_quantization(const textgen_onnx *file, textgen_error *error);

#endif
