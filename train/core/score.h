/* The loss of a text in a network that is trained, without its regularization.
 *
 * Each token is predicted once, from all tokens before it. A continuous text is cut into lanes, which run at
 * the same time, each from the state that the tokens before it lead to. Tokens long before hardly matter to it;
 * where they do, the lane runs again from the state in which the lane before it ended. The result does not
 * depend on the number of threads. */
#ifndef TEXTGEN_SCORE_H
#define TEXTGEN_SCORE_H

#include "run.h"

typedef struct textgen_score textgen_score;

/* Bytes of memory; 0 for a text without tokens. */
uint64_t textgen_score_size(const textgen_update *update, const textgen_tokens *tokens);

/* Prepare to score a text. before: the token before it; of records, each begins with `begin`. */
textgen_score *textgen_score_init(void *memory, const textgen_update *update, const textgen_tokens *tokens,
                                  int32_t before);

/* The tasks run in any order and on any thread, with the memory of the tasks of an update. */
int64_t textgen_score_tasks(const textgen_score *score);
void textgen_score_task(textgen_score *score, int64_t task, void *memory);

/* Return the sum of the losses in nats, after all tasks. */
double textgen_score_end(textgen_score *score, void *memory);

#endif
