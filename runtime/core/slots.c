#include "slots.h"
#include "sampler.h"

#include <string.h>

#define CACHE_LINE 64

/* Reserve the next part, aligned to a cache line. If `start` is NULL, only count its bytes. */
static void *part(char *start, size_t *used, size_t bytes) {
    char *result = start ? start + *used : NULL;
    *used += (bytes + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE;
    return result;
}

textgen_slots textgen_slots_find(const textgen_network *network, void *workspace, size_t lanes,
                                 size_t logit_steps) {
    const size_t padded = (size_t)network->padded_units * sizeof(float);
    char *start = workspace;
    textgen_slots slots;
    size_t used = 0, i;
    if (start) {
        start += (CACHE_LINE - (uintptr_t)start % CACHE_LINE) % CACHE_LINE;
    }
    slots.count = lanes;
    slots.sampling = part(start, &used, textgen_sampler_scratch(network->vocabulary) * sizeof(double));
    slots.masked = part(start, &used, network->vocabulary * sizeof(float));
    slots.gate_inputs = part(start, &used, lanes * sizeof(float *));
    slots.tokens = part(start, &used, lanes * sizeof(int64_t));
    slots.lanes = part(start, &used, lanes * sizeof(size_t));
    for (i = 0; i < network->state_arrays; i++) {
        slots.state[i] = part(start, &used, network->lstm_count * lanes * padded);
    }
    slots.scratch = part(start, &used, lanes * padded);
    slots.embedded = part(start, &used, lanes * network->embedding_size * sizeof(float));
    slots.features = part(start, &used, logit_steps * lanes * padded);
    slots.logits = part(start, &used, logit_steps * lanes * (size_t)network->padded_vocabulary * sizeof(float));
    slots.bytes = used + CACHE_LINE;
    return slots;
}

size_t textgen_slots_size(const textgen_network *network, size_t lanes, size_t logit_steps) {
    return textgen_slots_find(network, NULL, lanes, logit_steps).bytes;
}

void textgen_slot_load(const textgen_network *network, const textgen_slots *slots, float *const *state,
                       size_t stride, size_t slot) {
    const size_t width = (size_t)network->padded_units, units = network->units;
    size_t array, layer;
    for (array = 0; array < network->state_arrays; array++) {
        for (layer = 0; layer < network->lstm_count; layer++) {
            float *row = slots->state[array] + (layer * slots->count + slot) * width;
            memcpy(row, state[array] + layer * stride, units * sizeof(float));
            memset(row + units, 0, (width - units) * sizeof(float));
        }
    }
}

void textgen_slot_store(const textgen_network *network, const textgen_slots *slots, float *const *state,
                        size_t stride, size_t slot) {
    const size_t width = (size_t)network->padded_units;
    size_t array, layer;
    for (array = 0; array < network->state_arrays; array++) {
        for (layer = 0; layer < network->lstm_count; layer++) {
            memcpy(state[array] + layer * stride, slots->state[array] + (layer * slots->count + slot) * width,
                   network->units * sizeof(float));
        }
    }
}

void textgen_slot_move(const textgen_network *network, const textgen_slots *slots, size_t from, size_t to) {
    const size_t width = (size_t)network->padded_units, padded = (size_t)network->padded_vocabulary;
    size_t array, layer;
    if (from == to) {
        return;
    }
    for (array = 0; array < network->state_arrays; array++) {
        for (layer = 0; layer < network->lstm_count; layer++) {
            float *rows = slots->state[array] + layer * slots->count * width;
            memcpy(rows + to * width, rows + from * width, width * sizeof(float));
        }
    }
    memcpy(slots->logits + to * padded, slots->logits + from * padded, padded * sizeof(float));
}
