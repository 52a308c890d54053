/* Model files, and their metadata: each must either run or be refused. */
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

/* The memory limit: MAX_MEMORY_RATIO times the size of the file, plus EXTRA_BYTES. */
#define MAX_MEMORY_RATIO 8
#define EXTRA_BYTES ((size_t)40 << 20)

enum {
    REFUSALS = CODE(DAMAGED_MODEL) | CODE(UNKNOWN_GRAPH) | CODE(TOO_LARGE) | CODE(NEWER_FORMAT),
    LENGTH = 6
};

/* From the address sanitizer. Not all compilers have its header. Without the sanitizer, nothing is counted. */
__attribute__((weak)) int
__sanitizer_install_malloc_and_free_hooks(void (*allocated_hook)(const volatile void *, size_t),
                                          void (*freed_hook)(const volatile void *));
__attribute__((weak)) size_t __sanitizer_get_allocated_size(const volatile void *memory);

static size_t allocated, peak_allocated;

static void count_allocated(const volatile void *memory, size_t size) {
    (void)memory;
    allocated += size;
    if (allocated > peak_allocated) {
        peak_allocated = allocated;
    }
}

static void count_freed(const volatile void *memory) {
    if (memory) {
        allocated -= __sanitizer_get_allocated_size(memory);
    }
}

/* Whether what the core tells of a model is as textgen.h says. */
static void check_description(const textgen_model *model, const textgen_model_info *info, fuzz_input file) {
    static const char *const keys[] = {"textgen.training", "textgen.prompts", "textgen.vocabulary"};
    textgen_layer_info layer = TEXTGEN_LAYER_INFO_DEFAULT;
    for (size_t i = 0; i < info->layers; i++) {
        REQUIRE_CODE(textgen_model_get_layer(model, i, &layer, fuzz_message, sizeof fuzz_message), 0);
    }
    REQUIRE(layer.outputs == info->vocabulary);
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        size_t length;
        const char *value = textgen_model_get_metadata(model, keys[i], &length);
        REQUIRE(value && length && value >= (const char *)file.data &&
                length <= file.size - (size_t)(value - (const char *)file.data));
    }
}

/* Whether each symbol has its token. */
static void check_symbols(const textgen_model *model, const textgen_model_info *info) {
    char *symbol = fuzz_allocate(info->symbol_bytes);
    for (size_t token = 0; token < info->vocabulary; token++) {
        const size_t size = textgen_model_get_symbol(model, (int64_t)token, symbol);
        REQUIRE(size <= info->symbol_bytes);
        REQUIRE(!size || textgen_model_get_token(model, symbol, size) == (int64_t)token);
    }
    free(symbol);
}

/* Whether a model can be created in the memory that it states, and not in less. */
static void check_memory(fuzz_input file, size_t needed) {
    textgen_model_options options = TEXTGEN_MODEL_OPTIONS_DEFAULT;
    textgen_model *model = NULL;
    REQUIRE(needed <= MAX_MEMORY_RATIO * file.size + EXTRA_BYTES);
    options.memory = fuzz_allocate(needed);
    options.memory_size = needed - 1;
    REQUIRE(textgen_model_create(file.data, file.size, &options, &model, fuzz_message, sizeof fuzz_message) ==
            TEXTGEN_BUFFER_TOO_SMALL);
    options.memory_size = needed;
    REQUIRE_CODE(
        textgen_model_create(file.data, file.size, &options, &model, fuzz_message, sizeof fuzz_message), 0);
    textgen_model_destroy(model);
    free(options.memory);
}

/* Feed and generate. Return the code of the latest generation. */
static int32_t run(const textgen_model *model, fuzz_content *text) {
    const size_t size = textgen_stream_size(model);
    textgen_sampling sampling = TEXTGEN_SAMPLING_DEFAULT;
    textgen_stream *stream = NULL;
    void *memory = fuzz_allocate(size);
    int32_t code = TEXTGEN_OK;
    sampling.temperature = 1.0;
    REQUIRE_CODE(
        textgen_stream_init(memory, size, model, &sampling, &stream, fuzz_message, sizeof fuzz_message), 0);
    for (size_t round = 0; round < 2; round++) {
        fuzz_feed(model, stream, round, 3);
        /* A vocabulary can have no text that can be fed. */
        code = REQUIRE_CODE(fuzz_generate(stream, LENGTH, text), FUZZ_DRAW_ERRORS | CODE(NO_PROMPT));
    }
    free(memory);
    return code;
}

/* Whether 8-bit weights give the same text with each instruction set. */
static void check_kernels(fuzz_input file, const fuzz_content *text, int32_t code) {
    static const char *const kernels[] = {"baseline", "avx2", "avx512"};
    for (size_t i = 0; i < sizeof kernels / sizeof *kernels; i++) {
        textgen_model_options options = TEXTGEN_MODEL_OPTIONS_DEFAULT;
        textgen_model *model = NULL;
        fuzz_content same = {NULL, 0};
        options.kernels = kernels[i];
        if (REQUIRE_CODE(
                textgen_model_create(file.data, file.size, &options, &model, fuzz_message, sizeof fuzz_message),
                i ? CODE(INVALID_ARGUMENT) : 0u) == TEXTGEN_OK) {
            REQUIRE(run(model, &same) == code);
            REQUIRE(same.size == text->size && !memcmp(same.data, text->data, same.size));
        }
        free(same.data);
        textgen_model_destroy(model);
    }
}

static void use(const textgen_model *model, fuzz_input file) {
    textgen_model_info info = TEXTGEN_MODEL_INFO_DEFAULT;
    fuzz_content text = {NULL, 0};
    REQUIRE_CODE(textgen_model_get_info(model, &info, fuzz_message, sizeof fuzz_message), 0);
    check_description(model, &info, file);
    check_symbols(model, &info);
    check_memory(file, info.memory);
    const int32_t code = run(model, &text);
    if (info.bits == 8) {
        check_kernels(file, &text, code);
    }
    free(text.data);
}

void fuzz_read_model(fuzz_input input) {
    textgen_model *model = NULL;
    static bool counting = false;
    if (!counting && __sanitizer_install_malloc_and_free_hooks) {
        counting = true;
        __sanitizer_install_malloc_and_free_hooks(count_allocated, count_freed);
    }
    allocated = peak_allocated = 0;
    const int32_t code =
        textgen_model_create(input.data, input.size, NULL, &model, fuzz_message, sizeof fuzz_message);
    REQUIRE(peak_allocated <= MAX_MEMORY_RATIO * input.size + EXTRA_BYTES);
    /* An empty file can have no data. */
    if (REQUIRE_CODE(code, REFUSALS) == TEXTGEN_OK) {
        use(model, input);
    }
    textgen_model_destroy(model);
}

static void append_length(fuzz_content *to, size_t length) {
    unsigned char bytes[10];
    fuzz_append(to, bytes, fuzz_write_varint(bytes, length));
}

/* Append a metadata entry. */
static void append_property(fuzz_content *file, const char *key, size_t key_size, const unsigned char *value,
                            size_t size) {
    fuzz_content entry = {NULL, 0};
    fuzz_append(&entry, "\x0a", 1);
    append_length(&entry, key_size);
    fuzz_append(&entry, key, key_size);
    fuzz_append(&entry, "\x12", 1);
    append_length(&entry, size);
    fuzz_append(&entry, value, size);
    fuzz_append(file, "\x72", 1);
    append_length(file, entry.size);
    fuzz_append(file, entry.data, entry.size);
    free(entry.data);
}

/* Return the size of a text of the input, and skip it and the zero byte after it. */
static size_t skip_text(fuzz_input *input) {
    const unsigned char *end = input->size ? memchr(input->data, 0, input->size) : NULL;
    const size_t size = end ? (size_t)(end - input->data) : input->size;
    input->data += size + (end != NULL);
    input->size -= size + (end != NULL);
    return size;
}

/* The input has keys and values in turn, each before a zero byte. */
void fuzz_read_metadata(const fuzz_model *model, fuzz_input input) {
    fuzz_content file = {NULL, 0};
    fuzz_append(&file, model->graph.data, model->graph.size);
    while (input.size) {
        const char *key = (const char *)input.data;
        const size_t key_size = skip_text(&input);
        const unsigned char *value = input.data;
        append_property(&file, key, key_size, value, skip_text(&input));
    }
    fuzz_read_model((fuzz_input){file.data, file.size});
    free(file.data);
}
