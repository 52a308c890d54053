#include "handles.h"

#include <stdio.h>
#include <string.h>

/* All messages about a file are shorter. */
#define MESSAGE_SIZE 1024

/* The memory after the model keeps this alignment, if the caller's memory has it. */
#define MODEL_ALIGNMENT 64

int32_t textgen_version(void) { return TEXTGEN_VERSION; }

const char *textgen_code_text(int32_t code) {
    switch (code) {
    case TEXTGEN_OK:
        return "no error";
    case TEXTGEN_INVALID_ARGUMENT:
        return "an argument is invalid";
    case TEXTGEN_BUFFER_TOO_SMALL:
        return "a buffer is too small";
    case TEXTGEN_OUT_OF_MEMORY:
        return "not enough memory";
    case TEXTGEN_DAMAGED_MODEL:
        return "the model file is damaged, or is not a model file";
    case TEXTGEN_UNKNOWN_GRAPH:
        return "this library does not support the graph of the model file";
    case TEXTGEN_UNKNOWN_CHARACTER:
        return "a character of the text is not in the vocabulary";
    case TEXTGEN_INVALID_UTF8:
        return "the text is not valid UTF-8";
    case TEXTGEN_INVALID_LOGITS:
        return "the logits contain NaN or +infinity, or all are -infinity";
    case TEXTGEN_RNG_EXHAUSTED:
        return "the random stream is exhausted";
    case TEXTGEN_NO_PROMPT:
        return "the stream has no prompt";
    case TEXTGEN_LANE_FAILED:
        return "a lane stopped before its length";
    case TEXTGEN_TOO_LARGE:
        return "the model exceeds this library's limits";
    case TEXTGEN_NEWER_FORMAT:
        return "the model file or the saved stream needs a newer version of this library";
    case TEXTGEN_DAMAGED_SAVED:
        return "the saved stream is damaged, or is of another model or constraint";
    default:
        return "unknown code";
    }
}

/* Write the names of the instruction sets that this processor supports, best first. */
static void list_kernels(char *buffer, size_t size) {
    const textgen_kernels *available[TEXTGEN_MAX_KERNELS];
    const int count = textgen_available_kernels(available);
    size_t written = 0;
    int i;
    for (i = 0; i < count && written < size; i++) {
        written +=
            (size_t)snprintf(buffer + written, size - written, "%s%s", i ? ", " : "", available[i]->name);
    }
}

static int32_t choose_kernels(const textgen_model_options *options, const textgen_kernels **kernels,
                              const textgen_error *error) {
    *kernels = textgen_find_kernels(options->kernels);
    if (!*kernels) {
        char quoted[TEXTGEN_QUOTE_SIZE];
        char names[64];
        textgen_view name;
        name.data = (const unsigned char *)options->kernels;
        name.size = strlen(options->kernels);
        list_kernels(names, sizeof names);
        return textgen_fail(error, TEXTGEN_INVALID_ARGUMENT,
                            "kernels must be one of %s on this processor, not %s", names,
                            textgen_quote(name, quoted));
    }
    return TEXTGEN_OK;
}

/* Copy the tables of the file that the model needs after the file's own are freed. */
static int32_t copy_tables(textgen_model *model, const textgen_onnx *file,
                           const textgen_description *description, const textgen_error *error) {
    size_t i;
    model->layers = textgen_allocate(file->arena, description->layer_count, sizeof *model->layers);
    model->properties = textgen_allocate(file->arena, file->property_count + 1, sizeof *model->properties);
    if (!model->layers || !model->properties) {
        return textgen_out_of_memory(error);
    }
    model->layer_count = description->layer_count;
    for (i = 0; i < description->layer_count; i++) {
        model->layers[i].kind = description->layers[i].kind;
        model->layers[i].inputs = description->layers[i].inputs;
        model->layers[i].outputs = description->layers[i].outputs;
    }
    model->property_count = file->property_count;
    for (i = 0; i < file->property_count; i++) {
        model->properties[i] = file->properties[i];
    }
    model->parameters = file->parameters - description->scales;
    return TEXTGEN_OK;
}

static int32_t fill_model(textgen_model *model, const textgen_onnx *file, textgen_description *description,
                          const textgen_kernels *kernels, const textgen_error *error) {
    int32_t result = textgen_format_check(file, error);
    if (result == TEXTGEN_OK) {
        result = textgen_model_match(file, description, error);
    }
    if (result == TEXTGEN_OK) {
        result = textgen_vocabulary_create(file, description->vocabulary, &model->vocabulary, error);
    }
    if (result == TEXTGEN_OK) {
        result = textgen_network_create(description, kernels, *textgen_vocabulary_special(model->vocabulary),
                                        &model->network, error);
    }
    if (result == TEXTGEN_OK) {
        model->shape = textgen_network_shape(model->network, textgen_vocabulary_is_bytes(model->vocabulary));
        result = copy_tables(model, file, description, error);
    }
    return result;
}

int32_t textgen_model_read(textgen_model *model, textgen_view content, const textgen_kernels *kernels,
                           const textgen_error *error) {
    textgen_onnx file = {.arena = &model->arena};
    textgen_description *description;
    int32_t result = textgen_onnx_read(content, &file, error);
    model->content = content;
    if (result < 0) {
        return result;
    }
    description = textgen_allocate(&model->arena, 1, sizeof *description);
    result = description ? fill_model(model, &file, description, kernels, error) : textgen_out_of_memory(error);
    textgen_release(description);
    textgen_onnx_free(&file);
    return result;
}

static int32_t too_small(const textgen_arena *arena, const textgen_error *error) {
    return textgen_fail(error, TEXTGEN_BUFFER_TOO_SMALL, "memory has %zu bytes; %zu or more are needed",
                        arena->size, arena->peak);
}

/* Messages about a file do not name it, because the Python runtime adds the path. Here they get a prefix. */
static int32_t read_file(textgen_model *model, textgen_view content, const textgen_kernels *kernels,
                         const textgen_error *error) {
    char text[MESSAGE_SIZE];
    const textgen_error message = {text, sizeof text};
    const int32_t result = textgen_model_read(model, content, kernels, &message);
    if (result == TEXTGEN_OUT_OF_MEMORY && model->arena.memory) {
        return too_small(&model->arena, error);
    }
    if (result < 0) {
        textgen_fail(error, result, result == TEXTGEN_OUT_OF_MEMORY ? "%s" : "model file: %s", text);
    }
    return result;
}

/* Create an empty model, on the heap or at the start of the caller's memory. */
static int32_t allocate_model(const textgen_model_options *options, textgen_model **model,
                              const textgen_error *error) {
    const size_t bytes = (sizeof **model + MODEL_ALIGNMENT - 1) / MODEL_ALIGNMENT * MODEL_ALIGNMENT;
    const textgen_arena arena = {options->memory, options->memory_size, bytes, bytes};
    if (!arena.memory) {
        *model = textgen_allocate(NULL, 1, sizeof **model);
        if (!*model) {
            return textgen_out_of_memory(error);
        }
    } else if ((uintptr_t)arena.memory % TEXTGEN_CALLER_ALIGNMENT) {
        return textgen_fail(error, TEXTGEN_INVALID_ARGUMENT, "memory is not aligned to %d bytes",
                            (int)TEXTGEN_CALLER_ALIGNMENT);
    } else if (arena.size < bytes) {
        return too_small(&arena, error);
    } else {
        *model = (void *)arena.memory;
        memset(*model, 0, sizeof **model);
    }
    (*model)->arena = arena;
    return TEXTGEN_OK;
}

int32_t textgen_model_create(const void *data, size_t size, const textgen_model_options *options,
                             textgen_model **model, char *error, size_t error_size) {
    const textgen_error message = {error, error_size};
    const textgen_kernels *kernels = NULL;
    textgen_model_options known = {0};
    textgen_view content;
    textgen_model *created = NULL;
    int32_t result = TEXTGEN_OK;
    if (!data || !model) {
        return textgen_fail(&message, TEXTGEN_INVALID_ARGUMENT, "%s is NULL", data ? "model" : "data");
    }
    if (size > (size_t)PTRDIFF_MAX) {
        return textgen_fail(&message, TEXTGEN_INVALID_ARGUMENT, "size is %zu, which is larger than any buffer",
                            size);
    }
    if (options) {
        result = textgen_read_struct(options, TEXTGEN_FIELDS_END(textgen_model_options, kernels), &known,
                                     sizeof known, "textgen_model_options", &message);
    }
    if (result == TEXTGEN_OK) {
        result = choose_kernels(&known, &kernels, &message);
    }
    if (result == TEXTGEN_OK) {
        result = allocate_model(&known, &created, &message);
    }
    if (result < 0) {
        return result;
    }
    content.data = data;
    content.size = size;
    result = read_file(created, content, kernels, &message);
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
    textgen_model_info info = {0};
    info.vocabulary = model->network->vocabulary;
    info.layers = model->layer_count;
    info.parameters = (size_t)model->parameters;
    info.bits = (size_t)model->network->bits;
    info.symbol_bytes = textgen_vocabulary_symbol_bytes(model->vocabulary);
    info.lowercase = textgen_vocabulary_lowercase(model->vocabulary);
    info.unicode = textgen_vocabulary_unicode(model->vocabulary);
    info.kernels = model->network->kernels->name;
    info.unknown = textgen_vocabulary_special(model->vocabulary)->unknown >= 0;
    info.level = textgen_vocabulary_level(model->vocabulary);
    info.records = textgen_vocabulary_records(model->vocabulary);
    info.memory = model->arena.peak;
    return info;
}

int32_t textgen_model_get_info(const textgen_model *model, textgen_model_info *info, char *error,
                               size_t error_size) {
    const textgen_error message = {error, error_size};
    textgen_model_info known;
    if (!model || !info) {
        return textgen_fail(&message, TEXTGEN_INVALID_ARGUMENT, "%s is NULL", model ? "info" : "model");
    }
    known = textgen_model_describe(model);
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
    const textgen_error message = {error, error_size};
    textgen_layer_info known;
    if (!model || !layer) {
        return textgen_fail(&message, TEXTGEN_INVALID_ARGUMENT, "%s is NULL", model ? "layer" : "model");
    }
    if (index >= model->layer_count) {
        return textgen_fail(&message, TEXTGEN_INVALID_ARGUMENT,
                            "layer index %zu is out of range: the model has %zu layers", index,
                            model->layer_count);
    }
    known = textgen_layer_describe(model, index);
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
