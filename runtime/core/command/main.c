/* The command `textgen`: generates text with a model and writes it to standard output, as textgen-run does. */
#include "../handles.h"
#include "../vocabulary.h"
#include "input.h"
#include "output.h"
#include "warnings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef TEXTGEN_EMBEDDED
extern const uint64_t model_data[];
extern const size_t model_size;
#endif

enum { CHUNK = 64, MESSAGE_SIZE = 512, DEFAULT_LENGTH = 400, DEFAULT_RECORD_LENGTH = 10000 };

/* A text that is generated. */
typedef struct {
    const command_options *options;
    const textgen_model_info *info;
    textgen_stream *stream;
    output *to;
    char *buffer; /* for the text of a chunk */
    size_t buffer_size;
    void *workspace;
    size_t workspace_size;
} running_text;

static textgen_model *load(const char *path) {
    char error[MESSAGE_SIZE];
    textgen_model *model;
    int32_t result;
#ifdef TEXTGEN_EMBEDDED
    (void)path;
    result = textgen_model_create(model_data, model_size, NULL, &model, error, sizeof error);
    path = "the model in this program";
#else
    content file;
    path = find_model(path);
    file = read_content(path, "the model file ");
    result = textgen_model_create(file.data, file.size, NULL, &model, error, sizeof error);
#endif
    if (result < 0) {
        char escaped[TEXTGEN_QUOTE_SIZE];
        fail(EXIT_FAILED, "%s: %s", textgen_escape(textgen_view_of(path), escaped), error);
    }
    return model;
}

static void generate(running_text *text, size_t length) {
    char error[MESSAGE_SIZE];
    textgen_lane lane = TEXTGEN_LANE_DEFAULT;
    lane.stream = text->stream;
    lane.text = text->buffer;
    lane.size = text->buffer_size;
    do {
        lane.length = length < CHUNK ? length : CHUNK;
        lane.finish = lane.length == length;
        if (textgen_generate(&lane, 1, text->workspace, text->workspace_size, error, sizeof error) < 0) {
            fail(EXIT_FAILED, "%s", error);
        }
        write_text(text->to, lane.text, lane.written);
        flush_output();
        length -= lane.length;
    } while (length && lane.ending == TEXTGEN_REACHED_LENGTH);
    end_text(text->to);
}

/* Whether each text ends before a line end, unless its length ends it. */
static bool are_lines(const textgen_sampling *sampling) {
    bool lines = sampling->stop_count > 0;
    size_t i;
    for (i = 0; i < sampling->stop_count; i++) {
        lines = lines && sampling->stop[i][strlen(sampling->stop[i]) - 1] == '\n';
    }
    return lines;
}

/* Choose the prompt of a text without one. It is not printed before a line. */
static content choose_prompt(const textgen_model *model, const textgen_sampling *sampling) {
    content prompt = stored_prompt(model, sampling);
    if (!prompt.data) {
        fail(EXIT_FAILED, "the model has no default prompt: pass a prompt");
    }
    if (are_lines(sampling)) {
        while (prompt.size && prompt.data[prompt.size - 1] != '\n') {
            prompt.size--;
        }
        if (!prompt.size) {
            prompt.data[prompt.size++] = '\n';
        }
    }
    return prompt;
}

/* Write a prompt as the model has read it: without characters outside the vocabulary. */
static void write_prompt(const running_text *text, const textgen_model *model, content prompt) {
    const textgen_error none = {NULL, 0};
    textgen_encoder encoder = {prompt.data, prompt.size, 0};
    int64_t token;
    while (textgen_encode_next(model->vocabulary, &encoder, &token, &none) > 0) {
        write_text(text->to, text->buffer, textgen_decode_token(model->vocabulary, token, text->buffer));
    }
    end_text(text->to);
}

/* Write what stands before a text, except for the prompt. */
static void write_heading(const running_text *text, size_t number) {
    char heading[64];
    const char *records = text->info->records;
    int size = 0;
    if (records && !strcmp(records, "blank") && number > 0) {
        size = snprintf(heading, sizeof heading, "\n");
    } else if (!records && text->options->count > 1) {
        size = snprintf(heading, sizeof heading, "------ text %zu of %zu\n", number + 1,
                        (size_t)text->options->count);
    }
    write_text(text->to, heading, (size_t)size);
}

static void start(running_text *text, const textgen_model *model, void *memory, content prompt) {
    char error[MESSAGE_SIZE];
    const size_t size = textgen_stream_size(model);
    int32_t result =
        textgen_stream_init(memory, size, model, &text->options->sampling, &text->stream, error, sizeof error);
    if (result == TEXTGEN_INVALID_ARGUMENT) {
        fail_usage(error);
    }
    if (result == TEXTGEN_OK && prompt.size) {
        result = textgen_stream_feed(text->stream, prompt.data, prompt.size, error, sizeof error);
    }
    if (result < 0) {
        fail(EXIT_FAILED, "%s", error);
    }
}

/* given: the prompt of the arguments. */
static void run(const textgen_model *model, const textgen_model_info *info, command_options *options,
                content given, output *to) {
    const size_t length = options->length ? (size_t)options->length
                          : info->records ? DEFAULT_RECORD_LENGTH
                                          : DEFAULT_LENGTH;
    running_text text = {.options = options, .info = info, .to = to};
    void *memory = allocate(textgen_stream_size(model));
    size_t number;
    text.buffer_size = TEXTGEN_LANE_TOKENS * info->symbol_bytes + 1;
    text.buffer = allocate(text.buffer_size);
    text.workspace_size = textgen_workspace_size(model, 1);
    text.workspace = allocate(text.workspace_size);
    for (number = 0; number < options->count; number++) {
        const bool stored = !given.data && !info->records;
        content prompt = given;
        options->sampling.substream = number;
        if (stored) {
            prompt = choose_prompt(model, &options->sampling);
        }
        start(&text, model, memory, prompt);
        write_heading(&text, number);
        if (!options->no_echo && !(stored && are_lines(&options->sampling))) {
            write_prompt(&text, model, prompt);
        }
        generate(&text, length);
        write_text(to, "\n", 1);
        if (stored) {
            free(prompt.data);
        }
    }
    flush_output();
    free(text.workspace);
    free(text.buffer);
    free(memory);
}

int main(int count, char **arguments) {
    char error[MESSAGE_SIZE];
    command_options options;
    textgen_model_info info = TEXTGEN_MODEL_INFO_DEFAULT;
    textgen_model *model;
    content prompt;
    output to;
    read_options(count, arguments, &options);
    if (!options.has_seed) {
        options.sampling.seed = fresh_seed();
    }
    open_output(&to);
    model = load(options.model);
    if (textgen_model_get_info(model, &info, error, sizeof error) < 0) {
        fail(EXIT_FAILED, "%s", error);
    }
    prompt = read_prompt(&options, &info);
    warn_unknown(model, prompt);
    keep_possible_stops(model, &info, &options);
    run(model, &info, &options, prompt, &to);
    free(prompt.data);
    textgen_model_destroy(model);
    return EXIT_SUCCESS;
}
