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
#include "fuzz_changes.h"
#include "fuzz_models.h"
#include "fuzz_streams.h"
#include "textgen.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The memory limit: MAX_MEMORY_RATIO times the size of the file, plus EXTRA_BYTES. */
#define MAX_MEMORY_RATIO 8
#define EXTRA_BYTES ((size_t)40 << 20)

enum { MAX_CHANGES = 4, CODES = 16, SMALL_MODELS = 16, NEW_ONE_IN = 4, HUGE_ONE_IN = 2000 };

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

static bool use(const textgen_model *model, const unsigned char *data, size_t size, char *error) {
    textgen_model_info info = TEXTGEN_MODEL_INFO_DEFAULT;
    return describe(model, data, size, &info, error) && run_streams(model, &info, error);
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
    seed_random(count > 3 ? strtoull(arguments[3], NULL, 10) : 0);
    make_models(models);
    const int result = fuzz(models, count > 2 ? strtol(arguments[2], NULL, 10) : 100000);
    for (size_t i = 0; i < SMALL_MODELS; i++) {
        free(models[i].data);
    }
    return result;
}
