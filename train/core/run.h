/* A run of training: one block of memory without pointers. A copy of the block is a copy of the run, and a
 * saved run is the block.
 *
 * An update is three phases of tasks. The tasks of a phase can run in any order and on any thread; a phase
 * begins when all tasks of the one before are done. A fixed number of parts, each a fixed group of lanes, have
 * gradients of their own, which are added in a fixed order. The weights therefore do not depend on the number
 * of threads. */
#ifndef TEXTGEN_RUN_H
#define TEXTGEN_RUN_H

#include "batches.h"
#include "core.h"
#include "network.h"
#include "textgen_train.h"

/* Fail with TEXTGEN_INVALID_ARGUMENT, and the name of the option, if a value is out of its range. */
int32_t textgen_check_options(const textgen_options *options, textgen_error *error);

/* The fields of a block that hosts read. Weights, moments and the state of all lanes follow. */
typedef struct {
    char magic[8];
    uint64_t size; /* bytes of the block */
    textgen_options options;
    int64_t vocabulary, lanes, parts;
    uint64_t seed;
    int64_t step, epoch, batch; /* updates so far, and the place of the next batch */
    unsigned char text[32];     /* a hash of the text that is learned, which a host sets */
    double progress;            /* the share of the budget that was used before the last update */
} textgen_run;

/* Return the size of the block in bytes. lanes: textgen_batches_lanes. */
uint64_t textgen_run_size(const textgen_options *options, int64_t vocabulary, int64_t lanes);

/* Begin a run with random weights. The options and sizes must be valid. memory: of textgen_run_size bytes,
 * aligned to 64 bytes. tokens: their frequencies are the first output biases. */
textgen_run *textgen_run_init(void *memory, const textgen_options *options, int64_t vocabulary, int64_t lanes,
                              uint64_t seed, const textgen_tokens *tokens);

/* Whether the sizes of all arrays of a run fit into a ptrdiff_t, which has 32 bits on some processors. */
bool textgen_run_has_room(const textgen_options *options, int64_t vocabulary);

/* Check a block that was saved, which may be damaged or hostile: its sizes and options, and that all numbers
 * are finite. Fail with TEXTGEN_DAMAGED_SAVED. */
int32_t textgen_run_check(const void *data, size_t size, textgen_error *error);

/* Check that a block belongs to a text, whose batches were made with the options of the block. Fail with
 * TEXTGEN_OTHER_SAVED. */
int32_t textgen_run_check_text(const textgen_run *run, const textgen_batches *batches, int64_t vocabulary,
                               textgen_error *error);

textgen_network_shape textgen_run_shape(const textgen_run *run);
float *textgen_run_weights(const textgen_run *run);

/* The working memory of updates, which is not part of the run. */
typedef struct textgen_update textgen_update;
uint64_t textgen_update_size(const textgen_run *run);
textgen_update *textgen_update_init(void *memory, textgen_run *run, textgen_batches *batches,
                                    const textgen_learn_kernels *kernels);

/* Also learn from predictions for the training text, which must outlive the update. */
void textgen_update_teach(textgen_update *update, const textgen_teacher *teacher);

/* The weights of the run are others now. */
void textgen_update_changed(textgen_update *update);

/* Bytes of memory that each thread needs for tasks. It is zero before its first task, and no other thread uses
 * it. */
uint64_t textgen_task_size(const textgen_run *run, const textgen_batches *batches);

typedef enum {
    TEXTGEN_GRADIENTS, /* of each part */
    TEXTGEN_SUMS,      /* of all parts */
    TEXTGEN_STEPS,     /* of the optimizers, for each matrix */
    TEXTGEN_PHASES
} textgen_phase;

/* Begin an update with the next batch. progress: the share of the budget that is used, in [0, 1]. */
void textgen_update_begin(textgen_update *update, double progress);

int64_t textgen_update_tasks(const textgen_update *update, textgen_phase phase);
void textgen_update_task(textgen_update *update, textgen_phase phase, int64_t task, void *memory);

/* The gradient of the whole batch, [weights], after the sums. */
const float *textgen_update_gradient(const textgen_update *update);

/* Updates that share no memory make an update of the same run together: each computes some parts, one gets all
 * of them and ends the update, and the others take its weights. */
/* Return the bytes of a part: its loss, its gradient, and the states of its lanes. */
uint64_t textgen_part_size(const textgen_update *update);
void textgen_update_write_part(const textgen_update *update, int64_t part, void *content);
void textgen_update_read_part(textgen_update *update, int64_t part, const void *content);
void textgen_update_follow(textgen_update *update, const float *weights);

/* End an update. Return the mean loss of its targets before the update, in nats; NaN if the gradient was not
 * finite, in which case the weights did not change. */
double textgen_update_end(textgen_update *update);

#endif
