/* The network that is trained: its weights in one array, and the gradient of a part of a batch.
 *
 * Embedding, layers of an lstm, a linear output layer: what a model file contains. Weights, gradients and
 * moments are arrays of the same layout. All sizes are padded with zeros, which stay zero while the network
 * learns. */
#ifndef TEXTGEN_NETWORK_H
#define TEXTGEN_NETWORK_H

#include "batches.h"
#include "learn.h"

typedef struct {
    ptrdiff_t vocabulary, embedding, units, layers;
    bool residual; /* from the second layer on, whether a layer's input is added to its output */
} textgen_network_shape;

/* A matrix of the network, or a bias, which has one row. */
typedef enum {
    TEXTGEN_TOKENS,            /* [vocabulary][embedding] */
    TEXTGEN_INPUT_WEIGHTS,     /* [embedding or units][4][units], in ONNX's order of gates */
    TEXTGEN_RECURRENT_WEIGHTS, /* [units][4][units] */
    TEXTGEN_LAYER_BIAS,        /* [1][4][units] */
    TEXTGEN_OUTPUT_WEIGHTS,    /* [units][vocabulary] */
    TEXTGEN_OUTPUT_BIAS        /* [1][vocabulary] */
} textgen_matrix_kind;

typedef struct {
    textgen_matrix_kind kind;
    ptrdiff_t layer;         /* 0 for those outside of the layers */
    ptrdiff_t rows, columns; /* columns are padded */
    ptrdiff_t offset;        /* of the first number in the array */
} textgen_matrix;

/* The number of matrices, and one of them, in the order of the array. */
ptrdiff_t textgen_matrix_count(const textgen_network_shape *shape);
textgen_matrix textgen_matrix_at(const textgen_network_shape *shape, ptrdiff_t index);
textgen_matrix textgen_find_matrix(const textgen_network_shape *shape, textgen_matrix_kind kind,
                                   ptrdiff_t layer);

/* How many numbers all weights have, and the state of a lane: [layers][hidden, cell][state stride]. */
ptrdiff_t textgen_weight_count(const textgen_network_shape *shape);
ptrdiff_t textgen_state_stride(const textgen_network_shape *shape);

/* What keeps a network from overfitting. The shares are in [0, 1). */
typedef struct {
    float dropout;            /* of the outputs of each layer */
    float input_dropout;      /* of the embedding's outputs */
    float weight_dropout;     /* of the recurrent weights: L. Wan and others, DropConnect, 2013 */
    float activation_penalty; /* S. Merity and others, arXiv:1708.01009: times the mean square of the outputs */
    float confidence_penalty; /* G. Pereyra and others, arXiv:1701.06548: times the negative entropy */
} textgen_regularization;

/* Predictions of other models, from which a network learns, too: G. Hinton and others, arXiv:1503.02531. */
typedef struct {
    const uint16_t *shares; /* [places of the text][columns], in units of 1 / 65535 */
    textgen_tokens tokens;  /* of the shares; without data, each column is a token */
    ptrdiff_t columns;
    float weight; /* of the predictions in the distribution of each target, which has the rest */
} textgen_teacher;

/* Some lanes of a batch. */
typedef struct {
    ptrdiff_t time, lanes;
    const int32_t *tokens;          /* [time][lanes of the batch] */
    const int32_t *targets;         /* the same; -1 where there is none */
    ptrdiff_t stride;               /* lanes of the batch */
    float *state;                   /* [layers][hidden, cell][lanes][state stride], updated */
    float scale;                    /* of the gradient: 1 / the divisor of the sum of the losses */
    uint64_t key;                   /* of the random numbers */
    const textgen_teacher *teacher; /* or NULL */
    const int64_t *places;          /* of the targets in the text, [time][lanes of the batch] */
} textgen_batch_part;

/* Bytes of memory that one thread needs for parts of at most so many lanes, and rows: time steps times lanes.
 */
uint64_t textgen_learner_size(const textgen_network_shape *shape, ptrdiff_t rows, ptrdiff_t lanes);

/* The memory of one thread. Its packed weights are a copy: load them again after each update. regularization:
 * of the gradients that are computed next; NULL: losses are computed next, which have none. */
typedef struct textgen_learner textgen_learner;
textgen_learner *textgen_learner_init(void *memory, const textgen_network_shape *shape,
                                      const textgen_learn_kernels *kernels, ptrdiff_t rows, ptrdiff_t lanes);
void textgen_learner_load(textgen_learner *learner, const float *weights,
                          const textgen_regularization *regularization);

/* Compute the gradient of a part [weights] and the state after it. Return the sum of the losses of its targets,
 * in nats, without penalties. */
double textgen_learner_gradient(textgen_learner *learner, const float *weights, const textgen_batch_part *part,
                                float *gradient);

/* Compute the loss of each target of a part, in nats, [time][lanes of the part]; 0 where there is none. Update
 * the state. */
void textgen_learner_score(textgen_learner *learner, const float *weights, const textgen_batch_part *part,
                           float *losses);

#endif
