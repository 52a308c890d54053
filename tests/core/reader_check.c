/* Reads a model file and prints its description, or the error code and the message.
 *
 *     reader_check FILE         print the description
 *     reader_check FILE TEXT    also print the tokens of the text in a file, decoded again
 *     reader_check              read files from standard input, each after its size in 4 little-endian bytes
 *
 * The text is in a file because an argument cannot hold each byte: on Windows, arguments are UTF-16.
 */
#include "pack.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { SYMBOL_SIZE = 4 * TEXTGEN_MAX_WORD + 4 };

static textgen_error error;

static unsigned char *read_file(const char *path, size_t *size) {
    FILE *file = fopen(path, "rb");
    if (!file) {
        return NULL;
    }
    size_t capacity = 4096;
    unsigned char *content = malloc(capacity);
    *size = 0;
    while (content) {
        const size_t got = fread(content + *size, 1, capacity - *size, file);
        *size += got;
        if (got == 0) {
            break;
        }
        if (*size == capacity) {
            unsigned char *larger = realloc(content, capacity *= 2);
            if (!larger) {
                free(content);
            }
            content = larger;
        }
    }
    fclose(file);
    return content;
}

/* The weighted sum depends on the order of the weights. 8-bit weights are not multiplied by their scales. */
static double weighted_sum(const textgen_tensor *tensor) {
    const bool is_int8 = tensor->type == TEXTGEN_ONNX_INT8;
    double sum = 0;
    for (size_t i = 0; i < tensor->raw.size / (is_int8 ? 1 : 4); i++) {
        const float value = is_int8 ? (float)(signed char)tensor->raw.data[i] : textgen_tensor_float(tensor, i);
        sum += (double)value * (double)(i % 7 + 1);
    }
    return sum;
}

static void print_layer(const textgen_layer *layer) {
    static const char *const kinds[] = {"embedding", "lstm", "linear"};
    printf("layer %s %zu %zu %d", kinds[layer->kind], layer->inputs, layer->outputs, layer->residual);
    for (size_t i = 0; i < TEXTGEN_LAYER_TENSORS && layer->tensors[i]; i++) {
        printf(" %.9g", weighted_sum(layer->tensors[i]));
    }
    printf("\n");
}

static int32_t print_text(const textgen_vocabulary *vocabulary, const textgen_view *text) {
    textgen_encoder encoder = {(const char *)text->data, text->size, 0, 0};
    printf("tokens");
    int64_t token;
    int32_t code;
    while ((code = textgen_encode_next(vocabulary, &encoder, &token, &error)) > 0) {
        char decoded[SYMBOL_SIZE];
        const size_t bytes = textgen_decode_token(vocabulary, token, decoded);
        printf(" %" PRId64 ":", token);
        for (size_t i = 0; i < bytes; i++) {
            printf("%02x", (unsigned)(unsigned char)decoded[i]);
        }
    }
    printf("\n");
    return code;
}

static int32_t print_vocabulary(const textgen_onnx *file, size_t size, const textgen_view *text,
                                textgen_special *special_tokens) {
    textgen_vocabulary *vocabulary;
    int32_t code = textgen_vocabulary_create(file, size, &vocabulary, &error);
    if (code != TEXTGEN_OK) {
        return code;
    }
    const char *unicode = vocabulary->unicode;
    printf("symbols");
    for (size_t token = 0; token < size; token++) {
        char decoded[SYMBOL_SIZE];
        const size_t bytes = textgen_decode_token(vocabulary, (int64_t)token, decoded);
        printf(" ");
        for (size_t i = 0; i < bytes; i++) {
            printf("%02x", (unsigned)(unsigned char)decoded[i]);
        }
    }
    const textgen_special *special = &vocabulary->special;
    const char *records = vocabulary->records;
    printf("\nunknown %" PRId64 " bytes %zu lowercase %d unicode %s\n", special->unknown, vocabulary->longest,
           vocabulary->lowercase, !unicode ? "none" : unicode);
    printf("level %s begin %" PRId64 " end %" PRId64 " records %s\n", textgen_level_names[vocabulary->level],
           special->begin, special->end, !records ? "none" : records);
    *special_tokens = *special;
    if (text) {
        code = print_text(vocabulary, text);
    }
    return code;
}

/* Pack the weights, which checks their values. */
static int32_t pack(const textgen_description *description, textgen_special special) {
    textgen_network *network;
    return textgen_network_create(description, textgen_find_kernels(NULL), special, &network, &error);
}

static int32_t print_model(const textgen_onnx *file, const textgen_view *text) {
    textgen_description description;
    int32_t code = textgen_format_check(file, &error);
    if (code == TEXTGEN_OK) {
        code = textgen_onnx_describe(file, &description, &error);
    }
    textgen_special special;
    if (code == TEXTGEN_OK) {
        code = print_vocabulary(file, description.sizes.vocabulary, text, &special);
    }
    if (code == TEXTGEN_OK) {
        code = pack(&description, special);
    }
    for (size_t i = 0; code == TEXTGEN_OK && i < description.sizes.layers + 2; i++) {
        print_layer(&description.layers[i]);
    }
    if (code == TEXTGEN_OK) {
        printf("layers %zu bits %d\n", description.sizes.layers, description.sizes.bits);
    }
    return code;
}

static int32_t print_file(const unsigned char *content, size_t size, const textgen_view *text) {
    const textgen_view view = {content, size};
    textgen_arena arena = {0};
    textgen_onnx file = {.arena = &arena};
    int32_t code = textgen_onnx_read(view, &file, &error);
    if (code == TEXTGEN_OK) {
        printf("parameters %" PRIu64 "\n", file.parameters);
        code = print_model(&file, text);
    }
    textgen_release(file.properties);
    if (code != TEXTGEN_OK) {
        printf("%" PRId32 " %s", code, error.message);
        printf(text ? ", at %" PRId64 "\n" : "\n", error.place);
    }
    return code;
}

/* Each file gets a separate buffer of its exact size, so that a sanitizer detects reads beyond it. */
static int print_all(void) {
    unsigned char head[4];
    while (fread(head, 1, sizeof(head), stdin) == sizeof(head)) {
        const size_t size = head[0] | (size_t)head[1] << 8 | (size_t)head[2] << 16 | (size_t)head[3] << 24;
        unsigned char *content = malloc(size + (size == 0));
        if (!content || fread(content, 1, size, stdin) != size) {
            free(content);
            return 2;
        }
        print_file(content, size, NULL);
        printf("\n");
        free(content);
    }
    return 0;
}

int main(int count, char **arguments) {
    if (count < 2) {
        return print_all();
    }
    textgen_view views[2] = {{NULL, 0}, {NULL, 0}};
    unsigned char *contents[2] = {NULL, NULL};
    for (int i = 0; i < count - 1 && i < 2; i++) {
        contents[i] = read_file(arguments[i + 1], &views[i].size);
        if (!contents[i]) {
            fprintf(stderr, "cannot read %s\n", arguments[i + 1]);
            return 2;
        }
        views[i].data = contents[i];
    }
    const int32_t code = print_file(contents[0], views[0].size, contents[1] ? &views[1] : NULL);
    free(contents[0]);
    free(contents[1]);
    return code == TEXTGEN_OK ? 0 : 1;
}
