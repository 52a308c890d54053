/* The batches of a training text, epoch by epoch, as functions of the seed and of the number of the epoch.
 *
 * A continuous text is cut into lanes of equal length, and each lane into sequences. A batch has the next
 * sequence of each lane and begins where the one before ended, so that the state is carried. The first lane
 * starts at a random token, and the text wraps around at its end, so that the borders of the lanes move from
 * epoch to epoch.
 *
 * Records are grouped with others of similar length. A group is one batch, or several if its records are longer
 * than a sequence. All lanes of a group start from the initial state. A group has about as many targets as a
 * batch of a continuous text. Groups and their order are drawn anew in each epoch. The number of batches stays
 * the same, because the longest records of each range of lengths are in different groups. */
#ifndef TEXTGEN_BATCHES_H
#define TEXTGEN_BATCHES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The training text. Records: each is followed by `end`, and `begin` stands before its first token. */
typedef struct {
    const void *data;
    int bytes; /* of a token: 1, 2 or 4, without a sign */
    int64_t count;
    int32_t begin, end; /* -1 for a continuous text */
} textgen_tokens;

int32_t textgen_token_at(const textgen_tokens *tokens, int64_t place);

/* A record: the place of its first token, and its targets, one more than it has tokens. */
typedef struct {
    int64_t start, targets;
} textgen_record;

/* Return how many records there are; 0 in a continuous text. */
int64_t textgen_count_records(const textgen_tokens *tokens);

/* Find all records, and sort them: the longest first, and equal ones in their order. other: working memory.
 * Both: [records]. */
void textgen_sort_records(const textgen_tokens *tokens, textgen_record *records, textgen_record *other);

typedef struct {
    ptrdiff_t time, lanes;
    bool is_start;  /* whether each lane starts from the initial state, or continues the batch before */
    double targets; /* how many there are without padding */
    /* The sum of the losses is divided by it: the mean number of targets of a batch, so that all targets of an
     * epoch count the same. */
    double divisor;
    int32_t *inputs,
        *next;       /* tokens and their targets, [time][lanes]; -1 for a target after the end of a record */
    int64_t *places; /* of the targets in the text, [time][lanes] */
} textgen_batch;

typedef struct textgen_batches textgen_batches;

/* Bytes of the memory of batches; 0 if there is no token to learn. */
uint64_t textgen_batches_size(const textgen_tokens *tokens, int64_t batch, int64_t sequence_length);
textgen_batches *textgen_batches_init(void *memory, const textgen_tokens *tokens, int64_t batch,
                                      int64_t sequence_length);

void *textgen_batches_memory(textgen_batches *batches); /* as it was passed to textgen_batches_init */
int64_t textgen_batches_per_epoch(const textgen_batches *batches);
ptrdiff_t textgen_batches_lanes(const textgen_batches *batches); /* the most of a batch */
ptrdiff_t textgen_batches_rows(const textgen_batches *batches);  /* the most time steps times lanes */

/* Return a batch of an epoch, both counted from 0. It is valid until the next call. */
const textgen_batch *textgen_batches_get(textgen_batches *batches, uint64_t seed, int64_t epoch, int64_t index);

#endif
