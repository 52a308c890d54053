#include "handles.h"

#include <stdio.h>
#include <string.h>

int32_t textgen_version(void) { return TEXTGEN_VERSION; }

const char *textgen_code_text(int32_t code) {
    static const char *const texts[] = {
        [-TEXTGEN_OK] = "no error",
        [-TEXTGEN_INVALID_ARGUMENT] = "an argument is invalid",
        [-TEXTGEN_BUFFER_TOO_SMALL] = "a buffer is too small",
        [-TEXTGEN_OUT_OF_MEMORY] = "not enough memory",
        [-TEXTGEN_DAMAGED_MODEL] = "the model file is damaged, or is not a model file",
        [-TEXTGEN_UNKNOWN_GRAPH] = "this library does not support the graph of the model file",
        [-TEXTGEN_UNKNOWN_CHARACTER] = "a character of the text is not in the vocabulary",
        [-TEXTGEN_INVALID_UTF8] = "the text is not valid UTF-8",
        [-TEXTGEN_INVALID_LOGITS] = "the logits contain NaN or +infinity, or all are -infinity",
        [-TEXTGEN_RNG_EXHAUSTED] = "the random stream is exhausted",
        [-TEXTGEN_NO_PROMPT] = "the stream has no prompt",
        [-TEXTGEN_LANE_FAILED] = "a lane stopped before its length",
        [-TEXTGEN_TOO_LARGE] = "the model exceeds this library's limits",
        [-TEXTGEN_NEWER_FORMAT] = "the model file or the saved stream needs a newer version of this library",
        [-TEXTGEN_DAMAGED_SAVED] = "the saved stream is damaged, or is of another model or constraint",
        [-TEXTGEN_NO_TOKEN] = "no token is allowed",
    };
    const int32_t count = sizeof texts / sizeof *texts;
    return code <= 0 && code > -count ? texts[-code] : "unknown code";
}

/* Write the names of the instruction sets that this processor supports, best first. */
static void list_kernels(char *buffer, size_t size) {
    const textgen_kernels *available[TEXTGEN_MAX_KERNELS];
    const int count = textgen_available_kernels(available);
    size_t written = 0;
    for (int i = 0; i < count && written < size; i++) {
        written +=
            (size_t)snprintf(buffer + written, size - written, "%s%s", i ? ", " : "", available[i]->name);
    }
}

static int32_t choose_kernels(const textgen_model_options *options, const textgen_kernels **kernels,
                              textgen_error *error) {
    char quoted[TEXTGEN_QUOTE_SIZE], names[64];
    *kernels = textgen_find_kernels(options->kernels);
    if (*kernels) {
        return TEXTGEN_OK;
    }
    list_kernels(names, sizeof names);
    return textgen_fail(error, TEXTGEN_INVALID_ARGUMENT, "kernels must be one of %s on this processor, not %s",
                        names, textgen_quote(textgen_view_of(options->kernels), quoted));
}

/* Copy the tables of the file that the model needs after the file's own are freed. */
static int32_t copy_tables(textgen_model *model, const textgen_onnx *file,
                           const textgen_description *description, textgen_error *error) {
    model->layers = textgen_allocate(file->arena, description->layer_count, sizeof *model->layers);
    model->properties = textgen_allocate(file->arena, file->property_count + 1, sizeof *model->properties);
    if (!model->layers || !model->properties) {
        return textgen_out_of_memory(error);
    }
    model->layer_count = description->layer_count;
    for (size_t i = 0; i < description->layer_count; i++) {
        model->layers[i].kind = description->layers[i].kind;
        model->layers[i].inputs = description->layers[i].inputs;
        model->layers[i].outputs = description->layers[i].outputs;
    }
    model->property_count = file->property_count;
    for (size_t i = 0; i < file->property_count; i++) {
        model->properties[i] = file->properties[i];
    }
    model->parameters = file->parameters - description->scales;
    return TEXTGEN_OK;
}

static int32_t fill_model(textgen_model *model, const textgen_onnx *file, textgen_description *description,
                          const textgen_kernels *kernels, textgen_error *error) {
    TEXTGEN_TRY(textgen_format_check(file, error));
    TEXTGEN_TRY(textgen_model_match(file, description, error));
    TEXTGEN_TRY(textgen_vocabulary_create(file, description->vocabulary, &model->vocabulary, error));
    TEXTGEN_TRY(
        textgen_network_create(description, kernels, model->vocabulary->special, &model->network, error));
    model->shape =
        textgen_network_shape(model->network, model->vocabulary->symbols.level == TEXTGEN_BYTE_LEVEL);
    return copy_tables(model, file, description, error);
}

int32_t textgen_model_read(textgen_model *model, textgen_view content, const textgen_kernels *kernels,
                           textgen_error *error) {
    textgen_onnx file = {.arena = &model->arena};
    model->content = content;
    TEXTGEN_TRY(textgen_onnx_read(content, &file, error));
    textgen_description *description = textgen_allocate(&model->arena, 1, sizeof *description);
    const int32_t result =
        description ? fill_model(model, &file, description, kernels, error) : textgen_out_of_memory(error);
    textgen_release(description);
    textgen_onnx_free(&file);
    return result;
}

/* Messages about a file do not name it, because the Python runtime adds the path. Here they get a prefix. */
static int32_t read_file(textgen_model *model, textgen_view content, const textgen_kernels *kernels,
                         textgen_error *error) {
    char text[TEXTGEN_MESSAGE_SIZE];
    textgen_error message = {text, sizeof text};
    const int32_t result = textgen_model_read(model, content, kernels, &message);
    if (result == TEXTGEN_OUT_OF_MEMORY && model->arena.memory) {
        return textgen_too_small(&model->arena, error);
    }
    if (result < 0) {
        textgen_fail(error, result, result == TEXTGEN_OUT_OF_MEMORY ? "%s" : "model file: %s", text);
    }
    return result;
}

int32_t textgen_model_create(const void *data, size_t size, const textgen_model_options *options,
                             textgen_model **model, char *error, size_t error_size) {
    textgen_error message = {error, error_size};
    textgen_model_options known = {0};
    textgen_arena arena = {NULL, 0, 0, 0};
    const textgen_kernels *kernels;
    void *place;
    TEXTGEN_TRY(textgen_check_data(data, size, "data", "size", &message));
    TEXTGEN_TRY(textgen_check_pointer(model, "model", &message));
    if (options) {
        TEXTGEN_TRY(textgen_read_struct(options, TEXTGEN_FIELDS_END(textgen_model_options, kernels), &known,
                                        sizeof known, "textgen_model_options", &message));
    }
    TEXTGEN_TRY(choose_kernels(&known, &kernels, &message));
    arena.memory = known.memory;
    arena.size = known.memory_size;
    TEXTGEN_TRY(textgen_find_place(&arena, sizeof **model, "model", &place, &message));
    textgen_model *created = place;
    created->arena = arena;
    const int32_t result = read_file(created, (textgen_view){data, size}, kernels, &message);
    if (result < 0) {
        textgen_model_destroy(created);
    } else {
        *model = created;
    }
    return result;
}

void textgen_model_destroy(textgen_model *model) {
    if (!model) {
        return;
    }
    if (model->network) {
        textgen_network_destroy(model->network);
    }
    if (model->vocabulary) {
        textgen_vocabulary_destroy(model->vocabulary);
    }
    textgen_release(model->layers);
    textgen_release(model->properties);
    if (!model->arena.memory) {
        textgen_release(model);
    }
}

textgen_model_info textgen_model_describe(const textgen_model *model) {
    const textgen_vocabulary *vocabulary = model->vocabulary;
    textgen_model_info info = {0};
    info.vocabulary = model->network->vocabulary;
    info.layers = model->layer_count;
    info.parameters = (size_t)model->parameters;
    info.bits = (size_t)model->network->bits;
    info.symbol_bytes = vocabulary->symbols.longest;
    info.lowercase = vocabulary->lowercase;
    info.unicode = vocabulary->unicode;
    info.kernels = model->network->kernels->name;
    info.unknown = vocabulary->special.unknown >= 0;
    info.level = textgen_level_names[vocabulary->symbols.level];
    info.records = vocabulary->records;
    info.memory = model->arena.peak;
    return info;
}

int32_t textgen_model_get_info(const textgen_model *model, textgen_model_info *info, char *error,
                               size_t error_size) {
    textgen_error message = {error, error_size};
    TEXTGEN_TRY(textgen_check_pointer(model, "model", &message));
    TEXTGEN_TRY(textgen_check_pointer(info, "info", &message));
    textgen_model_info known = textgen_model_describe(model);
    return textgen_write_struct(info, TEXTGEN_FIELDS_END(textgen_model_info, unknown), &known, sizeof known,
                                "textgen_model_info", &message);
}

textgen_layer_info textgen_layer_describe(const textgen_model *model, size_t index) {
    textgen_layer_info layer = {0};
    layer.kind = textgen_layer_kind_name(model->layers[index].kind);
    layer.inputs = model->layers[index].inputs;
    layer.outputs = model->layers[index].outputs;
    return layer;
}

int32_t textgen_model_get_layer(const textgen_model *model, size_t index, textgen_layer_info *layer,
                                char *error, size_t error_size) {
    textgen_error message = {error, error_size};
    TEXTGEN_TRY(textgen_check_pointer(model, "model", &message));
    TEXTGEN_TRY(textgen_check_pointer(layer, "layer", &message));
    if (index >= model->layer_count) {
        return textgen_fail(&message, TEXTGEN_INVALID_ARGUMENT,
                            "layer index %zu is out of range: the model has %zu layers", index,
                            model->layer_count);
    }
    textgen_layer_info known = textgen_layer_describe(model, index);
    return textgen_write_struct(layer, TEXTGEN_FIELDS_END(textgen_layer_info, outputs), &known, sizeof known,
                                "textgen_layer_info", &message);
}

const char *textgen_model_get_metadata(const textgen_model *model, const char *key, size_t *size) {
    textgen_view value = {NULL, 0};
    if (model && key) {
        textgen_onnx properties = {0};
        properties.properties = model->properties;
        properties.property_count = model->property_count;
        value = textgen_onnx_property(&properties, key);
    }
    if (size) {
        *size = value.size;
    }
    return (const char *)value.data;
}
