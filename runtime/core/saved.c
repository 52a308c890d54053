#include "saved.h"

#include <float.h>
#include <math.h>
#include <string.h>

/* The header: 8 bytes of a mark, the format, the hashes, how many parameters there are, and the sizes of the
 * description and the block. */
#define MARK "textgen"
enum { MARK_SIZE = 8, FORMAT = 1, HASHES = 2 * TEXTGEN_SHA256_SIZE, HEADER = MARK_SIZE + 8 + HASHES + 24 };

/* The block begins with the parameters. New ones come last, and texts that were saved without them have their
 * defaults. Any other change of the block needs a new FORMAT, and code that reads the older one. */
enum { PARAMETER_BYTES = 8, HEAD_BYTES = 18 * 8 };
_Static_assert(sizeof(textgen_text) == TEXTGEN_PARAMETER_COUNT * PARAMETER_BYTES + HEAD_BYTES, "FORMAT");
_Static_assert(sizeof(textgen_filters) == 5 * 8 + 1024 * 4 && TEXTGEN_MAX_HELD == 1024, "FORMAT");
_Static_assert(TEXTGEN_MAX_RECENT == 2000, "FORMAT");

static bool is_big_endian(void) {
    const uint16_t one = 1;
    unsigned char first;
    memcpy(&first, &one, 1);
    return !first;
}

/* Reverse the bytes of numbers of a width, on a machine that is not little-endian. */
static void convert(void *numbers, size_t count, size_t width) {
    unsigned char *bytes = numbers;
    for (size_t i = 0; i < count && is_big_endian(); i++, bytes += width) {
        for (size_t j = 0; j < width / 2; j++) {
            const unsigned char byte = bytes[j];
            bytes[j] = bytes[width - 1 - j];
            bytes[width - 1 - j] = byte;
        }
    }
}

static void convert_head(textgen_text *text) { convert(text, sizeof *text / 8, 8); }

/* Convert everything but the head, which is in the order of this machine. */
static void convert_parts(const textgen_shape *shape, textgen_text *text) {
    const textgen_text_parts parts = textgen_text_find(shape, text);
    convert(parts.state, shape->state_values + shape->vocabulary, sizeof(float));
    if (text->held || text->filtered || text->recent) {
        convert(parts.held, TEXTGEN_MAX_HELD, sizeof(int32_t));
    }
    convert(parts.recent, (size_t)text->recent, sizeof(int32_t));
    if (text->filtered) {
        const size_t before = offsetof(textgen_filters, recent) / 8;
        convert(parts.filters, before, 8);
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

void textgen_constraint_digest(const textgen_constraint *constraint,
                               unsigned char digest[TEXTGEN_SHA256_SIZE]) {
    const size_t entries = constraint->states * constraint->vocabulary;
    unsigned char sizes[2 * 8];
    write_number(sizes, constraint->states);
    write_number(sizes + 8, constraint->vocabulary);
    textgen_sha256 sum;
    textgen_sha256_init(&sum);
    textgen_sha256_add(&sum, sizes, sizeof sizes);
    for (size_t i = 0; i < entries; i++) {
        int16_t next = constraint->next[i];
        convert(&next, 1, sizeof next);
        textgen_sha256_add(&sum, &next, sizeof next);
    }
    for (size_t i = 0; i < constraint->states; i++) {
        const unsigned char accepting = constraint->distance[i] <= 0;
        textgen_sha256_add(&sum, &accepting, 1);
    }
    textgen_sha256_end(&sum, digest);
}

size_t textgen_saved_size(const textgen_shape *shape, const textgen_text *text, size_t description) {
    return HEADER + textgen_aligned(description) + textgen_text_used(shape, text);
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

void textgen_saved_write(const textgen_shape *shape, const textgen_text *text, const textgen_saved *saved,
                         void *data) {
    const size_t used = textgen_text_used(shape, text), description = saved->description.size;
    unsigned char *bytes = data;
    textgen_text *block = (void *)(bytes + HEADER + textgen_aligned(description));
    memset(bytes, 0, HEADER + textgen_aligned(description));
    memcpy(bytes, MARK, sizeof MARK);
    write_number(bytes + MARK_SIZE, FORMAT);
    memcpy(bytes + MARK_SIZE + 8, saved->model, TEXTGEN_SHA256_SIZE);
    memcpy(bytes + MARK_SIZE + 8 + TEXTGEN_SHA256_SIZE, saved->constraint, TEXTGEN_SHA256_SIZE);
    write_number(bytes + HEADER - 24, TEXTGEN_PARAMETER_COUNT);
    write_number(bytes + HEADER - 16, description);
    write_number(bytes + HEADER - 8, used);
    if (description) {
        memcpy(bytes + HEADER, saved->description.data, description);
    }
    memcpy(block, text, used);
    clear_unused(shape, block, used);
    convert_parts(shape, block);
    convert_head(block);
}

static const char damaged[] = "the saved text is damaged: save it again, or start a new one";

int32_t textgen_saved_open(textgen_view data, textgen_saved *saved, textgen_error *error) {
    if (data.size < HEADER || memcmp(data.data, MARK, sizeof MARK)) {
        return textgen_report(error, TEXTGEN_DAMAGED_SAVED,
                              "this is not a saved text: choose one that was saved");
    }
    const uint64_t format = read_number(data.data + MARK_SIZE);
    if (format > FORMAT) {
        return textgen_report(error, TEXTGEN_NEWER_FORMAT,
                              "the saved text has format %llu, and this version reads format %d: upgrade "
                              "textgen-onnx",
                              (unsigned long long)format, (int)FORMAT);
    }
    const uint64_t parameters = read_number(data.data + HEADER - 24);
    if (parameters > TEXTGEN_PARAMETER_COUNT) {
        return textgen_report(error, TEXTGEN_NEWER_FORMAT,
                              "the saved text has parameters that this version does not know: upgrade "
                              "textgen-onnx");
    }
    const uint64_t description = read_number(data.data + HEADER - 16);
    const uint64_t block = read_number(data.data + HEADER - 8);
    /* With the first condition, no padding overflows. */
    if (format < 1 || description > data.size - HEADER ||
        textgen_aligned((size_t)description) > data.size - HEADER ||
        block != data.size - HEADER - textgen_aligned((size_t)description)) {
        return textgen_report(error, TEXTGEN_DAMAGED_SAVED, damaged);
    }
    memcpy(saved->model, data.data + MARK_SIZE + 8, TEXTGEN_SHA256_SIZE);
    memcpy(saved->constraint, data.data + MARK_SIZE + 8 + TEXTGEN_SHA256_SIZE, TEXTGEN_SHA256_SIZE);
    saved->description.data = data.data + HEADER;
    saved->description.size = (size_t)description;
    saved->block.data = data.data + HEADER + textgen_aligned((size_t)description);
    saved->block.size = (size_t)block;
    saved->parameters = (size_t)parameters;
    return TEXTGEN_OK;
}

static bool is_between(int64_t value, int64_t low, int64_t high) { return value >= low && value <= high; }

static bool is_valid_ending(const textgen_shape *shape, const textgen_text *text) {
    const bool ends_record = text->ending == TEXTGEN_REACHED_END;
    return is_between(text->ending, 0, TEXTGEN_MASKED_END) && text->ending != TEXTGEN_MISMATCH &&
           is_between(text->at_end, 0, shape->special.end >= 0) && (!ends_record || text->at_end) &&
           (!text->at_end || ends_record || text->ending == TEXTGEN_MASKED_END);
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

bool textgen_saved_is_possible(const textgen_shape *shape, textgen_text *text) {
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
    double *bias = textgen_filters_bias(filters);
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
        /* An array of float32 gives larger numbers than Python does. */
        if (!(fabs(bias[i]) <= FLT_MAX || bias[i] == -INFINITY)) {
            return false;
        }
    }
    filters->drawn_surprisal = 0.0;
    textgen_filters_set_recent(filters, &text->parameters, recent, count);
    return true;
}

/* Read the head of a block. */
static bool read_head(const textgen_saved *saved, textgen_text *head) {
    const size_t bytes = saved->parameters * PARAMETER_BYTES;
    if (saved->block.size < bytes + HEAD_BYTES) {
        return false;
    }
    head->parameters = textgen_parameters_default;
    memcpy(head, saved->block.data, bytes);
    memcpy(&head->rng, saved->block.data + bytes, HEAD_BYTES);
    convert(head, bytes / 8, 8);
    convert(&head->rng, HEAD_BYTES / 8, 8);
    return true;
}

/* Read a block, of which the head must be right before anything else is found in it. */
static bool read_block(const textgen_shape *shape, const textgen_saved *saved,
                       const textgen_constraint *constraint, textgen_text *text) {
    const textgen_text_parts parts = textgen_text_find(shape, text);
    const size_t missing = (TEXTGEN_PARAMETER_COUNT - saved->parameters) * PARAMETER_BYTES;
    textgen_text head;
    if (!read_head(saved, &head) || !is_valid_head(shape, constraint, &head) ||
        saved->block.size + missing != textgen_text_used(shape, &head)) {
        return false;
    }
    *text = head;
    memcpy(text + 1, saved->block.data + sizeof head - missing, saved->block.size + missing - sizeof head);
    convert_parts(shape, text);
    textgen_text_seed(text, head.rng.seed, (uint32_t)head.rng.substream, head.rng.position);
    return textgen_saved_is_possible(shape, text) && are_valid_tokens(shape, parts.held, text->held) &&
           are_valid_tokens(shape, parts.recent, text->recent) &&
           (!text->filtered || read_filters(shape, text));
}

int32_t textgen_saved_read(const textgen_shape *shape, const textgen_saved *saved,
                           const textgen_constraint *constraint, textgen_text *text, textgen_error *error) {
    const textgen_uint128 unseeded = {0, 0};
    if (!read_block(shape, saved, constraint, text)) {
        textgen_text_init(shape, text, unseeded, 0);
        return textgen_report(error, TEXTGEN_DAMAGED_SAVED, damaged);
    }
    return TEXTGEN_OK;
}
