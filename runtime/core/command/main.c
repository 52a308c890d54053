/* The command `textgen`: generates a text with a model and writes it to standard output. It is the text that
 * textgen-run writes. The end of the program frees the memory of what it needs once. */
#include "options.h"
#include "platform.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#ifdef TEXTGEN_EMBEDDED
extern const uint64_t model_data[];
extern const size_t model_size;
#endif

enum { CHUNK = 64, DEFAULT_LENGTH = 400, DEFAULT_RECORD_LENGTH = 10000 };

/* Bytes; `data` may be NULL. */
typedef struct {
    char *data;
    size_t size;
} content;

static void *allocate(size_t size) {
    void *memory = malloc(size);
    if (!memory) {
        fail(EXIT_FAILED, "not enough memory");
    }
    return memory;
}

/* Read a file to its end, or standard input if the path is "-". */
static content read_content(const char *path) {
    const bool is_input = !strcmp(path, "-");
    FILE *file = is_input ? stdin : platform_open(path);
    content read = {NULL, 0};
    size_t room = 1 << 16, got = 1;
    while (file && got) {
        read.data = realloc(read.data, room);
        if (!read.data) {
            fail(EXIT_FAILED, "not enough memory");
        }
        got = fread(read.data + read.size, 1, room - read.size, file);
        read.size += got;
        room *= 2;
    }
    if (!file || ferror(file)) {
        fail(EXIT_FAILED, "cannot read %s: %s", is_input ? "standard input" : path, strerror(errno));
    }
    if (!is_input) {
        fclose(file);
    }
    return read;
}

static textgen_model *load(const char *path) {
    textgen_error error;
    textgen_model *model;
#ifdef TEXTGEN_EMBEDDED
    const int32_t code = textgen_model_create(model_data, model_size, NULL, &model, &error);
    path = "the model in this program";
#else
    const content file = read_content(path);
    const int32_t code = textgen_model_create(file.data, file.size, NULL, &model, &error);
#endif
    if (code < 0) {
        fail_as(EXIT_FAILED, path, &error);
    }
    return model;
}

static void make_lowercase(char *text, size_t size) {
    for (size_t i = 0; i < size; i++) {
        text[i] = (char)(text[i] >= 'A' && text[i] <= 'Z' ? text[i] - 'A' + 'a' : text[i]);
    }
}

/* Return how many bytes at the start of a text are a character, or else become one U+FFFD: the longest
 * beginning of a character, or 1. needed: output, the bytes of a character that begins like this, or 0. */
static size_t next_character(const unsigned char *text, size_t size, size_t *needed) {
    const unsigned first = text[0];
    /* The limits of the second byte are those of the Unicode Standard, table 3-7. */
    unsigned low = first == 0xE0 ? 0xA0 : first == 0xF0 ? 0x90 : 0x80;
    unsigned high = first == 0xED ? 0x9F : first == 0xF4 ? 0x8F : 0xBF;
    size_t used = 1;
    *needed = first < 0x80 ? 1 : first < 0xC2 || first > 0xF4 ? 0 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
    while (used < *needed && used < size && text[used] >= low && text[used] <= high) {
        low = 0x80;
        high = 0xBF;
        used++;
    }
    return used;
}

/* Write a part of a text. Bytes that are not UTF-8 become U+FFFD. The beginning of a character at the end of
 * the text is left out. */
static void write_text(const char *text, size_t size, bool is_end) {
    while (size) {
        size_t needed;
        const size_t used = next_character((const unsigned char *)text, size, &needed);
        if (used == needed) {
            fwrite(text, 1, used, stdout);
        } else if (!is_end || used < size || !needed) {
            fputs("\xEF\xBF\xBD", stdout);
        }
        text += used;
        size -= used;
    }
    if (fflush(stdout)) {
        fail(EXIT_FAILED, "cannot write standard output: %s", strerror(errno));
    }
}

/* Return the prompt that the model stores for a seed. */
static content stored_prompt(const textgen_model *model, const textgen_sampling *sampling) {
    content prompt = {NULL, 0};
    size_t count = 0;
    while (textgen_model_get_prompt(model, count, NULL)) {
        count++;
    }
    if (!count) {
        fail(EXIT_FAILED, "the model has no default prompt: pass a prompt");
    }
    /* The seed, of 128 bits, modulo the count, whose square is below 2^64. */
    const uint64_t high = sampling->seed_high % count * ((UINT64_MAX % count + 1) % count);
    const size_t chosen = (size_t)((high + sampling->seed % count) % count);
    prompt.data = allocate(textgen_model_get_prompt(model, chosen, NULL));
    prompt.size = textgen_model_get_prompt(model, chosen, prompt.data);
    return prompt;
}

/* Whether the text ends before a line end, unless its length ends it. */
static bool is_line(const textgen_sampling *sampling) {
    bool line = sampling->stop_count > 0;
    for (size_t i = 0; i < sampling->stop_count; i++) {
        line = line && sampling->stop[i][strlen(sampling->stop[i]) - 1] == '\n';
    }
    return line;
}

/* Return the text before the generated one. `*is_shown`: a prompt of the model is not printed before a line,
 * for which only its complete lines are used. */
static content find_prompt(const textgen_model *model, const textgen_model_info *info,
                           const command_options *options, bool lower, bool *is_shown) {
    content prompt = {NULL, 0};
    *is_shown = true;
    if (!options->prompt && info->records) {
        return prompt;
    }
    if (!options->prompt) {
        prompt = stored_prompt(model, &options->sampling);
        *is_shown = !is_line(&options->sampling);
        while (!*is_shown && prompt.size && prompt.data[prompt.size - 1] != '\n') {
            prompt.size--;
        }
        if (!prompt.size) {
            prompt.data[prompt.size++] = '\n';
        }
        return prompt;
    }
    if (!strcmp(options->prompt, "-")) {
        prompt = read_content(options->prompt);
        prompt.size -= prompt.size && prompt.data[prompt.size - 1] == '\n';
        prompt.size -= prompt.size && prompt.data[prompt.size - 1] == '\r';
    } else {
        prompt.size = strlen(options->prompt);
        prompt.data = memcpy(allocate(prompt.size + 1), options->prompt, prompt.size);
    }
    if (!prompt.size) {
        fail(EXIT_FAILED, "the prompt is empty: omit it to start from a prompt in the model");
    }
    if (lower) {
        make_lowercase(prompt.data, prompt.size);
    }
    return prompt;
}

static void check(int32_t code, const textgen_error *error) {
    if (code < 0) {
        fail_as(EXIT_FAILED, NULL, error);
    }
}

/* Write a prompt as the model has read it: without the symbol for unknown characters. */
static void write_prompt(const textgen_model *model, content prompt) {
    const textgen_model_info *info = textgen_model_get_info(model);
    int64_t *tokens = allocate(prompt.size * sizeof *tokens);
    char *text = allocate(prompt.size * info->symbol_bytes + 1);
    textgen_error error;
    size_t count, size = 0;
    check(textgen_encode(model, prompt.data, prompt.size, 0, tokens, &count, &error), &error);
    for (size_t i = 0; i < count; i++) {
        size += textgen_model_get_symbol(model, tokens[i], text + size);
    }
    write_text(text, size, true);
}

/* Generate the text and write it, a part at a time; at last what was held back. */
static void generate(textgen_stream *stream, size_t length, textgen_memory workspace) {
    textgen_error error;
    size_t written;
    size_t part;
    bool is_end;
    do {
        part = length < CHUNK ? length : CHUNK;
        const size_t size = textgen_stream_text_size(stream, part);
        char *text = allocate(size);
        check(part ? textgen_stream_generate(stream, part, text, size, &written, workspace, &error)
                   : textgen_stream_finish(stream, 0, text, size, &written, &error),
              &error);
        is_end = !part || textgen_stream_get_info(stream).ending != TEXTGEN_REACHED_LENGTH;
        write_text(text, written, is_end);
        free(text);
        length = is_end ? 0 : length - part;
    } while (part);
    write_text("\n", 1, true);
}

/* Return a seed that is short enough to type. */
static uint32_t fresh_seed(void) {
    struct timespec now = {0};
    timespec_get(&now, TIME_UTC);
    return (uint32_t)now.tv_sec * 2654435761u ^ (uint32_t)now.tv_nsec;
}

int main(int count, char **arguments) {
    command_options options;
    textgen_error error;
    textgen_stream *stream;
    bool is_shown;
    arguments = platform_start(&count, arguments);
    if (!arguments) {
        fail(EXIT_FAILED, "not enough memory");
    }
    read_options(count, arguments, &options);
    textgen_model *model = load(options.model);
    const textgen_model_info *info = textgen_model_get_info(model);
    if (!options.has_seed) {
        options.sampling.seed = fresh_seed();
    }
    const bool lower = info->lowercase && strcmp(info->level, "byte");
    for (size_t i = 0; lower && i < options.sampling.stop_count; i++) {
        make_lowercase(options.stops[i], strlen(options.stops[i]));
    }
    options.sampling.stop = (const char *const *)options.stops;
    const textgen_memory memory = {allocate(textgen_stream_size(model)), textgen_stream_size(model)};
    const textgen_memory workspace = {allocate(textgen_workspace_size(model, 1)),
                                      textgen_workspace_size(model, 1)};
    if (textgen_stream_init(memory, model, &options.sampling, &stream, &error) < 0) {
        fail_as(error.code == TEXTGEN_INVALID_ARGUMENT ? EXIT_USAGE : EXIT_FAILED, NULL, &error);
    }
    content prompt = find_prompt(model, info, &options, lower, &is_shown);
    if (prompt.data) {
        check(textgen_stream_feed(stream, prompt.data, prompt.size, workspace, &error), &error);
        if (is_shown) {
            write_prompt(model, prompt);
        }
    }
    const size_t usual = info->records ? DEFAULT_RECORD_LENGTH : DEFAULT_LENGTH;
    generate(stream, options.length ? options.length : usual, workspace);
    return EXIT_SUCCESS;
}
