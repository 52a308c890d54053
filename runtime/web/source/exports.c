/* The functions that JavaScript calls. An instance of the module has one model. Its streams use the parts of
 * the core directly, because the checks of the public C interface would repeat those of the JavaScript.
 * JavaScript writes arguments to, and reads results from, memory that it allocates here. Functions that can
 * fail return TEXTGEN_OK, or a count, or a negative code; `create` traps instead. See errors.h. */
#include "errors.h"

#include "clock.h"
#include "handles.h"
#include "log64.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Tokens of one call of `generate`, at most. */
#define CHUNK 64

static textgen_model model;
static const textgen_network *network;

void *EXPORT(allocate)(size_t size) { return malloc(size); }
void EXPORT(release)(void *memory) { free(memory); }

/* Only measurements need a clock, and JavaScript has its own. */
int64_t textgen_nanoseconds(void) { return 0; }

/* Read a model once. `data` must stay. After a trap, the instance has no use any more. */
void EXPORT(create)(const void *data, size_t size) {
    const textgen_view content = {data, size};
    textgen_model_read(&model, content, textgen_find_kernels(NULL), &web_error);
    network = model.network;
}

/* The memory of a stream: this structure, the state, the logits, the filters, and the slots of one lane. */
typedef struct {
    textgen_sampler sampler; /* its `filters` are set in each call, because they point into the stream */
    bool filtered;
} web_stream;

typedef struct {
    float *state, *logits;
    textgen_filters *filters;
    void *workspace;
    size_t kept; /* bytes before the workspace, where nothing is kept between calls */
} parts;

static parts find_parts(web_stream *stream) {
    const size_t start = (sizeof *stream + 7) / 8 * 8;
    const size_t floats = (network->state_values + network->vocabulary + 1) / 2 * 2 * sizeof(float);
    parts found;
    found.state = (void *)((char *)stream + start);
    found.logits = found.state + network->state_values;
    found.filters = (void *)((char *)stream + start + floats);
    found.kept = start + floats + textgen_filters_size(network->vocabulary);
    found.workspace = (char *)stream + found.kept;
    return found;
}

/* lib/info.js reads these structs by the positions of their fields. */
_Static_assert(sizeof(textgen_model_info) == 13 * sizeof(int32_t), "change info.js, too");
_Static_assert(sizeof(textgen_layer_info) == 4 * sizeof(int32_t), "change info.js, too");

/* What JavaScript must know of the model. Strings are pointers, or 0. */
static struct {
    textgen_model_info info;
    int32_t unknown, begin, end;
    size_t units, state_values, stream_bytes;
} summary;

const void *EXPORT(describe)(void) {
    summary.info = textgen_model_describe(&model);
    summary.unknown = (int32_t)network->special.unknown;
    summary.begin = (int32_t)network->special.begin;
    summary.end = (int32_t)network->special.end;
    summary.units = network->units;
    summary.state_values = network->state_values;
    summary.stream_bytes = find_parts(NULL).kept + textgen_slots_size(network, 1, 1);
    return &summary;
}

/* Return the textgen_layer_info of a layer. */
const void *EXPORT(describe_layer)(size_t index) {
    static textgen_layer_info layer;
    layer = textgen_layer_describe(&model, index);
    return &layer;
}

/* See textgen_model_get_metadata. */
const void *EXPORT(metadata)(const char *key, size_t *size) {
    return textgen_model_get_metadata(&model, key, size);
}

/* The sampling parameters, in the order of parameters.def, and the random stream. */
typedef struct {
    double values[TEXTGEN_PARAMETER_COUNT], substream;
    uint64_t seed, seed_high;
    const double *logit_bias; /* [vocabulary], or NULL */
} web_parameters;

/* Start a stream in memory of `stream_bytes`, at a position of its random numbers. */
void EXPORT(start)(web_stream *stream, const web_parameters *given, int64_t position) {
    const textgen_uint128 seed = {given->seed_high, given->seed};
    const parts found = find_parts(stream);
    textgen_parameters parameters;
    textgen_parameters_set(&parameters, given->values);
    memset(stream, 0, found.kept);
    textgen_sampler_init(&stream->sampler, &parameters, seed, (uint32_t)given->substream, network->exp64);
    textgen_rng_seek(&stream->sampler.rng, position);
    stream->filtered = given->logit_bias || textgen_filters_active(&parameters);
    textgen_filters_init(found.filters, &parameters, network->vocabulary);
    if (given->logit_bias) {
        memcpy(textgen_filters_bias(found.filters), given->logit_bias, network->vocabulary * sizeof(double));
    }
}

void EXPORT(copy)(web_stream *stream, void *memory) { memcpy(memory, stream, find_parts(stream).kept); }

/* Encode a text of UTF-8. skip: whether to leave out characters outside the vocabulary. tokens: [size]. Return
 * the number of tokens. */
int32_t EXPORT(encode)(const char *text, size_t size, int32_t skip, int64_t *tokens) {
    textgen_encoder encoder = {text, size, 0};
    int32_t count = 0, result;
    for (;;) {
        result = textgen_encode_next(model.vocabulary, &encoder, &tokens[count], &web_error);
        if (result > 0) {
            count += !skip || tokens[count] != network->special.unknown;
        } else if (result == TEXTGEN_UNKNOWN_CHARACTER && skip) {
            do {
                encoder.offset++;
            } while (encoder.offset < size && ((unsigned char)text[encoder.offset] & 0xC0) == 0x80);
        } else {
            return result < 0 ? result : count;
        }
    }
}

/* Feed tokens. restart: whether to start from the initial state; with the begin token, if the model has one. */
void EXPORT(feed)(web_stream *stream, const int64_t *tokens, size_t count, int32_t restart) {
    const parts found = find_parts(stream);
    if (restart) {
        memset(found.state, 0, network->state_values * sizeof(float));
    }
    if (restart && network->special.begin >= 0) {
        textgen_forward(network, &network->special.begin, 1, 1, found.state, 1, found.logits, found.workspace);
    }
    if (count) {
        textgen_forward(network, tokens, count, 1, found.state, 1, found.logits, found.workspace);
    }
}

/* The automata of a text; each table may be NULL. */
typedef struct {
    const textgen_stop_state *stops;
    const int16_t *constraint;
    const int32_t *distance;
} web_guide;

/* See textgen_stops_add. */
size_t EXPORT(add_stop)(textgen_stop_state *states, size_t count, const int64_t *tokens, size_t length) {
    return textgen_stops_add(states, count, tokens, length);
}

void EXPORT(link_stops)(textgen_stop_state *states) { textgen_stops_link(states); }

/* The arguments and the result of `generate`. */
typedef struct {
    int32_t steps;                          /* tokens to draw now, at most CHUNK */
    int32_t length;                         /* tokens that the text may still have */
    int32_t min_length, must_end;           /* see textgen_token_lane */
    int32_t stop_state, constraint_state;   /* updated */
    int32_t generated, ending, stop_length; /* output; ending: a textgen_ending */
    int32_t tokens[CHUNK];                  /* output */
} web_call;

static textgen_constraint constraint_of(const web_guide *guide) {
    const textgen_constraint constraint = {guide->constraint, guide->distance, network->vocabulary};
    return constraint;
}

/* Return the sampler of a stream with its filters. */
static textgen_sampler *sampler_of(web_stream *stream) {
    stream->sampler.filters = stream->filtered ? find_parts(stream).filters : NULL;
    return &stream->sampler;
}

static int32_t fail_sampler(int64_t failed) {
    return textgen_report(&web_error,
                          failed == TEXTGEN_SAMPLER_EXHAUSTED ? TEXTGEN_RNG_EXHAUSTED : TEXTGEN_INVALID_LOGITS,
                          "%s", textgen_sampler_error_text(failed));
}

int32_t EXPORT(generate)(web_stream *stream, const web_guide *guide, web_call *call) {
    const parts found = find_parts(stream);
    const textgen_stops stops = {guide->stops, network->vocabulary};
    const textgen_constraint constraint = constraint_of(guide);
    textgen_token_lane lane = {0};
    int64_t tokens[CHUNK];
    int32_t i;
    lane.sampler = sampler_of(stream);
    lane.state = found.state;
    lane.logits = found.logits;
    lane.tokens = tokens;
    lane.length = call->length;
    lane.min_length = call->min_length;
    lane.constraint = guide->constraint ? &constraint : NULL;
    lane.constraint_state = call->constraint_state;
    lane.must_end = call->must_end;
    lane.masked = true;
    lane.stops = guide->stops ? &stops : NULL;
    lane.stop_state = call->stop_state;
    textgen_generate_tokens(network, &lane, 1, call->steps, found.workspace, NULL);
    for (i = 0; i < lane.generated; i++) {
        call->tokens[i] = (int32_t)tokens[i];
    }
    call->generated = (int32_t)lane.generated;
    call->ending = lane.ending < 0 ? 0 : (int32_t)lane.ending;
    call->stop_length = (int32_t)lane.stop_length;
    call->stop_state = (int32_t)lane.stop_state;
    call->constraint_state = (int32_t)lane.constraint_state;
    return lane.ending < 0 ? fail_sampler(lane.ending) : TEXTGEN_OK;
}

/* Return the logits of the next token, [vocabulary]. */
float *EXPORT(logits)(web_stream *stream) {
    float *logits = find_parts(stream).logits;
    textgen_special_mask(&network->special, logits);
    return logits;
}

static double *scratch_of(web_stream *stream) {
    return textgen_slots_find(network, find_parts(stream).workspace, 1, 1).sampling;
}

/* Write the probabilities of the next token at a temperature, [vocabulary]. If it is negative, they are those
 * of the next draw, with the stream's temperature, its filters and the constraint. endless: whether the draw
 * excludes the end token. */
int32_t EXPORT(probabilities)(web_stream *stream, double temperature, const web_guide *guide,
                              int32_t constraint_state, int32_t endless, double *probabilities) {
    const size_t count = network->vocabulary;
    const textgen_constraint constraint = constraint_of(guide);
    float *masked = textgen_slots_find(network, find_parts(stream).workspace, 1, 1).masked;
    double *scratch = scratch_of(stream), sum = 1.0;
    int64_t result;
    size_t i;
    memcpy(masked, logits(stream), count * sizeof(float));
    if (temperature >= 0.0) {
        result = textgen_reweight_float(masked, count, temperature, scratch, &sum, network->exp64);
    } else {
        if (guide->constraint) {
            textgen_constraint_mask(&constraint, constraint_state, INT64_MAX, masked);
        }
        if (endless) {
            masked[network->special.end] = -INFINITY;
        }
        result = textgen_sampler_reweight_float(sampler_of(stream), masked, count, scratch, &sum);
    }
    for (i = 0; i < count && result == 0; i++) {
        probabilities[i] = scratch[i] / sum;
    }
    return result < 0 ? fail_sampler(result) : TEXTGEN_OK;
}

/* Feed tokens one by one, and write the negative natural logarithm of the probability of each to `nats`: NaN
 * for a token that is never drawn. */
void EXPORT(surprise)(web_stream *stream, const int64_t *tokens, size_t count, double *nats) {
    double *scratch = scratch_of(stream);
    size_t i;
    for (i = 0; i < count; i++) {
        const float *current = logits(stream);
        const double logit = (double)current[tokens[i]];
        nats[i] = logit > -INFINITY
                      ? textgen_log_sum_exp_float(current, network->vocabulary, scratch, network->exp64) - logit
                      : NAN;
        feed(stream, tokens + i, 1, 0);
    }
}

/* The recurrent state, [state_values]; the logits, [vocabulary], follow. */
float *EXPORT(state)(web_stream *stream) { return find_parts(stream).state; }

/* The position in the random stream. */
int64_t EXPORT(position)(const web_stream *stream) { return stream->sampler.rng.position; }

/* Copy the tokens that the penalties count to `tokens`, [TEXTGEN_MAX_PENALTY_WINDOW]. Return their number. */
size_t EXPORT(recent)(web_stream *stream, uint32_t *tokens) {
    return textgen_filters_get_recent(find_parts(stream).filters, tokens);
}

/* Return mirostat's state. */
double EXPORT(mirostat)(web_stream *stream) { return find_parts(stream).filters->mirostat_mu; }

void EXPORT(restore_filters)(web_stream *stream, const uint32_t *tokens, size_t count, double mirostat) {
    textgen_filters *filters = find_parts(stream).filters;
    textgen_filters_set_recent(filters, &stream->sampler.parameters, tokens, count);
    filters->mirostat_mu = mirostat;
}
