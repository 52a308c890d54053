/* What is behind an update, and the memory of the threads that run its tasks. */
#ifndef TEXTGEN_TASKS_H
#define TEXTGEN_TASKS_H

#include "optimizer.h"
#include "run.h"

/* The arrays of a block. */
typedef struct {
    float *weights, *first, *second; /* [weights] */
    float *state;                    /* for each part [layers][hidden, cell][lanes of the part][stride] */
    uint64_t size;
} textgen_run_arrays;

struct textgen_update {
    textgen_run *run;
    textgen_batches *batches;
    textgen_network_shape shape;
    const textgen_learn_kernels *kernels;
    textgen_run_arrays arrays;
    const textgen_batch *batch;
    textgen_teacher teacher; /* without shares, there is none */
    textgen_step step;
    int64_t version; /* of the weights: each change of them counts */
    int64_t sum_count;
    float *gradients; /* [parts][weights]; the sum replaces the first one */
    double *losses;   /* [parts] */
    double *squares;  /* [sum_count] */
};

/* The memory of a thread. */
typedef struct {
    textgen_learner *learner; /* NULL before the first task */
    ptrdiff_t rows, lanes;    /* the most that the learner runs at once */
    int64_t loaded;           /* the version of the weights that the learner has */
    bool is_training;
    int32_t *tokens, *targets; /* of a text that is scored, [rows] */
    float *losses;
    float *state; /* of the lanes of a text that is scored */
    void *optimizer;
} textgen_task_memory;

/* Return the memory of a thread with the weights of this step: see textgen_learner_load. */
const textgen_task_memory *textgen_task_ready(const textgen_update *update, void *start, bool is_training);

#endif
