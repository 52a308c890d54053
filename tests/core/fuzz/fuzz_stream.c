/* Streams: random calls with random sampling parameters, stop texts, constraints and saved data. */
#include "fuzz.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_STOPS = 4, MAX_STOP_BYTES = 16, MAX_LENGTH = 16, MAX_CALLS = 24, HASHES = 16, HASH_BYTES = 64 };

/* A running stream, in memory of its exact size. */
typedef struct {
    const fuzz_model *model;
    textgen_stream *stream;
    void *memory;
    textgen_sampling sampling; /* without stop texts: see `stops` */
    char stops[MAX_STOPS][MAX_STOP_BYTES + 1];
} running;

static double take_double(fuzz_input *input) {
    static const double special[] = {0.0,   1.0, 0.5,    -1.0,     0.9,       2.0,  -0.5,   1e-300,
                                     100.0, NAN, 1024.0, INFINITY, -INFINITY, 1e38, 5e-324, 1e308};
    const unsigned kind = fuzz_take(input);
    double value = kind / 100.0;
    if (kind < sizeof special / sizeof *special) {
        value = special[kind];
    } else if (kind >= 250) {
        for (size_t i = 0; i < sizeof value; i++) {
            ((unsigned char *)&value)[i] = (unsigned char)fuzz_take(input);
        }
    }
    return value;
}

static uint64_t take_whole(fuzz_input *input) {
    static const uint64_t special[] = {INT32_MAX, (uint64_t)INT32_MAX + 1, INT64_MAX, UINT64_MAX, 1024, 1025};
    const unsigned kind = fuzz_take(input);
    return kind < 250 ? kind : special[kind - 250];
}

static void take_parameters(fuzz_input *input, textgen_sampling *sampling) {
    size_t count = 0;
    while (textgen_parameter(count)) {
        count++;
    }
    for (unsigned changes = fuzz_take(input) % 8; changes > 0; changes--) {
        const textgen_parameter_info *info = textgen_parameter(fuzz_take(input) % count);
        char *field = (char *)sampling + info->offset;
        if (info->offset && strcmp(info->kind, "whole") == 0) {
            *(uint64_t *)(void *)field = take_whole(input);
        } else if (info->offset) {
            *(double *)(void *)field = take_double(input);
        }
    }
}

/* Take the sampling of a stream. The stop texts and `bias` must stay where they are. */
static textgen_sampling take_sampling(fuzz_input *input, const fuzz_model *model,
                                      char stops[MAX_STOPS][MAX_STOP_BYTES + 1], const char *listed[MAX_STOPS],
                                      float *bias) {
    static const float biases[] = {0.0f, 1.0f, -INFINITY, 100.0f, NAN, 3e38f, INFINITY, -3e38f};
    textgen_sampling sampling = TEXTGEN_SAMPLING_DEFAULT;
    const unsigned kinds = fuzz_take(input);
    sampling.seed = fuzz_take(input);
    take_parameters(input, &sampling);
    if (kinds & 1) {
        sampling.constraint = model->constraint;
    }
    /* A constraint is refused with spans or with stop texts. */
    const bool has_others = !(kinds & 1) || kinds & 32;
    if (kinds & 2 && has_others) {
        sampling.spans = model->spans;
    }
    if (kinds & 4) {
        for (size_t i = 0; i < model->info.vocabulary; i++) {
            bias[i] = biases[i < 16 ? fuzz_take(input) % 8 : 0];
        }
        sampling.logit_bias = bias;
        sampling.logit_bias_count = model->info.vocabulary;
    }
    if (kinds & 8 && has_others) {
        sampling.stop = listed;
        sampling.stop_count = fuzz_take(input) % (MAX_STOPS + 1);
        for (size_t i = 0; i < sampling.stop_count; i++) {
            const size_t size = fuzz_take(input) % (MAX_STOP_BYTES + 1);
            for (size_t j = 0; j <= size; j++) {
                stops[i][j] = j < size ? (char)fuzz_take(input) : '\0';
            }
            listed[i] = stops[i];
        }
        sampling.keep_stop = kinds >> 4 & 1;
    }
    return sampling;
}

/* Create a stream, or change its sampling. A sampling that is refused leaves it as it is. */
static void set_sampling(running *on, fuzz_input *input, bool create) {
    const unsigned refusals = CODE(INVALID_ARGUMENT) | CODE(UNKNOWN_CHARACTER) | CODE(INVALID_UTF8);
    const fuzz_model *model = on->model;
    const size_t size = textgen_stream_size(model->model);
    char stops[MAX_STOPS][MAX_STOP_BYTES + 1];
    const char *listed[MAX_STOPS];
    float *bias = fuzz_allocate(model->info.vocabulary * sizeof *bias);
    textgen_sampling sampling = take_sampling(input, model, stops, listed, bias);
    int32_t code = create
                       ? textgen_stream_init(on->memory, size, model->model, &sampling, &on->stream,
                                             fuzz_message, sizeof fuzz_message)
                       : textgen_stream_set_sampling(on->stream, &sampling, fuzz_message, sizeof fuzz_message);
    if (REQUIRE_CODE(code, refusals) == TEXTGEN_OK) {
        on->sampling = sampling;
        on->sampling.stop = NULL;
        on->sampling.logit_bias = NULL;
        on->sampling.logit_bias_count = 0;
        memcpy(on->stops, stops, sizeof stops);
    } else if (create) {
        const textgen_sampling initial = TEXTGEN_SAMPLING_DEFAULT;
        on->sampling = initial;
        REQUIRE_CODE(textgen_stream_init(on->memory, size, model->model, NULL, &on->stream, fuzz_message,
                                         sizeof fuzz_message),
                     0);
    }
    free(bias);
}

/* Go on in other memory. */
static void move(running *on, void *memory, textgen_stream *stream) {
    free(on->memory);
    on->memory = memory;
    on->stream = stream;
}

/* Return the sampling of a stream, with its stop texts, which `listed` then has. */
static textgen_sampling sampling_of(const running *on, const char *listed[MAX_STOPS]) {
    textgen_sampling sampling = on->sampling;
    for (size_t i = 0; i < sampling.stop_count; i++) {
        listed[i] = on->stops[i];
    }
    sampling.stop = sampling.stop_count ? listed : NULL;
    return sampling;
}

/* Resume saved data with the tables of a stream. */
static int32_t resume(const running *on, const fuzz_content *saved, void *memory, textgen_stream **stream) {
    const char *listed[MAX_STOPS];
    const textgen_sampling sampling = sampling_of(on, listed);
    return textgen_stream_resume(memory, textgen_stream_size(on->model->model), on->model->model, &sampling,
                                 saved->data, saved->size, stream, fuzz_message, sizeof fuzz_message);
}

static fuzz_content save(const textgen_stream *stream) {
    fuzz_content saved = {NULL, textgen_stream_saved_size(stream)};
    saved.data = fuzz_allocate(saved.size);
    memset(saved.data, 0xA5, saved.size);
    if (REQUIRE_CODE(textgen_stream_save(stream, saved.data, saved.size, fuzz_message, sizeof fuzz_message),
                     CODE(INVALID_LOGITS)) != TEXTGEN_OK) {
        saved.size = 0;
    }
    return saved;
}

/* Save a stream, and go on with what is resumed, which saves the same bytes. */
static void save_and_resume(running *on) {
    const fuzz_content saved = save(on->stream);
    if (saved.size) {
        void *memory = fuzz_allocate(textgen_stream_size(on->model->model));
        textgen_stream *resumed = NULL;
        REQUIRE_CODE(resume(on, &saved, memory, &resumed), 0);
        const fuzz_content same = save(resumed);
        REQUIRE(same.size == saved.size && !memcmp(same.data, saved.data, saved.size));
        free(same.data);
        move(on, memory, resumed);
    }
    free(saved.data);
}

static void copy(const running *on, void **memory, textgen_stream **copied) {
    const size_t size = textgen_stream_size(on->model->model);
    *memory = fuzz_allocate(size);
    REQUIRE_CODE(textgen_stream_copy(on->stream, *memory, size, copied, fuzz_message, sizeof fuzz_message), 0);
}

/* Whether a lane has the text of the stream alone. */
static void check_lane(const textgen_stream *alone, const textgen_lane *lane, const fuzz_content *text,
                       int32_t code) {
    REQUIRE(lane->result == code && lane->written == text->size && lane->drawn <= lane->length);
    REQUIRE(!memcmp(lane->text, text->data, text->size));
    REQUIRE(lane->ending == textgen_stream_ending(alone));
    for (size_t i = 0; i < lane->drawn; i++) {
        REQUIRE(lane->logprobs[i] <= 1e-6);
    }
}

/* Generate in a batch of two copies, and go on with one of them. Both give the text of the stream alone. */
static void generate_batch(running *on, size_t length) {
    enum { LANES = 2, ERRORS = FUZZ_DRAW_ERRORS | CODE(NO_PROMPT) | CODE(RNG_EXHAUSTED) };
    const size_t size = textgen_stream_text_size(on->stream, length);
    const size_t workspace_size = textgen_workspace_size(on->model->model, LANES);
    void *memory[LANES], *workspace = fuzz_allocate(workspace_size);
    textgen_lane lanes[LANES];
    fuzz_content text = {NULL, 0};
    for (size_t i = 0; i < LANES; i++) {
        const textgen_lane lane = TEXTGEN_LANE_DEFAULT;
        lanes[i] = lane;
        copy(on, &memory[i], &lanes[i].stream);
        lanes[i].length = length;
        lanes[i].text = fuzz_allocate(size);
        lanes[i].size = size;
        lanes[i].logprobs = fuzz_allocate(length * sizeof(double));
    }
    const int32_t failed = REQUIRE_CODE(
        textgen_generate(lanes, LANES, workspace, workspace_size, fuzz_message, sizeof fuzz_message),
        CODE(LANE_FAILED) | CODE(NO_PROMPT));
    const int32_t code = REQUIRE_CODE(fuzz_generate(on->stream, length, &text), ERRORS);
    REQUIRE((failed == TEXTGEN_NO_PROMPT) == (code == TEXTGEN_NO_PROMPT) && !failed == !code);
    for (size_t i = 0; i < LANES; i++) {
        if (failed != TEXTGEN_NO_PROMPT) {
            check_lane(on->stream, &lanes[i], &text, code);
        }
        free(lanes[i].text);
        free(lanes[i].logprobs);
    }
    free(workspace);
    free(text.data);
    free(memory[1]);
    move(on, memory[0], lanes[0].stream);
}

static void show_next(const running *on, size_t count) {
    textgen_next_token *tokens = fuzz_allocate(count * sizeof *tokens);
    size_t written = 0;
    double sum = 0.0;
    const int32_t code =
        textgen_stream_next(on->stream, tokens, count, &written, fuzz_message, sizeof fuzz_message);
    if (REQUIRE_CODE(code, FUZZ_DRAW_ERRORS | CODE(NO_PROMPT)) == TEXTGEN_OK) {
        REQUIRE(written <= count && written <= on->model->info.vocabulary);
        for (size_t i = 0; i < written; i++) {
            REQUIRE(tokens[i].probability >= 0.0 && tokens[i].draw_probability >= 0.0);
            sum += tokens[i].draw_probability;
        }
        REQUIRE(sum < 1.001);
    }
    free(tokens);
}

static void feed(const running *on, fuzz_input *input, bool scored) {
    const unsigned refusals = CODE(UNKNOWN_CHARACTER) | CODE(INVALID_UTF8);
    const size_t size = fuzz_take(input) % 32, given = size < input->size ? size : input->size;
    fuzz_content text = {NULL, 0};
    double logprobs[32];
    size_t count = 0;
    fuzz_append(&text, input->data, given);
    input->data += given;
    input->size -= given;
    if (scored) {
        const int32_t code = textgen_stream_score(on->stream, (char *)text.data, given, logprobs, given, &count,
                                                  fuzz_message, sizeof fuzz_message);
        if (REQUIRE_CODE(code, refusals | CODE(NO_PROMPT)) == TEXTGEN_OK) {
            REQUIRE(count <= given);
        }
    } else {
        REQUIRE_CODE(
            textgen_stream_feed(on->stream, (char *)text.data, given, fuzz_message, sizeof fuzz_message),
            refusals);
    }
    free(text.data);
}

/* Write the text that is held back. Then nothing is held back. */
static void finish(const running *on) {
    const size_t size = textgen_stream_text_size(on->stream, 1);
    char *text = fuzz_allocate(size);
    size_t written = 0;
    for (int i = 0; i < 2; i++) {
        REQUIRE_CODE(textgen_stream_finish(on->stream, text, size, &written, fuzz_message, sizeof fuzz_message),
                     0);
        REQUIRE(written < size && !(i && written));
    }
    free(text);
}

/* Make calls that the input selects. */
static void run(running *on, fuzz_input *input) {
    for (size_t calls = 0; calls < MAX_CALLS && input->size; calls++) {
        fuzz_content text = {NULL, 0};
        switch (fuzz_take(input) % 10) {
        case 0:
            feed(on, input, false);
            break;
        case 1:
            feed(on, input, true);
            break;
        case 2:
            fuzz_feed(on->model->model, on->stream, fuzz_take(input), 1 + fuzz_take(input) % 8);
            break;
        case 3:
        case 4:
            REQUIRE_CODE(fuzz_generate(on->stream, 1 + fuzz_take(input) % MAX_LENGTH, &text),
                         FUZZ_DRAW_ERRORS | CODE(NO_PROMPT) | CODE(RNG_EXHAUSTED));
            break;
        case 5:
            finish(on);
            break;
        case 6:
            show_next(on, fuzz_take(input) % 16);
            break;
        case 7:
            save_and_resume(on);
            break;
        case 8:
            set_sampling(on, input, false);
            break;
        default:
            generate_batch(on, 1 + fuzz_take(input) % MAX_LENGTH);
            break;
        }
        free(text.data);
    }
    free(on->memory);
}

void fuzz_run_stream(const fuzz_model *model, fuzz_input input) {
    running on = {.model = model, .memory = fuzz_allocate(textgen_stream_size(model->model))};
    set_sampling(&on, &input, true);
    fuzz_feed(model->model, on.stream, fuzz_take(&input), 1);
    run(&on, &input);
}

/* Resume saved data of any model and constraint, whose hashes are replaced, with tables that the first byte
 * selects. What is refused leaves a stream that can be fed. */
void fuzz_resume(const fuzz_model *model, fuzz_input input) {
    const size_t size = textgen_stream_size(model->model);
    const unsigned kinds = fuzz_take(&input);
    running on = {.model = model, .memory = fuzz_allocate(size)};
    const textgen_sampling initial = TEXTGEN_SAMPLING_DEFAULT;
    fuzz_content data = {NULL, 0};
    const char *listed[MAX_STOPS];
    on.sampling = initial;
    on.sampling.constraint = kinds % 5 == 1 ? model->constraint : NULL;
    on.sampling.spans = kinds % 5 == 2 || kinds % 5 == 4 ? model->spans : NULL;
    on.sampling.stop_count = kinds % 5 >= 3;
    memcpy(on.stops[0], "ab", 3);
    const textgen_sampling sampling = sampling_of(&on, listed);
    REQUIRE_CODE(textgen_stream_init(on.memory, size, model->model, &sampling, &on.stream, fuzz_message,
                                     sizeof fuzz_message),
                 0);
    const fuzz_content own = save(on.stream);
    fuzz_append(&data, input.data, input.size);
    if (own.size && data.size >= HASHES + HASH_BYTES) {
        memcpy(data.data + HASHES, own.data + HASHES, HASH_BYTES);
    }
    REQUIRE_CODE(resume(&on, &data, on.memory, &on.stream), CODE(DAMAGED_SAVED) | CODE(NEWER_FORMAT));
    free(own.data);
    free(data.data);
    static const unsigned char calls[] = {6, 9, 3, 12, 7, 4, 3, 5, 9, 5, 2, 0, 1, 9, 8, 1, 2, 'a', 'b', 7};
    fuzz_input rest = {calls, sizeof calls};
    run(&on, &rest);
}
