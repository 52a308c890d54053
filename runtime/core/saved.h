/* Saved texts, which are blocks behind a header; stream_saved.c saves and resumes the handle around a block.
 * They are the same bytes in C, Python and JavaScript: a header, a description as JSON, and the block of the
 * text, all little-endian. The text comes from anywhere. So the sizes must fit, each number must be in its
 * range, and the state and the logits must be numbers. There is no checksum: other numbers that a text can have
 * are another text. */
#ifndef TEXTGEN_SAVED_H
#define TEXTGEN_SAVED_H

#include "sha256.h"
#include "text.h"

/* What a saved text is of, and what is said of it. */
typedef struct {
    unsigned char model[TEXTGEN_SHA256_SIZE]; /* the hash of the model file */
    unsigned char
        constraint[TEXTGEN_SHA256_SIZE]; /* see textgen_constraint_digest; zeros without a constraint */
    textgen_view description; /* JSON with what only some languages know, such as the prompt; it may be empty */
    textgen_view block;       /* only textgen_saved_open sets it, and the number of the parameters */
    size_t parameters;
} textgen_saved;

/* Write the hash of a constraint. Equal tables have equal hashes in every language. */
void textgen_constraint_digest(const textgen_constraint *constraint, unsigned char digest[TEXTGEN_SHA256_SIZE]);

/* Return the bytes of a saved text. */
size_t textgen_saved_size(const textgen_shape *shape, const textgen_text *text, size_t description);

/* Whether a text can be saved, and resumed: its state and its logits are finite, or -infinity for some tokens.
 */
bool textgen_saved_is_possible(const textgen_shape *shape, textgen_text *text);

/* Write a text to `data`, of this size. Equal texts have equal bytes. */
void textgen_saved_write(const textgen_shape *shape, const textgen_text *text, const textgen_saved *saved,
                         void *data);

/* Read the header. */
int32_t textgen_saved_open(textgen_view data, textgen_saved *saved, textgen_error *error);

/* Read the block to the memory of a text, of textgen_text_size(shape) bytes. The caller has compared the
 * hashes. After an error, the memory is a text that has not been fed, with the default parameters. */
int32_t textgen_saved_read(const textgen_shape *shape, const textgen_saved *saved,
                           const textgen_constraint *constraint, textgen_text *text, textgen_error *error);

#endif
