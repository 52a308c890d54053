/* Write a text while it is generated, and end it before a stop text: stream MODEL PROMPT STOP */
#include "textgen.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
enum { CHUNK = 8, CHUNKS = 50 };
static textgen_error error;
static void require(int condition, const char *message) {
    if (!condition) fprintf(stderr, "stream: %s\n", message), exit(1);
}
static void check(int32_t code) { require(code == TEXTGEN_OK, error.message); }
static textgen_memory allocate(size_t size) { return (textgen_memory){malloc(size), size}; }
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
    check(textgen_model_create(data, size, NULL, &model, &error));
    textgen_sampling sampling = TEXTGEN_SAMPLING_DEFAULT;
    sampling.stop = &stop;
    sampling.stop_count = 1;
    textgen_stream *stream;
    textgen_memory memory = allocate(textgen_stream_size(model));
    textgen_memory workspace = allocate(textgen_workspace_size(model, 1));
    check(textgen_stream_init(memory, model, &sampling, &stream, &error));
    check(textgen_stream_feed(stream, prompt, strlen(prompt), workspace, &error));
    char *text = NULL;
    for (int i = 0; i < CHUNKS && textgen_stream_get_info(stream).ending <= TEXTGEN_REACHED_LENGTH; i++) {
        /* The buffer has room for the text that the last call held back: it may begin the stop text. */
        text = realloc(text, size = textgen_stream_text_size(stream, CHUNK));
        require(text != NULL, "not enough memory");
        check(textgen_stream_generate(stream, CHUNK, text, size, &written, workspace, &error));
        fwrite(text, 1, written, stdout), fflush(stdout);
    }
    /* Without the stop text, what was held back is part of the text. */
    check(textgen_stream_finish(stream, 0, text, size, &written, &error));
    fwrite(text, 1, written, stdout), printf("\n");
    require(!fflush(stdout) && !ferror(stdout), "cannot write the text");
    textgen_model_destroy(model), free(data), free(memory.data), free(workspace.data), free(text);
}
