#include "generate.h"
#include "clock.h"

#include <string.h>

static void load_lane(const textgen_network *network, const textgen_slots *slots,
                      const textgen_token_lane *lane, size_t slot) {
    float *logits = slots->logits + slot * (size_t)network->padded_vocabulary;
    textgen_slot_load(network, slots, lane->state, 1, 0, slot);
    memcpy(logits, lane->logits, network->vocabulary * sizeof(float));
    textgen_special_mask(&network->special, logits);
}

static void store_lane(const textgen_network *network, const textgen_slots *slots, textgen_token_lane *lane,
                       size_t slot) {
    textgen_slot_store(network, slots, lane->state, 1, 0, slot);
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

/* The tokens that the text of a lane may still have. */
static int64_t remaining(const textgen_token_lane *lane) {
    return lane->must_end ? lane->length - lane->generated : INT64_MAX;
}

/* Return the logits that the lane in a slot draws from: those of the network, or a copy with the mask of the
 * constraint and of min_length. */
static const float *allowed_logits(const textgen_network *network, const textgen_slots *slots,
                                   const textgen_token_lane *lane, size_t slot) {
    const float *logits = slots->logits + slot * (size_t)network->padded_vocabulary;
    const bool constrained = lane->constraint && lane->masked &&
                             !textgen_constraint_accepting(lane->constraint, lane->constraint_state);
    const bool endless = network->special.end >= 0 && lane->generated < lane->min_length;
    if (!constrained && !endless) {
        return logits;
    }
    memcpy(slots->masked, logits, network->vocabulary * sizeof(float));
    if (constrained) {
        textgen_constraint_mask(lane->constraint, lane->constraint_state, remaining(lane), slots->masked);
    }
    if (endless) {
        slots->masked[network->special.end] = -INFINITY;
    }
    return slots->masked;
}

/* Move the constraint of a lane to the state after a token. Return the ending if it forbids the token. */
static int64_t constrain(textgen_token_lane *lane, int64_t token, int64_t end) {
    const textgen_constraint *constraint = lane->constraint;
    int64_t next;
    if (!constraint || (token == end && textgen_constraint_accepting(constraint, lane->constraint_state))) {
        return TEXTGEN_RUNNING;
    }
    next = textgen_constraint_next(constraint, lane->constraint_state, token, remaining(lane));
    if (next < 0) {
        return textgen_constraint_accepting(constraint, lane->constraint_state) ? TEXTGEN_CONSTRAINT_END
                                                                                : TEXTGEN_MISMATCH;
    }
    lane->constraint_state = next;
    return TEXTGEN_RUNNING;
}

/* Append a drawn token to a lane. */
static void append(const textgen_network *network, const textgen_slots *slots, textgen_token_lane *lane,
                   size_t slot, int64_t token) {
    const textgen_stops *stops = lane->stops;
    /* The end is no part of a text, so the penalties do not count it. */
    if (token != network->special.end) {
        textgen_sampler_accept(lane->sampler, token);
    }
    if (lane->logprobs) {
        const float *logits = slots->logits + slot * (size_t)network->padded_vocabulary;
        lane->logprobs[lane->generated] =
            (double)logits[token] -
            textgen_log_sum_exp_float(logits, network->vocabulary, slots->sampling, lane->sampler->exp64);
    }
    lane->tokens[lane->generated++] = slots->tokens[slot] = token;
    if (stops) {
        const int64_t state = textgen_stops_next(stops, lane->stop_state, token);
        lane->stop_length = stops->states[state].matched;
        lane->stop_reached = state;
        lane->stop_state = lane->stop_length > 0 ? 0 : state;
    }
}

/* Draw a token for each running lane. Lanes whose sampler fails, or whose constraint forbids the token, end.
 * Return the number of running lanes. */
static size_t draw(const textgen_network *network, const textgen_slots *slots, textgen_token_lane *lanes,
                   size_t running) {
    size_t slot = 0;
    while (slot < running) {
        textgen_token_lane *lane = &lanes[slots->lanes[slot]];
        const float *logits = allowed_logits(network, slots, lane, slot);
        const int64_t token =
            textgen_sampler_draw_float(lane->sampler, logits, network->vocabulary, slots->sampling);
        int64_t ending = token < 0 ? token : constrain(lane, token, network->special.end);
        if (ending == TEXTGEN_RUNNING) {
            append(network, slots, lane, slot++, token);
        } else {
            if (ending == TEXTGEN_SAMPLER_NO_TOKEN && logits == slots->masked) {
                ending = TEXTGEN_SAMPLER_FORBIDDEN;
            }
            end_lane(network, slots, lanes, slot, --running, ending);
        }
    }
    return running;
}

static int64_t find_ending(const textgen_network *network, const textgen_token_lane *lane) {
    if (lane->stop_length > 0) {
        return TEXTGEN_REACHED_STOP;
    }
    if (lane->generated > 0 && lane->tokens[lane->generated - 1] == network->special.end) {
        return TEXTGEN_REACHED_END;
    }
    if (lane->constraint && textgen_constraint_complete(lane->constraint, lane->constraint_state)) {
        return TEXTGEN_CONSTRAINT_END;
    }
    return lane->generated >= lane->length ? TEXTGEN_REACHED_LENGTH : TEXTGEN_RUNNING;
}

/* End the lanes whose text is complete. Return the number of running lanes. */
static size_t end_lanes(const textgen_network *network, const textgen_slots *slots, textgen_token_lane *lanes,
                        size_t running) {
    size_t slot = 0;
    while (slot < running) {
        const int64_t ending = find_ending(network, &lanes[slots->lanes[slot]]);
        if (ending != TEXTGEN_RUNNING) {
            end_lane(network, slots, lanes, slot, --running, ending);
        } else {
            slot++;
        }
    }
    return running;
}

static double sum_entropies(const textgen_network *network, const textgen_slots *slots,
                            const textgen_token_lane *lanes, size_t running) {
    double bits = 0.0;
    size_t slot;
    for (slot = 0; slot < running; slot++) {
        const textgen_token_lane *lane = &lanes[slots->lanes[slot]];
        bits += textgen_sampler_entropy_float(lane->sampler, allowed_logits(network, slots, lane, slot),
                                              network->vocabulary, slots->sampling);
    }
    return bits;
}

/* See textgen_generate_tokens. */
static void run_lanes(const textgen_network *network, textgen_token_lane *lanes, size_t count, int64_t steps,
                      void *workspace, textgen_measurements *measurements) {
    textgen_slots slots = textgen_slots_find(network, workspace, count, 1);
    const float *features;
    int64_t start = 0, drawn = 0;
    size_t running = 0, i;
    for (i = 0; i < count; i++) {
        lanes[i].sampler->exp64 = network->exp64;
        lanes[i].generated = lanes[i].stop_length = 0;
        lanes[i].ending = find_ending(network, &lanes[i]);
        if (lanes[i].ending == TEXTGEN_RUNNING) {
            slots.lanes[running] = i;
            load_lane(network, &slots, &lanes[i], running++);
        }
    }
    for (; running && steps > 0; steps--) {
        if (measurements) {
            measurements->draws += (int64_t)running;
            measurements->entropy += sum_entropies(network, &slots, lanes, running);
            start = textgen_nanoseconds();
        }
        running = draw(network, &slots, lanes, running);
        if (measurements) {
            drawn = textgen_nanoseconds();
            measurements->sampler_ns += drawn - start;
        }
        if (!running) {
            /* The constraints dropped the last tokens. There is no step of the network to run or to measure. */
            break;
        }
        features = textgen_forward_features(network, &slots, slots.tokens, running);
        textgen_forward_logits(network, &slots, features, running, true);
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

void textgen_generate_tokens(const textgen_network *network, textgen_token_lane *lanes, size_t count,
                             int64_t steps, void *workspace, textgen_measurements *measurements) {
    const size_t at_once = TEXTGEN_LANES(count);
    size_t i;
    for (i = 0; i < count; i += at_once) {
        run_lanes(network, lanes + i, at_once, steps, workspace, measurements);
    }
}
