#include "forward.h"

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
    const size_t units = (size_t)network->padded_units, padded = units * sizeof(float);
    const size_t rounded = network->bits == 8 ? lanes : 0, floats = lanes - rounded;
    char *start = workspace;
    size_t used = 0;
    if (start) {
        start += (CACHE_LINE - (uintptr_t)start % CACHE_LINE) % CACHE_LINE;
    }
    textgen_slots slots;
    slots.count = lanes;
    slots.gate_inputs = part(start, &used, lanes * sizeof(float *));
    slots.state = part(start, &used, lanes * network->padded_state_values * sizeof(float));
    slots.step = 0;
    slots.scratch = part(start, &used, lanes * padded);
    slots.outputs = part(start, &used, lanes * padded);
    slots.embedded = part(start, &used, floats * network->embedding_size * sizeof(float));
    slots.inputs = part(start, &used, rounded * (logit_steps * units + network->embedding_size));
    slots.hidden = part(start, &used, rounded * units);
    slots.input_scales = part(start, &used, rounded * sizeof(float));
    slots.features = part(start, &used, logit_steps * lanes * padded);
    slots.logits = part(start, &used, logit_steps * lanes * (size_t)network->padded_vocabulary * sizeof(float));
    slots.bytes = used + CACHE_LINE;
    return slots;
}

size_t textgen_slots_size(const textgen_network *network, size_t lanes, size_t logit_steps) {
    return textgen_slots_find(network, NULL, lanes, logit_steps).bytes;
}

float *textgen_slot_row(const textgen_network *network, const textgen_slots *slots, size_t array, size_t row) {
    const textgen_packed_state *found = &network->state[array];
    const size_t rotated = found->rotates ? (slots->step + row) % found->rows : row;
    return slots->state + slots->count * (found->start + rotated * found->width);
}

void textgen_slot_load(const textgen_network *network, const textgen_slots *slots, const float *state,
                       size_t batch, size_t lane, size_t slot) {
    for (size_t i = 0; i < network->state_count; i++) {
        const textgen_packed_state *array = &network->state[i];
        for (size_t row = 0; row < array->rows; row++, state += batch * array->units) {
            float *to = textgen_slot_row(network, slots, i, row) + slot * array->width;
            memcpy(to, state + lane * array->units, array->units * sizeof(float));
            memset(to + array->units, 0, (array->width - array->units) * sizeof(float));
        }
    }
}

void textgen_slot_store(const textgen_network *network, const textgen_slots *slots, float *state, size_t batch,
                        size_t lane, size_t slot) {
    for (size_t i = 0; i < network->state_count; i++) {
        const textgen_packed_state *array = &network->state[i];
        for (size_t row = 0; row < array->rows; row++, state += batch * array->units) {
            const float *from = textgen_slot_row(network, slots, i, row) + slot * array->width;
            memcpy(state + lane * array->units, from, array->units * sizeof(float));
        }
    }
}

void textgen_slot_move(const textgen_network *network, const textgen_slots *slots, size_t from, size_t to) {
    const size_t padded = (size_t)network->padded_vocabulary;
    if (from == to) {
        return;
    }
    for (size_t i = 0; i < network->state_count; i++) {
        const size_t width = network->state[i].width;
        for (size_t row = 0; row < network->state[i].rows; row++) {
            float *values = textgen_slot_row(network, slots, i, row);
            memcpy(values + to * width, values + from * width, width * sizeof(float));
        }
    }
    memcpy(slots->logits + to * padded, slots->logits + from * padded, padded * sizeof(float));
}
