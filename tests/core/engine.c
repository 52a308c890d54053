/* Tests another engine in place of the network, and texts of bytes: engine MODEL BYTES OTHER TOKENS.
 *
 * MODEL is run by an engine that is itself the core. BYTES is a model of bytes, whose texts a script of bytes
 * replaces, so that what is held back can be compared with its definition. OTHER, which has TOKENS
 * tokens, has a graph that the core does not know. */
#include "check.h"

#include <math.h>

enum { BYTES = 256, MOST_LENGTH = 64 };

/* ---- The core as an engine ---- */

/* Fails when `left` forwards have run. */
typedef struct {
    const textgen_model *model;
    textgen_memory memory;
    size_t left;
} engine;

static int32_t forward(void *context, const int64_t *tokens, size_t count, float *state, float *logits) {
    engine *run = context;
    if (!run->left--) {
        return -1;
    }
    CHECK_OK(textgen_forward(run->model, tokens, count, 1, state, 1, logits, run->memory, NULL));
    return 0;
}

static textgen_model_options options_of(const loaded *file, engine *run) {
    *run = (engine){file->model, new_memory(textgen_forward_size(file->model, 1, 1)), SIZE_MAX};
    return (textgen_model_options){.forward = forward,
                                   .context = run,
                                   .state_values = file->info->state_values,
                                   .vocabulary = file->info->vocabulary};
}

/* The texts are those of the core, alone and in lanes. */
static void check_texts(const loaded *file, const loaded *other) {
    enum { LANES = 3, LENGTH = 90 };
    textgen_lane lanes[LANES] = {{0}};
    textgen_sampling sampling = TEXTGEN_SAMPLING_DEFAULT;
    const char *const stop[] = {"ab"};
    char *text;
    size_t written;
    sampling.repetition_penalty = 1.3;
    sampling.stop = stop;
    sampling.stop_count = 1;
    for (size_t i = 0; i < LANES; i++) {
        sampling.substream = i;
        lanes[i].stream = start_with(other->model, &sampling, "abc");
        lanes[i].length = LENGTH - 20 * i;
        lanes[i].text = allocate(textgen_stream_text_size(lanes[i].stream, LENGTH));
    }
    CHECK_OK(textgen_generate(lanes, LANES, 0, work, NULL, &error));
    for (size_t i = 0; i < LANES; i++) {
        sampling.substream = i;
        textgen_stream *stream = start_with(file->model, &sampling, "abc");
        text = generate(stream, lanes[i].length, &written);
        CHECK(written == lanes[i].written && !memcmp(text, lanes[i].text, written));
        check_same_text(stream, lanes[i].stream);
        free(text), free(stream), free(lanes[i].text), free(lanes[i].stream);
    }
}

static void check_failures(const loaded *other, engine *run) {
    textgen_stream *stream = start(other->model, 1.0, 1, 0, NULL);
    char text[999];
    size_t written = 0;
    float *state = allocate(2 * other->info->state_values * sizeof *state);
    const int64_t tokens[] = {1, 2};
    run->left = 0;
    CHECK_REFUSES(textgen_stream_feed(stream, "abc", 3, work, &error), TEXTGEN_FORWARD_FAILED, "forward", -1);
    run->left = 3;
    CHECK_OK(textgen_stream_feed(stream, "abc", 3, work, &error));
    CHECK_REFUSES(textgen_stream_generate(stream, 9, text, sizeof text, &written, work, &error),
                  TEXTGEN_FORWARD_FAILED, "forward", -1);
    CHECK(run->left == SIZE_MAX && written == strlen(text));
    CHECK(textgen_stream_get_info(stream).drawn == 3 && written >= 3);
    CHECK(textgen_forward_size(other->model, 2, 1) == 0 && textgen_forward_size(other->model, 1, 2) == 0);
    CHECK_INVALID(textgen_forward(other->model, tokens, 1, 2, state, 1, state, work, &error), "workspace", -1);
    CHECK(other->info->layers == 0 && other->info->bits == 0 && other->info->step_bytes == 0);
    CHECK(textgen_model_read(other->model) == 0);
    free(stream), free(state);
}

static void check_engine(const char *path, const char *other_path, size_t other_vocabulary) {
    loaded file = load(path, NULL), other;
    engine run;
    textgen_model_options options = options_of(&file, &run);
    textgen_model *made;
    other = load_with(path, &options);
    check_texts(&file, &other);
    check_failures(&other, &run);
    unload(&other);
    options.vocabulary++;
    CHECK_FAILS(textgen_model_create(file.data, file.size, &options, &made, &error), TEXTGEN_DAMAGED_MODEL);
    options.vocabulary--;
    options.state_values = SIZE_MAX;
    CHECK_REFUSES(textgen_model_create(file.data, file.size, &options, &made, &error), TEXTGEN_TOO_LARGE,
                  "state_values", -1);
    loaded unmatched =
        load_with(other_path, &(textgen_model_options){.forward = forward, .vocabulary = other_vocabulary});
    CHECK(unmatched.info->vocabulary == other_vocabulary && unmatched.info->state_values == 0);
    unload(&unmatched), unload(&file);
    free(run.memory.data);
}

/* ---- Bytes that are held back ---- */

/* The characters of several bytes: the Unicode Standard, table 3-7. Further bytes are 0x80 to 0xBF. */
static const struct {
    unsigned char first_low, first_high, second_low, second_high;
    size_t size;
} characters[] = {{0xC2, 0xDF, 0x80, 0xBF, 2}, {0xE0, 0xE0, 0xA0, 0xBF, 3}, {0xE1, 0xEC, 0x80, 0xBF, 3},
                  {0xED, 0xED, 0x80, 0x9F, 3}, {0xEE, 0xEF, 0x80, 0xBF, 3}, {0xF0, 0xF0, 0x90, 0xBF, 4},
                  {0xF1, 0xF3, 0x80, 0xBF, 4}, {0xF4, 0xF4, 0x80, 0x8F, 4}};

static bool is_between(unsigned char byte, unsigned char low, unsigned char high) {
    return byte >= low && byte <= high;
}

/* How many of the last bytes of a text are the beginning of a character. */
static size_t find_beginning(const unsigned char *text, size_t size) {
    for (size_t last = 1; last <= 3 && last <= size; last++) {
        const unsigned char *bytes = text + size - last;
        for (size_t i = 0; i < sizeof characters / sizeof *characters; i++) {
            if (last < characters[i].size &&
                is_between(bytes[0], characters[i].first_low, characters[i].first_high) &&
                (last < 2 || is_between(bytes[1], characters[i].second_low, characters[i].second_high)) &&
                (last < 3 || is_between(bytes[2], 0x80, 0xBF))) {
                return last;
            }
        }
    }
    return 0;
}

/* The bytes that follow. Each forward allows the next one; the state is the place. One place may fail. */
typedef struct {
    const unsigned char *bytes;
    size_t size, failing;
} script;

static int32_t follow(void *context, const int64_t *tokens, size_t count, float *state, float *logits) {
    const script *run = context;
    const size_t place = (size_t)*state;
    (void)tokens;
    CHECK(count == 1 && place <= run->size);
    if (place && place == run->failing) {
        return -1;
    }
    for (size_t i = 0; i < BYTES; i++) {
        logits[i] = -INFINITY;
    }
    logits[place < run->size ? run->bytes[place] : 'z'] = 0.0f;
    *state += 1.0f;
    return 0;
}

/* Start a text of the script. */
static textgen_stream *start_script(const textgen_model *model, const textgen_sampling *sampling) {
    const int64_t any = 0;
    textgen_stream *stream = start_with(model, sampling, NULL);
    CHECK_OK(textgen_stream_feed_tokens(stream, &any, 1, TEXTGEN_FEED_START, NULL, work, &error));
    return stream;
}

/* All texts of three bytes at the limits of UTF-8. */
static void check_limits(const textgen_model *model, script *run) {
    static const unsigned char limits[] = {0x00, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF,
                                           0xC0, 0xC1, 0xC2, 0xDF, 0xE0, 0xE1, 0xEC, 0xED,
                                           0xEE, 0xEF, 0xF0, 0xF1, 0xF3, 0xF4, 0xF5, 0xFF};
    enum { LIMITS = sizeof limits };
    textgen_stream *first = start(model, 1.0, 1, 0, NULL);
    const int64_t any = 0;
    for (size_t i = 0; i < (size_t)LIMITS * LIMITS * LIMITS; i++) {
        const unsigned char bytes[] = {limits[i % LIMITS], limits[i / LIMITS % LIMITS],
                                       limits[i / LIMITS / LIMITS]};
        const size_t begun = find_beginning(bytes, 3);
        char text[8];
        size_t written;
        *run = (script){bytes, 3, 0};
        CHECK_OK(textgen_stream_feed_tokens(first, &any, 1, TEXTGEN_FEED_START, NULL, work, &error));
        CHECK_OK(textgen_stream_generate(first, 3, text, sizeof text, &written, work, &error));
        CHECK(written == 3 - begun && textgen_stream_get_info(first).held == begun);
        CHECK_OK(textgen_stream_finish(first, 1, text, sizeof text, &written, &error));
        CHECK(written == 0 && textgen_stream_get_info(first).held == begun);
        CHECK_OK(textgen_stream_finish(first, 0, text, sizeof text, &written, &error));
        CHECK(written == begun && !memcmp(text, bytes + 3 - begun, begun));
    }
    free(first);
}

/* Draw a text in chunks that end at the set bits. pending: how many of the first bytes, at each length, are the
 * beginning of a stop text. */
static void check_chunks(const textgen_model *model, const script *run, uint64_t ends,
                         const textgen_sampling *sampling, const size_t *pending) {
    textgen_stream *stream = start_script(model, sampling);
    char text[2 * MOST_LENGTH];
    size_t shown = 0, first = 0, written, i;
    for (size_t end = 1; end <= run->size; end++) {
        if (end == run->size || ends >> end & 1) {
            CHECK_OK(textgen_stream_generate(stream, end - first, text + shown, sizeof text - shown, &written,
                                             work, &error));
            shown += written;
            first = end;
            i = end - pending[end];
            CHECK(shown == i - find_beginning(run->bytes, i) && !memcmp(text, run->bytes, shown));
        }
    }
    const size_t held = run->size - shown;
    CHECK(textgen_stream_get_info(stream).held == held);
    for (i = 0; i < held; i++) {
        CHECK(textgen_stream_get_info(stream).held_tokens[i] == run->bytes[shown + i]);
    }
    /* What may become a stop text is written, but for the bytes of a character. */
    CHECK_OK(textgen_stream_finish(stream, 1, text, sizeof text, &written, &error));
    CHECK(held - written == find_beginning(run->bytes, run->size));
    CHECK(!memcmp(text, run->bytes + shown, written));
    free(stream);
}

/* A text that its constraint ends within a character holds nothing back, because nothing may follow. */
static void check_complete(const textgen_model *model, script *run) {
    static int16_t next[2 * BYTES];
    static const uint8_t accepting[] = {0, 1};
    textgen_sampling sampling = TEXTGEN_SAMPLING_DEFAULT;
    textgen_constraint *constraint;
    size_t written;
    for (size_t i = 0; i < 2 * (size_t)BYTES; i++) {
        next[i] = i == 0xC3 ? 1 : -1;
    }
    CHECK_OK(textgen_constraint_create_table(next, accepting, 2, BYTES, NULL, 0, &constraint, &error));
    sampling.constraint = constraint;
    *run = (script){(const unsigned char *)"\xC3", 1, 0};
    textgen_stream *stream = start_script(model, &sampling);
    char *text = generate(stream, 9, &written);
    const textgen_stream_info info = textgen_stream_get_info(stream);
    CHECK(info.ending == TEXTGEN_CONSTRAINT_END && written == 1 && info.held == 0);
    free(text), free(stream);
    textgen_constraint_destroy(constraint);
}

/* A text of many more tokens than a lane keeps, all of which may become a stop text of the greatest length. */
static void check_long_stop(const textgen_model *model, script *run) {
    enum { LONGEST = 1020, LENGTH = 3 * LONGEST };
    static unsigned char bytes[LENGTH];
    static char stop[LONGEST + 2];
    const char *const stops[] = {stop, "c"};
    textgen_sampling sampling = TEXTGEN_SAMPLING_DEFAULT;
    size_t written;
    memset(stop, 'a', LONGEST);
    stop[LONGEST - 1] = 'b';
    memset(bytes, 'a', LENGTH);
    bytes[LENGTH - 2] = 'b';
    sampling.stop = stops;
    sampling.stop_count = 1;
    *run = (script){bytes, LENGTH, 0};
    textgen_stream *stream = start_script(model, &sampling);
    char *text = generate(stream, LENGTH, &written);
    CHECK(textgen_stream_get_info(stream).ending == TEXTGEN_REACHED_STOP);
    CHECK(written == LENGTH - 1 - LONGEST && !memcmp(text, bytes, written));
    /* If the engine fails while as much is held back as can be, the text is not lost, and can be saved. */
    run->failing = 1088;
    textgen_lane lane = {.stream = start_script(model, &sampling), .length = LENGTH, .text = text};
    CHECK_FAILS(textgen_generate(&lane, 1, 0, work, NULL, &error), TEXTGEN_FORWARD_FAILED);
    const size_t held = textgen_stream_get_info(lane.stream).held;
    CHECK(held == LONGEST - 1 && lane.decided == 1088 - held && lane.written == lane.decided);
    free(lane.stream);
    sampling.stop_count = 2;
    CHECK_INVALID(textgen_stream_set_sampling(stream, &sampling, &error), "stop", 1);
    stop[LONGEST] = 'b';
    CHECK_INVALID(textgen_stream_set_sampling(stream, &sampling, &error), "stop", 0);
    free(text), free(stream);
}

static void check_bytes(const char *path) {
    static const unsigned char bytes[] = "a\xC3\xA9\xE2\x82\xAC\xF0\x9D\x84\x9E\xFF\xC3"
                                         "b\xE2\x82\xF0\x9D\x84\x80\x80\xED\xA0\x80\xF4\x90\xC3\xA9\xC3";
    static const char *const stops[] = {"\xA9\xE2\x83", "\x9D\x84"
                                                        "c"};
    /* No byte-order mark is dropped, and line ends stay. */
    static const char as_it_is[] = "\xEF\xBB\xBF"
                                   "a\r\nb\rc\xFF\xC3";
    const size_t size = sizeof bytes - 1;
    size_t pending[MOST_LENGTH] = {0}, none[MOST_LENGTH] = {0};
    textgen_sampling plain = TEXTGEN_SAMPLING_DEFAULT, stopping = plain;
    uint64_t state = 1;
    script run;
    const textgen_model_options options = {
        .forward = follow, .context = &run, .state_values = 1, .vocabulary = BYTES};
    loaded file = load_with(path, &options);
    int64_t tokens[MOST_LENGTH];
    size_t count;
    CHECK_OK(textgen_encode(file.model, as_it_is, 3, 0, NULL, &count, &error));
    CHECK(count == 3);
    CHECK_OK(textgen_encode(file.model, as_it_is, sizeof as_it_is - 1, 0, tokens, &count, &error));
    CHECK(count == sizeof as_it_is - 1);
    for (size_t i = 0; i < count; i++) {
        CHECK(tokens[i] == (unsigned char)as_it_is[i]);
    }
    for (size_t length = 1; length <= size; length++) {
        for (size_t i = 0; i < 2; i++) {
            for (size_t j = 1; j < 3 && j <= length; j++) {
                pending[length] =
                    !memcmp(bytes + length - j, stops[i], j) && j > pending[length] ? j : pending[length];
            }
        }
    }
    stopping.stop = stops;
    stopping.stop_count = 2;
    check_limits(file.model, &run);
    check_complete(file.model, &run);
    check_long_stop(file.model, &run);
    run = (script){bytes, size, 0};
    for (size_t first = 1; first < size; first++) {
        for (size_t second = first; second < size; second++) {
            const uint64_t ends = (uint64_t)1 << first | (uint64_t)1 << second;
            check_chunks(file.model, &run, ends, &plain, none);
            check_chunks(file.model, &run, ends, &stopping, pending);
        }
    }
    for (size_t i = 0; i < 1000; i++) {
        check_chunks(file.model, &run, next_random(&state), &stopping, pending);
    }
    unload(&file);
}

int main(int count, char **arguments) {
    CHECK(count == 5);
    check_engine(arguments[1], arguments[3], strtoul(arguments[4], NULL, 10));
    check_bytes(arguments[2]);
    return 0;
}
