/* The functions that JavaScript calls. An instance of the module has one model. JavaScript writes arguments to,
 * and reads results from, memory that it allocates here. Functions that can fail return TEXTGEN_OK, or a count,
 * or a negative code; `message` then has the text of the error. */
#include "clock.h"
#include "handles.h"
#include "log64.h"
#include "sha256.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT(name) __attribute__((export_name(#name))) name

static textgen_model *model;
static char error[1024];
static const textgen_error message_buffer = {error, sizeof error};

const char *EXPORT(message)(void) { return error; }
void *EXPORT(allocate)(size_t size) { return malloc(size); }
void EXPORT(release)(void *memory) { free(memory); }

/* Only measurements need a clock, and JavaScript has its own. */
int64_t textgen_nanoseconds(void) { return 0; }

int32_t EXPORT(create)(const void *data, size_t size) {
    return textgen_model_create(data, size, NULL, &model, error, sizeof error);
}

/* What JavaScript must know of the model. Strings are pointers, or 0. */
static struct {
    size_t vocabulary, layers, parameters, lowercase;
    const char *unicode, *kernels, *level, *records;
    int32_t unknown, begin, end;
    size_t units, state_values, stream_bytes;
} description;

const void *EXPORT(describe)(void) {
    textgen_model_info info = {0};
    info.struct_size = sizeof info;
    textgen_model_get_info(model, &info, NULL, 0);
    description.vocabulary = info.vocabulary;
    description.layers = info.layers;
    description.parameters = info.parameters;
    description.lowercase = info.lowercase;
    description.unicode = info.unicode;
    description.kernels = info.kernels;
    description.level = info.level;
    description.records = info.records;
    description.unknown = (int32_t)model->network->special.unknown;
    description.begin = (int32_t)model->network->special.begin;
    description.end = (int32_t)model->network->special.end;
    description.units = model->network->units;
    description.state_values = model->network->state_values;
    description.stream_bytes = textgen_stream_size(model);
    return &description;
}

/* Write the kind, the inputs and the outputs of a layer to `layer`. */
void EXPORT(describe_layer)(size_t index, size_t layer[3]) {
    textgen_layer_info info = {0};
    info.struct_size = sizeof info;
    textgen_model_get_layer(model, index, &info, NULL, 0);
    layer[0] = (size_t)info.kind;
    layer[1] = info.inputs;
    layer[2] = info.outputs;
}

/* Return the JSON text of a metadata entry, or 0. */
const char *EXPORT(metadata)(const char *key, size_t *size) {
    return textgen_model_get_metadata(model, key, size);
}

/* The parameters of a stream, with the meaning of textgen_sampling's fields. */
typedef struct {
    double temperature, repetition_penalty, frequency_penalty, presence_penalty, penalty_window;
    double top_k, typical_p, top_p, min_p, mirostat_tau, mirostat_eta, substream;
    uint64_t seed, seed_high;
    const float *logit_bias; /* [vocabulary], or NULL */
} web_parameters;

static textgen_sampling read_parameters(const web_parameters *given) {
    textgen_sampling sampling = TEXTGEN_SAMPLING_DEFAULT;
    sampling.temperature = given->temperature;
    sampling.seed = given->seed;
    sampling.seed_high = given->seed_high;
    sampling.substream = (uint64_t)given->substream;
    sampling.repetition_penalty = given->repetition_penalty;
    sampling.frequency_penalty = given->frequency_penalty;
    sampling.presence_penalty = given->presence_penalty;
    sampling.penalty_window = (size_t)given->penalty_window;
    sampling.top_k = (size_t)given->top_k;
    sampling.typical_p = given->typical_p;
    sampling.top_p = given->top_p;
    sampling.min_p = given->min_p;
    sampling.mirostat_tau = given->mirostat_tau;
    sampling.mirostat_eta = given->mirostat_eta;
    sampling.logit_bias = given->logit_bias;
    sampling.logit_bias_count = given->logit_bias ? model->network->vocabulary : 0;
    return sampling;
}

int32_t EXPORT(start)(void *memory, const web_parameters *parameters) {
    const textgen_sampling sampling = read_parameters(parameters);
    textgen_stream *stream;
    return textgen_stream_init(memory, textgen_stream_size(model), model, &sampling, &stream, error,
                               sizeof error);
}

int32_t EXPORT(set_sampling)(textgen_stream *stream, const web_parameters *parameters) {
    const textgen_sampling sampling = read_parameters(parameters);
    return textgen_stream_set_sampling(stream, &sampling, error, sizeof error);
}

void EXPORT(copy)(const textgen_stream *stream, void *memory) {
    textgen_stream *copied;
    textgen_stream_copy(stream, memory, textgen_stream_size(model), &copied, NULL, 0);
}

/* Encode a text of UTF-8. skip: whether to leave out characters outside the vocabulary. tokens: [size]. Return
 * the number of tokens. */
int32_t EXPORT(encode)(const char *text, size_t size, int32_t skip, int64_t *tokens) {
    textgen_encoder encoder = {text, size, 0};
    int32_t count = 0, result;
    for (;;) {
        result = textgen_encode_next(model->vocabulary, &encoder, &tokens[count], &message_buffer);
        if (result > 0) {
            count += !skip || tokens[count] != model->network->special.unknown;
        } else if (result == TEXTGEN_UNKNOWN_CHARACTER && skip) {
            do {
                encoder.offset++;
            } while (encoder.offset < size && ((unsigned char)text[encoder.offset] & 0xC0) == 0x80);
        } else {
            return result < 0 ? result : count;
        }
    }
}

/* Feed tokens. After the end of a record they start a new one. */
void EXPORT(feed)(textgen_stream *stream, const int64_t *tokens, size_t count) {
    const textgen_stream_parts parts = textgen_stream_find(stream);
    const textgen_workspace_parts workspace = textgen_workspace_find(parts.workspace, 1);
    textgen_stream_feed(stream, "", 0, NULL, 0);
    if (count) {
        textgen_forward(model->network, tokens, count, 1, parts.state, 1, parts.logits, workspace.slots);
        stream->has_prompt = true;
    }
}

/* The automata of a text; each table may be NULL. */
typedef struct {
    const int16_t *stops;
    const uint16_t *matched;
    const int16_t *constraint;
    const int32_t *distance;
} web_guide;

/* The arguments and the result of `generate`. */
typedef struct {
    int32_t steps;    /* tokens to draw now, at most TEXTGEN_CHUNK */
    int32_t length;   /* tokens that the text may still have */
    int32_t must_end; /* see textgen_token_lane */
    int32_t stop_state, constraint_state;           /* updated */
    int32_t generated, ending, stop_length, failed; /* output; failed: a textgen_sampler_error, or 0 */
    int32_t tokens[TEXTGEN_CHUNK];                  /* output */
} web_call;

int32_t EXPORT(generate)(textgen_stream *stream, const web_guide *guide, web_call *call) {
    const textgen_stream_parts parts = textgen_stream_find(stream);
    const textgen_workspace_parts workspace = textgen_workspace_find(parts.workspace, 1);
    const size_t vocabulary = model->network->vocabulary;
    const textgen_stops stops = {guide->stops, guide->matched, vocabulary};
    const textgen_constraint constraint = {guide->constraint, guide->distance, vocabulary};
    textgen_token_lane lane = {0};
    int32_t i;
    stream->sampler.filters = stream->filtered ? parts.filters : NULL;
    lane.sampler = &stream->sampler;
    lane.state = parts.state;
    lane.logits = parts.logits;
    lane.tokens = workspace.tokens;
    lane.length = call->length;
    lane.constraint = guide->constraint ? &constraint : NULL;
    lane.constraint_state = call->constraint_state;
    lane.must_end = call->must_end;
    lane.masked = true;
    lane.stops = guide->stops ? &stops : NULL;
    lane.stop_state = call->stop_state;
    textgen_generate_tokens(model->network, &lane, 1, call->steps, workspace.slots, NULL);
    for (i = 0; i < lane.generated; i++) {
        call->tokens[i] = (int32_t)lane.tokens[i];
    }
    call->generated = (int32_t)lane.generated;
    call->failed = lane.ending < 0 ? (int32_t)lane.ending : 0;
    call->ending = call->failed ? 0 : (int32_t)lane.ending;
    call->stop_length = (int32_t)lane.stop_length;
    call->stop_state = (int32_t)lane.stop_state;
    call->constraint_state = (int32_t)lane.constraint_state;
    stream->ended = lane.ending == TEXTGEN_REACHED_END;
    if (!call->failed) {
        return TEXTGEN_OK;
    }
    return textgen_fail(&message_buffer,
                        call->failed == TEXTGEN_SAMPLER_EXHAUSTED ? TEXTGEN_RNG_EXHAUSTED
                                                                  : TEXTGEN_INVALID_LOGITS,
                        "%s", textgen_sampler_error_text(call->failed));
}

/* Return the logits of the next token, [vocabulary]. */
float *EXPORT(logits)(textgen_stream *stream) {
    float *logits = textgen_stream_find(stream).logits;
    textgen_special_mask(&model->network->special, logits);
    return logits;
}

/* Write the probabilities of the next token at a temperature, [vocabulary]. If it is negative, they are those
 * of the next draw, with the stream's temperature, its filters and the constraint. */
int32_t EXPORT(probabilities)(textgen_stream *stream, double temperature, const web_guide *guide,
                              int32_t constraint_state, double *probabilities) {
    const textgen_stream_parts parts = textgen_stream_find(stream);
    const size_t count = model->network->vocabulary;
    const textgen_slots slots =
        textgen_slots_find(model->network, textgen_workspace_find(parts.workspace, 1).slots, 1, 1);
    const textgen_constraint constraint = {guide->constraint, guide->distance, count};
    double sum = 1.0;
    int64_t result;
    size_t i;
    memcpy(slots.masked, logits(stream), count * sizeof(float));
    if (temperature >= 0.0) {
        result = textgen_reweight_float(slots.masked, count, temperature, slots.sampling, &sum,
                                        model->network->exp64);
    } else {
        if (guide->constraint) {
            textgen_constraint_mask(&constraint, constraint_state, INT64_MAX, slots.masked);
        }
        stream->sampler.filters = stream->filtered ? parts.filters : NULL;
        result =
            textgen_sampler_reweight_float(&stream->sampler, slots.masked, count, slots.sampling, &sum);
    }
    for (i = 0; i < count; i++) {
        probabilities[i] = result < 0 ? 0.0 : slots.sampling[i] / sum;
    }
    return result < 0 ? textgen_fail(&message_buffer, TEXTGEN_INVALID_LOGITS, "%s",
                                     textgen_sampler_error_text(result))
                      : TEXTGEN_OK;
}

/* Feed tokens one by one, and write the negative natural logarithm of the probability of each to `nats`: NaN
 * for a token that is never drawn. */
void EXPORT(surprise)(textgen_stream *stream, const int64_t *tokens, size_t count, double *nats) {
    const textgen_stream_parts parts = textgen_stream_find(stream);
    void *slots = textgen_workspace_find(parts.workspace, 1).slots;
    double *scratch = textgen_slots_find(model->network, slots, 1, 1).sampling;
    size_t i;
    for (i = 0; i < count; i++) {
        const float *current = logits(stream);
        const double logit = (double)current[tokens[i]];
        nats[i] = logit > -INFINITY
                      ? textgen_log_sum_exp_float(current, model->network->vocabulary, scratch,
                                                  model->network->exp64) -
                            logit
                      : NAN;
        feed(stream, tokens + i, 1);
    }
}

/* The recurrent state, [state_values]. */
float *EXPORT(state)(textgen_stream *stream) { return textgen_stream_find(stream).state; }

int64_t EXPORT(position)(const textgen_stream *stream) { return stream->sampler.rng.position; }

/* Move to a position of the random stream, and mark the record as ended or not. */
void EXPORT(restore)(textgen_stream *stream, int64_t position, int32_t ended) {
    textgen_rng_seek(&stream->sampler.rng, position);
    stream->ended = ended != 0;
    stream->has_prompt = true;
}

/* Copy the tokens that the penalties count to `tokens`, [TEXTGEN_MAX_PENALTY_WINDOW]. Return their number. */
size_t EXPORT(recent)(textgen_stream *stream, uint32_t *tokens) {
    return stream->filtered ? textgen_filters_get_recent(textgen_stream_find(stream).filters, tokens) : 0;
}

/* Return mirostat's state, or 0 without filters. */
double EXPORT(mirostat)(textgen_stream *stream) {
    return stream->filtered ? textgen_stream_find(stream).filters->mirostat_mu : 0.0;
}

void EXPORT(restore_filters)(textgen_stream *stream, const uint32_t *tokens, size_t count, double mirostat) {
    textgen_filters *filters = textgen_stream_find(stream).filters;
    if (stream->filtered) {
        textgen_filters_set_recent(filters, tokens, count);
        filters->mirostat_mu = mirostat;
    }
}

/* Write the SHA-256 of some bytes, 32 bytes. */
void EXPORT(sha256)(const void *data, size_t size, void *digest) { textgen_sha256(data, size, digest); }
