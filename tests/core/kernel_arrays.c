/* Runs the kernel that sums all weights, which a benchmark reads, in every instruction set.
 *
 *     kernel_arrays MODEL BYTES
 *
 * BYTES: how many bytes one step of the model reads. */
#include "check.h"

#include "text.h"

enum { BYTES = 3 * 1024 };

/* The definition: the sum of the words, modulo 2^32. */
static uint32_t sum(const void *values, ptrdiff_t bytes) {
    uint32_t total = 0, word;
    for (ptrdiff_t i = 0; i < bytes; i += (ptrdiff_t)sizeof word) {
        memcpy(&word, (const char *)values + i, sizeof word);
        total += word;
    }
    return total;
}

static void check_sum(const textgen_kernels *kernels) {
    uint64_t state = 1;
    unsigned char bytes[BYTES];
    for (size_t i = 0; i < BYTES; i++) {
        bytes[i] = (unsigned char)next_random(&state);
    }
    for (ptrdiff_t count = 0; count <= BYTES; count += 256) {
        CHECK(kernels->sum(bytes, count) == sum(bytes, count));
    }
}

/* The weights of all layers are read. */
static void check_read(const textgen_network *network, size_t step_bytes) {
    const char *start = network->weights;
    const uint32_t total = sum(start, (ptrdiff_t)network->weight_bytes);
    CHECK(total && textgen_network_read(network) == total);
    CHECK(textgen_network_step_bytes(network) == step_bytes);
    for (size_t i = 0; i <= network->layer_count; i++) {
        const textgen_packed_layer *layer = &network->layers[i];
        const ptrdiff_t is_output = i == network->layer_count,
                        row = is_output ? layer->outputs : 4 * layer->outputs;
        const ptrdiff_t rows = layer->inputs + (is_output ? 0 : layer->outputs);
        const char *weights = layer->weights;
        CHECK(weights >= start && weights + rows * row * (network->bits / 8) <= start + network->weight_bytes);
    }
}

int main(int count, char **arguments) {
    const textgen_kernels *kernels[TEXTGEN_MAX_KERNELS];
    const int sets = textgen_available_kernels(kernels);
    CHECK(count == 3);
    for (int i = 0; i < sets; i++) {
        loaded file = load(arguments[1], kernels[i]->name);
        check_sum(kernels[i]);
        check_read(file.model->network, strtoul(arguments[2], NULL, 10));
        unload(&file);
    }
    return 0;
}
