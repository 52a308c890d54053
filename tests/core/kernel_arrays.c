/* Runs the kernels that work on whole arrays, in every instruction set: the activations, and the sum of all
 * weights, which a benchmark reads.
 *
 *     kernel_arrays MODEL BYTES
 *
 * BYTES: how many bytes of weights and biases one step of the model reads. */
#include "check.h"

#include "handles.h"

enum { VALUES = 5 * TEXTGEN_GROUP, BYTES = 3 * 1024 };

/* exp(x) by a series of x / 4096, of which the fifth term is less than 1e-16. No test needs the library of
 * mathematics. */
static double exponential(double x) {
    const double part = x / 4096.0;
    double result = 1.0 + part * (1.0 + part / 2.0 * (1.0 + part / 3.0 * (1.0 + part / 4.0)));
    for (int i = 0; i < 12; i++) {
        result *= result;
    }
    return result;
}

static double sigmoid(double x) { return 1.0 / (1.0 + exponential(-x)); }

static double hyperbolic_tangent(double x) { return 2.0 * sigmoid(2.0 * x) - 1.0; }

static void check_activation(void (*activation)(float *values, ptrdiff_t count), double (*definition)(double),
                             double bound) {
    float values[VALUES + 1];
    for (int i = 0; i < VALUES; i++) {
        values[i] = 0.25f * (float)(i - VALUES / 2);
    }
    values[VALUES] = 7.0f;
    activation(values, VALUES);
    for (int i = 0; i < VALUES; i++) {
        const double difference = (double)values[i] - definition(0.25 * (i - VALUES / 2));
        CHECK(difference <= bound && difference >= -bound);
    }
    CHECK(values[VALUES] == 7.0f);
}

/* The definition: the sum of the words, modulo 2^32. */
static uint32_t sum(const void *values, ptrdiff_t bytes) {
    uint32_t total = 0, word;
    for (ptrdiff_t i = 0; i < bytes; i += (ptrdiff_t)sizeof word) {
        memcpy(&word, (const char *)values + i, sizeof word);
        total += word;
    }
    return total;
}

static void check_sum(const textgen_int8_kernels *kernels) {
    uint64_t state = 1;
    unsigned char bytes[BYTES];
    for (size_t i = 0; i < BYTES; i++) {
        bytes[i] = (unsigned char)next_random(&state);
    }
    for (ptrdiff_t count = 0; count <= BYTES; count += 256) {
        CHECK(kernels->sum(bytes, count) == sum(bytes, count));
    }
}

/* Each weight is read once, and no bias. */
static void check_read(const textgen_network *network, size_t step_bytes) {
    const bool is_int8 = network->bits == 8;
    uint32_t total = 0;
    for (size_t i = 0; i <= network->layer_count; i++) {
        const bool is_output = i == network->layer_count;
        if (is_int8) {
            const textgen_int8_layer *layer =
                is_output ? &network->int8.output_layer : &network->int8.layers[i];
            total += sum(layer->weights, layer->size);
        } else {
            const textgen_packed_layer *layer = is_output ? &network->output_layer : &network->layers[i];
            total += sum(layer->weights, layer->size * (ptrdiff_t)sizeof(float));
        }
    }
    CHECK(total && textgen_network_read(network) == (float)total);
    CHECK(textgen_network_step_bytes(network) == step_bytes);
}

int main(int count, char **arguments) {
    const textgen_kernels *kernels[TEXTGEN_MAX_KERNELS];
    const int sets = textgen_available_kernels(kernels);
    CHECK(count == 3);
    for (int i = 0; i < sets; i++) {
        loaded file = load(arguments[1], kernels[i]->name);
        check_activation(kernels[i]->sigmoid, sigmoid, 2e-7);
        check_activation(kernels[i]->tanh, hyperbolic_tangent, 2e-7);
        check_activation(kernels[i]->int8->sigmoid, sigmoid, 3e-5);
        check_activation(kernels[i]->int8->tanh, hyperbolic_tangent, 5e-5);
        check_sum(kernels[i]->int8);
        check_read(file.model->network, strtoul(arguments[2], NULL, 10));
        unload(&file);
    }
    return 0;
}
