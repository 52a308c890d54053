/* The functions that JavaScript calls. An instance of the module has one model. A generation is the block of a
 * textgen_text, in memory that JavaScript allocates; the tables that it follows are arguments, and may be NULL.
 * Functions that can fail return TEXTGEN_OK, or a count, or a negative code; `create` traps instead. See
 * errors.h. */
#include "errors.h"

#include "clock.h"
#include "handles.h"
#include "log64.h"
#include "saved.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Tokens of one call of `generate`, at most. */
#define CHUNK 64

static textgen_model model;
static const textgen_shape *const shape = &model.shape;
static void *workspace;    /* for one lane; nothing is kept there between calls */
static textgen_text *copy; /* a block for calls that leave the text as it is */

/* Tokens on their way to JavaScript. */
static int64_t lane_tokens[TEXTGEN_MAX_HELD + CHUNK];
static int32_t tokens[TEXTGEN_MAX_HELD + CHUNK];

void *EXPORT(allocate)(size_t size) { return malloc(size); }
void EXPORT(release)(void *memory) { free(memory); }

/* Only measurements need a clock, and JavaScript has its own. */
int64_t textgen_nanoseconds(void) { return 0; }

/* Read a model once. `data` must stay. After a trap, the instance has no use any more. */
void EXPORT(create)(const void *data, size_t size) {
    const textgen_view content = {data, size};
    textgen_model_read(&model, content, textgen_find_kernels(NULL), &web_error);
    workspace = malloc(textgen_slots_size(model.network, 1, 1));
    copy = malloc(textgen_text_size(shape));
    if (!workspace || !copy) {
        textgen_out_of_memory(&web_error);
    }
}

/* JavaScript reads these structs by the positions of their fields. */
_Static_assert(sizeof(textgen_model_info) == 13 * sizeof(int32_t), "change info.js, too");
_Static_assert(offsetof(textgen_saved, constraint) == TEXTGEN_SHA256_SIZE, "change saving.js, too");
_Static_assert(sizeof(textgen_layer_info) == 4 * sizeof(int32_t), "change info.js, too");
_Static_assert(offsetof(textgen_view, size) == 4, "change saving.js, too");
_Static_assert(sizeof(textgen_stop_state) == 20 && TEXTGEN_MAX_STOP == 1020, "change tables.js, too");
_Static_assert(offsetof(textgen_uint128, high) == 0, "change generation.js, too");

/* What JavaScript must know of the model. Strings are pointers, or 0. */
static struct {
    textgen_model_info info;
    int32_t unknown, begin, end;
    size_t units, text_bytes;
    const int32_t *tokens;
} summary;

const void *EXPORT(describe)(void) {
    summary.info = textgen_model_describe(&model);
    summary.unknown = (int32_t)shape->special.unknown;
    summary.begin = (int32_t)shape->special.begin;
    summary.end = (int32_t)shape->special.end;
    summary.units = model.network->units;
    summary.text_bytes = textgen_text_size(shape);
    summary.tokens = tokens;
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

/* The random stream, and the sampling parameters in the order of parameters.def. JavaScript writes others after
 * these. */
typedef struct {
    uint64_t seed, seed_high;
    double substream;
    const double *logit_bias; /* [vocabulary], or NULL */
    double values[TEXTGEN_PARAMETER_COUNT];
} web_parameters;

/* Start a text in memory of `text_bytes`. */
void EXPORT(start)(textgen_text *text, const web_parameters *given) {
    const textgen_uint128 seed = {given->seed_high, given->seed};
    textgen_parameters parameters;
    textgen_parameters_set(&parameters, given->values);
    textgen_text_init(shape, text, seed, (uint32_t)given->substream);
    textgen_text_configure(shape, text, &parameters, given->logit_bias != NULL);
    if (given->logit_bias) {
        memcpy(textgen_filters_bias(textgen_text_find(shape, text).filters), given->logit_bias,
               shape->vocabulary * sizeof(double));
    }
}

void EXPORT(copy_text)(const textgen_text *text, void *memory) {
    memcpy(memory, text, textgen_text_used(shape, text));
}

/* Encode a text of UTF-8. skip: whether to leave out characters outside the vocabulary. encoded: [size]. Return
 * the number of tokens. */
int32_t EXPORT(encode)(const char *text, size_t size, int32_t skip, int64_t *encoded) {
    textgen_encoder encoder = {text, size, 0};
    int32_t count = 0, result;
    while ((result = (skip ? textgen_encode_known : textgen_encode_next)(model.vocabulary, &encoder,
                                                                         &encoded[count], &web_error)) > 0) {
        count += encoded[count] >= 0;
    }
    return result < 0 ? result : count;
}

static void forward(textgen_text *text, const int64_t *fed, size_t count) {
    const textgen_text_parts parts = textgen_text_find(shape, text);
    textgen_forward(model.network, fed, count, 1, parts.state, 1, parts.logits, workspace);
    textgen_special_mask(&shape->special, parts.logits);
}

/* Feed tokens. restart: whether to start from the initial state; with the begin token, if the model has one. */
void EXPORT(feed)(textgen_text *text, const int64_t *fed, size_t count, int32_t restart) {
    textgen_text_feed(shape, text, restart);
    if (restart && shape->special.begin >= 0) {
        forward(text, &shape->special.begin, 1);
    }
    if (count) {
        forward(text, fed, count);
    }
}

/* See textgen_stops_add. */
size_t EXPORT(add_stop)(textgen_stop_state *states, size_t count, const int64_t *stop, size_t length) {
    return textgen_stops_add(states, count, stop, length);
}

void EXPORT(link_stops)(textgen_stop_state *states) { textgen_stops_link(states); }

void EXPORT(release_constraint)(textgen_constraint *constraint) {
    textgen_constraint_release(constraint);
    free(constraint);
}

/* Read a table of JSON. Return NULL after an error. */
textgen_constraint *EXPORT(read_constraint)(const void *json, size_t size) {
    const textgen_view content = {json, size};
    textgen_constraint *constraint = calloc(1, sizeof *constraint);
    if (!constraint) {
        textgen_report(&web_error, TEXTGEN_OUT_OF_MEMORY, "not enough memory for the constraint");
    } else if (textgen_constraint_read(content, model.vocabulary, constraint, &web_error) < 0) {
        release_constraint(constraint);
        constraint = NULL;
    }
    return constraint;
}

static unsigned char digest[TEXTGEN_SHA256_SIZE];

/* Return the SHA-256 of some bytes. */
const unsigned char *EXPORT(sha256)(const void *data, size_t size) {
    textgen_sha256 sum;
    textgen_sha256_init(&sum);
    textgen_sha256_add(&sum, data, size);
    textgen_sha256_end(&sum, digest);
    return digest;
}

/* Return that of a constraint: see saved.h. */
const unsigned char *EXPORT(digest_constraint)(const textgen_constraint *constraint) {
    textgen_constraint_digest(constraint, digest);
    return digest;
}

void EXPORT(release_spans)(textgen_spans *spans) {
    textgen_spans_release(spans);
    free(spans);
}

/* Build the spans of a corpus. Return NULL after an error. */
textgen_spans *EXPORT(read_spans)(const char *text, size_t size, size_t max_copy) {
    textgen_spans *spans = calloc(1, sizeof *spans);
    if (!spans) {
        textgen_report(&web_error, TEXTGEN_OUT_OF_MEMORY, "not enough memory for the spans of the corpus");
    } else if (textgen_spans_read(spans, model.vocabulary, text, size, max_copy, &web_error) < 0) {
        release_spans(spans);
        spans = NULL;
    }
    return spans;
}

/* Where a text stands. `needed` is how many tokens it needs to match its constraint. */
static struct {
    int32_t ending, is_complete, at_end, needed, held;
    int32_t generated; /* tokens of the latest `generate` */
} position;

const void *EXPORT(inspect)(const textgen_text *text, const textgen_constraint *constraint) {
    position.ending = (int32_t)text->ending;
    position.is_complete = textgen_text_is_complete(text);
    position.at_end = (int32_t)text->at_end;
    position.held = (int32_t)text->held;
    position.needed = (int32_t)textgen_text_needed(text, constraint);
    return &position;
}

const textgen_uint128 *EXPORT(seed)(const textgen_text *text) { return &text->rng.seed; }

/* Write `count` of `lane_tokens` to `tokens`, without the end of a record. is_last: whether no others follow,
 * so that an incomplete character at the end has no text. Return how many have a text. */
static int32_t write_tokens(int64_t count, bool is_last) {
    count -= count > 0 && lane_tokens[count - 1] == shape->special.end;
    count -= is_last && shape->is_bytes ? textgen_incomplete_bytes(lane_tokens, count) : 0;
    for (int64_t i = 0; i < count; i++) {
        tokens[i] = (int32_t)lane_tokens[i];
    }
    return (int32_t)count;
}

static int32_t fail_sampler(int64_t failed) {
    return textgen_report(&web_error, textgen_sampler_code(failed), "%s", textgen_sampler_error_text(failed));
}

/* Draw up to `steps` tokens, at most CHUNK. length: how many the text may still have. Return how many of
 * `tokens` have a text that is decided now. */
int32_t EXPORT(generate)(textgen_text *text, const textgen_stop_state *stops,
                         const textgen_constraint *constraint, const textgen_spans *spans, int32_t steps,
                         double length, int32_t must_end, int32_t keep_stop) {
    textgen_lane_call lane = {.text = text,
                              .guide = {stops, constraint, spans},
                              .length = (int64_t)length,
                              .must_end = must_end,
                              .masked = 1,
                              .keep_stop = keep_stop,
                              .tokens = lane_tokens};
    textgen_generate_tokens(model.network, shape, &lane, 1, steps, workspace, NULL);
    position.generated = (int32_t)lane.generated;
    return lane.ending < 0 ? fail_sampler(lane.ending) : write_tokens(lane.decided, !text->held);
}

/* Decide what is held back: write it to `tokens`, but for an incomplete character, which stays. Return how many
 * tokens have a text. */
int32_t EXPORT(finish)(textgen_text *text) {
    int32_t *held = textgen_text_find(shape, text).held;
    for (int64_t i = 0; i < text->held; i++) {
        lane_tokens[i] = held[i];
    }
    const int32_t count = write_tokens(text->held, true);
    text->held -= count;
    memmove(held, held + count, (size_t)text->held * sizeof *held);
    return count;
}

/* Return the logits of the next token, [vocabulary]. */
float *EXPORT(logits)(textgen_text *text) { return textgen_text_find(shape, text).logits; }

/* Write the probabilities of the next token at a temperature, [vocabulary]. If it is negative, they are those
 * of the next draw: see textgen_text_probabilities. */
int32_t EXPORT(probabilities)(textgen_text *text, const textgen_constraint *constraint,
                              const textgen_spans *spans, double temperature, double *probabilities) {
    const textgen_slots slots = textgen_slots_find(model.network, workspace, 1, 1);
    textgen_guide guide = {NULL, constraint, spans};
    copy_text(text, copy);
    if (temperature >= 0.0) {
        guide = (textgen_guide){NULL, NULL, NULL};
        copy->filtered = 0;
        copy->parameters = textgen_parameters_default;
        copy->parameters.temperature = temperature;
    }
    const int64_t result =
        textgen_text_probabilities(shape, copy, guide, true, probabilities, slots.masked, slots.sampling);
    return result < 0 ? fail_sampler(result) : TEXTGEN_OK;
}

/* Write the negative natural logarithm of the probability of each token after a text to `nats`: NaN for a token
 * that is never drawn. */
void EXPORT(surprise)(const textgen_text *text, const int64_t *fed, size_t count, double *nats) {
    double *scratch = textgen_slots_find(model.network, workspace, 1, 1).sampling;
    const float *current = logits(copy);
    copy_text(text, copy);
    for (size_t i = 0; i < count; i++) {
        const double logit = (double)current[fed[i]];
        nats[i] = logit > -INFINITY
                      ? textgen_log_sum_exp_float(current, shape->vocabulary, scratch, shape->exp64) - logit
                      : NAN;
        forward(copy, fed + i, 1);
    }
}

/* The text that `save` writes, or that `open_saved` has read. */
static textgen_saved saved;

/* Return the hashes of the model and of the constraint, one after the other. */
const unsigned char *EXPORT(hashes)(void) { return saved.model; }

size_t EXPORT(saved_size)(const textgen_text *text, size_t description) {
    return textgen_saved_size(shape, text, description);
}

/* Write a saved text of `saved_size` bytes. Its hashes were written before. */
void EXPORT(save)(const textgen_text *text, const void *description, size_t size, void *data) {
    saved.description.data = description;
    saved.description.size = size;
    textgen_saved_write(shape, text, &saved, data);
}

/* Read the header of a saved text. Return its description, or NULL after an error. */
const textgen_view *EXPORT(open_saved)(const void *data, size_t size) {
    const textgen_view content = {data, size};
    return textgen_saved_open(content, &saved, &web_error) < 0 ? NULL : &saved.description;
}

/* Continue the opened text in memory of `text_bytes`, and write its sampling parameters to `values`, in the
 * order of parameters.def. Return whether it was drawn with spans. */
int32_t EXPORT(resume)(textgen_text *text, const textgen_constraint *constraint,
                       double values[TEXTGEN_PARAMETER_COUNT]) {
    TEXTGEN_TRY(textgen_saved_read(shape, &saved, constraint, text, &web_error));
    textgen_parameters_get(&text->parameters, values);
    return text->recent > 0;
}
