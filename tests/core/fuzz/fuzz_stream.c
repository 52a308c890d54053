/* Streams: random calls with random sampling parameters, stop texts, constraints and saved data. */
#include "fuzz.h"

#include <math.h>

enum { MAX_STOPS = 4, MAX_STOP_BYTES = 16, MAX_LENGTH = 16, MAX_CALLS = 24, HASHES = 16, HASH_BYTES = 64 };

/* A sampling, and what it points to. */
typedef struct {
    textgen_sampling sampling;
    char stops[MAX_STOPS][MAX_STOP_BYTES + 1];
    const char *listed[MAX_STOPS];
    double *bias; /* [vocabulary] */
} choice;

/* A running stream, in memory of its exact size. */
typedef struct {
    const fuzz_model *model;
    textgen_stream *stream;
    textgen_memory memory, workspace;
    choice chosen;
} running;

static void take_parameter(fuzz_input *input, textgen_sampling *sampling) {
    static const double special[] = {0.0,   1.0, 0.5,    -1.0,     0.9,       2.0,  -0.5,   1e-300,
                                     100.0, NAN, 1024.0, INFINITY, -INFINITY, 1e38, 5e-324, 1e308};
    static const uint64_t large[] = {INT32_MAX, (uint64_t)INT32_MAX + 1, INT64_MAX, UINT64_MAX, 1024, 1025};
    size_t count = 0;
    while (textgen_parameter(count)->offset) {
        count++;
    }
    const textgen_parameter_info *info = textgen_parameter(fuzz_take(input) % count);
    void *field = (char *)sampling + info->offset;
    const unsigned kind = fuzz_take(input);
    if (!strcmp(info->kind, "whole")) {
        *(uint64_t *)field = kind < 250 ? kind : large[kind - 250];
    } else {
        *(double *)field = kind < sizeof special / sizeof *special ? special[kind] : kind / 100.0;
    }
}

static void take_sampling(fuzz_input *input, const fuzz_model *model, choice *chosen) {
    static const double biases[] = {0.0, 1.0, -INFINITY, 100.0, NAN, 3e38, INFINITY, 1e300};
    const textgen_sampling initial = TEXTGEN_SAMPLING_DEFAULT;
    textgen_sampling *sampling = &chosen->sampling;
    const unsigned kinds = fuzz_take(input);
    /* A constraint is refused with spans or with stop texts. */
    const bool has_others = !(kinds & 1) || kinds & 32;
    *sampling = initial;
    sampling->seed = fuzz_take(input);
    for (unsigned changes = fuzz_take(input) % 8; changes > 0; changes--) {
        take_parameter(input, sampling);
    }
    sampling->constraint = kinds & 1 ? model->constraint : NULL;
    sampling->spans = kinds & 2 && has_others ? model->spans : NULL;
    for (size_t i = 0; i < model->info->vocabulary; i++) {
        chosen->bias[i] = biases[kinds & 4 && i < 16 ? fuzz_take(input) % 8 : 0];
    }
    sampling->logit_bias = kinds & 4 ? chosen->bias : NULL;
    sampling->stop = chosen->listed;
    sampling->stop_count = kinds & 8 && has_others ? fuzz_take(input) % (MAX_STOPS + 1) : 0;
    sampling->keep_stop = kinds >> 4 & 1;
    for (size_t i = 0; i < sampling->stop_count; i++) {
        const size_t size = fuzz_take(input) % (MAX_STOP_BYTES + 1);
        for (size_t j = 0; j <= size; j++) {
            chosen->stops[i][j] = j < size ? (char)fuzz_take(input) : '\0';
        }
        chosen->listed[i] = chosen->stops[i];
    }
}

/* Create a stream, or change its sampling. A sampling that is refused leaves it as it is. */
static void set_sampling(running *on, fuzz_input *input) {
    const unsigned refusals = CODE(INVALID_ARGUMENT) | CODE(UNKNOWN_CHARACTER) | CODE(INVALID_UTF8);
    const textgen_model *model = on->model->model;
    const choice before = on->chosen;
    take_sampling(input, on->model, &on->chosen);
    const textgen_sampling *sampling = &on->chosen.sampling;
    const int32_t code = on->stream ? textgen_stream_set_sampling(on->stream, sampling, &error)
                                    : textgen_stream_init(on->memory, model, sampling, &on->stream, &error);
    if (CHECK_CODE(code, refusals) < 0) {
        on->chosen = before;
    }
    if (!on->stream) {
        CHECK_CODE(textgen_stream_init(on->memory, model, NULL, &on->stream, &error), 0);
    }
}

/* Go on in other memory. */
static void move(running *on, textgen_memory memory, textgen_stream *stream) {
    free(on->memory.data);
    on->memory = memory;
    on->stream = stream;
}

/* Resume saved data with the tables of a stream, whose bias and parameters are not used. */
static int32_t resume(const running *on, const fuzz_content *saved, textgen_memory memory,
                      textgen_stream **stream) {
    const textgen_sampling *chosen = &on->chosen.sampling;
    const textgen_sampling tables = {.stop = chosen->stop,
                                     .stop_count = chosen->stop_count,
                                     .keep_stop = chosen->keep_stop,
                                     .constraint = chosen->constraint,
                                     .spans = chosen->spans};
    return textgen_stream_resume(memory, on->model->model, &tables, saved->data, saved->size, stream, &error);
}

static fuzz_content save(const textgen_stream *stream) {
    const textgen_memory data = new_memory(textgen_stream_saved_size(stream, 2));
    memset(data.data, 0xA5, data.size);
    const int32_t code = CHECK_CODE(textgen_stream_save(stream, "{}", 2, data, &error), CODE(INVALID_LOGITS));
    return (fuzz_content){data.data, code == TEXTGEN_OK ? data.size : 0};
}

/* Save a stream, and go on with what is resumed, which saves the same bytes. */
static void save_and_resume(running *on) {
    const fuzz_content saved = save(on->stream);
    if (saved.size) {
        const textgen_memory memory = new_memory(on->memory.size);
        textgen_stream *resumed = NULL;
        CHECK_CODE(resume(on, &saved, memory, &resumed), 0);
        const fuzz_content same = save(resumed);
        CHECK(same.size == saved.size && !memcmp(same.data, saved.data, saved.size));
        free(same.data);
        move(on, memory, resumed);
    }
    free(saved.data);
}

/* Generate in a batch of two copies, in steps, and go on with one of them. Both give the text of the stream
 * alone. */
static void generate_batch(running *on, size_t length, size_t steps) {
    enum { LANES = 2, ERRORS = FUZZ_DRAW_ERRORS | CODE(NO_PROMPT) | CODE(RNG_EXHAUSTED) };
    const textgen_model *model = on->model->model;
    const textgen_memory workspace = fuzz_workspace(model, LANES);
    textgen_memory memory[LANES];
    textgen_lane lanes[LANES] = {{0}};
    fuzz_content text = {NULL, 0}, parts[LANES] = {{NULL, 0}, {NULL, 0}};
    int32_t failed = TEXTGEN_OK;
    for (size_t i = 0; i < LANES; i++) {
        memory[i] = new_memory(on->memory.size);
        CHECK_CODE(textgen_stream_copy(on->stream, memory[i], &lanes[i].stream, &error), 0);
        lanes[i].length = length;
    }
    while (failed == TEXTGEN_OK && lanes[0].ending == TEXTGEN_CONTINUES) {
        for (size_t i = 0; i < LANES; i++) {
            lanes[i].text = allocate(textgen_stream_text_size(lanes[i].stream, steps));
            lanes[i].logprobs = allocate(steps * sizeof(double));
        }
        failed = CHECK_CODE(textgen_generate(lanes, LANES, steps, workspace, NULL, &error),
                            CODE(LANE_FAILED) | CODE(NO_PROMPT));
        for (size_t i = 0; i < LANES; i++) {
            if (failed != TEXTGEN_NO_PROMPT) {
                fuzz_append(&parts[i], lanes[i].text, lanes[i].written);
                for (size_t j = 0; j < lanes[i].drawn; j++) {
                    CHECK(lanes[i].logprobs[j] <= 1e-6);
                }
                CHECK(lanes[i].drawn <= steps && (failed || lanes[i].drawn || lanes[i].ending));
                lanes[i].length -= lanes[i].drawn;
            }
            free(lanes[i].text), free(lanes[i].logprobs);
        }
    }
    const int32_t code = fuzz_generate(model, on->stream, length, &text, ERRORS);
    CHECK(failed == (code == TEXTGEN_OK || code == TEXTGEN_NO_PROMPT ? code : TEXTGEN_LANE_FAILED));
    for (size_t i = 0; i < LANES && failed != TEXTGEN_NO_PROMPT; i++) {
        CHECK(lanes[i].result == code && parts[i].size == text.size);
        CHECK(!memcmp(parts[i].data, text.data, text.size));
        CHECK(lanes[i].ending == textgen_stream_get_info(on->stream).ending || code < 0);
    }
    free(parts[0].data), free(parts[1].data), free(text.data), free(workspace.data), free(memory[1].data);
    move(on, memory[0], lanes[0].stream);
}

static void show_next(const running *on, int32_t of_draw) {
    const size_t vocabulary = on->model->info->vocabulary;
    double *probabilities = allocate(vocabulary * sizeof *probabilities), sum = 0.0;
    const int32_t code =
        textgen_stream_probabilities(on->stream, of_draw, probabilities, on->workspace, &error);
    if (CHECK_CODE(code, FUZZ_DRAW_ERRORS | CODE(NO_PROMPT)) == TEXTGEN_OK) {
        for (size_t i = 0; i < vocabulary; i++) {
            CHECK(probabilities[i] >= 0.0);
            sum += probabilities[i];
        }
        CHECK(sum > 0.999 && sum < 1.001);
    }
    free(probabilities);
}

/* Feed bytes of the input: as text, as tokens, or to score them. */
static void feed_input(const running *on, fuzz_input *input, unsigned kind) {
    const bool in_range = fuzz_take(input) > 9;
    const size_t size = fuzz_take(input) % 32, given = size < input->size ? size : input->size;
    fuzz_content text = {NULL, 0};
    int64_t tokens[32];
    double logprobs[32];
    fuzz_append(&text, input->data, given);
    for (size_t i = 0; i < given; i++) {
        tokens[i] = in_range ? (int64_t)(input->data[i] % on->model->info->vocabulary) : input->data[i] - 8;
    }
    input->data += given;
    input->size -= given;
    const int32_t code =
        kind == 0 ? textgen_stream_feed(on->stream, (char *)text.data, given, on->workspace, &error)
                  : textgen_stream_feed_tokens(on->stream, tokens, given, kind == 1 ? 1 : (int32_t)kind - 2,
                                               kind == 1 ? logprobs : NULL, on->workspace, &error);
    CHECK_CODE(code, kind == 0 ? CODE(UNKNOWN_CHARACTER) | CODE(INVALID_UTF8)
                               : (in_range ? 0u : CODE(INVALID_ARGUMENT)) | (kind == 1 ? CODE(NO_PROMPT) : 0u));
    free(text.data);
}

/* Write the text that is held back. Then nothing is held back but for the bytes of a character. */
static void finish(const running *on, int32_t complete) {
    const size_t size = textgen_stream_text_size(on->stream, 1);
    char *text = allocate(size);
    size_t written = 0;
    for (int i = 0; i < 2; i++) {
        CHECK_CODE(textgen_stream_finish(on->stream, complete, text, size, &written, &error), 0);
        CHECK(written < size && !(i && written) &&
              textgen_stream_get_info(on->stream).held <= (complete ? 3 : 0));
    }
    free(text);
}

/* Make calls that the input selects. */
static void run(running *on, fuzz_input *input) {
    for (size_t calls = 0; calls < MAX_CALLS && input->size; calls++) {
        fuzz_content text = {NULL, 0};
        const unsigned call = fuzz_take(input) % 12;
        switch (call) {
        case 0:
        case 1:
        case 2:
        case 3:
        case 4:
            feed_input(on, input, call);
            break;
        case 5:
            fuzz_feed(on->model->model, on->stream, fuzz_take(input), 1 + fuzz_take(input) % 8);
            break;
        case 6:
        case 7:
            fuzz_generate(on->model->model, on->stream, 1 + fuzz_take(input) % MAX_LENGTH, &text,
                          FUZZ_DRAW_ERRORS | CODE(NO_PROMPT) | CODE(RNG_EXHAUSTED));
            break;
        case 8:
            finish(on, (int32_t)(fuzz_take(input) % 2));
            break;
        case 9:
            show_next(on, (int32_t)(fuzz_take(input) % 2));
            save_and_resume(on);
            break;
        case 10:
            set_sampling(on, input);
            break;
        default:
            generate_batch(on, 1 + fuzz_take(input) % MAX_LENGTH, 1 + fuzz_take(input) % MAX_LENGTH);
            break;
        }
        free(text.data);
    }
    free(on->memory.data), free(on->workspace.data), free(on->chosen.bias);
}

static running begin(const fuzz_model *model) {
    return (running){.model = model,
                     .chosen.bias = allocate(model->info->vocabulary * sizeof(double)),
                     .memory = new_memory(textgen_stream_size(model->model)),
                     .workspace = fuzz_workspace(model->model, 1)};
}

void fuzz_run_stream(const fuzz_model *model, fuzz_input input) {
    running on = begin(model);
    set_sampling(&on, &input);
    fuzz_feed(model->model, on.stream, fuzz_take(&input), 1);
    run(&on, &input);
}

/* Resume saved data of any model and constraint, whose hashes are replaced, with tables that the first byte
 * selects. */
void fuzz_resume(const fuzz_model *model, fuzz_input input) {
    static const unsigned char calls[] = {9, 1,   6,   12, 11, 4, 3, 6,  9, 8, 1, 0, 99,
                                          2, 'a', 'b', 9,  1,  8, 0, 10, 1, 2, 9, 0};
    const unsigned kinds = fuzz_take(&input) % 5;
    running on = begin(model);
    fuzz_content data = {NULL, 0};
    fuzz_input rest = {calls, sizeof calls};
    memcpy(on.chosen.stops[0], "ab", 3);
    on.chosen.listed[0] = on.chosen.stops[0];
    const textgen_sampling sampling = {.constraint = kinds == 1 ? model->constraint : NULL,
                                       .spans = kinds % 2 == 0 && kinds ? model->spans : NULL,
                                       .stop = on.chosen.listed,
                                       .stop_count = kinds >= 3};
    on.chosen.sampling = sampling;
    CHECK_CODE(textgen_stream_init(on.memory, model->model, &sampling, &on.stream, &error), 0);
    fuzz_feed(model->model, on.stream, 1, 1);
    const fuzz_content own = save(on.stream);
    fuzz_append(&data, input.data, input.size);
    if (own.size && data.size >= HASHES + HASH_BYTES) {
        memcpy(data.data + HASHES, own.data + HASHES, HASH_BYTES);
    }
    if (CHECK_CODE(resume(&on, &data, on.memory, &on.stream),
                   CODE(DAMAGED_SAVED) | CODE(NEWER_FORMAT) | CODE(OTHER_SAVED)) < 0) {
        CHECK_CODE(textgen_stream_init(on.memory, model->model, &sampling, &on.stream, &error), 0);
    }
    free(own.data), free(data.data);
    run(&on, &rest);
}
