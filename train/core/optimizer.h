/* The optimizers: Muon for the matrices of the layers, AdamW for all other weights, or for all. */
#ifndef TEXTGEN_OPTIMIZER_H
#define TEXTGEN_OPTIMIZER_H

#include "network.h"

/* What a step of the optimizers needs beside the gradient. */
typedef struct {
    float muon_rate; /* 0: AdamW updates all weights */
    float muon_decay;
    float adamw_rate, adamw_decay;
    float clip;   /* what the gradient is multiplied by */
    int64_t step; /* steps before this one */
} textgen_step;

/* Bytes of memory that a step of the largest matrix needs. */
uint64_t textgen_optimizer_size(const textgen_network_shape *shape);

/* Update one matrix. weights, gradient and the moments are whole arrays. `second` is not used by Muon. */
void textgen_optimize(const textgen_network_shape *shape, const textgen_learn_kernels *kernels,
                      const textgen_matrix *matrix, const textgen_step *step, float *weights,
                      const float *gradient, float *first, float *second, void *memory);

/* How often a matrix counts in the norm of the gradient: twice for the bias of a layer. torch has two biases,
 * which are added. The one here learns as much as both together, so its step of AdamW is twice as long, too. */
static inline int textgen_matrix_copies(const textgen_matrix *matrix) {
    return matrix->kind == TEXTGEN_LAYER_BIAS ? 2 : 1;
}

#endif
