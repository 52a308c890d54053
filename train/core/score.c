#include "score.h"

#include "core.h"
#include "tasks.h"

#include <string.h>

/* The largest number of lanes of a continuous text. More are not faster. */
enum { MAX_LANES = 32 };

/* The shortest lane, so that the tokens before lanes take at most a fifth of the time; and how many of these
 * lead to the first state of a lane. In trained networks, 128 are enough, apart from rounding errors. */
enum { MIN_LANE = 1024, LANE_CONTEXT = 256 };

/* A lane runs again if a value of its first state was farther from that in which the lane before it ended. With
 * products of bfloat16 numbers, rounding alone makes a larger difference, which does not matter to the loss. */
#define MAX_STATE_DIFFERENCE 1e-3f
#define MAX_BFLOAT16_DIFFERENCE 0.05f

struct textgen_score {
    const textgen_update *update;
    textgen_tokens tokens;
    int32_t before;
    int64_t count;         /* of lanes */
    int64_t per_task;      /* lanes */
    int64_t state_size;    /* numbers of the state of a lane, [layers][hidden, cell][stride] */
    textgen_record *lanes; /* [count]: where each is, and how many targets it has */
    double *sums;          /* of the losses of each lane */
    float *begins, *ends;  /* of a continuous text, the states before and after each lane */
};

static uint64_t lay_out_score(textgen_score *score, char *start) {
    const uint64_t count = (uint64_t)score->count;
    const uint64_t state = score->tokens.end < 0 ? sizeof(float) * (uint64_t)score->state_size * count : 0;
    uint64_t used = 0;
    textgen_part(start, &used, sizeof *score);
    score->lanes = textgen_part(start, &used, sizeof *score->lanes * count);
    score->sums = textgen_part(start, &used, sizeof *score->sums * count);
    score->begins = textgen_part(start, &used, state);
    score->ends = textgen_part(start, &used, state);
    /* Of records, working memory to sort them. */
    textgen_part(start, &used, score->tokens.end < 0 ? 0 : sizeof *score->lanes * count);
    return used;
}

static textgen_score describe_score(const textgen_update *update, const textgen_tokens *tokens,
                                    int32_t before) {
    textgen_score score = {.update = update, .tokens = *tokens, .before = before};
    score.state_size = 2 * update->shape.layers * textgen_state_stride(&update->shape);
    if (tokens->end >= 0) {
        score.before = tokens->begin;
        score.count = textgen_count_records(tokens);
    } else {
        const int64_t most = (tokens->count + MIN_LANE - 1) / MIN_LANE;
        const int64_t length = most ? (tokens->count + (most < MAX_LANES ? most : MAX_LANES) - 1) /
                                          (most < MAX_LANES ? most : MAX_LANES)
                                    : 1;
        score.count = (tokens->count + length - 1) / length;
    }
    return score;
}

uint64_t textgen_score_size(const textgen_update *update, const textgen_tokens *tokens) {
    textgen_score score = describe_score(update, tokens, 0);
    return score.count ? lay_out_score(&score, NULL) + TEXTGEN_PART_ALIGNMENT : 0;
}

textgen_score *textgen_score_init(void *memory, const textgen_update *update, const textgen_tokens *tokens,
                                  int32_t before) {
    textgen_score *score = (textgen_score *)(void *)textgen_align(memory);
    *score = describe_score(update, tokens, before);
    const uint64_t size = lay_out_score(score, (char *)score);
    const int64_t lanes = (update->run->lanes + update->run->parts - 1) / update->run->parts;
    score->per_task = lanes < MAX_LANES ? lanes : MAX_LANES;
    if (tokens->end >= 0) {
        textgen_record *other = (textgen_record *)(void *)((char *)score + size) - score->count;
        textgen_sort_records(tokens, score->lanes, other);
    } else {
        const int64_t length = (tokens->count + score->count - 1) / score->count;
        for (int64_t i = 0; i < score->count; i++) {
            const int64_t start = i * length, left = tokens->count - start;
            score->lanes[i] = (textgen_record){start, left < length ? left : length};
        }
    }
    return score;
}

int64_t textgen_score_tasks(const textgen_score *score) {
    return (score->count + score->per_task - 1) / score->per_task;
}

/* Run some lanes over `time` targets each. A lane may have fewer. Add the losses
 * to `sums`, if it is not NULL. state: [layers][hidden, cell][lanes][stride]. */
static void run_lanes(const textgen_score *score, const textgen_record *lanes, ptrdiff_t count, int64_t time,
                      float *state, double *sums, const textgen_task_memory *memory) {
    const textgen_batch_part part = {
        .lanes = count, .tokens = memory->tokens, .targets = memory->targets, .stride = count, .state = state};
    const ptrdiff_t at_once = memory->rows / count;
    for (int64_t done = 0; done < time; done += at_once) {
        textgen_batch_part some = part;
        some.time = (ptrdiff_t)(time - done < at_once ? time - done : at_once);
        for (ptrdiff_t row = 0; row < some.time * count; row++) {
            const textgen_record *lane = &lanes[row % count];
            const int64_t step = done + row / count;
            const int64_t place = lane->start + step;
            const bool is_over = step >= lane->targets;
            const bool is_start = is_over || (score->tokens.end < 0 ? !place : !step);
            memory->tokens[row] = is_start ? score->before : textgen_token_at(&score->tokens, place - 1);
            memory->targets[row] = is_over ? -1 : textgen_token_at(&score->tokens, place);
        }
        textgen_learner_score(memory->learner, score->update->arrays.weights, &some, memory->losses);
        for (ptrdiff_t row = 0; sums && row < some.time * count; row++) {
            sums[row % count] += (double)memory->losses[row];
        }
    }
}

/* Copy the state of one lane, [layers][hidden, cell][stride], to or from that of all lanes. */
static void copy_lane(const textgen_score *score, float *state, ptrdiff_t lanes, ptrdiff_t lane, float *one,
                      bool is_to) {
    const ptrdiff_t stride = textgen_state_stride(&score->update->shape);
    for (ptrdiff_t i = 0; i < score->state_size / stride; i++) {
        float *there = state + (i * lanes + lane) * stride, *here = one + i * stride;
        memcpy(is_to ? here : there, is_to ? there : here, sizeof(float) * (size_t)stride);
    }
}

static int64_t longest_of(const textgen_record *lanes, ptrdiff_t count) {
    int64_t most = 0;
    for (ptrdiff_t i = 0; i < count; i++) {
        most = lanes[i].targets > most ? lanes[i].targets : most;
    }
    return most;
}

/* Find the state before each lane of a continuous text from the tokens before it. */
static void find_states(textgen_score *score, int64_t first, ptrdiff_t count,
                        const textgen_task_memory *memory) {
    textgen_record before[MAX_LANES] = {{0}};
    for (ptrdiff_t i = 0; i < count; i++) {
        const int64_t start = score->lanes[first + i].start;
        before[i] = (textgen_record){start ? start - LANE_CONTEXT : 0, LANE_CONTEXT};
    }
    run_lanes(score, before, count, first + count > 1 ? LANE_CONTEXT : 0, memory->state, NULL, memory);
    for (ptrdiff_t i = 0; i < count; i++) {
        float *begin = score->begins + (first + i) * score->state_size;
        if (first + i) {
            copy_lane(score, memory->state, count, i, begin, true);
        } else {
            memset(begin, 0, sizeof(float) * (size_t)score->state_size);
            copy_lane(score, memory->state, count, i, begin, false);
        }
    }
}

void textgen_score_task(textgen_score *score, int64_t task, void *start) {
    const textgen_task_memory *memory = textgen_task_ready(score->update, start, false);
    const int64_t first = task * score->per_task, left = score->count - first;
    const ptrdiff_t count = (ptrdiff_t)(left < score->per_task ? left : score->per_task);
    const textgen_record *lanes = score->lanes + first;
    const bool is_text = score->tokens.end < 0;
    memset(memory->state, 0, sizeof(float) * (size_t)(score->state_size * count));
    memset(score->sums + first, 0, sizeof(double) * (size_t)count);
    if (is_text) {
        find_states(score, first, count, memory);
    }
    run_lanes(score, lanes, count, longest_of(lanes, count), memory->state, score->sums + first, memory);
    for (ptrdiff_t i = 0; is_text && i < count; i++) {
        copy_lane(score, memory->state, count, i, score->ends + (first + i) * score->state_size, true);
    }
}

double textgen_score_end(textgen_score *score, void *start) {
    const textgen_task_memory *memory = textgen_task_ready(score->update, start, false);
    const bool is_bfloat16 = score->update->run->options.precision == TEXTGEN_BFLOAT16;
    const float most = is_bfloat16 ? MAX_BFLOAT16_DIFFERENCE : MAX_STATE_DIFFERENCE;
    double total = 0.0;
    for (int64_t i = 1; score->tokens.end < 0 && i < score->count; i++) {
        float *before = score->ends + (i - 1) * score->state_size;
        const float *began = score->begins + i * score->state_size;
        float difference = 0.0f;
        for (int64_t k = 0; k < score->state_size; k++) {
            const float apart = before[k] > began[k] ? before[k] - began[k] : began[k] - before[k];
            difference = apart > difference ? apart : difference;
        }
        if (difference > most) {
            memcpy(memory->state, before, sizeof(float) * (size_t)score->state_size);
            score->sums[i] = 0.0;
            run_lanes(score, &score->lanes[i], 1, score->lanes[i].targets, memory->state, &score->sums[i],
                      memory);
            memcpy(before + score->state_size, memory->state, sizeof(float) * (size_t)score->state_size);
        }
    }
    for (int64_t i = 0; i < score->count; i++) {
        total += score->sums[i];
    }
    return total;
}
