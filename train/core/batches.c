#include "batches.h"

#include "core.h"
#include "rng.h"
#include "seeds.h"

#include <string.h>

/* Records are grouped with others up to this number of targets, then up to 1.5 times as many, and so on. */
enum { SHORTEST_LIMIT = 8 };

/* Records of similar length, the longest first: `first` to `first + count` of the sorted records. They are
 * divided into groups, each of which begins with one of the longest. */
typedef struct {
    int64_t first, count, groups;
} length_range;

/* With a factor of 1.5, more ranges do not fit into 63 bits. */
enum { MAX_RANGES = 120 };

/* A group of an epoch: places in `shuffled`, after its longest record. */
typedef struct {
    int64_t longest; /* number of a sorted record */
    int64_t first, others;
    int64_t batch; /* the number of its first batch in the epoch */
} record_group;

struct textgen_batches {
    void *memory; /* that the block is in */
    textgen_tokens tokens;
    int64_t sequence_length, per_epoch, lanes, rows;
    int64_t lane_length; /* of a continuous text */
    textgen_batch batch;
    /* Records: sorted, and drawn for an epoch. */
    int64_t record_count, group_count;
    int range_count;
    length_range ranges[MAX_RANGES];
    textgen_record *records;
    int64_t *shuffled;
    record_group *groups;
    uint64_t seed;
    int64_t epoch; /* that of the groups, or -1 */
};

int32_t textgen_token_at(const textgen_tokens *tokens, int64_t place) {
    return tokens->bytes == 1   ? ((const uint8_t *)tokens->data)[place]
           : tokens->bytes == 2 ? ((const uint16_t *)tokens->data)[place]
                                : ((const int32_t *)tokens->data)[place];
}

static int64_t ceil_divide(int64_t a, int64_t b) { return (a + b - 1) / b; }

int64_t textgen_count_records(const textgen_tokens *tokens) {
    int64_t count = 0;
    for (int64_t i = 0; tokens->end >= 0 && i < tokens->count; i++) {
        count += textgen_token_at(tokens, i) == tokens->end;
    }
    return count;
}

void textgen_sort_records(const textgen_tokens *tokens, textgen_record *records, textgen_record *other) {
    int64_t start = 0, count = 0;
    for (int64_t i = 0; i < tokens->count; i++) {
        if (textgen_token_at(tokens, i) == tokens->end) {
            records[count++] = (textgen_record){start, i + 1 - start};
            start = i + 1;
        }
    }
    for (int64_t width = 1; width < count; width *= 2) {
        for (start = 0; start < count; start += 2 * width) {
            const int64_t middle = start + width < count ? start + width : count;
            const int64_t stop = start + 2 * width < count ? start + 2 * width : count;
            int64_t a = start, b = middle;
            for (int64_t i = start; i < stop; i++) {
                const bool is_first = a < middle && (b == stop || records[a].targets >= records[b].targets);
                other[i] = is_first ? records[a++] : records[b++];
            }
        }
        memcpy(records, other, sizeof *records * (size_t)count);
    }
}

static int64_t group_batches(const textgen_batches *batches, int64_t longest) {
    return ceil_divide(batches->records[longest].targets, batches->sequence_length);
}

static void find_records(textgen_batches *batches, int64_t batch) {
    /* A group is larger than a record, and there are as many of them at most. No group is drawn yet. */
    textgen_sort_records(&batches->tokens, batches->records, (textgen_record *)(void *)batches->groups);
    int64_t stop = batches->record_count;
    for (double limit = SHORTEST_LIMIT; stop; limit *= 1.5) {
        int64_t first = stop;
        while (first && (double)batches->records[first - 1].targets <= limit) {
            first--;
        }
        if (first < stop) {
            const int64_t longest = batches->records[first].targets;
            const int64_t time = longest < batches->sequence_length ? longest : batches->sequence_length;
            int64_t lanes = (2 * batch * batches->sequence_length + time) / (2 * time);
            lanes = lanes < 1 ? 1 : lanes;
            length_range *range = &batches->ranges[batches->range_count++];
            *range = (length_range){first, stop - first, ceil_divide(stop - first, lanes)};
            lanes = ceil_divide(range->count, range->groups);
            batches->lanes = lanes > batches->lanes ? lanes : batches->lanes;
            batches->rows = lanes * time > batches->rows ? lanes * time : batches->rows;
            batches->group_count += range->groups;
            for (int64_t i = 0; i < range->groups; i++) {
                batches->per_epoch += group_batches(batches, first + i);
            }
        }
        stop = first;
    }
}

/* Where the parts of the memory are; the sizes if `start` is NULL. */
static uint64_t lay_out_batches(textgen_batches *batches, char *start, int64_t batch) {
    /* Of records, a batch has at most half more rows than one of a continuous text, or one record. */
    const uint64_t rows =
        2 * (uint64_t)batch * (uint64_t)batches->sequence_length + (uint64_t)batches->sequence_length;
    const uint64_t records = (uint64_t)batches->record_count;
    uint64_t used = 0;
    textgen_part(start, &used, sizeof *batches);
    batches->batch.inputs = textgen_part(start, &used, sizeof(int32_t) * rows);
    batches->batch.next = textgen_part(start, &used, sizeof(int32_t) * rows);
    batches->batch.places = textgen_part(start, &used, sizeof(int64_t) * rows);
    batches->records = textgen_part(start, &used, sizeof(textgen_record) * records);
    batches->shuffled = textgen_part(start, &used, sizeof(int64_t) * records);
    batches->groups = textgen_part(start, &used, sizeof(record_group) * records);
    return used;
}

uint64_t textgen_batches_size(const textgen_tokens *tokens, int64_t batch, int64_t sequence_length) {
    textgen_batches batches = {.sequence_length = sequence_length,
                               .record_count = textgen_count_records(tokens)};
    if (tokens->end >= 0 ? !batches.record_count : tokens->count < 2) {
        return 0;
    }
    return lay_out_batches(&batches, NULL, batch) + TEXTGEN_PART_ALIGNMENT;
}

textgen_batches *textgen_batches_init(void *memory, const textgen_tokens *tokens, int64_t batch,
                                      int64_t sequence_length) {
    textgen_batches *batches = (textgen_batches *)(void *)textgen_align(memory);
    memset(batches, 0, sizeof *batches);
    batches->memory = memory;
    batches->tokens = *tokens;
    batches->sequence_length = sequence_length;
    batches->record_count = textgen_count_records(tokens);
    batches->epoch = -1;
    lay_out_batches(batches, (char *)batches, batch);
    if (tokens->end >= 0) {
        find_records(batches, batch);
        batches->batch.divisor = (double)tokens->count / (double)batches->per_epoch;
    } else {
        const int64_t most = tokens->count / (sequence_length + 1);
        batches->lanes = most < 1 ? 1 : most < batch ? most : batch;
        batches->lane_length = tokens->count / batches->lanes;
        batches->per_epoch = ceil_divide(batches->lane_length - 1, sequence_length);
        batches->rows = batches->lanes * sequence_length;
        batches->batch.divisor =
            (double)(batches->lanes * (batches->lane_length - 1)) / (double)batches->per_epoch;
    }
    return batches;
}

void *textgen_batches_memory(textgen_batches *batches) { return batches->memory; }
int64_t textgen_batches_per_epoch(const textgen_batches *batches) { return batches->per_epoch; }
ptrdiff_t textgen_batches_lanes(const textgen_batches *batches) { return (ptrdiff_t)batches->lanes; }
ptrdiff_t textgen_batches_rows(const textgen_batches *batches) { return (ptrdiff_t)batches->rows; }

/* Return an integer in [0, count). The bias of a uniform number is far below what a run could notice. */
static int64_t draw_below(textgen_rng *rng, int64_t count) {
    return (int64_t)(textgen_rng_uniform(rng) * (double)count);
}

/* Draw the groups of an epoch: R. Durstenfeld, Algorithm 235: Random permutation, 1964. */
static void draw_groups(textgen_batches *batches, uint64_t seed, int64_t epoch) {
    textgen_rng rng = textgen_seeded(seed, TEXTGEN_SEED_BATCHES, epoch);
    record_group *group = batches->groups;
    int64_t *shuffled = batches->shuffled;
    for (int r = 0; r < batches->range_count; r++) {
        const length_range *range = &batches->ranges[r];
        const int64_t others = range->count - range->groups;
        for (int64_t i = 0; i < others; i++) {
            const int64_t place = draw_below(&rng, i + 1);
            shuffled[range->first + i] = shuffled[range->first + place];
            shuffled[range->first + place] = range->first + range->groups + i;
        }
        for (int64_t i = 0; i < range->groups; i++) {
            const int64_t first = others * i / range->groups, stop = others * (i + 1) / range->groups;
            *group++ = (record_group){range->first + i, range->first + first, stop - first, 0};
        }
    }
    for (int64_t i = batches->group_count - 1; i > 0; i--) {
        const int64_t place = draw_below(&rng, i + 1);
        const record_group moved = batches->groups[i];
        batches->groups[i] = batches->groups[place];
        batches->groups[place] = moved;
    }
    int64_t first = 0;
    for (int64_t i = 0; i < batches->group_count; i++) {
        batches->groups[i].batch = first;
        first += group_batches(batches, batches->groups[i].longest);
    }
    batches->seed = seed;
    batches->epoch = epoch;
}

/* The last group whose first batch is not after `index`. */
static const record_group *find_group(const textgen_batches *batches, int64_t index) {
    int64_t low = 0, high = batches->group_count;
    while (high - low > 1) {
        const int64_t middle = low + (high - low) / 2;
        if (batches->groups[middle].batch <= index) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return &batches->groups[low];
}

static void get_records(textgen_batches *batches, int64_t index) {
    textgen_batch *batch = &batches->batch;
    const record_group *group = find_group(batches, index);
    const int64_t begin = (index - group->batch) * batches->sequence_length;
    const int64_t left = batches->records[group->longest].targets - begin;
    batch->time = (ptrdiff_t)(left < batches->sequence_length ? left : batches->sequence_length);
    batch->lanes = (ptrdiff_t)(group->others + 1);
    batch->is_start = !begin;
    batch->targets = 0.0;
    for (ptrdiff_t lane = 0; lane < batch->lanes; lane++) {
        const textgen_record *record =
            &batches->records[lane ? batches->shuffled[group->first + lane - 1] : group->longest];
        for (ptrdiff_t time = 0; time < batch->time; time++) {
            const ptrdiff_t at = time * batch->lanes + lane;
            const int64_t step = begin + time, last = record->targets - 1;
            const bool is_target = step <= last;
            batch->places[at] = record->start + (is_target ? step : last);
            batch->next[at] = is_target ? textgen_token_at(&batches->tokens, batch->places[at]) : -1;
            batch->inputs[at] = !step       ? batches->tokens.begin
                                : is_target ? textgen_token_at(&batches->tokens, batch->places[at] - 1)
                                            : batches->tokens.end;
            batch->targets += is_target;
        }
    }
}

static void get_text(textgen_batches *batches, uint64_t seed, int64_t epoch, int64_t index) {
    textgen_batch *batch = &batches->batch;
    textgen_rng rng = textgen_seeded(seed, TEXTGEN_SEED_BATCHES, epoch);
    const int64_t count = batches->tokens.count, first = draw_below(&rng, count);
    const int64_t begin = index * batches->sequence_length, left = batches->lane_length - 1 - begin;
    batch->time = (ptrdiff_t)(left < batches->sequence_length ? left : batches->sequence_length);
    batch->lanes = (ptrdiff_t)batches->lanes;
    batch->is_start = !index;
    batch->targets = (double)(batch->time * batch->lanes);
    for (ptrdiff_t lane = 0; lane < batch->lanes; lane++) {
        const int64_t start = first + begin + lane * batches->lane_length;
        for (ptrdiff_t time = 0; time < batch->time; time++) {
            const ptrdiff_t at = time * batch->lanes + lane;
            batch->inputs[at] = textgen_token_at(&batches->tokens, (start + time) % count);
            batch->places[at] = (start + time + 1) % count;
            batch->next[at] = textgen_token_at(&batches->tokens, batch->places[at]);
        }
    }
}

const textgen_batch *textgen_batches_get(textgen_batches *batches, uint64_t seed, int64_t epoch,
                                         int64_t index) {
    if (batches->tokens.end < 0) {
        get_text(batches, seed, epoch, index);
        return &batches->batch;
    }
    if (epoch != batches->epoch || seed != batches->seed) {
        draw_groups(batches, seed, epoch);
    }
    get_records(batches, index);
    return &batches->batch;
}
