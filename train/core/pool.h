/* Threads that run the tasks of updates and scores. A host without threads runs them one after another. */
#ifndef TEXTGEN_POOL_H
#define TEXTGEN_POOL_H

#include "score.h"

typedef struct textgen_pool textgen_pool;

/* A task. memory: that of the thread. */
typedef void (*textgen_task)(void *context, int64_t task, void *memory);

/* Start threads, one less than `count`: the caller's thread is one of them. Each has memory of so many bytes,
 * those of textgen_task_size. Fewer run if the system refuses to start them, or if there is not enough memory.
 * Return NULL if there is none for the caller's thread. */
textgen_pool *textgen_pool_create(int count, uint64_t bytes);

/* Return how many threads run, with the caller's. */
int32_t textgen_pool_threads(const textgen_pool *pool);

/* Run tasks, 0 to count - 1, in any order. Return when all are done. count: below 2^32. */
void textgen_pool_run(textgen_pool *pool, int64_t count, textgen_task task, void *context);

/* Return the memory of the caller's thread, which has the lifetime of the pool. */
void *textgen_pool_memory(const textgen_pool *pool);

/* Run the tasks of a phase of an update. */
void textgen_pool_phase(textgen_pool *pool, textgen_update *update, textgen_phase phase);

/* Run the tasks of a score, and return the result of textgen_score_end. */
double textgen_pool_score(textgen_pool *pool, textgen_score *score);

/* Stop the threads. The pool may be NULL. */
void textgen_pool_destroy(textgen_pool *pool);

#endif
