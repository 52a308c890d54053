/* Prints how a text ends and, after a line end, the text. The values are arguments, by name:
 *
 *     golden MODEL [prompt TEXT] [length N] [seed N] [stop TEXT]... [table FILE] [save FILE] [top_k N] ...
 *
 * With `save`, the text is not complete after `length` tokens, and its stream is saved. With `resume`, the
 * text continues one that was saved. The value of `bias` is a token and what is added to its logit. */
#include "textgen.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_STOPS = 8 };

static textgen_error error;

static void check(int is_right, const char *what) {
    if (!is_right) {
        fprintf(stderr, "%s: %s %s\n", what, error.parameter ? error.parameter : "", error.message);
        exit(1);
    }
}

/* Expects that a call of textgen.h succeeds. */
#define TRY(function, ...) check(function(__VA_ARGS__, &error) == TEXTGEN_OK, #function)

/* The end of the process frees everything. Until then, all is found from here. */
static void *allocate(size_t size) {
    static void *all[64], **next = all;
    void *memory = calloc(1, size);
    check(memory != NULL && next < all + 64, "memory");
    return *next++ = memory;
}

static textgen_memory new_memory(size_t size) { return (textgen_memory){allocate(size), size}; }

static void *read_file(const char *path, size_t *size) {
    FILE *file = fopen(path, "rb");
    check(file && !fseek(file, 0, SEEK_END), path);
    *size = (size_t)ftell(file);
    void *data = allocate(*size + 1);
    check(!fseek(file, 0, SEEK_SET) && fread(data, 1, *size, file) == *size && !fclose(file), path);
    return data;
}

static void write_file(const char *path, const void *data, size_t size) {
    FILE *file = fopen(path, "wb");
    check(file && fwrite(data, 1, size, file) == size && !fclose(file), path);
}

/* The last value of a name, or NULL. */
static const char *value_of(char **arguments, const char *name) {
    const char *value = NULL;
    for (; arguments[0]; arguments += 2) {
        value = strcmp(arguments[0], name) ? value : arguments[1];
    }
    return value;
}

static uint64_t number_of(char **arguments, const char *name) {
    const char *value = value_of(arguments, name);
    return value ? strtoull(value, NULL, 10) : 0;
}

static void read_sampling(char **arguments, const textgen_model *model, size_t vocabulary,
                          textgen_sampling *sampling) {
    static const char *stops[MOST_STOPS];
    double *bias = allocate(vocabulary * sizeof *bias);
    sampling->seed = number_of(arguments, "seed");
    sampling->seed_high = number_of(arguments, "seed_high");
    sampling->substream = number_of(arguments, "substream");
    sampling->keep_stop = (size_t)number_of(arguments, "keep_stop");
    sampling->stop = stops;
    for (char **pair = arguments; pair[0]; pair += 2) {
        if (!strcmp(pair[0], "stop")) {
            check(sampling->stop_count < MOST_STOPS, "stop");
            stops[sampling->stop_count++] = pair[1];
        } else if (!strcmp(pair[0], "bias")) {
            char *rest;
            const size_t token = (size_t)strtoull(pair[1], &rest, 10);
            bias[token] = strtod(rest, NULL);
            sampling->logit_bias = bias;
        }
    }
    const textgen_parameter_info *info;
    for (size_t i = 0; (info = textgen_parameter(i)) != NULL; i++) {
        const char *value = value_of(arguments, info->name);
        if (value && info->offset && !strcmp(info->kind, "number")) {
            *(double *)(void *)((char *)sampling + info->offset) = strtod(value, NULL);
        } else if (value && info->offset) {
            *(uint64_t *)(void *)((char *)sampling + info->offset) = strtoull(value, NULL, 10);
        }
    }
    size_t size;
    if (value_of(arguments, "table")) {
        const void *table = read_file(value_of(arguments, "table"), &size);
        textgen_constraint *constraint;
        TRY(textgen_constraint_create, model, table, size, NULL, 0, &constraint);
        sampling->constraint = constraint;
    }
    if (value_of(arguments, "novel")) {
        const char *corpus = value_of(arguments, "novel");
        textgen_spans *spans;
        TRY(textgen_spans_create, model, corpus, strlen(corpus), (size_t)number_of(arguments, "max_copy"),
            &spans);
        sampling->spans = spans;
    }
}

int main(int count, char **arguments) {
    check(count > 1 && !(count % 2), "usage: golden MODEL [NAME VALUE]...");
    textgen_model_options options = {0};
    textgen_sampling sampling = TEXTGEN_SAMPLING_DEFAULT;
    textgen_model *model;
    textgen_stream *stream;
    size_t size;
    const void *data = read_file(arguments[1], &size);
    arguments += 2;
    options.kernels = value_of(arguments, "kernels");
    TRY(textgen_model_create, data, size, &options, &model);
    read_sampling(arguments, model, textgen_model_get_info(model)->vocabulary, &sampling);
    const textgen_memory memory = new_memory(textgen_stream_size(model));
    const textgen_memory workspace = new_memory(textgen_workspace_size(model, 1));
    const char *prompt = value_of(arguments, "prompt"), *saved = value_of(arguments, "save");
    if (value_of(arguments, "resume")) {
        const void *earlier = read_file(value_of(arguments, "resume"), &size);
        TRY(textgen_stream_resume, memory, model, &sampling, earlier, size, &stream);
    } else {
        TRY(textgen_stream_init, memory, model, &sampling, &stream);
        if (prompt && *prompt) {
            TRY(textgen_stream_feed, stream, prompt, strlen(prompt), workspace);
        }
    }
    textgen_lane lane = {.stream = stream, .length = (size_t)number_of(arguments, "length"), .finish = !saved};
    lane.text = allocate(textgen_stream_text_size(stream, lane.length));
    TRY(textgen_generate, &lane, 1, 0, workspace, NULL);
    if (saved) {
        const textgen_memory block = new_memory(textgen_stream_saved_size(stream, 0));
        TRY(textgen_stream_save, stream, NULL, 0, block);
        write_file(saved, block.data, block.size);
    }
    printf("%d\n", (int)lane.ending);
    check(fwrite(lane.text, 1, lane.written, stdout) == lane.written && !fflush(stdout), "standard output");
}
