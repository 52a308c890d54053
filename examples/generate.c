/* Continue a prompt: generate MODEL PROMPT [TEMPERATURE [SEED [LENGTH]]] */
#include "textgen.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
static char error[256];
#define CHECK(call, ...) require(call(__VA_ARGS__, error, sizeof error) == TEXTGEN_OK, error)
static void require(int condition, const char *message) {
    if (!condition) fprintf(stderr, "generate: %s\n", message), exit(1);
}
int main(int count, char **arguments) {
    require(count > 2 && count < 7, "usage: generate MODEL PROMPT [TEMPERATURE [SEED [LENGTH]]]");
    textgen_sampling sampling = TEXTGEN_SAMPLING_DEFAULT;
    char *prompt = arguments[2], *end = "";
    if (count > 3) sampling.temperature = strtod(arguments[3], &end);
    require(!*end && end != arguments[3], "TEMPERATURE must be a number");
    for (int i = 4; i < count; i++)
        require(strlen(arguments[i]) - 1 < 19 && !arguments[i][strspn(arguments[i], "0123456789")],
                "SEED and LENGTH must have 1 to 19 digits");
    if (count > 4) sampling.seed = strtoull(arguments[4], NULL, 10);
    FILE *file = (snprintf(error, sizeof error, "cannot read %s", arguments[1]), fopen(arguments[1], "rb"));
    require(file && !fseek(file, 0, SEEK_END), error);
    size_t size = (size_t)ftell(file), written, held,
           length = count > 5 ? strtoul(arguments[5], NULL, 10) : 400;
    void *data = malloc(size);
    require((rewind(file), data && fread(data, 1, size, file) == size), error);
    textgen_model *model;
    CHECK(textgen_model_create, data, size, NULL, &model);
    textgen_model_info info = TEXTGEN_MODEL_INFO_DEFAULT;
    CHECK(textgen_model_get_info, model, &info);
    void *memory = malloc(textgen_stream_size(model)), *text = malloc(size = length * info.symbol_bytes + 1);
    textgen_stream *stream;
    CHECK(textgen_stream_init, memory, textgen_stream_size(model), model, &sampling, &stream);
    CHECK(textgen_stream_feed, stream, prompt, strlen(prompt));
    CHECK(textgen_stream_generate, stream, length, text, size, &written);
    CHECK(textgen_stream_finish, stream, (char *)text + written, size - written, &held);
    printf("%s", prompt), fwrite(text, 1, written + held, stdout), printf("\n");
    require(!fflush(stdout) && !ferror(stdout), "cannot write the text");
    textgen_model_destroy(model), free(data), free(memory), free(text), fclose(file);
}
