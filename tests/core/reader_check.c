/* Reads model files from standard input, each after its size in 4 little-endian bytes. Prints of each the
 * description, or the error code and the message, and an empty line. */
#include "check.h"

#include "pack.h"

#include <inttypes.h>

enum { SYMBOL_SIZE = 4 * TEXTGEN_MAX_WORD + 4 };

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

static int32_t print_vocabulary(const textgen_onnx *file, size_t size, textgen_special *special_tokens) {
    textgen_vocabulary *vocabulary;
    TEXTGEN_TRY(textgen_vocabulary_create(file, size, &vocabulary, &error));
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
    return TEXTGEN_OK;
}

static int32_t print_model(const textgen_onnx *file) {
    textgen_description description;
    textgen_special special;
    textgen_network *network;
    printf("parameters %" PRIu64 "\n", file->parameters);
    TEXTGEN_TRY(textgen_format_check(file, &error));
    TEXTGEN_TRY(textgen_onnx_describe(file, &description, &error));
    TEXTGEN_TRY(print_vocabulary(file, description.sizes.vocabulary, &special));
    /* Packing the weights checks their values. */
    TEXTGEN_TRY(textgen_network_create(&description, textgen_find_kernels(NULL), special, &network, &error));
    for (size_t i = 0; i < description.sizes.layers + 2; i++) {
        print_layer(&description.layers[i]);
    }
    printf("layers %zu bits %d\n", description.sizes.layers, description.sizes.bits);
    return TEXTGEN_OK;
}

int main(void) {
    unsigned char *content;
    size_t size;
    while ((content = read_part(&size)) != NULL) {
        textgen_arena arena = {0};
        textgen_onnx file = {.arena = &arena};
        int32_t code = textgen_onnx_read((textgen_view){content, size}, &file, &error);
        code = code == TEXTGEN_OK ? print_model(&file) : code;
        if (code != TEXTGEN_OK) {
            printf("%" PRId32 " %s\n", code, error.message);
        }
        printf("\n");
        textgen_release(file.properties);
        free(content);
    }
    return 0;
}
