/* Tests damaged data of saved streams: damaged_streams MODEL RECORDS CHANGES. The vocabularies contain "abc".
 * RECORDS is a model of records. CHANGES is the number of changes of each byte, from 1 to 4. */
#include "saved_streams.h"

/* Check that changed data is refused, or gives a stream that can be used. Return whether it is refused. */
static bool try_damaged(const saved_stream *saved) {
    textgen_next_token next[3];
    textgen_stream *stream;
    const int32_t code = resume(saved, &stream);
    if (code < 0) {
        CHECK(code == TEXTGEN_DAMAGED_SAVED || code == TEXTGEN_NEWER_FORMAT);
        return true;
    }
    CHECK(textgen_stream_ending(stream) >= 0 && textgen_stream_ending(stream) <= TEXTGEN_REACHED_END);
    const size_t size = textgen_stream_text_size(stream, PART);
    char *text = allocate(size);
    size_t written;
    (void)textgen_stream_next(stream, next, 3, &written, ERROR);
    (void)textgen_stream_generate(stream, PART, text, size, NULL, ERROR);
    (void)textgen_stream_finish(stream, text, size, NULL, ERROR);
    CHECK_OK(textgen_stream_feed(stream, "ab", 2, ERROR));
    (void)textgen_stream_generate(stream, 1, text, size, NULL, ERROR);
    free(text), free(stream);
    return false;
}

static const unsigned char masks[] = {0x01, 0x10, 0x80, 0xFF};
static size_t changes;

static void check_damaged_bytes(const textgen_model *model, textgen_stream *stream,
                                const textgen_sampling *sampling) {
    saved_stream saved = save(model, stream, sampling);
    const textgen_shape *shape = &model->shape;
    const size_t tokens = HEADER + textgen_text_size(shape) - textgen_filters_size(shape->vocabulary) -
                          TEXTGEN_MAX_RECENT * sizeof(int32_t);
    unsigned char *bytes = saved.data;
    size_t refused = 0;
    CHECK(saved.size > tokens || !sampling->penalty_window || !textgen_stream_text(stream)->filtered);
    for (size_t i = 0; i < saved.size; i++) {
        for (size_t change = 0; change < changes; change++) {
            const unsigned char mask = masks[(i + change) % sizeof masks];
            bytes[i] ^= mask;
            refused += try_damaged(&saved);
            bytes[i] ^= mask;
        }
    }
    CHECK(refused > (HEADER - 16) * changes);
    free(saved.data), free(stream);
}

/* Parts of the data, and data with more at its end. */
static void check_sizes(const textgen_model *model) {
    textgen_stream *stream = run(model, &defaults, "abc", 3);
    saved_stream saved = save(model, stream, &defaults), part;
    for (part = saved; part.size > 0; part.size--) {
        part.data = memcpy(allocate(part.size), saved.data, part.size);
        CHECK(try_damaged(&part) == (part.size < saved.size));
        free(part.data);
    }
    part.size = saved.size + 8;
    part.data = memset(allocate(part.size), 0, part.size);
    memcpy(part.data, saved.data, saved.size);
    CHECK(try_damaged(&part));
    free(part.data), free(saved.data), free(stream);
}

/* Write a number at an offset of the block. Saved data is little-endian on every machine. */
static void write_number(const saved_stream *saved, size_t offset, uint64_t number, size_t width) {
    for (size_t i = 0; i < width; i++) {
        ((unsigned char *)saved->data)[HEADER + offset + i] = (unsigned char)(number >> 8 * i);
    }
}

#define DAMAGE(saved, member, value) write_number(&(saved), offsetof(textgen_text, member), value, 8)

/* Values that would overflow or point beyond a table. */
static void check_damaged_numbers(const textgen_model *model) {
    static const uint64_t values[] = {
        2, 4, 5, 254, 1025, (uint64_t)1 << 32, INT64_MAX, (uint64_t)1 << 63, UINT64_MAX};
    textgen_stream *stream = run(model, &defaults, "abc", 3), *resumed;
    saved_stream saved = save(model, stream, &defaults);
    void *right = memcpy(allocate(saved.size), saved.data, saved.size);
    const double nan = NAN;
#define CHECK_REFUSED(member, value)                                                                           \
    DAMAGE(saved, member, value);                                                                              \
    CHECK(resume(&saved, &resumed) == TEXTGEN_DAMAGED_SAVED && strstr(error, "damaged"));                      \
    memcpy(saved.data, right, saved.size)
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        CHECK_REFUSED(filtered, values[i]);
        CHECK_REFUSED(is_fed, values[i]);
        CHECK_REFUSED(at_end, values[i]);
        CHECK_REFUSED(constraint_state, values[i]);
        CHECK_REFUSED(held, values[i]);
        CHECK_REFUSED(recent, values[i]);
        if (i > 0) {
            CHECK_REFUSED(ending, values[i]);
        }
        if (i > 4) {
            CHECK_REFUSED(rng.substream, values[i]);
            CHECK_REFUSED(parameters.penalty_window, values[i]);
        }
        if (i > 6) {
            CHECK_REFUSED(rng.position, values[i]);
        }
        if (i > 5) {
            CHECK_REFUSED(since_feed, values[i]);
        }
    }
    uint64_t bits;
    memcpy(&bits, &nan, sizeof bits);
    CHECK_REFUSED(parameters.temperature, bits);
    for (size_t i = 0; i < model->shape.state_values + model->shape.vocabulary; i++) {
        const uint32_t nan_or_infinity = i % 2 ? 0x7fc00000 : 0x7f800000;
        write_number(&saved, sizeof(textgen_text) + i * sizeof(float), nan_or_infinity, sizeof(float));
        CHECK(resume(&saved, &resumed) == TEXTGEN_DAMAGED_SAVED);
        memcpy(saved.data, right, saved.size);
    }
    DAMAGE(saved, rng.position, INT64_MAX);
    CHECK_OK(resume(&saved, &resumed));
    free(resumed), free(right), free(saved.data), free(stream);
}

/* The limits of what depends on other parts: the states of the constraint, and the room for held text. */
static void check_limits(const textgen_model *model) {
    float bias[MOST_TOKENS] = {0.0f};
    textgen_sampling sampling;
    textgen_stream *stream = start_everything(model, &sampling, bias);
    /* Without filters, zeros follow the held text in the memory, and they are a token. */
    const textgen_sampling unfiltered = {
        .struct_size = sizeof unfiltered, .stop = sampling.stop, .stop_count = 1};
    CHECK_OK(textgen_stream_set_sampling(stream, &unfiltered, ERROR));
    saved_stream saved = save(model, stream, &sampling);
    DAMAGE(saved, held, TEXTGEN_MAX_HELD);
    CHECK(!try_damaged(&saved));
    DAMAGE(saved, held, TEXTGEN_MAX_HELD + 1);
    CHECK(try_damaged(&saved));
    free(saved.data), free(stream);
    sampling = defaults;
    textgen_constraint *constraint;
    CHECK_OK(textgen_constraint_create(model, table, sizeof table - 1, NULL, 0, NULL, 0, &constraint, ERROR));
    sampling.constraint = constraint;
    stream = run(model, &sampling, "abc", 1);
    saved = save(model, stream, &sampling);
    DAMAGE(saved, constraint_state, 2);
    textgen_stream *resumed;
    CHECK_OK(resume(&saved, &resumed));
    free(resumed);
    DAMAGE(saved, constraint_state, 3);
    CHECK(resume(&saved, &resumed) == TEXTGEN_DAMAGED_SAVED);
    textgen_constraint_destroy(constraint);
    free(saved.data), free(stream);
}

int main(int count, char **arguments) {
    float bias[MOST_TOKENS] = {0.5f, -1000.0f, 0.0f, 0.0f, 0.0f, -INFINITY};
    CHECK(count == 4);
    changes = (size_t)strtoul(arguments[3], NULL, 10);
    CHECK(changes > 0 && changes <= sizeof masks);
    loaded model = load(arguments[1], NULL);
    loaded records = load(arguments[2], NULL);
    textgen_sampling sampling;
    textgen_stream *stream = start_everything(model.model, &sampling, bias);
    check_damaged_bytes(model.model, stream, &sampling);
    sampling = defaults;
    textgen_constraint *constraint;
    CHECK_OK(
        textgen_constraint_create(model.model, table, sizeof table - 1, NULL, 0, NULL, 0, &constraint, ERROR));
    sampling.constraint = constraint;
    check_damaged_bytes(model.model, run(model.model, &sampling, "abc", 1), &sampling);
    textgen_constraint_destroy(constraint);
    sampling = defaults;
    sampling.temperature = 1.0;
    check_damaged_bytes(records.model, run(records.model, &sampling, NULL, PART * 3), &sampling);
    check_sizes(model.model);
    check_damaged_numbers(model.model);
    check_limits(model.model);
    unload(&model), unload(&records);
    return 0;
}
