#include "generate.h"
#include "clock.h"

#include <math.h>
#include <string.h>

static void load_lane(const textgen_network *network, const textgen_slots *slots,
                      const textgen_token_lane *lane, size_t slot) {
    float *logits = slots->logits + slot * (size_t)network->padded_vocabulary;
    textgen_slot_load(network, slots, lane->state, network->units, slot);
    memcpy(logits, lane->logits, network->vocabulary * sizeof(float));
    if (network->masked_token >= 0) {
        logits[network->masked_token] = -INFINITY;
    }
}

static void store_lane(const textgen_network *network, const textgen_slots *slots, textgen_token_lane *lane,
                       size_t slot) {
    textgen_slot_store(network, slots, lane->state, network->units, slot);
    memcpy(lane->logits, slots->logits + slot * (size_t)network->padded_vocabulary,
           network->vocabulary * sizeof(float));
}

/* End the lane in a slot, and move the last running lane there. */
static void end_lane(const textgen_network *network, const textgen_slots *slots, textgen_token_lane *lanes,
                     size_t slot, size_t last, int64_t ending) {
    lanes[slots->lanes[slot]].ending = ending;
    store_lane(network, slots, &lanes[slots->lanes[slot]], slot);
    textgen_slot_move(network, slots, last, slot);
    slots->lanes[slot] = slots->lanes[last];
}

/* Draw a token for each running lane. Lanes whose sampler fails end. Return the number of running lanes. */
static size_t draw(const textgen_network *network, const textgen_slots *slots, textgen_token_lane *lanes,
                   size_t running) {
    size_t slot = 0;
    while (slot < running) {
        textgen_token_lane *lane = &lanes[slots->lanes[slot]];
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

/* End the lanes that reached their length. Return the number of running lanes. */
static size_t end_lanes(const textgen_network *network, const textgen_slots *slots, textgen_token_lane *lanes,
                        size_t running) {
    size_t slot = 0;
    while (slot < running) {
        const textgen_token_lane *lane = &lanes[slots->lanes[slot]];
        if (lane->generated >= lane->length) {
            end_lane(network, slots, lanes, slot, --running, TEXTGEN_REACHED_LENGTH);
        } else {
            slot++;
        }
    }
    return running;
}

static double sum_entropies(const textgen_network *network, const textgen_slots *slots,
                            const textgen_token_lane *lanes, size_t running, double (*logarithm)(double)) {
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

void textgen_generate_tokens(const textgen_network *network, textgen_token_lane *lanes, size_t count,
                             int64_t steps, void *workspace, textgen_measurements *measurements) {
    const textgen_slots slots = textgen_slots_find(network, workspace, count, 1);
    const float *features;
    int64_t start = 0, drawn = 0;
    size_t running = 0, i;
    for (i = 0; i < count; i++) {
        lanes[i].generated = 0;
        lanes[i].ending = lanes[i].length > 0 ? TEXTGEN_RUNNING : TEXTGEN_REACHED_LENGTH;
        if (lanes[i].length > 0) {
            slots.lanes[running] = i;
            load_lane(network, &slots, &lanes[i], running++);
        }
    }
    for (; running && steps > 0; steps--) {
        if (measurements) {
            measurements->entropy += sum_entropies(network, &slots, lanes, running, measurements->log);
            start = textgen_nanoseconds();
        }
        running = draw(network, &slots, lanes, running);
        if (measurements) {
            drawn = textgen_nanoseconds();
            measurements->sampler_ns += drawn - start;
        }
        features = textgen_forward_features(network, &slots, slots.tokens, running);
        network->kernels->linear(&network->masked_output_layer, features, slots.logits, (ptrdiff_t)running);
        if (measurements) {
            const int64_t forwarded = textgen_nanoseconds();
            measurements->model_ns += forwarded - drawn;
            if (measurements->latencies) {
                measurements->latencies[measurements->steps] = forwarded - start;
            }
            measurements->steps++;
        }
        running = end_lanes(network, &slots, lanes, running);
    }
    for (i = 0; i < running; i++) {
        store_lane(network, &slots, &lanes[slots.lanes[i]], i);
    }
}
