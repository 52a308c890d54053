/* Continue a prompt: generate MODEL PROMPT [TEMPERATURE [SEED [LENGTH]]] */
#include "textgen.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
static void require(int condition, const char *what, const char *message) {
    if (!condition) fprintf(stderr, "generate: %s %s\n", what ? what : "", message), exit(1);
}
static textgen_error error;
static void check(int32_t code) { require(code == TEXTGEN_OK, error.parameter, error.message); }
static textgen_memory allocate(size_t size) { return (textgen_memory){malloc(size), size}; }
int main(int count, char **arguments) {
    require(count > 2 && count < 7, "usage:", "generate MODEL PROMPT [TEMPERATURE [SEED [LENGTH]]]");
    textgen_sampling sampling = TEXTGEN_SAMPLING_DEFAULT;
    char *prompt = arguments[2], *end = "";
    if (count > 3) sampling.temperature = strtod(arguments[3], &end);
    require(!*end && end != arguments[3], "TEMPERATURE", "must be a number");
    for (int i = 4; i < count; i++)
        require(strlen(arguments[i]) - 1 < 19 && !arguments[i][strspn(arguments[i], "0123456789")],
                "SEED and LENGTH", "must have 1 to 19 digits");
    if (count > 4) sampling.seed = strtoull(arguments[4], NULL, 10);
    FILE *file = fopen(arguments[1], "rb");
    require(file && !fseek(file, 0, SEEK_END), "cannot read", arguments[1]);
    size_t size = (size_t)ftell(file), length = count > 5 ? strtoul(arguments[5], NULL, 10) : 400;
    void *data = malloc(size);
    require((rewind(file), data && fread(data, 1, size, file) == size), "cannot read", arguments[1]);
    textgen_model *model;
    textgen_stream *stream;
    check(textgen_model_create(data, size, NULL, &model, &error));
    textgen_memory memory = allocate(textgen_stream_size(model));
    textgen_memory workspace = allocate(textgen_workspace_size(model, 1));
    check(textgen_stream_init(memory, model, &sampling, &stream, &error));
    check(textgen_stream_feed(stream, prompt, strlen(prompt), workspace, &error));
    char *text = malloc(textgen_stream_text_size(stream, length));
    textgen_lane lane = {.stream = stream, .length = length, .finish = 1, .text = text};
    check(textgen_generate(&lane, 1, 0, workspace, NULL, &error));
    printf("%s", prompt), fwrite(text, 1, lane.written, stdout), printf("\n");
    require(!fflush(stdout) && !ferror(stdout), "cannot write", "the text");
    textgen_model_destroy(model), free(data), free(memory.data), free(workspace.data), free(text), fclose(file);
}
