/* Tests models in the caller's memory: caller_memory MODEL PROMPT. */
#include "check.h"

enum { LENGTH = 100, TEXT_SIZE = LENGTH * 256 + 1, STEPS = 300 };

static int32_t create(const void *data, size_t size, void *memory, size_t memory_size, textgen_model **model) {
    textgen_model_options options = TEXTGEN_MODEL_OPTIONS_DEFAULT;
    options.memory = memory;
    options.memory_size = memory_size;
    return textgen_model_create(data, size, &options, model, ERROR);
}

static size_t memory_of(const textgen_model *model) {
    textgen_model_info info = TEXTGEN_MODEL_INFO_DEFAULT;
    CHECK_OK(textgen_model_get_info(model, &info, ERROR));
    return info.memory;
}

static void check_text(const textgen_model *one, const textgen_model *other, const char *prompt) {
    char text[TEXT_SIZE], other_text[TEXT_SIZE];
    textgen_stream *stream = start(one, 1.0, 3, 0, prompt), *other_stream = start(other, 1.0, 3, 0, prompt);
    CHECK_OK(textgen_stream_generate(stream, LENGTH, text, TEXT_SIZE, NULL, ERROR));
    CHECK_OK(textgen_stream_generate(other_stream, LENGTH, other_text, TEXT_SIZE, NULL, ERROR));
    CHECK(!strcmp(text, other_text));
    free(stream);
    free(other_stream);
}

/* A model needs exactly the memory that it states. Memory that is too small is never exceeded: each buffer has
 * exactly its size, so that a sanitizer sees it. */
static void check_sizes(const void *data, size_t size, size_t needed) {
    for (size_t i = 0; i < STEPS; i++) {
        const size_t memory_size = i < STEPS / 2 ? i * 8 : needed - 1 - (i - STEPS / 2) * (needed / STEPS);
        void *memory = allocate(memory_size + 1);
        textgen_model *model = NULL;
        CHECK_FAILS(create(data, size, memory, memory_size, &model), TEXTGEN_BUFFER_TOO_SMALL, "are needed");
        CHECK(!model);
        free(memory);
    }
}

int main(int count, char **arguments) {
    textgen_model *model = NULL;
    CHECK(count == 3);
    size_t size;
    void *data = read_file(arguments[1], &size);
    textgen_model *heap;
    CHECK_OK(textgen_model_create(data, size, NULL, &heap, ERROR));
    const size_t needed = memory_of(heap);
    char *memory = allocate(needed + 8);
    CHECK_INVALID(create(data, size, memory + 4, needed, &model), "aligned");
    CHECK_FAILS(create(data, size - 1, memory, needed, &model), TEXTGEN_DAMAGED_MODEL, "model file: ");
    check_sizes(data, size, needed);
    CHECK_OK(create(data, size, memory, needed, &model));
    CHECK((void *)model == (void *)memory && memory_of(model) == needed);
    check_text(heap, model, arguments[2]);
    textgen_model_destroy(model);
    /* The same memory may be used again. */
    CHECK_OK(create(data, size, memory, needed, &model));
    check_text(heap, model, arguments[2]);
    textgen_model_destroy(model);
    textgen_model_destroy(heap);
    free(memory);
    free(data);
    return 0;
}
