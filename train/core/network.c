#include "network.h"

#include "core.h"
#include "exp.h"

#include <string.h>

/* Rows of logits are computed so that about so many numbers are in memory at once. */
enum { LOGITS_AT_ONCE = 1 << 16, MIN_LOGIT_ROWS = 16 };

/* All products with the gradient of so many rows of gates follow each other, so that it stays in the cache. */
enum { ROWS_AT_ONCE = 256 };

static ptrdiff_t pad(ptrdiff_t count, ptrdiff_t multiple) {
    return (count + multiple - 1) / multiple * multiple;
}

static ptrdiff_t gate_units_of(const textgen_network_shape *shape) {
    return pad(shape->units, TEXTGEN_GATE_PAD);
}

ptrdiff_t textgen_state_stride(const textgen_network_shape *shape) {
    return pad(shape->units, TEXTGEN_LEARN_PAD);
}

ptrdiff_t textgen_matrix_count(const textgen_network_shape *shape) { return 3 + 3 * shape->layers; }

textgen_matrix textgen_matrix_at(const textgen_network_shape *shape, ptrdiff_t index) {
    const ptrdiff_t gates = 4 * gate_units_of(shape), vocabulary = pad(shape->vocabulary, TEXTGEN_LEARN_PAD);
    const ptrdiff_t embedding = pad(shape->embedding, TEXTGEN_LEARN_PAD);
    textgen_matrix matrix = {TEXTGEN_TOKENS, 0, shape->vocabulary, embedding, 0};
    for (ptrdiff_t i = 0; i < index; i++) {
        matrix.offset += matrix.rows * matrix.columns;
        if (i < 3 * shape->layers) {
            const textgen_matrix_kind kinds[] = {TEXTGEN_INPUT_WEIGHTS, TEXTGEN_RECURRENT_WEIGHTS,
                                                 TEXTGEN_LAYER_BIAS};
            matrix.kind = kinds[i % 3];
            matrix.layer = i / 3;
            matrix.rows = i % 3 == 2 ? 1 : i ? shape->units : shape->embedding;
            matrix.columns = gates;
        } else {
            const bool is_bias = i > 3 * shape->layers;
            matrix.kind = is_bias ? TEXTGEN_OUTPUT_BIAS : TEXTGEN_OUTPUT_WEIGHTS;
            matrix.layer = 0;
            matrix.rows = is_bias ? 1 : shape->units;
            matrix.columns = vocabulary;
        }
    }
    return matrix;
}

textgen_matrix textgen_find_matrix(const textgen_network_shape *shape, textgen_matrix_kind kind,
                                   ptrdiff_t layer) {
    const ptrdiff_t output = 1 + 3 * shape->layers;
    const ptrdiff_t first = kind == TEXTGEN_TOKENS           ? 0
                            : kind == TEXTGEN_OUTPUT_WEIGHTS ? output
                            : kind == TEXTGEN_OUTPUT_BIAS    ? output + 1
                                                             : 3 * layer + (ptrdiff_t)kind;
    return textgen_matrix_at(shape, first);
}

ptrdiff_t textgen_weight_count(const textgen_network_shape *shape) {
    const textgen_matrix last = textgen_matrix_at(shape, textgen_matrix_count(shape) - 1);
    return last.offset + last.columns;
}

/* What is random in an update: each has masks of its own. */
enum { DROP_INPUTS, DROP_OUTPUTS, DROP_WEIGHTS };

struct textgen_learner {
    textgen_network_shape shape;
    const textgen_learn_kernels *kernels;
    textgen_regularization regularization;
    ptrdiff_t stride, gates, inputs, logits; /* padded numbers of a row */
    ptrdiff_t logit_rows;
    float *packed_output, *packed_output_back;
    float *masked;                        /* recurrent weights of a layer after DropConnect */
    float *embedded;                      /* inputs of the first layer, [rows][inputs] */
    float *logits_of, *d_logits;          /* [logit_rows][logits] */
    float *d_outputs, *d_hidden, *d_cell; /* [rows][stride], the same, [lanes][stride] */
    float *scratch;
    struct learner_layer {
        ptrdiff_t inputs, input_stride;
        float *input_weights, *input_weights_back, *recurrent_weights, *recurrent_weights_back; /* packed */
        float *gates;         /* [rows][gates] */
        float *hidden, *cell; /* [rows + lanes][stride]: before the first step, and after each */
        float *tanh_cell;     /* [rows][stride] */
        float *outputs;       /* of the layer, after dropout and with its residual connection, [rows][stride] */
    } layers[];
};

/* Lay out the memory of a learner. Return its bytes. learner: NULL to count them only. */
static uint64_t lay_out(const textgen_network_shape *shape, ptrdiff_t rows, ptrdiff_t lanes,
                        textgen_learner *learner) {
    const ptrdiff_t stride = textgen_state_stride(shape), gates = 4 * gate_units_of(shape);
    const ptrdiff_t logits = pad(shape->vocabulary, TEXTGEN_LEARN_PAD);
    const ptrdiff_t inputs = pad(shape->embedding, TEXTGEN_LEARN_PAD);
    ptrdiff_t logit_rows = LOGITS_AT_ONCE / logits;
    logit_rows = logit_rows < MIN_LOGIT_ROWS ? MIN_LOGIT_ROWS : logit_rows;
    logit_rows = logit_rows < rows ? logit_rows : rows;
    char *start = (char *)learner;
    uint64_t used = 0;
    textgen_learner other, *to = learner ? learner : &other;
    textgen_part(start, &used, sizeof *learner + sizeof *learner->layers * (size_t)shape->layers);
/* A vector of the last row may end past it. */
#define NUMBERS(count) textgen_part(start, &used, sizeof(float) * ((uint64_t)(count) + TEXTGEN_LEARN_PAD))
    to->stride = stride;
    to->gates = gates;
    to->inputs = inputs;
    to->logits = logits;
    to->logit_rows = logit_rows;
    to->packed_output = NUMBERS(textgen_packed_size(shape->units, logits));
    to->packed_output_back = NUMBERS(textgen_packed_size(logits, shape->units));
    to->masked = NUMBERS(shape->units * gates);
    to->embedded = NUMBERS(rows * inputs);
    to->logits_of = NUMBERS(logit_rows * logits);
    to->d_logits = NUMBERS(logit_rows * logits);
    to->d_outputs = NUMBERS(rows * (stride > inputs ? stride : inputs));
    to->d_hidden = NUMBERS(rows * stride);
    to->d_cell = NUMBERS(lanes * stride);
    to->scratch = NUMBERS(textgen_scratch_size(
        shape->units > shape->embedding ? shape->units : shape->embedding, gates > logits ? gates : logits));
    for (ptrdiff_t i = 0; i < shape->layers; i++) {
        struct learner_layer one, *layer = learner ? &learner->layers[i] : &one;
        layer->inputs = i ? shape->units : shape->embedding;
        layer->input_stride = i ? stride : inputs;
        layer->input_weights = NUMBERS(textgen_packed_size(layer->inputs, gates));
        layer->input_weights_back = NUMBERS(textgen_packed_size(gates, layer->inputs));
        layer->recurrent_weights = NUMBERS(textgen_packed_size(shape->units, gates));
        layer->recurrent_weights_back = NUMBERS(textgen_packed_size(gates, shape->units));
        layer->gates = NUMBERS(rows * gates);
        layer->hidden = NUMBERS((rows + lanes) * stride);
        layer->cell = NUMBERS((rows + lanes) * stride);
        layer->tanh_cell = NUMBERS(rows * stride);
        layer->outputs = NUMBERS(rows * stride);
    }
    return used;
#undef NUMBERS
}

uint64_t textgen_learner_size(const textgen_network_shape *shape, ptrdiff_t rows, ptrdiff_t lanes) {
    return lay_out(shape, rows, lanes, NULL) + TEXTGEN_PART_ALIGNMENT;
}

textgen_learner *textgen_learner_init(void *memory, const textgen_network_shape *shape,
                                      const textgen_learn_kernels *kernels, ptrdiff_t rows, ptrdiff_t lanes) {
    textgen_learner *learner = (textgen_learner *)(void *)textgen_align(memory);
    /* The padding of all arrays is zero, and stays so. */
    memset((void *)learner, 0, (size_t)lay_out(shape, rows, lanes, NULL));
    lay_out(shape, rows, lanes, learner);
    learner->shape = *shape;
    learner->kernels = kernels;
    return learner;
}

static const float *weights_of(const textgen_learner *learner, const float *weights, textgen_matrix_kind kind,
                               ptrdiff_t layer) {
    return weights + textgen_find_matrix(&learner->shape, kind, layer).offset;
}

static void pack_both(const textgen_learner *learner, const float *matrix, ptrdiff_t rows, ptrdiff_t columns,
                      float *packed, float *back) {
    learner->kernels->pack(matrix, columns, rows, columns, packed);
    learner->kernels->pack_transposed(matrix, columns, columns, rows, back);
}

void textgen_learner_load(textgen_learner *learner, const float *weights,
                          const textgen_regularization *regularization) {
    const textgen_regularization none = {0};
    const ptrdiff_t units = learner->shape.units;
    learner->regularization = regularization ? *regularization : none;
    for (ptrdiff_t i = 0; i < learner->shape.layers; i++) {
        struct learner_layer *layer = &learner->layers[i];
        pack_both(learner, weights_of(learner, weights, TEXTGEN_INPUT_WEIGHTS, i), layer->inputs,
                  learner->gates, layer->input_weights, layer->input_weights_back);
        if (!(learner->regularization.weight_dropout > 0.0f)) {
            pack_both(learner, weights_of(learner, weights, TEXTGEN_RECURRENT_WEIGHTS, i), units,
                      learner->gates, layer->recurrent_weights, layer->recurrent_weights_back);
        }
    }
    pack_both(learner, weights_of(learner, weights, TEXTGEN_OUTPUT_WEIGHTS, 0), units, learner->logits,
              learner->packed_output, learner->packed_output_back);
}

/* Subtract the predictions for a place of the text from probabilities. Return what is left of 1. */
static float teach(const textgen_learner *learner, const textgen_teacher *teacher, int64_t place,
                   float *probabilities) {
    const int64_t first = place * teacher->columns;
    uint64_t sum = 0;
    for (ptrdiff_t i = 0; i < teacher->columns; i++) {
        sum += teacher->shares[first + i];
    }
    /* Shares that were rounded may have a larger sum. */
    const float unit = teacher->weight / (float)(sum > UINT16_MAX ? sum : UINT16_MAX);
    for (ptrdiff_t i = 0; i < teacher->columns; i++) {
        const ptrdiff_t token = teacher->tokens.data ? textgen_token_at(&teacher->tokens, first + i) : i;
        /* Predictions may be a file that is damaged. */
        if (token >= 0 && token < learner->shape.vocabulary) {
            probabilities[token] -= unit * (float)teacher->shares[first + i];
        }
    }
    return 1.0f - unit * (float)sum;
}

/* Return the drop of a purpose and a layer. The key of each is the finalizer of SplitMix64: G. Steele and
 * others, Fast Splittable Pseudorandom Number Generators, 2014. */
static textgen_drop drop_of(uint64_t key, int purpose, ptrdiff_t layer, float share) {
    uint64_t hash = key + 0x9E3779B97F4A7C15u * (uint64_t)(3 * layer + purpose + 1);
    hash = (hash ^ (hash >> 30)) * 0xBF58476D1CE4E5B9u;
    hash = (hash ^ (hash >> 27)) * 0x94D049BB133111EBu;
    uint32_t threshold = (uint32_t)(65536.0f * share + 0.5f);
    threshold = threshold > 65535 ? 65535 : threshold;
    const textgen_drop drop = {(uint32_t)(hash ^ (hash >> 31)), threshold,
                               65536.0f / (float)(65536 - threshold)};
    return drop;
}

/* Copy the state of all lanes to the row before the first step, or from the row after the last one. */
static void copy_state(textgen_learner *learner, const textgen_batch_part *part, bool is_end) {
    const size_t numbers = (size_t)(part->lanes * learner->stride);
    float *state = part->state;
    for (ptrdiff_t i = 0; i < learner->shape.layers; i++, state += 2 * numbers) {
        float *hidden = learner->layers[i].hidden, *cell = learner->layers[i].cell;
        if (is_end) {
            memcpy(state, hidden + (size_t)part->time * numbers, sizeof(float) * numbers);
            memcpy(state + numbers, cell + (size_t)part->time * numbers, sizeof(float) * numbers);
        } else {
            memcpy(hidden, state, sizeof(float) * numbers);
            memcpy(cell, state + numbers, sizeof(float) * numbers);
        }
    }
}

/* Where the token of a row of a part is in its batch. */
static ptrdiff_t place_of(const textgen_batch_part *part, ptrdiff_t row) {
    return row / part->lanes * part->stride + row % part->lanes;
}

static void forward(textgen_learner *learner, const float *weights, const textgen_batch_part *part) {
    const textgen_learn_kernels *kernels = learner->kernels;
    const textgen_regularization *regularization = &learner->regularization;
    const ptrdiff_t lanes = part->lanes, rows = part->time * lanes, stride = learner->stride;
    const ptrdiff_t gate_units = learner->gates / 4, step = lanes * stride, units = learner->shape.units;
    const float *embedding = weights_of(learner, weights, TEXTGEN_TOKENS, 0);
    for (ptrdiff_t row = 0; row < rows; row++) {
        const int32_t token = part->tokens[place_of(part, row)];
        memcpy(learner->embedded + row * learner->inputs, embedding + token * learner->inputs,
               sizeof(float) * (size_t)learner->inputs);
    }
    if (regularization->input_dropout > 0.0f) {
        const textgen_drop drop = drop_of(part->key, DROP_INPUTS, 0, regularization->input_dropout);
        kernels->drop(learner->embedded, rows * learner->inputs, &drop, 0, learner->embedded);
    }
    const float *inputs = learner->embedded;
    for (ptrdiff_t i = 0; i < learner->shape.layers; i++) {
        struct learner_layer *layer = &learner->layers[i];
        if (regularization->weight_dropout > 0.0f) {
            const textgen_drop drop = drop_of(part->key, DROP_WEIGHTS, i, regularization->weight_dropout);
            kernels->drop(weights_of(learner, weights, TEXTGEN_RECURRENT_WEIGHTS, i), units * learner->gates,
                          &drop, 0, learner->masked);
            pack_both(learner, learner->masked, units, learner->gates, layer->recurrent_weights,
                      layer->recurrent_weights_back);
        }
        kernels->multiply(inputs, layer->input_stride, rows, layer->input_weights, layer->inputs,
                          learner->gates, layer->gates, learner->gates, false);
        const float *bias = weights_of(learner, weights, TEXTGEN_LAYER_BIAS, i);
        for (ptrdiff_t time = 0; time < part->time; time++) {
            float *gates = layer->gates + time * lanes * learner->gates, *cell = layer->cell + time * step;
            float *hidden = layer->hidden + time * step;
            kernels->multiply(hidden, stride, lanes, layer->recurrent_weights, units, learner->gates, gates,
                              learner->gates, true);
            kernels->cells_forward(gates, bias, gate_units, lanes, cell, cell + step,
                                   layer->tanh_cell + time * step, hidden + step, stride);
        }
        const float *hidden = layer->hidden + step;
        if (regularization->dropout > 0.0f) {
            const textgen_drop drop = drop_of(part->key, DROP_OUTPUTS, i, regularization->dropout);
            kernels->drop(hidden, rows * stride, &drop, 0, layer->outputs);
        } else {
            memcpy(layer->outputs, hidden, sizeof(float) * (size_t)(rows * stride));
        }
        if (learner->shape.residual && i) {
            kernels->add(layer->outputs, inputs, rows * stride);
        }
        inputs = layer->outputs;
    }
}

/* Turn the probabilities of the tokens after one row into the gradient of the loss of its target, times
 * `scale`. log_probabilities: of the same tokens. */
static void differentiate(const textgen_learner *learner, const textgen_batch_part *part, ptrdiff_t target,
                          ptrdiff_t place, const float *log_probabilities, float *probabilities) {
    const float penalty = learner->regularization.confidence_penalty;
    const ptrdiff_t vocabulary = learner->shape.vocabulary;
    if (penalty > 0.0f) {
        double entropy = 0.0;
        for (ptrdiff_t i = 0; i < vocabulary; i++) {
            entropy -= (double)probabilities[i] * (double)log_probabilities[i];
        }
        for (ptrdiff_t i = 0; i < vocabulary; i++) {
            probabilities[i] *= 1.0f + penalty * (log_probabilities[i] + (float)entropy);
        }
    }
    probabilities[target] -=
        part->teacher ? teach(learner, part->teacher, part->places[place], probabilities) : 1.0f;
    learner->kernels->scale(probabilities, learner->logits, part->scale, probabilities);
}

/* Compute the logits of some rows of the last outputs, from `start` on. Return of how many. */
static ptrdiff_t find_logits(textgen_learner *learner, ptrdiff_t start, ptrdiff_t rows) {
    const ptrdiff_t some = rows - start < learner->logit_rows ? rows - start : learner->logit_rows;
    const float *outputs = learner->layers[learner->shape.layers - 1].outputs + start * learner->stride;
    learner->kernels->multiply(outputs, learner->stride, some, learner->packed_output, learner->shape.units,
                               learner->logits, learner->logits_of, learner->logits, false);
    return some;
}

/* The output layer, forwards and backwards. Writes the gradient of the outputs of the last layer, and adds that
 * of the weights. Returns the loss. */
static double learn_output(textgen_learner *learner, const float *weights, const textgen_batch_part *part,
                           float *gradient) {
    const textgen_learn_kernels *kernels = learner->kernels;
    const ptrdiff_t logits = learner->logits, stride = learner->stride, units = learner->shape.units;
    const textgen_matrix matrix = textgen_find_matrix(&learner->shape, TEXTGEN_OUTPUT_WEIGHTS, 0);
    const textgen_matrix bias = textgen_find_matrix(&learner->shape, TEXTGEN_OUTPUT_BIAS, 0);
    const float *outputs = learner->layers[learner->shape.layers - 1].outputs;
    const ptrdiff_t rows = part->time * part->lanes;
    double loss = 0.0;
    for (ptrdiff_t start = 0, some; start < rows; start += some) {
        some = find_logits(learner, start, rows);
        for (ptrdiff_t i = 0; i < some; i++) {
            const ptrdiff_t place = place_of(part, start + i), target = part->targets[place];
            float *row = learner->logits_of + i * logits, *d_row = learner->d_logits + i * logits;
            if (target < 0) {
                memset(d_row, 0, sizeof(float) * (size_t)logits);
                continue;
            }
            const float sum =
                kernels->exponentials(row, weights + bias.offset, learner->shape.vocabulary, d_row);
            const double log_sum = textgen_log64((double)sum);
            loss += log_sum - (double)row[target];
            if (learner->regularization.confidence_penalty > 0.0f) {
                for (ptrdiff_t k = 0; k < learner->shape.vocabulary; k++) {
                    row[k] -= (float)log_sum;
                }
            }
            kernels->scale(d_row, logits, 1.0f / sum, d_row);
            differentiate(learner, part, target, place, row, d_row);
        }
        kernels->multiply(learner->d_logits, logits, some, learner->packed_output_back, logits, units,
                          learner->d_outputs + start * stride, stride, false);
        kernels->multiply_transposed(outputs + start * stride, stride, units, learner->d_logits, logits, logits,
                                     some, gradient + matrix.offset, logits, gradient + bias.offset,
                                     learner->scratch);
    }
    const float penalty = learner->regularization.activation_penalty;
    if (penalty > 0.0f) {
        const float factor = 2.0f * penalty * part->scale / (float)units;
        for (ptrdiff_t row = 0; row < rows; row++) {
            if (part->targets[place_of(part, row)] >= 0) {
                for (ptrdiff_t i = 0; i < units; i++) {
                    learner->d_outputs[row * stride + i] += factor * outputs[row * stride + i];
                }
            }
        }
    }
    return loss;
}

/* Replace the gradient of the outputs of a layer, d_outputs, by that of its inputs, and add those of its
 * weights. */
static void learn_layer(textgen_learner *learner, const textgen_batch_part *part, ptrdiff_t index,
                        float *gradient) {
    const textgen_learn_kernels *kernels = learner->kernels;
    const textgen_regularization *regularization = &learner->regularization;
    struct learner_layer *layer = &learner->layers[index];
    const ptrdiff_t lanes = part->lanes, rows = part->time * lanes, stride = learner->stride;
    const ptrdiff_t gates = learner->gates, step = lanes * stride, units = learner->shape.units;
    const bool is_residual = learner->shape.residual && index;
    if (regularization->dropout > 0.0f) {
        const textgen_drop drop = drop_of(part->key, DROP_OUTPUTS, index, regularization->dropout);
        kernels->drop(learner->d_outputs, rows * stride, &drop, 0, learner->d_hidden);
    } else {
        memcpy(learner->d_hidden, learner->d_outputs, sizeof(float) * (size_t)(rows * stride));
    }
    memset(learner->d_cell, 0, sizeof(float) * (size_t)step);
    for (ptrdiff_t time = part->time - 1; time >= 0; time--) {
        float *d_gates = layer->gates + time * lanes * gates, *d_hidden = learner->d_hidden + time * step;
        if (time < part->time - 1) {
            kernels->multiply(d_gates + lanes * gates, gates, lanes, layer->recurrent_weights_back, gates,
                              units, d_hidden, stride, true);
        }
        kernels->cells_backward(d_gates, gates / 4, lanes, layer->cell + time * step,
                                layer->tanh_cell + time * step, d_hidden, learner->d_cell, stride);
    }
    const textgen_matrix inputs = textgen_find_matrix(&learner->shape, TEXTGEN_INPUT_WEIGHTS, index);
    const textgen_matrix recurrent = textgen_find_matrix(&learner->shape, TEXTGEN_RECURRENT_WEIGHTS, index);
    const textgen_matrix bias = textgen_find_matrix(&learner->shape, TEXTGEN_LAYER_BIAS, index);
    const float *input = index ? learner->layers[index - 1].outputs : learner->embedded;
    float *d_recurrent = gradient + recurrent.offset;
    for (ptrdiff_t row = 0, some; row < rows; row += some) {
        some = rows - row < ROWS_AT_ONCE ? rows - row : ROWS_AT_ONCE;
        const float *d_gates = layer->gates + row * gates;
        kernels->multiply(d_gates, gates, some, layer->input_weights_back, gates, layer->inputs,
                          learner->d_outputs + row * layer->input_stride, layer->input_stride, is_residual);
        kernels->multiply_transposed(input + row * layer->input_stride, layer->input_stride, layer->inputs,
                                     d_gates, gates, gates, some, gradient + inputs.offset, gates,
                                     gradient + bias.offset, learner->scratch);
        kernels->multiply_transposed(layer->hidden + row * stride, stride, units, d_gates, gates, gates, some,
                                     d_recurrent, gates, NULL, learner->scratch);
    }
    if (regularization->weight_dropout > 0.0f) {
        const textgen_drop drop = drop_of(part->key, DROP_WEIGHTS, index, regularization->weight_dropout);
        kernels->drop(d_recurrent, units * gates, &drop, 0, d_recurrent);
    }
}

double textgen_learner_gradient(textgen_learner *learner, const float *weights, const textgen_batch_part *part,
                                float *gradient) {
    const textgen_learn_kernels *kernels = learner->kernels;
    const ptrdiff_t inputs = learner->inputs, lanes = part->lanes, rows = part->time * lanes;
    memset(gradient, 0, sizeof(float) * (size_t)textgen_weight_count(&learner->shape));
    copy_state(learner, part, false);
    forward(learner, weights, part);
    copy_state(learner, part, true);
    const double loss = learn_output(learner, weights, part, gradient);
    for (ptrdiff_t i = learner->shape.layers - 1; i >= 0; i--) {
        learn_layer(learner, part, i, gradient);
    }
    if (learner->regularization.input_dropout > 0.0f) {
        const textgen_drop drop = drop_of(part->key, DROP_INPUTS, 0, learner->regularization.input_dropout);
        kernels->drop(learner->d_outputs, rows * inputs, &drop, 0, learner->d_outputs);
    }
    for (ptrdiff_t row = 0; row < rows; row++) {
        const int32_t token = part->tokens[place_of(part, row)];
        kernels->add(gradient + token * inputs, learner->d_outputs + row * inputs, inputs);
    }
    return loss;
}

void textgen_learner_score(textgen_learner *learner, const float *weights, const textgen_batch_part *part,
                           float *losses) {
    const textgen_matrix bias = textgen_find_matrix(&learner->shape, TEXTGEN_OUTPUT_BIAS, 0);
    const ptrdiff_t rows = part->time * part->lanes;
    copy_state(learner, part, false);
    forward(learner, weights, part);
    copy_state(learner, part, true);
    for (ptrdiff_t start = 0, some; start < rows; start += some) {
        some = find_logits(learner, start, rows);
        for (ptrdiff_t i = 0; i < some; i++) {
            const ptrdiff_t target = part->targets[place_of(part, start + i)];
            float *row = learner->logits_of + i * learner->logits;
            losses[start + i] = 0.0f;
            if (target >= 0) {
                const float sum = learner->kernels->exponentials(row, weights + bias.offset,
                                                                 learner->shape.vocabulary, learner->d_logits);
                losses[start + i] = (float)(textgen_log64((double)sum) - (double)row[target]);
            }
        }
    }
}
