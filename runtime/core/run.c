#include "run.h"
#include "clock.h"

#include <math.h>
#include <string.h>

static void start_lane(const textgen_network *network, const textgen_slots *slots, const textgen_run_lane *lane,
                       size_t slot) {
    float *logits = slots->logits + slot * (size_t)network->padded_vocabulary;
    textgen_slot_load(network, slots, lane->state, network->units, slot);
    memcpy(logits, lane->logits, network->vocabulary * sizeof(float));
    if (network->never_drawn >= 0) {
        logits[network->never_drawn] = -INFINITY;
    }
}

static void store_lane(const textgen_network *network, const textgen_slots *slots, textgen_run_lane *lane,
                       size_t slot) {
    textgen_slot_store(network, slots, lane->state, network->units, slot);
    memcpy(lane->logits, slots->logits + slot * (size_t)network->padded_vocabulary,
           network->vocabulary * sizeof(float));
}

/* End the lane in a slot, which the last running lane takes over. */
static void end_lane(const textgen_network *network, const textgen_slots *slots, textgen_run_lane *lanes,
                     size_t slot, size_t last, int64_t ending) {
    lanes[slots->lanes[slot]].ending = ending;
    store_lane(network, slots, &lanes[slots->lanes[slot]], slot);
    textgen_slot_move(network, slots, last, slot);
    slots->lanes[slot] = slots->lanes[last];
}

/* Draw a token for each running lane; those at a fault end. Returns how many are left. */
static size_t draw(const textgen_network *network, const textgen_slots *slots, textgen_run_lane *lanes,
                   size_t running) {
    size_t slot = 0;
    while (slot < running) {
        textgen_run_lane *lane = &lanes[slots->lanes[slot]];
        const float *logits = slots->logits + slot * (size_t)network->padded_vocabulary;
        const int64_t token =
            textgen_sampler_draw_float(lane->sampler, logits, network->vocabulary, slots->exp_logits);
        if (token < 0) {
            end_lane(network, slots, lanes, slot, --running, token);
        } else {
            textgen_sampler_accept(lane->sampler, token);
            lane->tokens[lane->generated++] = slots->tokens[slot++] = token;
        }
    }
    return running;
}

/* Lanes that have their length end. Returns how many are left. */
static size_t end_lanes(const textgen_network *network, const textgen_slots *slots, textgen_run_lane *lanes,
                        size_t running) {
    size_t slot = 0;
    while (slot < running) {
        const textgen_run_lane *lane = &lanes[slots->lanes[slot]];
        if (lane->generated >= lane->length) {
            end_lane(network, slots, lanes, slot, --running, TEXTGEN_LENGTH);
        } else {
            slot++;
        }
    }
    return running;
}

static double entropies(const textgen_network *network, const textgen_slots *slots,
                        const textgen_run_lane *lanes, size_t running, double (*logarithm)(double)) {
    double bits = 0.0;
    size_t slot;
    for (slot = 0; slot < running; slot++) {
        const textgen_sampler *sampler = lanes[slots->lanes[slot]].sampler;
        bits += textgen_entropy_float(slots->logits + slot * (size_t)network->padded_vocabulary,
                                      network->vocabulary, sampler->temperature, slots->exp_logits,
                                      sampler->exp64, logarithm);
    }
    return bits;
}

void textgen_run(const textgen_network *network, textgen_run_lane *lanes, size_t count, int64_t steps,
                 void *memory, textgen_measured *measured) {
    const textgen_slots slots = textgen_slots_find(network, memory, count, 1);
    const float *top;
    int64_t start = 0, drawn = 0;
    size_t running = 0, i;
    for (i = 0; i < count; i++) {
        lanes[i].generated = 0;
        lanes[i].ending = lanes[i].length > 0 ? TEXTGEN_RUNNING : TEXTGEN_LENGTH;
        if (lanes[i].length > 0) {
            slots.lanes[running] = i;
            start_lane(network, &slots, &lanes[i], running++);
        }
    }
    for (; running && steps > 0; steps--) {
        if (measured) {
            measured->entropy += entropies(network, &slots, lanes, running, measured->log);
            start = textgen_nanoseconds();
        }
        running = draw(network, &slots, lanes, running);
        if (measured) {
            drawn = textgen_nanoseconds();
            measured->sampler += drawn - start;
        }
        top = textgen_forward_step(network, &slots, slots.tokens, running);
        network->kernels->linear(&network->drawing, top, slots.logits, (ptrdiff_t)running);
        if (measured) {
            const int64_t stepped = textgen_nanoseconds();
            measured->model += stepped - drawn;
            if (measured->latencies) {
                measured->latencies[measured->steps] = stepped - start;
            }
            measured->steps++;
        }
        running = end_lanes(network, &slots, lanes, running);
    }
    for (i = 0; i < running; i++) {
        store_lane(network, &slots, &lanes[slots.lanes[i]], i);
    }
}
