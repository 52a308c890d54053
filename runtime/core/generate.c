#include "generate.h"
#include "clock.h"

#include <string.h>

/* What the functions below share. */
typedef struct {
    const textgen_network *network;
    const textgen_shape *shape;
    textgen_slots *slots;
    textgen_lane_call *lanes;
} loop;

static float *logits_of(const loop *run, size_t slot) {
    return run->slots->logits + slot * (size_t)run->network->padded_vocabulary;
}

static void load_lane(const loop *run, size_t slot) {
    const textgen_text_parts parts = textgen_text_find(run->shape, run->lanes[run->slots->lanes[slot]].text);
    textgen_slot_load(run->network, run->slots, parts.state, 1, 0, slot);
    memcpy(logits_of(run, slot), parts.logits, run->shape->vocabulary * sizeof(float));
    textgen_special_mask(&run->shape->special, logits_of(run, slot));
}

static void store_lane(const loop *run, size_t slot) {
    textgen_lane_call *lane = &run->lanes[run->slots->lanes[slot]];
    const textgen_text_parts parts = textgen_text_find(run->shape, lane->text);
    textgen_slot_store(run->network, run->slots, parts.state, 1, 0, slot);
    memcpy(parts.logits, logits_of(run, slot), run->shape->vocabulary * sizeof(float));
}

/* End the lane in a slot, and move the last running lane there. */
static void end_lane(const loop *run, size_t slot, size_t last) {
    store_lane(run, slot);
    textgen_slot_move(run->network, run->slots, last, slot);
    run->slots->lanes[slot] = run->slots->lanes[last];
}

/* Draw a token for each running lane. Lanes whose sampler fails, or whose constraint forbids the token, end.
 * Return the number of running lanes. */
static size_t draw(const loop *run, size_t running) {
    const textgen_slots *slots = run->slots;
    size_t slot = 0;
    while (slot < running) {
        textgen_lane_call *lane = &run->lanes[slots->lanes[slot]];
        const int64_t token =
            textgen_lane_draw(run->shape, lane, logits_of(run, slot), slots->masked, slots->sampling);
        if (token < 0) {
            end_lane(run, slot, --running);
        } else {
            slots->tokens[slot++] = token;
        }
    }
    return running;
}

/* End the lanes whose text is complete. Return the number of running lanes. */
static size_t end_lanes(const loop *run, size_t running) {
    size_t slot = 0;
    while (slot < running) {
        textgen_lane_call *lane = &run->lanes[run->slots->lanes[slot]];
        lane->ending = textgen_lane_ending(run->shape, lane);
        if (lane->ending != TEXTGEN_CONTINUES) {
            end_lane(run, slot, --running);
        } else {
            slot++;
        }
    }
    return running;
}

static double sum_entropies(const loop *run, size_t running) {
    const textgen_slots *slots = run->slots;
    double bits = 0.0;
    for (size_t slot = 0; slot < running; slot++) {
        bits += textgen_lane_entropy(run->shape, &run->lanes[slots->lanes[slot]], logits_of(run, slot),
                                     slots->masked, slots->sampling);
    }
    return bits;
}

/* Run the network for the drawn tokens of the running lanes. */
static void forward(const loop *run, size_t running) {
    const float *features = textgen_forward_features(run->network, run->slots, run->slots->tokens, running);
    textgen_forward_logits(run->network, run->slots, features, running, true);
}

/* See textgen_generate_tokens. Each lane has a slot. */
static void run_lanes(const loop *run, size_t count, int64_t steps, textgen_measurements *measurements) {
    int64_t start = 0, drawn = 0;
    size_t running = 0;
    for (size_t i = 0; i < count; i++) {
        textgen_lane_begin(run->shape, &run->lanes[i]);
        if (run->lanes[i].ending == TEXTGEN_CONTINUES) {
            run->slots->lanes[running] = i;
            load_lane(run, running++);
        }
    }
    for (; running && steps > 0; steps--) {
        if (measurements) {
            measurements->draws += (int64_t)running;
            measurements->entropy += sum_entropies(run, running);
            start = textgen_nanoseconds();
        }
        running = draw(run, running);
        if (measurements) {
            drawn = textgen_nanoseconds();
            measurements->sampler_ns += drawn - start;
        }
        if (!running) {
            /* The constraints dropped the last tokens. There is no step of the network to run or to measure. */
            break;
        }
        forward(run, running);
        if (measurements) {
            const int64_t forwarded = textgen_nanoseconds();
            measurements->model_ns += forwarded - drawn;
            if (measurements->latencies) {
                measurements->latencies[measurements->steps] = forwarded - start;
            }
            measurements->steps++;
        }
        running = end_lanes(run, running);
    }
    for (size_t i = 0; i < running; i++) {
        store_lane(run, i);
    }
    for (size_t i = 0; i < count; i++) {
        textgen_lane_finish(run->shape, &run->lanes[i]);
    }
}

void textgen_generate_tokens(const textgen_network *network, const textgen_shape *shape,
                             textgen_lane_call *lanes, size_t count, int64_t steps, void *workspace,
                             textgen_measurements *measurements) {
    const size_t at_once = TEXTGEN_LANES(count);
    for (size_t i = 0; i < count; i += at_once) {
        textgen_slots slots = textgen_slots_find(network, workspace, at_once, 1);
        const loop run = {network, shape, &slots, lanes + i};
        run_lanes(&run, at_once, steps, measurements);
    }
}
