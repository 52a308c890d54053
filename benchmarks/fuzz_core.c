/* Fuzzes the public functions with model files of extreme sizes and with randomly damaged ones. Each file must
 * either run or be refused.
 *
 *     fuzz_core FILE [COUNT [SEED]]
 *
 * `make fuzz` builds this program with the sanitizers, which end it at memory errors and undefined behavior.
 * The program needs the address sanitizer to count memory. It also ends at an unexpected error code, a message
 * that is not one line, or excessive memory use. Then it prints the number of the file, from 0. The same SEED
 * gives the same files.
 */
#include "fuzz_models.h"
#include "textgen.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The memory limit: MAX_MEMORY_RATIO times the size of the file, plus EXTRA_BYTES. */
#define MAX_MEMORY_RATIO 8
#define EXTRA_BYTES ((size_t)40 << 20)

enum {
    ERROR_SIZE = 600,
    MAX_CHANGES = 4,
    LENGTH = 3,
    CODES = 16,
    SMALL_MODELS = 16,
    NEW_ONE_IN = 4,
    HUGE_ONE_IN = 2000
};

/* From the address sanitizer. Not all compilers have its header. */
int __sanitizer_install_malloc_and_free_hooks(void (*allocated_hook)(const volatile void *, size_t),
                                              void (*freed_hook)(const volatile void *));
size_t __sanitizer_get_allocated_size(const volatile void *memory);

static size_t allocated, peak_allocated;

static void count_allocated(const volatile void *memory, size_t size) {
    (void)memory;
    allocated += size;
    if (allocated > peak_allocated) {
        peak_allocated = allocated;
    }
}

static void count_freed(const volatile void *memory) {
    if (memory != NULL) {
        allocated -= __sanitizer_get_allocated_size(memory);
    }
}

static uint64_t random_state;

/* splitmix64 (Steele, Lea and Flood, 2014). */
static uint64_t random_bits(void) {
    uint64_t bits = random_state += UINT64_C(0x9E3779B97F4A7C15);
    bits = (bits ^ bits >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    bits = (bits ^ bits >> 27) * UINT64_C(0x94D049BB133111EB);
    return bits ^ bits >> 31;
}

static size_t below(size_t limit) { return (size_t)(random_bits() % limit); }

static void insert(content *file, size_t offset, const unsigned char *bytes, size_t size) {
    append(file, bytes, size);
    memmove(file->data + offset + size, file->data + offset, file->size - size - offset);
    memcpy(file->data + offset, bytes, size);
}

/* Flip a bit; set, remove, repeat, move or overwrite bytes; or add a small number to a byte. */
static void change(content *file) {
    static const size_t lengths[] = {1, 2, 4, 16, 200};
    static const unsigned char extremes[] = {0xFF, 0x00, 0x7F, 0x80};
    unsigned char range[200];
    const size_t offset = below(file->size);
    size_t size = lengths[below(5)];
    if (size > file->size - offset) {
        size = file->size - offset;
    }
    memcpy(range, file->data + offset, size);
    switch (below(9)) {
    case 0:
    case 1:
        file->data[offset] ^= (unsigned char)(1u << below(8));
        break;
    case 2:
        file->data[offset] = (unsigned char)below(256);
        break;
    case 3:
        memset(file->data + offset, extremes[below(4)], size);
        break;
    case 4:
        if (size < file->size) {
            memmove(file->data + offset, file->data + offset + size, file->size - offset - size);
            file->size -= size;
        }
        break;
    case 5:
        insert(file, offset, range, size);
        break;
    case 6:
        insert(file, below(file->size), range, size);
        break;
    case 7:
        file->data[offset] = (unsigned char)(file->data[offset] + below(5) - 2);
        break;
    default: {
        const size_t target = below(file->size);
        memmove(file->data + target, range, size < file->size - target ? size : file->size - target);
        break;
    }
    }
}

/* Choose the level and the records of a model. A vocabulary of bytes has a fixed size. */
static void choose_tokens(sizes *chosen) {
    chosen->level = (textgen_level)below(TEXTGEN_LEVELS);
    chosen->records = below(2) == 0;
    if (chosen->level == TEXTGEN_BYTE_LEVEL) {
        chosen->symbols = chosen->records ? 258 : 256;
        chosen->unknown = chosen->long_texts = false;
    }
}

/* Choose the sizes of a model. huge: whether one of them is extreme. */
static sizes choose_sizes(bool huge) {
    static const size_t units[] = {1, 2, 3, 15, 16, 17, 33}, symbols[] = {2, 3, 12, 63, 64, 65, 130};
    static const float values[] = {0.5f, 0.0f, 1e-40f, 1e3f, 3e38f, 0.25f, 0.125f};
    sizes chosen = {.symbols = symbols[below(7)],
                    .embedding = units[below(7)],
                    .units = units[below(7)],
                    .layers = 1 + below(3),
                    .unknown = below(2) == 0,
                    .typed = below(2) == 0,
                    .int8 = below(2) == 0,
                    .long_texts = below(2) == 0,
                    .weight = values[below(7)]};
    choose_tokens(&chosen);
    if (!huge) {
        return chosen;
    }
    switch (below(4)) {
    case 0:
        chosen.layers = 1022 + below(5);
        break;
    case 1:
        /* The core pads the units, so that a few units need many times the memory. */
        chosen = (sizes){.symbols = 2, .embedding = 1 + below(600000), .units = 1 + below(2), .layers = 1};
        chosen.weight = 0.5f;
        break;
    case 2:
        if (chosen.level != TEXTGEN_BYTE_LEVEL) {
            chosen.symbols = 1 + below(!chosen.long_texts                   ? 0xD000
                                       : chosen.level == TEXTGEN_WORD_LEVEL ? 0x4000
                                                                            : 0x100000);
        }
        break;
    default:
        chosen.units = 64 + below(400);
        break;
    }
    return chosen;
}

/* Whether a message is one line that was not cut. */
static bool is_line(const char *line) {
    const size_t length = strlen(line);
    return length > 0 && length < ERROR_SIZE - 1 && strcspn(line, "\n\r\t\x1b") == length;
}

static bool is_refusal(int32_t code) {
    return code == TEXTGEN_DAMAGED_MODEL || code == TEXTGEN_UNKNOWN_GRAPH || code == TEXTGEN_TOO_LARGE ||
           code == TEXTGEN_NEWER_FORMAT;
}

/* Read the model's information. Return false if it is not as textgen.h describes. */
static bool describe(const textgen_model *model, const unsigned char *data, size_t size,
                     textgen_model_info *info, char *error) {
    static const char *const keys[] = {"textgen.training", "textgen.prompts", "textgen.vocabulary"};
    textgen_layer_info layer = TEXTGEN_LAYER_INFO_DEFAULT;
    if (textgen_model_get_info(model, info, error, ERROR_SIZE) != TEXTGEN_OK) {
        return false;
    }
    for (size_t i = 0; i < info->layers; i++) {
        if (textgen_model_get_layer(model, i, &layer, error, ERROR_SIZE) != TEXTGEN_OK) {
            return false;
        }
    }
    for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++) {
        size_t length;
        const char *value = textgen_model_get_metadata(model, keys[i], &length);
        const size_t offset = value == NULL ? SIZE_MAX : (size_t)(value - (const char *)data);
        if (offset > size || length == 0 || length > size - offset) {
            return false;
        }
    }
    return layer.outputs == info->vocabulary;
}

/* Feed and generate. The only allowed failures are unknown characters, a missing prompt and invalid logits. */
static bool generate(textgen_stream *stream, const textgen_model_info *info, char *error) {
    static const char *const prompts[] = {
        "a", "b", "abc\r\n", "\xF0\x90\x80\x80\xF0\x90\x80\x81", "\xC3\xA9", " \xC4\x80\xC4\x81 \xC4\x80"};
    bool fed = false;
    for (size_t i = 0; i < sizeof(prompts) / sizeof(*prompts); i++) {
        const int32_t code = textgen_stream_feed(stream, prompts[i], strlen(prompts[i]), error, ERROR_SIZE);
        fed = fed || code == TEXTGEN_OK;
        if (code != TEXTGEN_OK && (code != TEXTGEN_UNKNOWN_CHARACTER || !is_line(error))) {
            return false;
        }
    }
    /* The second call also writes what the first one held back. */
    const size_t text_size = 2 * LENGTH * info->symbol_bytes + 1;
    char *text = malloc(text_size);
    size_t written = 0;
    int32_t code = textgen_stream_generate(stream, LENGTH, text, text_size, &written, error, ERROR_SIZE);
    if (textgen_stream_ending(stream) == TEXTGEN_REACHED_END) {
        code = textgen_stream_feed(stream, NULL, 0, error, ERROR_SIZE);
        fed = true;
    }
    if (code == TEXTGEN_OK) {
        code = textgen_stream_generate(stream, LENGTH, text, text_size, &written, error, ERROR_SIZE);
    }
    free(text);
    const bool fails =
        code == TEXTGEN_INVALID_LOGITS || (code == TEXTGEN_NO_PROMPT && !fed && info->records == NULL);
    return written < text_size && (code == TEXTGEN_OK || (fails && is_line(error)));
}

/* Turn random filters on. */
static void choose_filters(textgen_sampling *sampling) {
    const double probabilities[] = {0.0, 1e-300, 0.5, 0.9, 1.0};
    sampling->temperature = probabilities[below(5)] * 2.0;
    if (below(2) == 0) {
        sampling->repetition_penalty = probabilities[below(5)] * 100.0;
        sampling->frequency_penalty = probabilities[below(5)] - 0.5;
        sampling->penalty_window = below(8);
    }
    if (below(3) == 0) {
        sampling->mirostat_tau = 1.0 + probabilities[below(5)];
        return;
    }
    sampling->top_k = below(4);
    sampling->typical_p = probabilities[below(5)];
    sampling->top_p = probabilities[below(5)];
    sampling->min_p = probabilities[below(5)];
}

/* Create a stream with random filters, and with stop texts that may be outside the vocabulary. */
static bool start(void *memory, size_t needed, const textgen_model *model, textgen_stream **stream,
                  char *error) {
    static const char *const stop[] = {"a", "ab", "\xC3\xA9", "\xFF", "b\r\n", " \xC4\x80"};
    textgen_sampling sampling = TEXTGEN_SAMPLING_DEFAULT;
    sampling.seed = random_bits();
    choose_filters(&sampling);
    sampling.stop_count = below(3);
    sampling.stop = stop + below(4);
    const int32_t code = textgen_stream_init(memory, needed, model, &sampling, stream, error, ERROR_SIZE);
    if ((code != TEXTGEN_UNKNOWN_CHARACTER && code != TEXTGEN_INVALID_UTF8) || !is_line(error)) {
        return code == TEXTGEN_OK;
    }
    sampling.stop_count = 0;
    return textgen_stream_init(memory, needed, model, &sampling, stream, error, ERROR_SIZE) == TEXTGEN_OK;
}

/* Save a stream, damage the data, and generate with what can be resumed. */
static bool resume(const textgen_stream *stream, const textgen_model *model, const textgen_model_info *info,
                   char *error) {
    content saved = {NULL, 0, 0};
    const size_t size = textgen_stream_saved_size(stream), needed = textgen_stream_size(model);
    void *data = malloc(size), *memory = malloc(needed);
    textgen_stream *resumed = NULL;
    bool right = data != NULL && memory != NULL &&
                 textgen_stream_save(stream, data, size, error, ERROR_SIZE) == TEXTGEN_OK;
    if (right) {
        append(&saved, data, size);
        for (size_t changes = below(MAX_CHANGES); changes > 0; changes--) {
            change(&saved);
        }
        const int32_t code = textgen_stream_resume(memory, needed, model, NULL, saved.data, saved.size,
                                                   &resumed, error, ERROR_SIZE);
        right = code == TEXTGEN_OK
                    ? generate(resumed, info, error)
                    : (code == TEXTGEN_DAMAGED_SAVED || code == TEXTGEN_NEWER_FORMAT) && is_line(error);
    }
    free(saved.data);
    free(data);
    free(memory);
    return right;
}

static bool use(const textgen_model *model, const unsigned char *data, size_t size, char *error) {
    textgen_model_info info = TEXTGEN_MODEL_INFO_DEFAULT;
    const size_t needed = textgen_stream_size(model);
    textgen_stream *stream;
    void *memory = malloc(needed);
    bool right = memory != NULL && describe(model, data, size, &info, error) &&
                 start(memory, needed, model, &stream, error) && generate(stream, &info, error) &&
                 resume(stream, model, &info, error);
    free(memory);
    return right;
}

/* Whether a model of `size` bytes can be created in the memory that it states, and not in less. */
static bool fits(const textgen_model *model, const unsigned char *data, size_t size, char *error) {
    textgen_model_info info = TEXTGEN_MODEL_INFO_DEFAULT;
    textgen_model_options options = TEXTGEN_MODEL_OPTIONS_DEFAULT;
    textgen_model *copy = NULL;
    bool right = textgen_model_get_info(model, &info, error, ERROR_SIZE) == TEXTGEN_OK;
    options.memory = malloc(info.memory);
    options.memory_size = below(info.memory);
    right = right && options.memory != NULL &&
            textgen_model_create(data, size, &options, &copy, error, ERROR_SIZE) == TEXTGEN_BUFFER_TOO_SMALL;
    options.memory_size = info.memory;
    right = right && textgen_model_create(data, size, &options, &copy, error, ERROR_SIZE) == TEXTGEN_OK;
    textgen_model_destroy(copy);
    free(options.memory);
    return right;
}

/* Whether a file runs or is refused correctly. `*code` becomes the code of textgen_model_create. */
static bool attempt(const content *file, int32_t *code, char *error) {
    textgen_model *model = NULL;
    /* A copy in a buffer of exactly the size of the file lets a sanitizer detect reads beyond its end. */
    unsigned char *exact = malloc(file->size);
    if (exact == NULL) {
        return false;
    }
    memcpy(exact, file->data, file->size);
    error[0] = '\0';
    allocated = peak_allocated = 0;
    *code = textgen_model_create(exact, file->size, NULL, &model, error, ERROR_SIZE);
    bool right = *code == TEXTGEN_OK || (is_refusal(*code) && is_line(error));
    if (peak_allocated > MAX_MEMORY_RATIO * file->size + EXTRA_BYTES) {
        snprintf(error, ERROR_SIZE, "a file of %zu bytes needs %zu bytes of memory", file->size,
                 peak_allocated);
        right = false;
    }
    if (right && *code == TEXTGEN_OK) {
        right = fits(model, exact, file->size, error) && use(model, exact, file->size, error);
    }
    textgen_model_destroy(model);
    free(exact);
    return right;
}

static void load(const char *path, content *loaded) {
    FILE *file = fopen(path, "rb");
    unsigned char part[4096];
    size_t size;
    while (file != NULL && (size = fread(part, 1, sizeof(part), file)) > 0) {
        append(loaded, part, size);
    }
    if (file == NULL || loaded->size == 0) {
        fprintf(stderr, "cannot read %s\n", path);
        exit(2);
    }
    fclose(file);
}

/* Create the models to damage: with one or two layers, an unknown symbol, float_data, 8-bit weights, or
 * records; of each level. */
static void make_models(content *models) {
    for (size_t i = 1; i < SMALL_MODELS; i++) {
        sizes small = {.symbols = 5, .embedding = 3, .units = 2, .layers = 1 + i % 2, .weight = 0.5f};
        small.unknown = i / 2 % 2 == 1;
        small.typed = i / 4 % 2 == 1;
        small.int8 = i / 8 % 2 == 1;
        choose_tokens(&small);
        append_model(&models[i], &small);
    }
}

static int fuzz(const content *models, long count) {
    long outcomes[CODES] = {0};
    char line[ERROR_SIZE];
    content file = {NULL, 0, 0};
    for (long number = 0; number < count; number++) {
        const content *model = &models[below(SMALL_MODELS)];
        const bool is_new = below(NEW_ONE_IN) == 0;
        int32_t code = TEXTGEN_OK;
        file.size = 0;
        if (is_new) {
            const sizes chosen = choose_sizes(below(HUGE_ONE_IN) == 0);
            append_model(&file, &chosen);
        } else {
            append(&file, model->data, model->size);
        }
        for (size_t changes = is_new ? 0 : 1 + below(MAX_CHANGES); changes > 0; changes--) {
            change(&file);
        }
        if (!attempt(&file, &code, line)) {
            printf("file %ld: %" PRId32 " %s\n", number, code, line);
            free(file.data);
            return 1;
        }
        outcomes[-code]++;
    }
    free(file.data);
    printf("%ld files, the core: %ld run, %ld damaged, %ld unknown graphs, %ld too large, %ld newer\n", count,
           outcomes[0], outcomes[-TEXTGEN_DAMAGED_MODEL], outcomes[-TEXTGEN_UNKNOWN_GRAPH],
           outcomes[-TEXTGEN_TOO_LARGE], outcomes[-TEXTGEN_NEWER_FORMAT]);
    return 0;
}

int main(int count, char **arguments) {
    content models[SMALL_MODELS] = {{NULL, 0, 0}};
    if (count < 2) {
        fprintf(stderr, "usage: fuzz_core FILE [COUNT [SEED]]\n");
        return 2;
    }
    __sanitizer_install_malloc_and_free_hooks(count_allocated, count_freed);
    load(arguments[1], &models[0]);
    random_state = count > 3 ? strtoull(arguments[3], NULL, 10) : 0;
    make_models(models);
    const int result = fuzz(models, count > 2 ? strtol(arguments[2], NULL, 10) : 100000);
    for (size_t i = 0; i < SMALL_MODELS; i++) {
        free(models[i].data);
    }
    return result;
}
