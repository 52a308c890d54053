/* Write a text while it is generated, and end it before a stop text: stream MODEL PROMPT STOP */
#include "textgen.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
enum { CHUNK = 8, CHUNKS = 50 };
static char error[256];
static void require(int condition, const char *message) {
    if (!condition) fprintf(stderr, "stream: %s\n", message), exit(1);
}
#define CHECK(call, ...) require(call(__VA_ARGS__, error, sizeof error) == TEXTGEN_OK, error)
static void *read_file(const char *path, size_t *size) {
    FILE *file = fopen(path, "rb");
    require(file && !fseek(file, 0, SEEK_END), "cannot read the model file");
    void *data = malloc(*size = (size_t)ftell(file));
    require((rewind(file), data && fread(data, 1, *size, file) == *size), "cannot read the model file");
    fclose(file);
    return data;
}
int main(int count, char **arguments) {
    require(count == 4, "usage: stream MODEL PROMPT STOP");
    const char *prompt = arguments[2], *stop = arguments[3];
    size_t size, written;
    void *data = read_file(arguments[1], &size);
    textgen_model *model;
    CHECK(textgen_model_create, data, size, NULL, &model);
    textgen_sampling sampling = TEXTGEN_SAMPLING_DEFAULT;
    sampling.stop = &stop;
    sampling.stop_count = 1;
    textgen_stream *stream;
    void *memory = malloc(textgen_stream_size(model));
    CHECK(textgen_stream_init, memory, textgen_stream_size(model), model, &sampling, &stream);
    CHECK(textgen_stream_feed, stream, prompt, strlen(prompt));
    char *text = NULL;
    for (int i = 0; i < CHUNKS && textgen_stream_ending(stream) <= TEXTGEN_REACHED_LENGTH; i++) {
        /* The buffer has room for the text that the last call held back: it may begin the stop text. */
        text = realloc(text, size = textgen_stream_text_size(stream, CHUNK));
        require(text != NULL, "not enough memory");
        CHECK(textgen_stream_generate, stream, CHUNK, text, size, &written);
        fwrite(text, 1, written, stdout), fflush(stdout);
    }
    /* Without the stop text, what was held back is part of the text. */
    CHECK(textgen_stream_finish, stream, text, size, &written);
    fwrite(text, 1, written, stdout), printf("\n");
    require(!fflush(stdout) && !ferror(stdout), "cannot write the text");
    textgen_model_destroy(model), free(data), free(memory), free(text);
}
