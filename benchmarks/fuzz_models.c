/* Writes model files as protobuf messages. The field numbers are those of onnx.proto. */
#include "fuzz_models.h"
#include "model.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FLOAT = 1, INT8 = 3, INT64 = 7 };

void append(content *to, const void *data, size_t size) {
    if (size > to->capacity - to->size) {
        to->capacity = 2 * (to->size + size);
        to->data = realloc(to->data, to->capacity);
        if (to->data == NULL) {
            fprintf(stderr, "out of memory\n");
            exit(2);
        }
    }
    if (size > 0) {
        memcpy(to->data + to->size, data, size);
        to->size += size;
    }
}

static void varint(content *to, uint64_t value) {
    do {
        const unsigned char byte = (unsigned char)(value & 0x7F) | (value > 0x7F ? 0x80 : 0);
        append(to, &byte, 1);
        value >>= 7;
    } while (value > 0);
}

static void integer(content *to, unsigned number, uint64_t value) {
    varint(to, number << 3);
    varint(to, value);
}

static void bytes(content *to, unsigned number, const void *data, size_t size) {
    varint(to, number << 3 | 2);
    varint(to, size);
    append(to, data, size);
}

static void text(content *to, unsigned number, const char *value) { bytes(to, number, value, strlen(value)); }

/* Append a complete message, and free it. */
static void message(content *to, unsigned number, content *part) {
    bytes(to, number, part->data, part->size);
    free(part->data);
    *part = (content){NULL, 0, 0};
}

static void name(content *to, unsigned number, const char *kind, size_t layer) {
    char full[32];
    snprintf(full, sizeof(full), "%s_%zu", kind, layer);
    text(to, number, full);
}

static void attribute(content *node, const char *key, uint64_t value) {
    content part = {NULL, 0, 0};
    text(&part, 1, key);
    integer(&part, 3, value);
    integer(&part, 20, 2);
    message(node, 5, &part);
}

/* Begin a tensor, up to its type. Return the number of its values. */
static size_t begin_tensor(content *part, const char *key, const char *suffix, unsigned type,
                           const size_t *shape, size_t dimensions) {
    char full[40];
    size_t count = 1;
    for (size_t i = 0; i < dimensions; i++) {
        integer(part, 1, shape[i]);
        count *= shape[i];
    }
    integer(part, 2, type);
    snprintf(full, sizeof(full), "%s%s", key, suffix);
    text(part, 8, full);
    return count;
}

/* Add float32 values, which repeat three numbers. */
static void floats(content *graph, const char *key, const char *suffix, const size_t *shape, size_t dimensions,
                   const float values[3], bool typed) {
    content part = {NULL, 0, 0};
    const size_t count = begin_tensor(&part, key, suffix, FLOAT, shape, dimensions);
    varint(&part, (typed ? 4u : 9u) << 3 | 2u);
    varint(&part, count * sizeof(float));
    for (size_t i = 0; i < count; i++) {
        append(&part, &values[i % 3], sizeof(float));
    }
    message(graph, 5, &part);
}

static void weights(content *graph, const char *key, const size_t *shape, size_t dimensions,
                    const sizes *model) {
    const float values[] = {model->weight, -model->weight, 0.0f};
    floats(graph, key, "", shape, dimensions, values, model->typed);
}

/* Add 8-bit weights, of which no two exceed their bound, their scales, and the node that multiplies them. */
static void int8_weights(content *graph, const char *key, const size_t *shape, size_t dimensions, size_t axis,
                         const sizes *model) {
    static const int8_t values[] = {64, -64, 0, 3, 60, 64, 1};
    const float scales[] = {model->weight, model->weight, model->weight};
    char name_of_scales[40], name_of_values[40];
    content part = {NULL, 0, 0}, node = {NULL, 0, 0};
    const size_t count = begin_tensor(&part, key, "_int8", INT8, shape, dimensions);
    varint(&part, 9 << 3 | 2);
    varint(&part, count);
    for (size_t i = 0; i < count; i++) {
        append(&part, &values[i % 7], 1);
    }
    message(graph, 5, &part);
    floats(graph, key, "_scale", &shape[axis], 1, scales, model->typed);
    snprintf(name_of_values, sizeof(name_of_values), "%s_int8", key);
    snprintf(name_of_scales, sizeof(name_of_scales), "%s_scale", key);
    text(&node, 1, name_of_values);
    text(&node, 1, name_of_scales);
    text(&node, 2, key);
    text(&node, 4, "DequantizeLinear");
    attribute(&node, "axis", axis);
    message(graph, 1, &node);
}

/* Add weights of the type of the model. axis: of the scales. */
static void typed_weights(content *graph, const char *key, const size_t *shape, size_t dimensions, size_t axis,
                          const sizes *model) {
    if (model->int8) {
        int8_weights(graph, key, shape, dimensions, axis, model);
    } else {
        weights(graph, key, shape, dimensions, model);
    }
}

/* Add the weights of a layer, [1][rows][inputs]. */
static void layer_weights(content *graph, const char *kind, size_t layer, const size_t *shape,
                          const sizes *model) {
    char full[32];
    snprintf(full, sizeof(full), "%s_%zu", kind, layer);
    typed_weights(graph, full, shape, 3, 1, model);
}

static void add_tensors(content *graph, const sizes *model) {
    const size_t embedding[] = {model->symbols, model->embedding};
    const size_t output[] = {model->units, model->symbols};
    const unsigned char axis[8] = {1};
    char bias_name[32];
    content axes = {NULL, 0, 0};
    typed_weights(graph, "embedding", embedding, 2, 0, model);
    typed_weights(graph, "output", output, 2, 1, model);
    weights(graph, "output_bias", &model->symbols, 1, model);
    for (size_t i = 0; i < model->layers; i++) {
        const size_t input[] = {1, 4 * model->units, i == 0 ? model->embedding : model->units};
        const size_t recurrent[] = {1, 4 * model->units, model->units};
        const size_t bias[] = {1, 8 * model->units};
        snprintf(bias_name, sizeof(bias_name), "bias_%zu", i);
        layer_weights(graph, "input", i, input, model);
        layer_weights(graph, "recurrent", i, recurrent, model);
        weights(graph, bias_name, bias, 2, model);
    }
    integer(&axes, 1, 1);
    integer(&axes, 2, INT64);
    text(&axes, 8, "axis");
    bytes(&axes, 9, axis, sizeof(axis));
    message(graph, 5, &axes);
}

static void add_layer(content *graph, const sizes *model, size_t layer) {
    static const char *const arrays[2][2] = {{"hidden", "cell"}, {"next_hidden", "next_cell"}};
    content lstm = {NULL, 0, 0};
    content squeeze = {NULL, 0, 0};
    if (layer == 0) {
        text(&lstm, 1, "embedded");
    } else {
        name(&lstm, 1, "below", layer - 1);
    }
    name(&lstm, 1, "input", layer);
    name(&lstm, 1, "recurrent", layer);
    name(&lstm, 1, "bias", layer);
    text(&lstm, 1, "");
    name(&lstm, 2, "sequence", layer);
    for (unsigned after = 0; after < 2; after++) {
        for (unsigned i = 0; i < 2; i++) {
            if (model->layers == 1) {
                text(&lstm, 1 + after, arrays[after][i]);
            } else {
                name(&lstm, 1 + after, arrays[after][i], layer);
            }
        }
    }
    text(&lstm, 4, "LSTM");
    attribute(&lstm, "hidden_size", model->units);
    message(graph, 1, &lstm);
    name(&squeeze, 1, "sequence", layer);
    text(&squeeze, 1, "axis");
    name(&squeeze, 2, "below", layer);
    text(&squeeze, 4, "Squeeze");
    message(graph, 1, &squeeze);
}

/* Add the nodes that split a state array into layers and concatenate the next states of the layers. */
static void add_state(content *graph, const sizes *model, const char *array, const char *after) {
    content split = {NULL, 0, 0};
    content join = {NULL, 0, 0};
    text(&split, 1, array);
    text(&join, 2, after);
    for (size_t i = 0; i < model->layers; i++) {
        name(&split, 2, array, i);
        name(&join, 1, after, i);
    }
    text(&split, 4, "Split");
    text(&join, 4, "Concat");
    attribute(&split, "axis", 0);
    attribute(&join, "axis", 0);
    message(graph, 1, &split);
    message(graph, 1, &join);
}

static void add_node(content *graph, const char *kind, const char *first, const char *second,
                     const char *result) {
    content node = {NULL, 0, 0};
    text(&node, 1, first);
    text(&node, 1, second);
    text(&node, 2, result);
    text(&node, 4, kind);
    message(graph, 1, &node);
}

static void add_nodes(content *graph, const sizes *model) {
    char top[32];
    snprintf(top, sizeof(top), "below_%zu", model->layers - 1);
    add_node(graph, "Gather", "embedding", "token", "embedded");
    for (size_t i = 0; i < model->layers; i++) {
        add_layer(graph, model, i);
    }
    if (model->layers > 1) {
        add_state(graph, model, "hidden", "next_hidden");
        add_state(graph, model, "cell", "next_cell");
    }
    add_node(graph, "MatMul", top, "output", "product");
    add_node(graph, "Add", "product", "output_bias", "logits");
}

/* Add an input or output. A size of 0 is a dynamic dimension. */
static void add_value(content *graph, unsigned number, const char *key, unsigned type, const size_t *shape,
                      size_t dimensions) {
    content full = {NULL, 0, 0};
    content kind = {NULL, 0, 0};
    content tensor = {NULL, 0, 0};
    content listed = {NULL, 0, 0};
    for (size_t i = 0; i < dimensions; i++) {
        content dimension = {NULL, 0, 0};
        if (shape[i] > 0) {
            integer(&dimension, 1, shape[i]);
        } else {
            text(&dimension, 2, "any");
        }
        message(&listed, 1, &dimension);
    }
    integer(&tensor, 1, type);
    message(&tensor, 2, &listed);
    message(&kind, 1, &tensor);
    text(&full, 1, key);
    message(&full, 2, &kind);
    message(graph, number, &full);
}

static void add_property(content *file, const char *key, const content *value) {
    content part = {NULL, 0, 0};
    text(&part, 1, key);
    bytes(&part, 2, value->data, value->size);
    message(file, 14, &part);
}

static void add_text_property(content *file, const char *key, const char *value) {
    content part = {NULL, 0, 0};
    append(&part, value, strlen(value));
    add_property(file, key, &part);
    free(part.data);
}

static void append_character(content *list, size_t character) {
    char escaped[32];
    if (character < 0x10000) {
        snprintf(escaped, sizeof(escaped), "\\u%04zx", character);
    } else {
        const size_t pair = character - 0x10000;
        snprintf(escaped, sizeof(escaped), "\\u%04zx\\u%04zx", 0xD800 + pair / 0x400, 0xDC00 + pair % 0x400);
    }
    append(list, escaped, strlen(escaped));
}

/* Append a symbol that differs from those of other tokens. */
static void append_symbol(content *list, const sizes *model, size_t token) {
    static const size_t shortest[] = {'a', 0, 0x100};
    const size_t first = model->long_texts ? 0x10000 : shortest[model->level];
    const bool word = model->level == TEXTGEN_WORD_LEVEL && token % 2 == 1;
    for (size_t i = 1; word && i < (model->long_texts ? TEXTGEN_MAX_WORD : 3); i++) {
        append_character(list, i == 1 ? ' ' : first);
    }
    append_character(list, first + token);
}

static void add_vocabulary(content *file, const sizes *model) {
    content list = {NULL, 0, 0};
    for (size_t i = 0; i < model->symbols; i++) {
        const bool special = (i == 0 && model->unknown) || (model->records && i + 2 >= model->symbols);
        append(&list, i == 0 ? "[\"" : ",\"", 2);
        if (!special) {
            append_symbol(&list, model, i);
        }
        append(&list, "\"", 1);
    }
    append(&list, "]", 1);
    add_property(file, "textgen.vocabulary", &list);
    free(list.data);
}

static void add_special(content *file, const sizes *model) {
    char special[128];
    const char *unknown = model->unknown ? "\"unknown\": 0" : "\"unknown\": null";
    if (model->records) {
        snprintf(special, sizeof(special), "{%s, \"begin\": %zu, \"end\": %zu}", unknown, model->symbols - 2,
                 model->symbols - 1);
        add_text_property(file, "textgen.records", "\"lines\"");
    } else {
        snprintf(special, sizeof(special), "{%s}", unknown);
    }
    add_text_property(file, "textgen.special", special);
}

void append_model(content *to, const sizes *model) {
    const size_t varying[] = {0, 0};
    static const char *const levels[] = {"\"character\"", "\"byte\"", "\"word\""};
    const size_t state[] = {model->layers, 0, model->units};
    content graph = {NULL, 0, 0};
    content operators = {NULL, 0, 0};
    add_nodes(&graph, model);
    add_tensors(&graph, model);
    add_value(&graph, 11, "token", INT64, varying, 2);
    add_value(&graph, 11, "hidden", FLOAT, state, 3);
    add_value(&graph, 11, "cell", FLOAT, state, 3);
    add_value(&graph, 12, "logits", FLOAT, varying, 2);
    add_value(&graph, 12, "next_hidden", FLOAT, state, 3);
    add_value(&graph, 12, "next_cell", FLOAT, state, 3);
    integer(&operators, 2, TEXTGEN_OPSET);
    message(to, 8, &operators);
    message(to, 7, &graph);
    add_text_property(to, "textgen.format", model->unknown || model->records || model->int8 ? "2" : "1");
    add_text_property(to, "textgen.level", levels[model->level]);
    add_text_property(to, "textgen.normalization", "{\"lowercase\": false, \"unicode\": \"NFC\"}");
    add_text_property(to, "textgen.prompts", "[]");
    add_text_property(to, "textgen.training", "{\"corpus\": [1.5e3, null]}");
    if (model->int8) {
        add_text_property(to, "textgen.quantization",
                          "{\"bits\": 8, \"loss\": 1.5, \"text\": {\"name\": null}}");
    }
    if (model->unknown || model->records) {
        add_special(to, model);
    }
    add_vocabulary(to, model);
}
