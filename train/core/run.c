#include "tasks.h"

#include "core.h"
#include "exp.h"
#include "seeds.h"

#include <math.h>
#include <string.h>

static const char magic[8] = {'t', 'e', 'x', 't', 'g', 'e', 'n', 2};

/* The learning rates are for so many units. Larger layers need lower rates. */
#define REFERENCE_UNITS 128.0

/* Numbers that are computed from the step of a run fit into 64 bits. */
#define MAX_STEP ((int64_t)1 << 48)

/* The warm-up takes at most this share of the budget. */
#define MAX_WARMUP 0.1

/* Gradients are added in tasks of so many numbers. */
enum { SUM_NUMBERS = 1 << 14 };

textgen_options textgen_default_options(void) {
#define TEXTGEN_OPTION(name, type, value, least, most, text) .name = value,
    const textgen_options options = {
#include "textgen_options.def"
    };
#undef TEXTGEN_OPTION
    return options;
}

int32_t textgen_check_options(const textgen_options *options, textgen_error *error) {
#define TEXTGEN_OPTION(name, type, value, least, most, text)                                                   \
    if (!((double)options->name >= (least) && (double)options->name <= (most))) {                              \
        return textgen_report_at(error, TEXTGEN_INVALID_ARGUMENT, #name, -1, "must be in [%g, %g]",            \
                                 (double)(least), (double)(most));                                             \
    }
#include "textgen_options.def"
#undef TEXTGEN_OPTION
    return 0;
}

textgen_network_shape textgen_run_shape(const textgen_run *run) {
    const textgen_options *options = &run->options;
    const textgen_network_shape shape = {(ptrdiff_t)run->vocabulary, (ptrdiff_t)options->embedding,
                                         (ptrdiff_t)options->units, (ptrdiff_t)options->layers,
                                         options->residual != 0};
    return shape;
}

static textgen_run_arrays find_arrays(const textgen_run *run, char *start) {
    const textgen_network_shape shape = textgen_run_shape(run);
    const uint64_t weights = sizeof(float) * (uint64_t)textgen_weight_count(&shape);
    uint64_t used = 0;
    textgen_run_arrays arrays;
    textgen_part(start, &used, sizeof *run);
    arrays.weights = textgen_part(start, &used, weights);
    arrays.first = textgen_part(start, &used, weights);
    arrays.second = textgen_part(start, &used, weights);
    arrays.state = textgen_part(start, &used,
                                sizeof(float) * 2 * (uint64_t)(shape.layers * textgen_state_stride(&shape)) *
                                    (uint64_t)run->lanes);
    arrays.size = used;
    return arrays;
}

static textgen_run describe(const textgen_options *options, int64_t vocabulary, int64_t lanes, uint64_t seed) {
    textgen_run run = {.options = *options, .vocabulary = vocabulary, .lanes = lanes, .seed = seed};
    memcpy(run.magic, magic, sizeof magic);
    run.parts = options->parts < lanes ? options->parts : lanes;
    run.size = find_arrays(&run, NULL).size;
    return run;
}

uint64_t textgen_run_size(const textgen_options *options, int64_t vocabulary, int64_t lanes) {
    return describe(options, vocabulary, lanes, 0).size;
}

bool textgen_run_has_room(const textgen_options *options, int64_t vocabulary) {
    const double units = (double)(options->units + TEXTGEN_LEARN_PAD), layers = (double)options->layers;
    const double inputs = (double)options->embedding + units;
    const double symbols = (double)(vocabulary + TEXTGEN_LEARN_PAD);
    const double weights = symbols * (inputs + units) + 4.0 * layers * units * (inputs + units);
    const double rows = (double)(options->batch + 1) * (double)(options->sequence_length + 1);
    return sizeof(float) * 8.0 * (weights + rows * (inputs + 8.0 * layers * units)) < (double)PTRDIFF_MAX;
}

int32_t textgen_run_check(const void *data, size_t size, textgen_error *error) {
    const textgen_run *run = data;
    if (size < sizeof *run || memcmp(run->magic, magic, sizeof magic) != 0) {
        return textgen_report(error, TEXTGEN_DAMAGED_SAVED, "no saved run of this version");
    }
    if (textgen_check_options(&run->options, NULL) || run->vocabulary < 1 || run->vocabulary > INT32_MAX ||
        !textgen_run_has_room(&run->options, run->vocabulary) || run->lanes < 1 ||
        run->lanes > run->options.batch * run->options.sequence_length || run->step < 0 ||
        run->step > MAX_STEP || run->epoch < 0 || run->epoch > MAX_STEP || run->batch < 0 ||
        !(run->progress >= 0.0 && run->progress <= 1.0) ||
        run->parts != describe(&run->options, run->vocabulary, run->lanes, 0).parts) {
        return textgen_report(error, TEXTGEN_DAMAGED_SAVED, "the saved run is damaged");
    }
    if (run->size != size || describe(&run->options, run->vocabulary, run->lanes, 0).size != size) {
        return textgen_report(error, TEXTGEN_DAMAGED_SAVED, "the saved run is damaged: it has %llu bytes",
                              (unsigned long long)size);
    }
    const float *numbers = find_arrays(run, (char *)(uintptr_t)data).weights;
    for (const float *end = (const float *)((const char *)data + size); numbers < end; numbers++) {
        if (!(*numbers - *numbers == 0.0f)) {
            return textgen_report_at(error, TEXTGEN_DAMAGED_SAVED, NULL,
                                     (int64_t)((const char *)numbers - (const char *)data),
                                     "the saved run is damaged");
        }
    }
    return 0;
}

int32_t textgen_run_check_text(const textgen_run *run, const textgen_batches *batches, int64_t vocabulary,
                               textgen_error *error) {
    return run->vocabulary == vocabulary && run->lanes == textgen_batches_lanes(batches) &&
                   run->batch < textgen_batches_per_epoch(batches)
               ? TEXTGEN_OK
               : textgen_report(error, TEXTGEN_OTHER_SAVED, "the saved run is of another text");
}

float *textgen_run_weights(const textgen_run *run) { return find_arrays(run, (char *)(uintptr_t)run).weights; }

/* Return a number of the standard normal distribution: G. Marsaglia and T. Bray, A convenient method for
 * generating normal variables, 1964. */
static float draw_normal(textgen_rng *rng) {
    for (;;) {
        const double x = 2.0 * textgen_rng_uniform(rng) - 1.0, y = 2.0 * textgen_rng_uniform(rng) - 1.0;
        const double square = x * x + y * y;
        if (square > 0.0 && square < 1.0) {
            return (float)(x * sqrt(-2.0 * textgen_log64(square) / square));
        }
    }
}

/* Fill a matrix with the values of torch's layers. `columns` of each of the `blocks` in a row are not padding.
 */
static void draw_matrix(textgen_rng *rng, const textgen_matrix *matrix, float *values, ptrdiff_t blocks,
                        ptrdiff_t columns, double bound) {
    const ptrdiff_t width = matrix->columns / blocks;
    for (ptrdiff_t i = 0; i < matrix->rows * blocks; i++) {
        for (ptrdiff_t k = 0; k < columns; k++) {
            float *value = &values[i * width + k];
            *value = bound > 0.0 ? (float)((2.0 * textgen_rng_uniform(rng) - 1.0) * bound) : draw_normal(rng);
            if (matrix->kind == TEXTGEN_LAYER_BIAS) { /* the sum of torch's two */
                *value += (float)((2.0 * textgen_rng_uniform(rng) - 1.0) * bound);
            }
        }
    }
}

/* The output biases are the logarithms of the frequencies, with a half more of each token, because the text may
 * not contain all of them. With a vocabulary of thousands, learning them would take most of the first epochs.
 */
static void set_frequencies(float *bias, int64_t vocabulary, const textgen_tokens *tokens) {
    const double total = (double)tokens->count + 0.5 * (double)vocabulary;
    for (int64_t i = 0; i < tokens->count; i++) {
        bias[textgen_token_at(tokens, i)] += 1.0f;
    }
    for (int64_t i = 0; i < vocabulary; i++) {
        bias[i] = (float)textgen_log64(((double)bias[i] + 0.5) / total);
    }
}

textgen_run *textgen_run_init(void *memory, const textgen_options *options, int64_t vocabulary, int64_t lanes,
                              uint64_t seed, const textgen_tokens *tokens) {
    textgen_run *run = memory;
    const textgen_run described = describe(options, vocabulary, lanes, seed);
    memset(memory, 0, (size_t)described.size);
    *run = described;
    const textgen_network_shape shape = textgen_run_shape(run);
    const double bound = 1.0 / sqrt((double)shape.units);
    float *weights = textgen_run_weights(run);
    textgen_rng rng = textgen_seeded(seed, TEXTGEN_SEED_WEIGHTS, 0);
    for (ptrdiff_t i = 0; i < textgen_matrix_count(&shape); i++) {
        const textgen_matrix matrix = textgen_matrix_at(&shape, i);
        float *values = weights + matrix.offset;
        if (matrix.kind == TEXTGEN_OUTPUT_BIAS) {
            set_frequencies(values, vocabulary, tokens);
        } else if (matrix.kind == TEXTGEN_TOKENS) {
            draw_matrix(&rng, &matrix, values, 1, shape.embedding, 0.0);
        } else if (matrix.kind == TEXTGEN_OUTPUT_WEIGHTS) {
            draw_matrix(&rng, &matrix, values, 1, shape.vocabulary, bound);
        } else {
            draw_matrix(&rng, &matrix, values, 4, shape.units, bound);
        }
    }
    return run;
}

/* Return cos(pi x) for x in [0, 1]: a Taylor polynomial around 1/2, with an error below 1e-10. */
static double cosine(double x) {
    const double y = 3.14159265358979323846 * (x - 0.5), square = y * y;
    double term = y, sum = y;
    for (int i = 2; i < 16; i += 2) {
        term *= -square / (i * (i + 1));
        sum += term;
    }
    return -sum;
}

double textgen_rate_factor(const textgen_options *options, size_t step, double progress) {
    const double share = progress / MAX_WARMUP, steps = (double)step + 1.0;
    double warmup = options->warmup ? steps / (double)options->warmup : 1.0;
    warmup = warmup > share ? warmup : share;
    return sqrt(REFERENCE_UNITS / (double)options->units) * (warmup < 1.0 ? warmup : 1.0) * 0.5 *
           (1.0 + cosine(progress));
}

static int64_t count_sums(const textgen_matrix *matrix) {
    return (matrix->rows * matrix->columns + SUM_NUMBERS - 1) / SUM_NUMBERS;
}

static uint64_t lay_out_update(textgen_update *update, const textgen_run *run, char *start) {
    uint64_t used = 0;
    update->shape = textgen_run_shape(run);
    update->sum_count = 0;
    for (ptrdiff_t i = 0; i < textgen_matrix_count(&update->shape); i++) {
        const textgen_matrix matrix = textgen_matrix_at(&update->shape, i);
        update->sum_count += count_sums(&matrix);
    }
    textgen_part(start, &used, sizeof *update);
    update->losses = textgen_part(start, &used, sizeof(double) * (uint64_t)run->parts);
    update->squares = textgen_part(start, &used, sizeof(double) * (uint64_t)update->sum_count);
    update->gradients = textgen_part(
        start, &used, sizeof(float) * (uint64_t)(run->parts * textgen_weight_count(&update->shape)));
    return used;
}

uint64_t textgen_update_size(const textgen_run *run) {
    textgen_update update;
    return lay_out_update(&update, run, NULL) + TEXTGEN_PART_ALIGNMENT;
}

textgen_update *textgen_update_init(void *memory, textgen_run *run, textgen_batches *batches,
                                    const textgen_learn_kernels *kernels) {
    textgen_update *update = (textgen_update *)(void *)textgen_align(memory);
    memset(update, 0, sizeof *update);
    lay_out_update(update, run, (char *)update);
    update->run = run;
    update->batches = batches;
    update->kernels = kernels;
    update->arrays = find_arrays(run, (char *)run);
    return update;
}

static int64_t most_per_part(const textgen_run *run, int64_t count) {
    return (count + run->parts - 1) / run->parts;
}

static uint64_t lay_out_task(textgen_task_memory *memory, const textgen_run *run,
                             const textgen_batches *batches, char *start) {
    const textgen_network_shape shape = textgen_run_shape(run);
    const ptrdiff_t lanes = (ptrdiff_t)most_per_part(run, run->lanes);
    /* The lanes of a batch may not divide by the parts. */
    const ptrdiff_t rows =
        (ptrdiff_t)(most_per_part(run, textgen_batches_rows(batches)) + run->options.sequence_length);
    uint64_t used = 0;
    textgen_part(start, &used, sizeof *memory);
    memory->lanes = lanes;
    memory->rows = rows;
    memory->tokens = textgen_part(start, &used, sizeof(int32_t) * (uint64_t)rows);
    memory->targets = textgen_part(start, &used, sizeof(int32_t) * (uint64_t)rows);
    memory->losses = textgen_part(start, &used, sizeof(float) * (uint64_t)rows);
    memory->state = textgen_part(
        start, &used, sizeof(float) * 2 * (uint64_t)(lanes * shape.layers * textgen_state_stride(&shape)));
    memory->optimizer = textgen_part(start, &used, textgen_optimizer_size(&shape));
    memory->learner = textgen_part(start, &used, textgen_learner_size(&shape, rows, lanes));
    return used;
}

uint64_t textgen_task_size(const textgen_run *run, const textgen_batches *batches) {
    textgen_task_memory memory;
    return lay_out_task(&memory, run, batches, NULL) + TEXTGEN_PART_ALIGNMENT;
}

/* Return the memory of a thread. */
static textgen_task_memory *find_memory(const textgen_update *update, void *start) {
    textgen_task_memory *memory = (textgen_task_memory *)(void *)textgen_align(start);
    if (!memory->learner) {
        lay_out_task(memory, update->run, update->batches, (char *)memory);
        memory->learner =
            textgen_learner_init(memory->learner, &update->shape, update->kernels, memory->rows, memory->lanes);
        memory->loaded = -1;
    }
    return memory;
}

const textgen_task_memory *textgen_task_ready(const textgen_update *update, void *start, bool is_training) {
    textgen_task_memory *memory = find_memory(update, start);
    const textgen_options *options = &update->run->options;
    const textgen_regularization regularization = {
        (float)options->dropout, (float)options->input_dropout, (float)options->weight_dropout,
        (float)options->activation_penalty, (float)options->confidence_penalty};
    if (memory->loaded != update->version || memory->is_training != is_training) {
        textgen_learner_load(memory->learner, update->arrays.weights, is_training ? &regularization : NULL);
        memory->loaded = update->version;
        memory->is_training = is_training;
    }
    return memory;
}

void textgen_update_begin(textgen_update *update, double progress) {
    textgen_run *run = update->run;
    const textgen_options *options = &run->options;
    const double factor = textgen_rate_factor(options, (size_t)run->step, progress);
    update->batch = textgen_batches_get(update->batches, run->seed, run->epoch, run->batch);
    update->step = (textgen_step){(float)(options->muon_lr * factor),
                                  (float)options->muon_weight_decay,
                                  (float)(options->learning_rate * factor),
                                  (float)options->weight_decay,
                                  0.0f,
                                  run->step};
    run->progress = progress;
    if (update->batch->is_start) {
        memset(update->arrays.state, 0, (size_t)((char *)run + run->size - (char *)update->arrays.state));
    }
}

int64_t textgen_update_tasks(const textgen_update *update, textgen_phase phase) {
    return phase == TEXTGEN_GRADIENTS ? update->run->parts
           : phase == TEXTGEN_SUMS    ? update->sum_count
                                      : textgen_matrix_count(&update->shape);
}

static void run_part(textgen_update *update, int64_t part, void *start) {
    textgen_run *run = update->run;
    const textgen_batch *batch = update->batch;
    const int64_t first = batch->lanes * part / run->parts, stop = batch->lanes * (part + 1) / run->parts;
    const ptrdiff_t weights = textgen_weight_count(&update->shape);
    float *gradient = update->gradients + part * weights;
    if (first == stop) {
        memset(gradient, 0, sizeof(float) * (size_t)weights);
        update->losses[part] = 0.0;
        return;
    }
    const textgen_task_memory *memory = textgen_task_ready(update, start, true);
    textgen_rng rng = textgen_seeded(run->seed, TEXTGEN_SEED_DROPS, run->step * run->parts + part);
    const textgen_batch_part lanes = {.time = batch->time,
                                      .lanes = (ptrdiff_t)(stop - first),
                                      .tokens = batch->inputs + first,
                                      .targets = batch->next + first,
                                      .stride = batch->lanes,
                                      .state = update->arrays.state + first * 2 * update->shape.layers *
                                                                          textgen_state_stride(&update->shape),
                                      .scale = (float)(1.0 / batch->divisor),
                                      .teacher = update->teacher.shares ? &update->teacher : NULL,
                                      .places = batch->places + first,
                                      .key = textgen_rng_next(&rng)};
    update->losses[part] = textgen_learner_gradient(memory->learner, update->arrays.weights, &lanes, gradient);
}

static void run_sum(textgen_update *update, int64_t task) {
    const ptrdiff_t weights = textgen_weight_count(&update->shape);
    textgen_matrix matrix = textgen_matrix_at(&update->shape, 0);
    int64_t chunk = task;
    for (ptrdiff_t i = 1; chunk >= count_sums(&matrix); i++) {
        chunk -= count_sums(&matrix);
        matrix = textgen_matrix_at(&update->shape, i);
    }
    const ptrdiff_t start = (ptrdiff_t)(chunk * SUM_NUMBERS), left = matrix.rows * matrix.columns - start;
    const ptrdiff_t count = left < SUM_NUMBERS ? left : SUM_NUMBERS;
    float *sum = update->gradients + matrix.offset + start;
    for (int64_t part = 1; part < update->run->parts; part++) {
        update->kernels->add(sum, sum + part * weights, count);
    }
    update->squares[task] = textgen_matrix_copies(&matrix) * update->kernels->squares(sum, count);
}

void textgen_update_teach(textgen_update *update, const textgen_teacher *teacher) {
    update->teacher = *teacher;
}

void textgen_update_changed(textgen_update *update) { update->version++; }

const float *textgen_update_gradient(const textgen_update *update) { return update->gradients; }

/* What the gradient is multiplied by, so that its norm is at most grad_clip; NaN or 0 if it is not finite. */
static double clip_of(const textgen_update *update) {
    double squares = 0.0;
    for (int64_t i = 0; i < update->sum_count; i++) {
        squares += update->squares[i];
    }
    const double factor = update->run->options.grad_clip / (sqrt(squares) + 1e-6);
    return factor < 1.0 ? factor : squares >= 0.0 ? 1.0 : squares;
}

void textgen_update_task(textgen_update *update, textgen_phase phase, int64_t task, void *memory) {
    if (phase == TEXTGEN_GRADIENTS) {
        run_part(update, task, memory);
        return;
    }
    if (phase == TEXTGEN_SUMS) {
        run_sum(update, task);
        return;
    }
    const textgen_matrix matrix = textgen_matrix_at(&update->shape, (ptrdiff_t)task);
    textgen_step step = update->step;
    step.clip = (float)clip_of(update);
    if (step.clip > 0.0f) {
        textgen_optimize(&update->shape, update->kernels, &matrix, &step, update->arrays.weights,
                         update->gradients, update->arrays.first, update->arrays.second,
                         find_memory(update, memory)->optimizer);
    }
}

static void advance(textgen_update *update) {
    textgen_run *run = update->run;
    run->step++;
    update->version++;
    if (++run->batch == textgen_batches_per_epoch(update->batches)) {
        run->batch = 0;
        run->epoch++;
    }
}

double textgen_update_end(textgen_update *update) {
    double loss = 0.0;
    for (int64_t i = 0; i < update->run->parts; i++) {
        loss += update->losses[i];
    }
    advance(update);
    return clip_of(update) > 0.0 ? loss / update->batch->targets : (double)NAN;
}

/* The arrays of a part of the present batch, and how many bytes each has. */
enum { PART_ARRAYS = 3 };
static void find_part(const textgen_update *update, int64_t part, void *arrays[PART_ARRAYS],
                      size_t sizes[PART_ARRAYS]) {
    const int64_t lanes = update->batch->lanes, parts = update->run->parts;
    const int64_t first = lanes * part / parts, stop = lanes * (part + 1) / parts;
    const ptrdiff_t weights = textgen_weight_count(&update->shape);
    const int64_t state = 2 * update->shape.layers * textgen_state_stride(&update->shape);
    arrays[0] = update->losses + part;
    sizes[0] = sizeof(double);
    arrays[1] = update->gradients + part * weights;
    sizes[1] = sizeof(float) * (size_t)weights;
    arrays[2] = update->arrays.state + first * state;
    sizes[2] = sizeof(float) * (size_t)((stop - first) * state);
}

uint64_t textgen_part_size(const textgen_update *update) {
    const int64_t lanes = most_per_part(update->run, update->run->lanes);
    const int64_t state = 2 * update->shape.layers * textgen_state_stride(&update->shape);
    return sizeof(double) + sizeof(float) * (uint64_t)(textgen_weight_count(&update->shape) + lanes * state);
}

void textgen_update_write_part(const textgen_update *update, int64_t part, void *content) {
    void *arrays[PART_ARRAYS];
    size_t sizes[PART_ARRAYS];
    find_part(update, part, arrays, sizes);
    for (int i = 0; i < PART_ARRAYS; i++) {
        memcpy(content, arrays[i], sizes[i]);
        content = (char *)content + sizes[i];
    }
}

void textgen_update_read_part(textgen_update *update, int64_t part, const void *content) {
    void *arrays[PART_ARRAYS];
    size_t sizes[PART_ARRAYS];
    find_part(update, part, arrays, sizes);
    for (int i = 0; i < PART_ARRAYS; i++) {
        memcpy(arrays[i], content, sizes[i]);
        content = (const char *)content + sizes[i];
    }
}

void textgen_update_follow(textgen_update *update, const float *weights) {
    memcpy(update->arrays.weights, weights, sizeof(float) * (size_t)textgen_weight_count(&update->shape));
    advance(update);
}
