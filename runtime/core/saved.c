#include "saved.h"

#include <float.h>
#include <math.h>
#include <string.h>

/* The header: 8 bytes of a mark, the format, the hashes, and the sizes of the description and the block. */
#define MARK "textgen"
enum { MARK_SIZE = 8, FORMAT = 1, HASHES = 2 * TEXTGEN_SHA256_SIZE, HEADER = MARK_SIZE + 8 + HASHES + 16 };

static size_t padded(size_t size) { return (size + 7) / 8 * 8; }

static bool is_big_endian(void) {
    const uint16_t one = 1;
    unsigned char first;
    memcpy(&first, &one, 1);
    return !first;
}

/* Reverse the bytes of numbers of a width, on a machine that is not little-endian. */
static void convert(void *numbers, size_t count, size_t width) {
    unsigned char *bytes = numbers;
    size_t i, j;
    for (i = 0; i < count && is_big_endian(); i++, bytes += width) {
        for (j = 0; j < width / 2; j++) {
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
    if (text->held || text->filtered) {
        convert(parts.held, TEXTGEN_MAX_HELD, sizeof(int32_t));
    }
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
    textgen_sha256 sum;
    size_t i;
    write_number(sizes, constraint->states);
    write_number(sizes + 8, constraint->vocabulary);
    textgen_sha256_init(&sum);
    textgen_sha256_add(&sum, sizes, sizeof sizes);
    for (i = 0; i < entries; i++) {
        int16_t next = constraint->next[i];
        convert(&next, 1, sizeof next);
        textgen_sha256_add(&sum, &next, sizeof next);
    }
    for (i = 0; i < constraint->states; i++) {
        const unsigned char accepting = constraint->distance[i] <= 0;
        textgen_sha256_add(&sum, &accepting, 1);
    }
    textgen_sha256_end(&sum, digest);
}

size_t textgen_saved_size(const textgen_shape *shape, const textgen_text *text, size_t description) {
    return HEADER + padded(description) + textgen_text_used(shape, text);
}

void textgen_saved_write(const textgen_shape *shape, const textgen_text *text, const textgen_saved *saved,
                         void *data) {
    const size_t used = textgen_text_used(shape, text), description = saved->description.size;
    unsigned char *bytes = data;
    textgen_text *block = (void *)(bytes + HEADER + padded(description));
    memset(bytes, 0, HEADER + padded(description));
    memcpy(bytes, MARK, sizeof MARK);
    write_number(bytes + MARK_SIZE, FORMAT);
    memcpy(bytes + MARK_SIZE + 8, saved->model, TEXTGEN_SHA256_SIZE);
    memcpy(bytes + MARK_SIZE + 8 + TEXTGEN_SHA256_SIZE, saved->constraint, TEXTGEN_SHA256_SIZE);
    write_number(bytes + HEADER - 16, description);
    write_number(bytes + HEADER - 8, used);
    if (description) {
        memcpy(bytes + HEADER, saved->description.data, description);
    }
    memcpy(block, text, used);
    if (text->held || text->filtered) {
        memset(textgen_text_find(shape, block).held + text->held, 0,
               (size_t)(TEXTGEN_MAX_HELD - text->held) * sizeof(int32_t));
    }
    if (text->filtered) {
        textgen_text_find(shape, block).filters->drawn_surprisal = 0.0; /* only for the token that was drawn */
    }
    convert_parts(shape, block);
    convert_head(block);
}

static int32_t damaged(const textgen_error *error) {
    return textgen_report(error, TEXTGEN_DAMAGED_SAVED, "the saved text is damaged");
}

int32_t textgen_saved_open(textgen_view data, textgen_saved *saved, const textgen_error *error) {
    uint64_t format, description, block;
    if (data.size < HEADER || memcmp(data.data, MARK, sizeof MARK)) {
        return textgen_report(error, TEXTGEN_DAMAGED_SAVED, "this is not a saved text");
    }
    format = read_number(data.data + MARK_SIZE);
    if (format > FORMAT) {
        return textgen_report(error, TEXTGEN_NEWER_FORMAT,
                              "the saved text has format %llu, and this version reads format %d: upgrade "
                              "textgen-onnx",
                              (unsigned long long)format, (int)FORMAT);
    }
    description = read_number(data.data + HEADER - 16);
    block = read_number(data.data + HEADER - 8);
    /* With the first condition, no padding overflows. */
    if (format < 1 || description > data.size - HEADER || padded((size_t)description) > data.size - HEADER ||
        block != data.size - HEADER - padded((size_t)description)) {
        return damaged(error);
    }
    memcpy(saved->model, data.data + MARK_SIZE + 8, TEXTGEN_SHA256_SIZE);
    memcpy(saved->constraint, data.data + MARK_SIZE + 8 + TEXTGEN_SHA256_SIZE, TEXTGEN_SHA256_SIZE);
    saved->description.data = data.data + HEADER;
    saved->description.size = (size_t)description;
    saved->block.data = data.data + HEADER + padded((size_t)description);
    saved->block.size = (size_t)block;
    return TEXTGEN_OK;
}

static bool is_between(int64_t value, int64_t low, int64_t high) { return value >= low && value <= high; }

static bool is_valid_ending(const textgen_shape *shape, const textgen_text *text) {
    const bool ends_record = text->ending == TEXTGEN_REACHED_END;
    return is_between(text->ending, 0, TEXTGEN_MASKED_END) && text->ending != TEXTGEN_MISMATCH &&
           is_between(text->at_end, 0, shape->special.end >= 0) && (!ends_record || text->at_end) &&
           (!text->at_end || ends_record || text->ending == TEXTGEN_MASKED_END);
}

static bool is_valid_head(const textgen_shape *shape, textgen_guide guide, int64_t most_held,
                          const textgen_text *text) {
    const int64_t states = guide.constraint ? (int64_t)guide.constraint->states : 1;
    /* No text has so many tokens that one more overflows. */
    return textgen_parameters_valid(&text->parameters) && is_valid_ending(shape, text) &&
           is_between(text->filtered, textgen_filters_active(&text->parameters), 1) &&
           is_between(text->is_fed, 0, 1) && is_between(text->drawn, 0, INT64_MAX / 2) &&
           is_between(text->constraint_state, 0, states - 1) && is_between(text->held, 0, most_held) &&
           is_between(text->rng.position, 0, INT64_MAX) && text->rng.substream <= UINT32_MAX;
}

static bool are_valid_numbers(const textgen_shape *shape, const textgen_text_parts *parts) {
    bool any = false;
    size_t i;
    for (i = 0; i < shape->state_values; i++) {
        if (!isfinite(parts->state[i])) {
            return false;
        }
    }
    for (i = 0; i < shape->vocabulary; i++) {
        if (isnan(parts->logits[i]) || parts->logits[i] == INFINITY) {
            return false;
        }
        any = any || isfinite(parts->logits[i]);
    }
    return any;
}

/* Check the tokens that are held back, and find the state of the stop texts after them. */
static bool read_held(const textgen_shape *shape, const textgen_stops *stops, textgen_text *text) {
    const int32_t *held = textgen_text_find(shape, text).held;
    int64_t i;
    text->stop_state = 0;
    for (i = 0; i < text->held; i++) {
        if (held[i] < 0 || (size_t)held[i] >= shape->vocabulary) {
            return false;
        }
        text->stop_state = stops ? textgen_stops_next(stops, text->stop_state, held[i]) : 0;
        if (stops && stops->states[text->stop_state].matched) {
            text->stop_state = 0;
        }
    }
    return true;
}

/* Check the filters, and compute what depends on their recent tokens. */
static bool read_filters(const textgen_shape *shape, textgen_text *text) {
    textgen_filters *filters = textgen_text_find(shape, text).filters;
    double *bias = textgen_filters_bias(filters);
    uint32_t recent[TEXTGEN_MAX_PENALTY_WINDOW];
    size_t count, i;
    if (filters->vocabulary != shape->vocabulary || filters->recent_count > text->parameters.penalty_window ||
        filters->recent_next > filters->recent_count || !isfinite(filters->mirostat_mu)) {
        return false;
    }
    count = textgen_filters_get_recent(filters, recent);
    for (i = 0; i < count; i++) {
        if (recent[i] >= shape->vocabulary) {
            return false;
        }
    }
    for (i = 0; i < shape->vocabulary; i++) {
        /* An array of float32 gives larger numbers than Python does. */
        if (!(fabs(bias[i]) <= FLT_MAX || bias[i] == -INFINITY)) {
            return false;
        }
    }
    filters->drawn_surprisal = 0.0;
    textgen_filters_set_recent(filters, &text->parameters, recent, count);
    return true;
}

int32_t textgen_saved_read(const textgen_shape *shape, const textgen_saved *saved, textgen_guide guide,
                           int64_t most_held, textgen_text *text, const textgen_error *error) {
    const textgen_text_parts parts = textgen_text_find(shape, text);
    const textgen_uint128 zero = {0, 0};
    textgen_rng rng;
    if (saved->block.size < sizeof *text) {
        return damaged(error);
    }
    textgen_text_init(shape, text, zero, 0);
    memcpy(text, saved->block.data, sizeof *text);
    convert_head(text);
    rng = text->rng;
    if (!is_valid_head(shape, guide, most_held, text) || saved->block.size != textgen_text_used(shape, text)) {
        return damaged(error);
    }
    memcpy(text + 1, saved->block.data + sizeof *text, saved->block.size - sizeof *text);
    convert_parts(shape, text);
    if (!are_valid_numbers(shape, &parts) || !read_held(shape, guide.stops, text) ||
        (text->filtered && !read_filters(shape, text))) {
        return damaged(error);
    }
    textgen_text_seed(text, rng.seed, (uint32_t)rng.substream, rng.position);
    return TEXTGEN_OK;
}
