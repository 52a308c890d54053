/* Saved streams, which are blocks behind a header: the same bytes in every language, all little-endian. The
 * data comes from anywhere. So the sizes must fit, each number must be one that a text can have, and the state
 * and the logits must be numbers. There is no checksum: other numbers are another text.
 *
 * The data is a header, the block and the description of the caller. The header is a mark, the format, the
 * hashes of the model file and of the constraint, the number of parameters, and the size of the description.
 * The block is the parameters, its start from the seed on, and its parts. Numbers have 8 bytes.
 *
 * New parameters come last, and texts that were saved without them have their defaults.
 * Any other change of the block needs a new FORMAT. */
#include "sha256.h"
#include "text.h"

#include <math.h>
#include <string.h>

#define MARK "textgen"
enum { MARK_SIZE = 8, FORMAT = 2, HASHES = 2 * TEXTGEN_SHA256_SIZE, HEADER = MARK_SIZE + 8 + HASHES + 16 };
/* From the seed on: the numbers before it follow from the seed. */
enum { START = offsetof(textgen_text, rng.seed), START_NUMBERS = 11 };
_Static_assert(sizeof(textgen_text) == START + START_NUMBERS * 8, "FORMAT");
_Static_assert(START == (TEXTGEN_PARAMETER_COUNT + 6) * 8, "FORMAT");
_Static_assert(TEXTGEN_MAX_PENALTY_WINDOW == 1024 && TEXTGEN_MAX_HELD == 1024, "FORMAT");
_Static_assert(TEXTGEN_MAX_RECENT == 2000, "FORMAT");

/* ---- Parts ---- */

/* Copy numbers of a width between this machine and little-endian data, in either direction. */
static void copy_numbers(void *to, const void *from, size_t count, size_t width) {
    const uint16_t one = 1;
    unsigned char *bytes = memcpy(to, from, count * width), first;
    memcpy(&first, &one, 1);
    for (size_t i = 0; i < count && !first; i++, bytes += width) {
        for (size_t j = 0; j < width / 2; j++) {
            const unsigned char byte = bytes[j];
            bytes[j] = bytes[width - 1 - j];
            bytes[width - 1 - j] = byte;
        }
    }
}

static uint64_t read_number(const unsigned char *data) {
    uint64_t number;
    copy_numbers(&number, data, 1, 8);
    return number;
}

/* A part of a block: numbers that data has. The first ones, which are its start, tell how large the others are.
 */
typedef struct {
    void *numbers;
    size_t count, width;
} section;
enum { START_PARTS = 2, PARTS = 9 };

/* Find the parts of a block with so many parameters. Return their bytes. */
static size_t find_parts(const textgen_stream *stream, size_t parameters, section parts[PARTS]) {
    textgen_text *text = (textgen_text *)&stream->text;
    textgen_filters *filters = stream->filters;
    const size_t filtered = text->filtered != 0, vocabulary = stream->shape.vocabulary;
    const section found[PARTS] = {
        {&text->parameters, parameters, 8},
        {(char *)text + START, START_NUMBERS, 8},
        {stream->state, stream->shape.state_values, sizeof(float)},
        {stream->logits, vocabulary, sizeof(float)},
        {stream->held, (size_t)text->held, sizeof(int32_t)},
        {stream->recent, (size_t)text->recent, sizeof(int32_t)},
        {filters, filtered * offsetof(textgen_filters, recent) / 8, 8},
        {filters->recent, filtered * TEXTGEN_MAX_PENALTY_WINDOW, sizeof(uint32_t)},
        {textgen_filters_bias(filters), filtered * vocabulary, sizeof(double)},
    };
    size_t bytes = 0;
    for (size_t i = 0; i < PARTS; i++) {
        bytes += found[i].count * found[i].width;
    }
    memcpy(parts, found, sizeof found);
    return bytes;
}

/* Write the hashes of a model, and of a constraint, which may be NULL. */
static void write_hashes(const textgen_model *model, const textgen_constraint *constraint,
                         unsigned char hashes[HASHES]) {
    textgen_sha256 sum;
    textgen_sha256_init(&sum);
    textgen_sha256_add(&sum, model->file.content.data, model->file.content.size);
    textgen_sha256_end(&sum, hashes);
    memset(hashes + TEXTGEN_SHA256_SIZE, 0, TEXTGEN_SHA256_SIZE);
    if (constraint) {
        memcpy(hashes + TEXTGEN_SHA256_SIZE, constraint->digest, TEXTGEN_SHA256_SIZE);
    }
}

/* Whether the state and the logits are those of a text: finite, or -infinity for some tokens. */
static bool has_numbers(const textgen_stream *stream) {
    bool valid = true, any = false;
    for (size_t i = 0; i < stream->shape.state_values; i++) {
        valid = valid && isfinite(stream->state[i]);
    }
    for (size_t i = 0; i < stream->shape.vocabulary; i++) {
        valid = valid && stream->logits[i] < INFINITY;
        any = any || isfinite(stream->logits[i]);
    }
    return valid && any;
}

/* ---- Saving ---- */

size_t textgen_stream_saved_size(const textgen_stream *stream, size_t description_size) {
    section parts[PARTS];
    const size_t own = HEADER + find_parts(stream, TEXTGEN_PARAMETER_COUNT, parts);
    return description_size > PTRDIFF_MAX - own ? 0 : own + description_size;
}

int32_t textgen_stream_save(const textgen_stream *stream, const void *description, size_t description_size,
                            textgen_memory data, textgen_error *error) {
    const uint64_t format = FORMAT, sizes[] = {TEXTGEN_PARAMETER_COUNT, description_size};
    unsigned char *to = data.data;
    section parts[PARTS];
    TEXTGEN_TRY(textgen_check_memory(data, textgen_stream_saved_size(stream, description_size), "data", error));
    if (!has_numbers(stream)) {
        return textgen_fail(error, TEXTGEN_INVALID_LOGITS, "%s", textgen_code_text(TEXTGEN_INVALID_LOGITS));
    }
    memcpy(to, MARK, sizeof MARK);
    copy_numbers(to + MARK_SIZE, &format, 1, 8);
    write_hashes(stream->model, stream->constraint, to + MARK_SIZE + 8);
    copy_numbers(to + HEADER - 16, sizes, 2, 8);
    to += HEADER;
    find_parts(stream, TEXTGEN_PARAMETER_COUNT, parts);
    for (size_t i = 0; i < PARTS; i++) {
        copy_numbers(to, parts[i].numbers, parts[i].count, parts[i].width);
        to += parts[i].count * parts[i].width;
    }
    if (description_size) {
        memcpy(to, description, description_size);
    }
    return TEXTGEN_OK;
}

/* ---- Resuming ---- */

static int32_t damaged(textgen_error *error, const char *where) {
    return textgen_report_at(error, TEXTGEN_DAMAGED_SAVED, where, -1, "is damaged");
}

/* Check the header. Return the size of the block. */
static int32_t check_header(const unsigned char *data, size_t size, size_t *block_size, textgen_error *error) {
    if (size < HEADER || memcmp(data, MARK, sizeof MARK)) {
        return textgen_report(error, TEXTGEN_DAMAGED_SAVED, "this is not a saved text");
    }
    const uint64_t format = read_number(data + MARK_SIZE), parameters = read_number(data + HEADER - 16);
    if (format > FORMAT || parameters > TEXTGEN_PARAMETER_COUNT) {
        return textgen_report(error, TEXTGEN_NEWER_FORMAT, "the saved text needs a newer version");
    }
    const uint64_t description = read_number(data + HEADER - 8), rest = size - HEADER;
    if (format < FORMAT || description > rest || rest - description < (parameters + START_NUMBERS) * 8) {
        return damaged(error, "header");
    }
    *block_size = (size_t)(rest - description);
    return TEXTGEN_OK;
}

static bool is_between(int64_t value, int64_t low, int64_t high) { return value >= low && value <= high; }

/* Check the start of a block that was read, and compute what follows from its numbers. */
static bool complete_start(textgen_stream *stream) {
    const textgen_constraint *constraint = stream->constraint;
    textgen_text *text = &stream->text;
    const textgen_parameters *parameters = &text->parameters;
    const int64_t position = text->rng.position;
    const bool has_end = stream->shape.special.end >= 0;
    double wrong;
    if (textgen_parameters_wrong(parameters, &wrong) || text->rng.substream > UINT32_MAX || position < 0) {
        return false;
    }
    textgen_rng_init(&text->rng, text->rng.seed, (uint32_t)text->rng.substream);
    textgen_rng_seek(&text->rng, position);
    /* No text has so many tokens that one more overflows. */
    return !(parameters->mirostat_tau > 0.0 && textgen_parameters_truncation(parameters)) &&
           is_between(text->filtered, textgen_filters_active(parameters), 1) &&
           is_between(text->is_fed, 0, 1) && is_between(text->ending, 0, TEXTGEN_REACHED_END) &&
           text->ending != TEXTGEN_MISMATCH && (text->ending != TEXTGEN_REACHED_END || has_end) &&
           (text->ending != TEXTGEN_CONSTRAINT_END || constraint) &&
           (!parameters->min_length || (has_end && !constraint)) &&
           is_between(text->since_feed, 0, INT64_MAX / 2) &&
           is_between(text->constraint_state, 0, constraint ? (int64_t)constraint->states - 1 : 0) &&
           is_between(text->held, 0, TEXTGEN_MAX_HELD) && is_between(text->recent, 0, TEXTGEN_MAX_RECENT);
}

/* Whether all are tokens. */
static bool are_tokens(const textgen_shape *shape, const void *tokens, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (((const uint32_t *)tokens)[i] >= shape->vocabulary) {
            return false;
        }
    }
    return true;
}

/* Check the filters, and count their recent tokens. */
static bool complete_filters(const textgen_stream *stream) {
    textgen_filters *filters = stream->filters;
    const uint64_t window = stream->text.parameters.penalty_window, count = filters->recent_count;
    bool valid = filters->vocabulary == stream->shape.vocabulary && isfinite(filters->mirostat_mu) &&
                 count <= window && filters->recent_next < (count == window ? window : 1) &&
                 are_tokens(&stream->shape, filters->recent, (size_t)count);
    for (size_t i = 0; valid && i < stream->shape.vocabulary; i++) {
        valid = textgen_bias_is_valid(textgen_filters_bias(filters)[i]);
    }
    if (valid) {
        textgen_filters_count(filters);
    }
    return valid;
}

/* Read a block into a stream that has its tables. The start must be right before anything is found by it. */
static bool read_block(textgen_stream *stream, const unsigned char *data, size_t size, size_t parameters) {
    section parts[PARTS];
    stream->text.parameters = textgen_parameters_default;
    find_parts(stream, parameters, parts);
    for (size_t i = 0; i < PARTS; i++) {
        if (i == START_PARTS && (!complete_start(stream) || find_parts(stream, parameters, parts) != size)) {
            return false;
        }
        copy_numbers(parts[i].numbers, data, parts[i].count, parts[i].width);
        data += parts[i].count * parts[i].width;
    }
    return has_numbers(stream) && are_tokens(&stream->shape, stream->held, (size_t)stream->text.held) &&
           are_tokens(&stream->shape, stream->recent, (size_t)stream->text.recent) &&
           (!stream->text.filtered || complete_filters(stream));
}

int32_t textgen_saved_description(const void *data, size_t size, const void **description,
                                  size_t *description_size, textgen_error *error) {
    size_t block_size = 0;
    TEXTGEN_TRY(check_header(data, size, &block_size, error));
    *description = (const unsigned char *)data + HEADER + block_size;
    *description_size = size - HEADER - block_size;
    return TEXTGEN_OK;
}

int32_t textgen_stream_resume(textgen_memory memory, const textgen_model *model,
                              const textgen_sampling *sampling, const void *data, size_t size,
                              textgen_stream **stream, textgen_error *error) {
    const unsigned char *bytes = data;
    unsigned char hashes[HASHES];
    size_t block_size = 0;
    TEXTGEN_TRY(check_header(bytes, size, &block_size, error));
    write_hashes(model, sampling ? sampling->constraint : NULL, hashes);
    if (memcmp(bytes + MARK_SIZE + 8, hashes, sizeof hashes)) {
        return textgen_report(error, TEXTGEN_OTHER_SAVED, "%s", textgen_code_text(TEXTGEN_OTHER_SAVED));
    }
    textgen_stream *created;
    TEXTGEN_TRY(textgen_stream_init(memory, model, sampling, &created, error));
    if (!read_block(created, bytes + HEADER, block_size, (size_t)read_number(bytes + HEADER - 16))) {
        return damaged(error, "block");
    }
    *stream = created;
    return TEXTGEN_OK;
}
