#include "optimizer.h"

#include "core.h"

#include <math.h>
#include <string.h>

/* Muon: K. Jordan and others, Muon: an optimizer for hidden layers in neural networks, 2024. The length of a
 * step and the weight decay follow J. Liu and others, Muon is scalable for LLM training, arXiv:2502.16982.
 * Jordan and others make five steps of the iteration. Three train the presets equally well. */
#define MOMENTUM 0.95f
#define LINEAR 3.4445f
#define CUBIC (-4.7750f)
#define QUINTIC 2.0315f
#define ADAMW_LENGTH 0.2
enum { NEWTON_SCHULZ_STEPS = 3 };

static bool is_muon(const textgen_matrix *matrix) {
    return matrix->kind == TEXTGEN_INPUT_WEIGHTS || matrix->kind == TEXTGEN_RECURRENT_WEIGHTS;
}

/* Working memory of Muon for a matrix [rows][columns]. A gram matrix is [rows][stride]. */
typedef struct {
    float *update, *product;                                 /* [rows][columns] */
    float *packed;                                           /* one of the matrices, packed */
    float *gram, *square, *polynomial, *polynomials, *other; /* gram matrices */
} muon_memory;

static uint64_t lay_out_muon(const textgen_matrix *matrix, char *start, muon_memory *memory) {
    const uint64_t size = sizeof(float) * (uint64_t)(matrix->rows * matrix->columns);
    const ptrdiff_t stride = (matrix->rows + TEXTGEN_LEARN_PAD - 1) / TEXTGEN_LEARN_PAD * TEXTGEN_LEARN_PAD;
    const uint64_t gram = sizeof(float) * (uint64_t)(matrix->rows * stride);
    uint64_t used = 0;
    memory->update = textgen_part(start, &used, size);
    memory->product = textgen_part(start, &used, size);
    const ptrdiff_t longest = matrix->columns > stride ? matrix->columns : stride;
    memory->packed = textgen_part(start, &used, sizeof(float) * (uint64_t)(stride * longest));
    memory->gram = textgen_part(start, &used, gram);
    memory->square = textgen_part(start, &used, gram);
    memory->polynomial = textgen_part(start, &used, gram);
    memory->polynomials = textgen_part(start, &used, gram);
    memory->other = textgen_part(start, &used, gram);
    return used;
}

uint64_t textgen_optimizer_size(const textgen_network_shape *shape) {
    uint64_t most = 0;
    for (ptrdiff_t i = 0; i < textgen_matrix_count(shape); i++) {
        const textgen_matrix matrix = textgen_matrix_at(shape, i);
        muon_memory memory;
        const uint64_t size = is_muon(&matrix) ? lay_out_muon(&matrix, NULL, &memory) : 0;
        most = size > most ? size : most;
    }
    return most + TEXTGEN_PART_ALIGNMENT;
}

/* c = a * b for gram matrices. */
static void multiply_grams(const textgen_learn_kernels *kernels, const float *a, const float *b, ptrdiff_t rows,
                           ptrdiff_t stride, float *packed, float *c) {
    kernels->pack(b, stride, rows, stride, packed);
    kernels->multiply(a, stride, rows, packed, rows, stride, c, stride, false);
}

/* Write an approximation of the nearest semi-orthogonal matrix to memory->product, by Newton-Schulz iteration.
 * Each step multiplies by a polynomial of the matrix's Gram matrix, so the steps need only that: J. Zhang and
 * others, Gram Newton-Schulz, 2026. All of them are polynomials of the same matrix, so their order does not
 * matter. */
static void orthogonalize(const textgen_learn_kernels *kernels, const textgen_matrix *matrix,
                          const muon_memory *memory) {
    const ptrdiff_t rows = matrix->rows, columns = matrix->columns;
    const ptrdiff_t stride = (rows + TEXTGEN_LEARN_PAD - 1) / TEXTGEN_LEARN_PAD * TEXTGEN_LEARN_PAD;
    const double norm = sqrt(kernels->squares(memory->update, rows * columns)) + 1e-7;
    kernels->scale(memory->update, rows * columns, (float)(1.0 / norm), memory->update);
    kernels->pack_transposed(memory->update, columns, columns, rows, memory->packed);
    kernels->multiply(memory->update, columns, rows, memory->packed, columns, stride, memory->gram, stride,
                      false);
    float *total = memory->polynomials, *other = memory->other;
    for (int i = 0; i < NEWTON_SCHULZ_STEPS; i++) {
        float *polynomial = i ? memory->polynomial : total;
        multiply_grams(kernels, memory->gram, memory->gram, rows, stride, memory->packed, memory->square);
        kernels->combine(memory->square, QUINTIC, memory->gram, CUBIC, rows * stride, polynomial);
        for (ptrdiff_t k = 0; k < rows; k++) {
            polynomial[k * stride + k] += LINEAR;
        }
        if (i) {
            multiply_grams(kernels, total, polynomial, rows, stride, memory->packed, other);
            float *swapped = total;
            total = other;
            other = swapped;
        }
        if (i < NEWTON_SCHULZ_STEPS - 1) {
            multiply_grams(kernels, polynomial, memory->gram, rows, stride, memory->packed, memory->square);
            multiply_grams(kernels, memory->square, polynomial, rows, stride, memory->packed, memory->gram);
        }
    }
    kernels->pack(memory->update, columns, rows, columns, memory->packed);
    kernels->multiply(total, stride, rows, memory->packed, rows, columns, memory->product, columns, false);
}

static void step_muon(const textgen_network_shape *shape, const textgen_learn_kernels *kernels,
                      const textgen_matrix *matrix, const textgen_step *step, float *weights,
                      const float *gradient, float *momentum, void *start) {
    const ptrdiff_t count = matrix->rows * matrix->columns;
    const ptrdiff_t longest = matrix->rows > 4 * shape->units ? matrix->rows : 4 * shape->units;
    muon_memory memory;
    lay_out_muon(matrix, textgen_align(start), &memory);
    kernels->combine(gradient, step->clip * (1.0f - MOMENTUM), momentum, MOMENTUM, count, momentum);
    kernels->combine(gradient, step->clip * (1.0f - MOMENTUM), momentum, MOMENTUM, count, memory.update);
    orthogonalize(kernels, matrix, &memory);
    kernels->combine(memory.product, -step->muon_rate * (float)(ADAMW_LENGTH * sqrt((double)longest)), weights,
                     1.0f - step->muon_rate * step->muon_decay, count, weights);
}

static double power(double base, int64_t exponent) {
    double result = 1.0;
    for (; exponent; exponent >>= 1, base *= base) {
        result = exponent & 1 ? result * base : result;
    }
    return result;
}

void textgen_optimize(const textgen_network_shape *shape, const textgen_learn_kernels *kernels,
                      const textgen_matrix *matrix, const textgen_step *step, float *weights,
                      const float *gradient, float *first, float *second, void *memory) {
    const ptrdiff_t at = matrix->offset;
    if (step->muon_rate > 0.0f && is_muon(matrix)) {
        step_muon(shape, kernels, matrix, step, weights + at, gradient + at, first + at, memory);
        return;
    }
    const textgen_adamw rates = {step->adamw_rate * (float)textgen_matrix_copies(matrix),
                                 1.0f - step->adamw_rate * step->adamw_decay, step->clip,
                                 (float)(1.0 / (1.0 - power(TEXTGEN_FIRST_BETA, step->step + 1))),
                                 (float)(1.0 / (1.0 - power(TEXTGEN_SECOND_BETA, step->step + 1)))};
    kernels->adamw(weights + at, gradient + at, first + at, second + at, matrix->rows * matrix->columns,
                   &rates);
}
