/* Tests models: models MODEL LAYERS PARAMETERS PROMPT [small], with the expected numbers. Prints the version.
 *
 * A small core computes one row of logits. */
#include "check.h"

static void check_codes(void) {
    for (int32_t code = TEXTGEN_FORWARD_FAILED; code <= TEXTGEN_OK; code++) {
        CHECK(strcmp(textgen_code_text(code), textgen_code_text(1)) != 0);
        CHECK(code == TEXTGEN_OK || strcmp(textgen_code_text(code), textgen_code_text(code + 1)) != 0);
    }
    CHECK(!strcmp(textgen_code_text(TEXTGEN_FORWARD_FAILED - 1), textgen_code_text(1)));
    printf("%d\n", (int)TEXTGEN_VERSION);
}

static void check_info(const loaded *file, size_t layers, size_t parameters) {
    const textgen_model_info *info = file->info;
    size_t count = 0;
    CHECK(info->layers == layers && info->parameters == parameters && (info->bits == 8 || info->bits == 32));
    CHECK(info->state_values == 2 * layers * info->units && info->embedding > 0 && info->step_bytes > 0);
    CHECK(info->unknown == -1 && info->begin == -1 && info->end == -1 && info->lowercase == 1);
    CHECK(!strcmp(info->unicode, "NFC") && !strcmp(info->level, "character") && !info->records);
    CHECK(!strcmp(info->kernels, textgen_kernels_name(0)));
    CHECK(textgen_model_read(file->model) != 0);
    for (; textgen_kernels_name(count); count++) {
        const textgen_model_options options = {.kernels = textgen_kernels_name(count)};
        textgen_model *model;
        CHECK_OK(textgen_model_create(file->data, file->size, &options, &model, &error));
        CHECK(!strcmp(textgen_model_get_info(model)->kernels, options.kernels));
        textgen_model_destroy(model);
    }
    CHECK(!strcmp(textgen_kernels_name(count - 1), "baseline"));
}

/* Each symbol is that of its token. */
static void check_symbols(const loaded *file) {
    char *symbol = allocate(file->symbol_bytes), prompt[64];
    const int64_t vocabulary = (int64_t)file->info->vocabulary;
    size_t prompts = 0, count;
    for (int64_t i = 0; i < vocabulary; i++) {
        const size_t size = textgen_model_get_symbol(file->model, i, symbol);
        CHECK(size > 0 && size <= file->symbol_bytes && token_of(file->model, symbol, size) == i);
    }
    CHECK(textgen_model_get_symbol(file->model, -1, symbol) == 0);
    CHECK(textgen_model_get_symbol(file->model, vocabulary, symbol) == 0);
    for (size_t size; (size = textgen_model_get_prompt(file->model, prompts, NULL)) > 0; prompts++) {
        CHECK(size <= sizeof prompt && textgen_model_get_prompt(file->model, prompts, prompt) <= size);
        CHECK_OK(textgen_encode(file->model, prompt, textgen_model_get_prompt(file->model, prompts, prompt), 0,
                                NULL, &count, &error));
    }
    CHECK(prompts == 3 && textgen_model_get_prompt(file->model, 9, prompt) == 0);
    free(symbol);
}

/* Metadata points into the caller's buffer, even if it is empty or has no value. */
static void check_metadata(const loaded *file) {
    static const char entries[] = "\x72\x06\x0a\x04note\x72\x09\x0a\x05"
                                  "empty\x12\x00";
    static const char *const keys[] = {"note", "empty", "textgen.training"};
    const size_t size = file->size + sizeof entries - 1;
    char *content = memcpy(allocate(size), file->data, file->size);
    memcpy(content + file->size, entries, sizeof entries - 1);
    textgen_model *model;
    size_t length;
    CHECK_OK(textgen_model_create(content, size, NULL, &model, &error));
    for (size_t i = 0; i < 3; i++) {
        const char *value = textgen_model_get_metadata(model, keys[i], &length);
        CHECK(value >= content && value + length <= content + size);
        CHECK(i == 2 ? value[0] == '{' && value[length - 1] == '}' : length == 0);
    }
    CHECK(!textgen_model_get_metadata(model, "absent", &length) && length == 0);
    textgen_model_destroy(model);
    free(content);
}

static int32_t create(const loaded *file, void *memory, size_t size, textgen_model **model) {
    const textgen_model_options options = {.memory = {memory, size}};
    return textgen_model_create(file->data, file->size, &options, model, &error);
}

/* A model needs exactly the memory that it states, which may be used again. Memory that is too small is never
 * exceeded: each buffer has exactly its size, so that a sanitizer sees it. */
static void check_memory(const loaded *file, const char *prompt) {
    enum { STEPS = 300 };
    const size_t needed = file->info->memory;
    textgen_model *model = NULL;
    char *memory = allocate(needed + 8);
    CHECK_INVALID(create(file, memory + 4, needed, &model), "memory", -1);
    for (size_t i = 0; i < STEPS; i++) {
        const size_t size = i < STEPS / 2 ? i * 8 : needed - 1 - (i - STEPS / 2) * (needed / STEPS);
        void *small = allocate(size);
        CHECK_REFUSES(create(file, small, size, &model), TEXTGEN_BUFFER_TOO_SMALL, "memory", -1);
        free(small);
    }
    CHECK(!model);
    for (int round = 0; round < 2; round++) {
        CHECK_OK(create(file, memory, needed, &model));
        CHECK(textgen_model_get_info(model)->memory == needed);
        textgen_stream *stream = start(file->model, 1.0, 3, 0, prompt),
                       *other = start(model, 1.0, 3, 0, prompt);
        check_same_text(stream, other);
        free(stream), free(other);
        textgen_model_destroy(model);
    }
    free(memory);
}

static void check_refusals(const loaded *file) {
    const textgen_model_options options = {.kernels = "abacus"};
    textgen_model *model = NULL;
    CHECK_INVALID(textgen_model_create(file->data, file->size, &options, &model, &error), "kernels", -1);
    CHECK_FAILS(textgen_model_create(file->data, 0, NULL, &model, &error), TEXTGEN_DAMAGED_MODEL);
    CHECK_FAILS(textgen_model_create(file->data, file->size / 2, NULL, &model, &error), TEXTGEN_DAMAGED_MODEL);
    CHECK(textgen_model_create(file->data, 0, NULL, &model, NULL) == TEXTGEN_DAMAGED_MODEL && !model);
    textgen_model_destroy(NULL);
}

int main(int count, char **arguments) {
    CHECK(count > 4);
    loaded file = load(arguments[1], NULL);
    check_codes();
    check_refusals(&file);
    if (*arguments[2]) {
        check_info(&file, strtoul(arguments[2], NULL, 10), strtoul(arguments[3], NULL, 10));
        check_symbols(&file);
        check_metadata(&file);
    }
    CHECK((textgen_forward_size(file.model, 1, 2) == 0) == (count > 5));
    check_memory(&file, arguments[4]);
    unload(&file);
    return 0;
}
