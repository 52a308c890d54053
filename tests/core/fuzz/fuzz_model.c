/* Model files, and their metadata: each must either run or be refused. */
#include "fuzz.h"

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
    size_t size;
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        const char *value = textgen_model_get_metadata(model, keys[i], &size);
        CHECK(value && size && value >= (const char *)file.data &&
              size <= file.size - (size_t)(value - (const char *)file.data));
    }
    for (size_t i = 0; (size = textgen_model_get_prompt(model, i, NULL)) > 0; i++) {
        char *prompt = allocate(size);
        const size_t written = textgen_model_get_prompt(model, i, prompt);
        CHECK(written && written <= size);
        CHECK_CODE(textgen_encode(model, prompt, written, 0, NULL, &size, &error), 0);
        free(prompt);
    }
    CHECK(info->unknown < (int64_t)info->vocabulary && info->end < (int64_t)info->vocabulary);
}

/* Whether each symbol has its token. */
static void check_symbols(const textgen_model *model, const textgen_model_info *info) {
    char *symbol = allocate(info->symbol_bytes);
    int64_t *tokens = allocate(info->symbol_bytes * sizeof *tokens);
    size_t count;
    for (size_t token = 0; token < info->vocabulary; token++) {
        const size_t size = textgen_model_get_symbol(model, (int64_t)token, symbol);
        CHECK(size <= info->symbol_bytes);
        if (size && *symbol != '\r' && memcmp(symbol, "\xEF\xBB\xBF", size < 3 ? size : 3)) {
            CHECK_CODE(textgen_encode(model, symbol, size, 0, tokens, &count, &error), 0);
            CHECK(count == 1 && tokens[0] == (int64_t)token);
        }
    }
    free(symbol), free(tokens);
}

static int32_t create(fuzz_input file, const textgen_model_options *options, textgen_model **model) {
    return textgen_model_create(file.data, file.size, options, model, &error);
}

/* Whether a model can be created in the memory that it states, and not in less. */
static void check_memory(fuzz_input file, size_t needed) {
    textgen_model_options options = {.memory = {allocate(needed), needed - 1}};
    textgen_model *model = NULL;
    CHECK(needed <= MAX_MEMORY_RATIO * file.size + EXTRA_BYTES);
    CHECK(create(file, &options, &model) == TEXTGEN_BUFFER_TOO_SMALL);
    options.memory.size = needed;
    CHECK_CODE(create(file, &options, &model), 0);
    textgen_model_destroy(model);
    free(options.memory.data);
}

/* Feed and generate. Return the code of the latest generation. */
static int32_t run(const textgen_model *model, fuzz_content *text) {
    const textgen_memory memory = new_memory(textgen_stream_size(model));
    const textgen_sampling sampling = {.temperature = 1.0};
    textgen_stream *stream = NULL;
    int32_t code = TEXTGEN_OK;
    CHECK_CODE(textgen_stream_init(memory, model, &sampling, &stream, &error), 0);
    for (size_t round = 0; round < 2; round++) {
        fuzz_feed(model, stream, round, 3);
        /* A vocabulary can have no text that can be fed. */
        code = fuzz_generate(model, stream, LENGTH, text, FUZZ_DRAW_ERRORS | CODE(NO_PROMPT));
    }
    free(memory.data);
    return code;
}

/* Whether 8-bit weights give the same text with each instruction set. */
static void check_kernels(fuzz_input file, const fuzz_content *text, int32_t code) {
    for (size_t i = 0; textgen_kernels_name(i); i++) {
        const textgen_model_options options = {.kernels = textgen_kernels_name(i)};
        textgen_model *model = NULL;
        fuzz_content same = {NULL, 0};
        CHECK_CODE(create(file, &options, &model), 0);
        CHECK(run(model, &same) == code);
        CHECK(same.size == text->size && !memcmp(same.data, text->data, same.size));
        free(same.data);
        textgen_model_destroy(model);
    }
}

static void use(const textgen_model *model, fuzz_input file) {
    const textgen_model_info *info = textgen_model_get_info(model);
    fuzz_content text = {NULL, 0};
    check_description(model, info, file);
    check_symbols(model, info);
    check_memory(file, info->memory);
    const int32_t code = run(model, &text);
    if (info->bits == 8) {
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
    const int32_t code = create(input, NULL, &model);
    CHECK(peak_allocated <= MAX_MEMORY_RATIO * input.size + EXTRA_BYTES);
    if (CHECK_CODE(code, REFUSALS) == TEXTGEN_OK) {
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

/* The input has keys and values in turn, each before a zero byte. */
void fuzz_read_metadata(const fuzz_model *model, fuzz_input input) {
    fuzz_content file = {NULL, 0};
    fuzz_append(&file, model->graph.data, model->graph.size);
    while (input.size) {
        const char *key = (const char *)input.data;
        const size_t key_size = fuzz_skip_text(&input);
        const unsigned char *value = input.data;
        append_property(&file, key, key_size, value, fuzz_skip_text(&input));
    }
    fuzz_read_model((fuzz_input){file.data, file.size});
    free(file.data);
}
