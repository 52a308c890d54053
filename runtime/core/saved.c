/* Saved streams, which are blocks behind a header: the same bytes in every language, all little-endian. The
 * data comes from anywhere. So the sizes must fit, each number must be in its range, and the state and the
 * logits must be numbers. There is no checksum: other numbers that a text can have are another text. */
#include "handles.h"
#include "sha256.h"

#include <math.h>
#include <string.h>

/* The header: 8 bytes of a mark, the format, the hashes of the model file and of the constraint, how many
 * parameters there are, and the sizes of the description and the block. */
#define MARK "textgen"
enum { MARK_SIZE = 8, FORMAT = 1, HASHES = 2 * TEXTGEN_SHA256_SIZE, HEADER = MARK_SIZE + 8 + HASHES + 24 };

/* The block begins with the parameters. New ones come last, and texts that were saved without them have their
 * defaults. Any other change of the block needs a new FORMAT. */
enum { PARAMETER_BYTES = 8, HEAD_BYTES = 18 * 8 };
_Static_assert(sizeof(textgen_text) == TEXTGEN_PARAMETER_COUNT * PARAMETER_BYTES + HEAD_BYTES, "FORMAT");
_Static_assert(sizeof(textgen_filters) == 5 * 8 + 1024 * 4 && TEXTGEN_MAX_HELD == 1024, "FORMAT");
_Static_assert(TEXTGEN_MAX_RECENT == 2000, "FORMAT");

/* ---- Bytes ---- */

/* Reverse the bytes of numbers of a width, on a machine that is not little-endian. */
static void convert(void *numbers, size_t count, size_t width) {
    const uint16_t one = 1;
    unsigned char *bytes = numbers, first;
    memcpy(&first, &one, 1);
    for (size_t i = 0; i < count && !first; i++, bytes += width) {
        for (size_t j = 0; j < width / 2; j++) {
            const unsigned char byte = bytes[j];
            bytes[j] = bytes[width - 1 - j];
            bytes[width - 1 - j] = byte;
        }
    }
}

/* Convert everything but the head, which is in the order of this machine. */
static void convert_parts(const textgen_shape *shape, textgen_text *text) {
    const textgen_text_parts parts = textgen_text_find(shape, text);
    convert(parts.state, shape->state_values + shape->vocabulary, sizeof(float));
    if (text->held || text->filtered || text->recent) {
        convert(parts.held, TEXTGEN_MAX_HELD, sizeof(int32_t));
    }
    convert(parts.recent, (size_t)text->recent, sizeof(int32_t));
    if (text->filtered) {
        convert(parts.filters, offsetof(textgen_filters, recent) / 8, 8);
        convert(parts.filters->recent, TEXTGEN_MAX_PENALTY_WINDOW, sizeof(uint32_t));
        convert(parts.filters + 1, 2 * shape->vocabulary, sizeof(double));
    }
}

static void write_number(unsigned char *data, uint64_t number) {
    convert(&number, 1, 8);
    memcpy(data, &number, 8);
}

static uint64_t read_number(const unsigned char *data) {
    uint64_t number;
    memcpy(&number, data, 8);
    convert(&number, 1, 8);
    return number;
}

/* Write the hashes of a model, and of a constraint, which may be NULL. */
static void write_hashes(const textgen_model *model, const textgen_constraint *constraint,
                         unsigned char hashes[HASHES]) {
    textgen_sha256 sum;
    textgen_sha256_init(&sum);
    textgen_sha256_add(&sum, model->content.data, model->content.size);
    textgen_sha256_end(&sum, hashes);
    memset(hashes + TEXTGEN_SHA256_SIZE, 0, TEXTGEN_SHA256_SIZE);
    if (constraint) {
        memcpy(hashes + TEXTGEN_SHA256_SIZE, constraint->digest, TEXTGEN_SHA256_SIZE);
    }
}

/* ---- Saving ---- */

/* Whether the state and the logits are those of a text: finite, or -infinity for some tokens. */
static bool has_numbers(const textgen_shape *shape, const textgen_text *text) {
    const textgen_text_parts parts = textgen_text_find(shape, text);
    bool any = false;
    for (size_t i = 0; i < shape->state_values; i++) {
        if (!isfinite(parts.state[i])) {
            return false;
        }
    }
    for (size_t i = 0; i < shape->vocabulary; i++) {
        if (isnan(parts.logits[i]) || parts.logits[i] == INFINITY) {
            return false;
        }
        any = any || isfinite(parts.logits[i]);
    }
    return any;
}

/* Write zeros to what does not count, so that equal texts are equal bytes. used: the bytes of the block. */
static void clear_unused(const textgen_shape *shape, textgen_text *text, size_t used) {
    const textgen_text_parts parts = textgen_text_find(shape, text);
    char *end = (char *)text + used, *filters = (char *)parts.filters;
    if ((char *)parts.held < end) {
        memset(parts.held + text->held, 0, (size_t)(TEXTGEN_MAX_HELD - text->held) * sizeof *parts.held);
    }
    if (text->filtered) {
        uint32_t recent[TEXTGEN_MAX_PENALTY_WINDOW];
        const size_t count = textgen_filters_get_recent(parts.filters, recent);
        memset(parts.filters->recent, 0, sizeof parts.filters->recent);
        textgen_filters_set_recent(parts.filters, &text->parameters, recent, count);
        parts.filters->drawn_surprisal = 0.0; /* only for the token that was drawn */
    } else if (filters < end) {
        memset(filters, 0, textgen_filters_size(shape->vocabulary));
    }
    if (text->recent) {
        memset(parts.recent + text->recent, 0,
               (size_t)(TEXTGEN_MAX_RECENT - text->recent) * sizeof *parts.recent);
    }
}

size_t textgen_stream_saved_size(const textgen_stream *stream, size_t description_size) {
    return HEADER + textgen_aligned(description_size) +
           textgen_text_used(&stream->model->shape, textgen_stream_text(stream));
}

int32_t textgen_stream_save(const textgen_stream *stream, const void *description, size_t description_size,
                            textgen_memory data, textgen_error *error) {
    const textgen_shape *shape = &stream->model->shape;
    const textgen_text *text = textgen_stream_text(stream);
    const size_t used = textgen_text_used(shape, text), before = HEADER + textgen_aligned(description_size);
    unsigned char *bytes = data.data;
    TEXTGEN_TRY(textgen_check_memory(data, textgen_stream_saved_size(stream, description_size), "data", error));
    if (!has_numbers(shape, text)) {
        return textgen_fail(error, TEXTGEN_INVALID_LOGITS, "%s", textgen_code_text(TEXTGEN_INVALID_LOGITS));
    }
    memset(bytes, 0, before);
    memcpy(bytes, MARK, sizeof MARK);
    write_number(bytes + MARK_SIZE, FORMAT);
    write_hashes(stream->model, stream->constraint, bytes + MARK_SIZE + 8);
    write_number(bytes + HEADER - 24, TEXTGEN_PARAMETER_COUNT);
    write_number(bytes + HEADER - 16, description_size);
    write_number(bytes + HEADER - 8, used);
    if (description_size) {
        memcpy(bytes + HEADER, description, description_size);
    }
    textgen_text *block = memcpy(bytes + before, text, used);
    clear_unused(shape, block, used);
    convert_parts(shape, block);
    convert(block, sizeof *block / 8, 8);
    return TEXTGEN_OK;
}

/* ---- Resuming ---- */

typedef struct {
    const unsigned char *hashes, *description, *block;
    size_t description_size, block_size, parameters;
} saved_data;

static int32_t damaged(textgen_error *error, const char *part) {
    return textgen_report_at(error, TEXTGEN_DAMAGED_SAVED, part, -1, "is damaged");
}

/* Find the parts of saved data. */
static int32_t open_saved(const unsigned char *data, size_t size, saved_data *saved, textgen_error *error) {
    if (size < HEADER || memcmp(data, MARK, sizeof MARK)) {
        return textgen_report(error, TEXTGEN_DAMAGED_SAVED, "this is not a saved text");
    }
    const uint64_t format = read_number(data + MARK_SIZE), parameters = read_number(data + HEADER - 24);
    if (format > FORMAT || parameters > TEXTGEN_PARAMETER_COUNT) {
        return textgen_report(error, TEXTGEN_NEWER_FORMAT, "the saved text needs a newer version");
    }
    const uint64_t description = read_number(data + HEADER - 16), block = read_number(data + HEADER - 8);
    /* With the first condition, no padding overflows. */
    if (format < 1 || description > size - HEADER || textgen_aligned((size_t)description) > size - HEADER ||
        block != size - HEADER - textgen_aligned((size_t)description)) {
        return damaged(error, "header");
    }
    saved->hashes = data + MARK_SIZE + 8;
    saved->description = data + HEADER;
    saved->description_size = (size_t)description;
    saved->block = data + HEADER + textgen_aligned((size_t)description);
    saved->block_size = (size_t)block;
    saved->parameters = (size_t)parameters;
    return TEXTGEN_OK;
}

static bool is_between(int64_t value, int64_t low, int64_t high) { return value >= low && value <= high; }

static bool is_valid_ending(const textgen_shape *shape, const textgen_text *text) {
    return is_between(text->ending, 0, TEXTGEN_REACHED_END) && text->ending != TEXTGEN_MISMATCH &&
           text->at_end == (text->ending == TEXTGEN_REACHED_END) && (!text->at_end || shape->special.end >= 0);
}

static bool is_valid_head(const textgen_shape *shape, const textgen_constraint *constraint,
                          const textgen_text *text) {
    const int64_t states = constraint ? (int64_t)constraint->states : 1;
    /* No text has so many tokens that one more overflows. */
    return textgen_parameters_valid(&text->parameters) && is_valid_ending(shape, text) &&
           is_between(text->filtered, textgen_filters_active(&text->parameters), 1) &&
           is_between(text->is_fed, 0, 1) && is_between(text->since_feed, 0, INT64_MAX / 2) &&
           is_between(text->constraint_state, 0, states - 1) && is_between(text->held, 0, TEXTGEN_MAX_HELD) &&
           is_between(text->recent, 0, TEXTGEN_MAX_RECENT) && is_between(text->rng.position, 0, INT64_MAX) &&
           text->rng.substream <= UINT32_MAX;
}

static bool are_valid_tokens(const textgen_shape *shape, const int32_t *tokens, int64_t count) {
    for (int64_t i = 0; i < count; i++) {
        if (tokens[i] < 0 || (size_t)tokens[i] >= shape->vocabulary) {
            return false;
        }
    }
    return true;
}

/* Check the filters, and compute what depends on their recent tokens. */
static bool read_filters(const textgen_shape *shape, textgen_text *text) {
    textgen_filters *filters = textgen_text_find(shape, text).filters;
    uint32_t recent[TEXTGEN_MAX_PENALTY_WINDOW];
    if (filters->vocabulary != shape->vocabulary || filters->recent_count > text->parameters.penalty_window ||
        filters->recent_next > filters->recent_count || !isfinite(filters->mirostat_mu)) {
        return false;
    }
    const size_t count = textgen_filters_get_recent(filters, recent);
    for (size_t i = 0; i < count; i++) {
        if (recent[i] >= shape->vocabulary) {
            return false;
        }
    }
    for (size_t i = 0; i < shape->vocabulary; i++) {
        if (!textgen_bias_is_valid(textgen_filters_bias(filters)[i])) {
            return false;
        }
    }
    filters->drawn_surprisal = 0.0;
    textgen_filters_set_recent(filters, &text->parameters, recent, count);
    return true;
}

/* Read the head of a block. */
static bool read_head(const saved_data *saved, textgen_text *head) {
    const size_t bytes = saved->parameters * PARAMETER_BYTES;
    if (saved->block_size < bytes + HEAD_BYTES) {
        return false;
    }
    head->parameters = textgen_parameters_default;
    memcpy(head, saved->block, bytes);
    memcpy(&head->rng, saved->block + bytes, HEAD_BYTES);
    convert(head, bytes / 8, 8);
    convert(&head->rng, HEAD_BYTES / 8, 8);
    return true;
}

/* Read a block, of which the head must be right before anything else is found in it. */
static bool read_block(const textgen_shape *shape, const saved_data *saved,
                       const textgen_constraint *constraint, textgen_text *text) {
    const textgen_text_parts parts = textgen_text_find(shape, text);
    const size_t missing = (TEXTGEN_PARAMETER_COUNT - saved->parameters) * PARAMETER_BYTES;
    textgen_text head;
    if (!read_head(saved, &head) || !is_valid_head(shape, constraint, &head) ||
        saved->block_size + missing != textgen_text_used(shape, &head)) {
        return false;
    }
    *text = head;
    memcpy(text + 1, saved->block + sizeof head - missing, saved->block_size + missing - sizeof head);
    convert_parts(shape, text);
    textgen_text_seed(text, head.rng.seed, (uint32_t)head.rng.substream, head.rng.position);
    return has_numbers(shape, text) && are_valid_tokens(shape, parts.held, text->held) &&
           are_valid_tokens(shape, parts.recent, text->recent) &&
           (!text->filtered || read_filters(shape, text));
}

int32_t textgen_saved_description(const void *data, size_t size, const void **description,
                                  size_t *description_size, textgen_error *error) {
    saved_data saved = {0};
    TEXTGEN_TRY(open_saved(data, size, &saved, error));
    *description = saved.description;
    *description_size = saved.description_size;
    return TEXTGEN_OK;
}

int32_t textgen_stream_resume(textgen_memory memory, const textgen_model *model,
                              const textgen_sampling *sampling, const void *data, size_t size,
                              textgen_stream **stream, textgen_error *error) {
    const textgen_sampling defaults = TEXTGEN_SAMPLING_DEFAULT, *chosen = sampling ? sampling : &defaults;
    unsigned char hashes[HASHES];
    textgen_parameters parameters;
    saved_data saved = {0};
    TEXTGEN_TRY(open_saved(data, size, &saved, error));
    TEXTGEN_TRY(textgen_check_memory(memory, textgen_stream_size(model), "memory", error));
    TEXTGEN_TRY(textgen_sampling_read(chosen, model, &parameters, error));
    write_hashes(model, chosen->constraint, hashes);
    if (memcmp(saved.hashes, hashes, sizeof hashes)) {
        return textgen_report(error, TEXTGEN_OTHER_SAVED, "%s", textgen_code_text(TEXTGEN_OTHER_SAVED));
    }
    textgen_stream *created = textgen_stream_place(memory.data, model);
    textgen_stream_set_tables(created, chosen);
    if (!read_block(&model->shape, &saved, chosen->constraint, textgen_stream_text(created))) {
        return damaged(error, "block");
    }
    *stream = created;
    return TEXTGEN_OK;
}
