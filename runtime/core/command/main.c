/* The command `textgen`: generates a text with a model and writes it to standard output. It is the text that
 * textgen-run writes. */
#include "../handles.h"
#include "../utf8.h"
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

/* Bytes that must be freed. `data` may be NULL. */
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
    char error[TEXTGEN_MESSAGE_SIZE];
    textgen_model *model;
#ifdef TEXTGEN_EMBEDDED
    const int32_t result = textgen_model_create(model_data, model_size, NULL, &model, error, sizeof error);
    path = "the model in this program";
#else
    const content file = read_content(path);
    const int32_t result = textgen_model_create(file.data, file.size, NULL, &model, error, sizeof error);
#endif
    if (result < 0) {
        fail(EXIT_FAILED, "%s: %s", path, error);
    }
    return model;
}

static void make_lowercase(char *text, size_t size) {
    for (size_t i = 0; i < size; i++) {
        text[i] = (char)(text[i] >= 'A' && text[i] <= 'Z' ? text[i] - 'A' + 'a' : text[i]);
    }
}

/* Return how many bytes at the start of a text become one U+FFFD: the longest beginning of a character, or 1.
 */
static size_t invalid_bytes(textgen_view text) {
    int64_t bytes[3];
    size_t longest = 1;
    for (size_t i = 0; i < 3 && i < text.size; i++) {
        bytes[i] = text.data[i];
        longest = textgen_incomplete_bytes(bytes, (int64_t)i + 1) == (int64_t)i + 1 ? i + 1 : longest;
    }
    return longest;
}

/* Write a part of a text. Bytes that are not UTF-8 become U+FFFD. The beginning of a character at the end of
 * the text is left out. */
static void write_text(const char *bytes, size_t size, bool is_end) {
    textgen_view text = {(const unsigned char *)bytes, size};
    while (text.size) {
        size_t used = 0;
        if (textgen_utf8_next(text, &used) >= 0) {
            fwrite(text.data, 1, used, stdout);
        } else {
            const bool begins = text.data[0] >= 0xC2 && text.data[0] <= 0xF4;
            used = invalid_bytes(text);
            fputs(is_end && begins && used == text.size ? "" : "\xEF\xBF\xBD", stdout);
        }
        text.data += used;
        text.size -= used;
    }
    if (fflush(stdout)) {
        fail(EXIT_FAILED, "cannot write standard output: %s", strerror(errno));
    }
}

/* Return a number of 128 bits modulo a smaller one. */
static uint64_t remainder_of(uint64_t high, uint64_t low, uint64_t divisor) {
    uint64_t rest = high % divisor;
    for (int bit = 63; bit >= 0; bit--) {
        rest = (rest * 2 + (low >> bit & 1)) % divisor;
    }
    return rest;
}

/* Return the prompt that the model stores for a seed. */
static content stored_prompt(const textgen_model *model, const textgen_sampling *sampling) {
    content prompt = {NULL, 0};
    textgen_view text;
    textgen_json list = {TEXTGEN_JSON_NULL, {NULL, 0}, {NULL, 0}}, item;
    text.data = (const unsigned char *)textgen_model_get_metadata(model, "textgen.prompts", &text.size);
    const size_t count = textgen_json_read(text, &list) ? textgen_json_count(&list) : 0;
    if (!count) {
        fail(EXIT_FAILED, "the model has no default prompt: pass a prompt");
    }
    uint64_t chosen = remainder_of(sampling->seed_high, sampling->seed, count);
    while (textgen_json_item(&list.text, &item) && chosen) {
        chosen--;
    }
    prompt.data = allocate(item.text.size + 1);
    textgen_json_utf8(&item, prompt.data, &prompt.size);
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

/* Write a prompt as the model has read it: without characters outside the vocabulary. */
static void write_prompt(const textgen_model *model, content prompt) {
    textgen_error none = {NULL, 0};
    textgen_encoder encoder = {prompt.data, prompt.size, 0};
    content read = {allocate(prompt.size * model->vocabulary->symbols.longest + 1), 0};
    int64_t token;
    while (textgen_encode_next(model->vocabulary, &encoder, &token, &none) > 0) {
        read.size += textgen_decode_token(model->vocabulary, token, read.data + read.size);
    }
    write_text(read.data, read.size, true);
    free(read.data);
}

static void check(int32_t result, const char *error) {
    if (result < 0) {
        fail(EXIT_FAILED, "%s", error);
    }
}

static void generate(textgen_stream *stream, size_t length) {
    const size_t size = textgen_stream_text_size(stream, TEXTGEN_LANE_TOKENS);
    char error[TEXTGEN_MESSAGE_SIZE], *text = allocate(size);
    size_t written;
    bool is_end;
    do {
        const size_t part = length < CHUNK ? length : CHUNK;
        check(textgen_stream_generate(stream, part, text, size, &written, error, sizeof error), error);
        is_end = textgen_stream_ending(stream) != TEXTGEN_REACHED_LENGTH;
        write_text(text, written, is_end);
        length -= part;
    } while (length && !is_end);
    check(textgen_stream_finish(stream, text, size, &written, error, sizeof error), error);
    write_text(text, written, true);
    write_text("\n", 1, true);
    free(text);
}

/* Return a seed that is short enough to type. */
static uint32_t fresh_seed(void) {
    uint32_t seed;
    if (!platform_random(&seed)) {
        seed = (uint32_t)time(NULL) * 2654435761u ^ (uint32_t)clock();
    }
    return seed;
}

int main(int count, char **arguments) {
    char error[TEXTGEN_MESSAGE_SIZE];
    command_options options;
    textgen_model_info info = TEXTGEN_MODEL_INFO_DEFAULT;
    textgen_stream *stream;
    bool is_shown;
    arguments = platform_start(&count, arguments);
    if (!arguments) {
        fail(EXIT_FAILED, "not enough memory");
    }
    read_options(count, arguments, &options);
    textgen_model *model = load(options.model);
    check(textgen_model_get_info(model, &info, error, sizeof error), error);
    if (!options.has_seed) {
        options.sampling.seed = fresh_seed();
    }
    const bool lower = info.lowercase && strcmp(info.level, "byte");
    for (size_t i = 0; lower && i < options.sampling.stop_count; i++) {
        make_lowercase(options.stops[i], strlen(options.stops[i]));
    }
    options.sampling.stop = (const char *const *)options.stops;
    const size_t size = textgen_stream_size(model);
    void *memory = allocate(size);
    const int32_t result =
        textgen_stream_init(memory, size, model, &options.sampling, &stream, error, sizeof error);
    if (result == TEXTGEN_INVALID_ARGUMENT) {
        fail(EXIT_USAGE, "%s (see textgen --help)", error);
    }
    check(result, error);
    content prompt = find_prompt(model, &info, &options, lower, &is_shown);
    if (prompt.data) {
        check(textgen_stream_feed(stream, prompt.data, prompt.size, error, sizeof error), error);
        if (is_shown) {
            write_prompt(model, prompt);
        }
    }
    generate(stream, options.length ? options.length : info.records ? DEFAULT_RECORD_LENGTH : DEFAULT_LENGTH);
    free(prompt.data);
    free(memory);
    textgen_model_destroy(model);
    return EXIT_SUCCESS;
}
