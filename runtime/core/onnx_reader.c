/* See onnx_reader.h for the files of the reader, and for how to add a second file format. */
#include "onnx_reader.h"

#include "onnx_parts.h"

#include <string.h>

/* The number of entries of each kind in the file, and its graph. */
typedef struct {
    textgen_view graph;
    size_t nodes, tensors, inputs, outputs, properties, names;
} layout;

static int32_t read_opset(const textgen_reader *reader, const textgen_field *opset, textgen_onnx *file) {
    textgen_wire wire;
    textgen_field field;
    int64_t version = 0;
    textgen_view domain = {NULL, 0};
    int32_t code = textgen_reader_enter(reader, opset, &wire);
    while (textgen_reader_next(reader, &wire, &field, &code)) {
        code = field.number == 1   ? textgen_reader_text(reader, &field, &domain)
               : field.number == 2 ? textgen_reader_int64(reader, &field, &version)
                                   : TEXTGEN_OK;
    }
    if (file->opset_count++ == 0) {
        file->opset_version = version;
        file->opset_domain = domain;
    }
    return code;
}

static int32_t count_graph(const textgen_reader *reader, textgen_onnx *file, layout *found) {
    textgen_wire wire = textgen_wire_of(found->graph);
    textgen_field field;
    textgen_view name;
    int32_t code = TEXTGEN_OK;
    while (textgen_reader_next(reader, &wire, &field, &code)) {
        size_t inputs = 0;
        size_t outputs = 0;
        switch (field.number) {
        case 1:
            if (found->nodes++ < TEXTGEN_MAX_NODES) {
                code = textgen_count_names(reader, &field, &inputs, &outputs);
                found->names += inputs + outputs;
            }
            break;
        case 2:
            code = textgen_reader_text(reader, &field, &name);
            break;
        case 5:
            found->tensors++;
            break;
        case 11:
            found->inputs++;
            break;
        case 12:
            found->outputs++;
            break;
        case 15:
            file->sparse = true;
            break;
        default:
            break;
        }
    }
    return code;
}

static int32_t count_model(const textgen_reader *reader, textgen_view content, textgen_onnx *file,
                           layout *found) {
    textgen_wire wire = textgen_wire_of(content);
    textgen_field field;
    int64_t version;
    char formatted[TEXTGEN_NUMBER_SIZE];
    int32_t code = TEXTGEN_OK;
    while (textgen_reader_next(reader, &wire, &field, &code)) {
        switch (field.number) {
        case 1:
            code = textgen_reader_int64(reader, &field, &version);
            break;
        case 7:
            code = textgen_reader_message(reader, &field, &found->graph);
            break;
        case 8:
            code = read_opset(reader, &field, file);
            break;
        case 14:
            if (++found->properties > TEXTGEN_MAX_PROPERTIES) {
                code =
                    textgen_fail(reader->error, TEXTGEN_TOO_LARGE, "the file has more than %s metadata entries",
                                 textgen_format_number(TEXTGEN_MAX_PROPERTIES, formatted));
            }
            break;
        default:
            break;
        }
    }
    return code != TEXTGEN_OK ? code : count_graph(reader, file, found);
}

static size_t limit(size_t count, size_t maximum, const char *what, textgen_onnx *file) {
    if (count <= maximum) {
        return count;
    }
    file->exceeded_limit = what;
    return maximum;
}

/* Allocate a table of zeros. A table without entries is NULL, and not a failure. */
static void *allocate(textgen_arena *arena, size_t count, size_t size, bool *failed) {
    void *table = count == 0 ? NULL : textgen_allocate(arena, count, size);
    *failed = *failed || (count > 0 && table == NULL);
    return table;
}

static bool allocate_tables(textgen_onnx *file, layout *found) {
    bool failed = false;
    found->nodes = limit(found->nodes, TEXTGEN_MAX_NODES, "4,096 nodes", file);
    found->tensors = limit(found->tensors, TEXTGEN_MAX_TENSORS, "4,096 weights", file);
    found->inputs = limit(found->inputs, TEXTGEN_MAX_VALUES, "64 inputs", file);
    found->outputs = limit(found->outputs, TEXTGEN_MAX_VALUES, "64 outputs", file);
    found->names = limit(found->names, TEXTGEN_MAX_NAMES, "32,768 inputs and outputs of nodes", file);
    file->nodes = allocate(file->arena, found->nodes, sizeof(*file->nodes), &failed);
    file->tensors = allocate(file->arena, found->tensors, sizeof(*file->tensors), &failed);
    file->inputs = allocate(file->arena, found->inputs, sizeof(*file->inputs), &failed);
    file->outputs = allocate(file->arena, found->outputs, sizeof(*file->outputs), &failed);
    file->properties = allocate(file->arena, found->properties, sizeof(*file->properties), &failed);
    file->names = allocate(file->arena, found->names, sizeof(*file->names), &failed);
    return !failed;
}

/* Read a node. Its names follow the `*used` names of the nodes before it. If they do not fit, skip this node
 * and all later ones. */
static int32_t add_node(const textgen_reader *reader, const textgen_field *field, textgen_onnx *file,
                        layout *found, size_t *used) {
    size_t inputs;
    size_t outputs;
    if (file->node_count == found->nodes) {
        return TEXTGEN_OK;
    }
    const int32_t code = textgen_count_names(reader, field, &inputs, &outputs);
    if (code != TEXTGEN_OK) {
        return code;
    }
    if (inputs > found->names - *used || outputs > found->names - *used - inputs) {
        found->nodes = file->node_count;
        return TEXTGEN_OK;
    }
    textgen_view *names = file->names == NULL ? NULL : file->names + *used;
    *used += inputs + outputs;
    return textgen_read_node(reader, field, names, inputs, &file->nodes[file->node_count++]);
}

static int32_t fill_graph(const textgen_reader *reader, textgen_onnx *file, layout *found) {
    textgen_wire wire = textgen_wire_of(found->graph);
    textgen_field field;
    size_t used = 0;
    int32_t code = TEXTGEN_OK;
    while (textgen_reader_next(reader, &wire, &field, &code)) {
        if (field.number == 1) {
            code = add_node(reader, &field, file, found, &used);
        } else if (field.number == 5 && file->tensor_count < found->tensors) {
            textgen_tensor *tensor = &file->tensors[file->tensor_count++];
            code = textgen_read_tensor(reader, &field, tensor);
            if (tensor->type == TEXTGEN_ONNX_FLOAT) {
                file->parameters += tensor->raw.size / 4 + tensor->floats.size / 4;
            } else if (tensor->type == TEXTGEN_ONNX_INT8) {
                file->parameters += tensor->raw.size;
            }
        } else if (field.number == 11 && file->input_count < found->inputs) {
            code = textgen_read_value(reader, &field, &file->inputs[file->input_count++]);
        } else if (field.number == 12 && file->output_count < found->outputs) {
            code = textgen_read_value(reader, &field, &file->outputs[file->output_count++]);
        }
    }
    return code;
}

static int32_t fill_properties(const textgen_reader *reader, textgen_view content, textgen_onnx *file) {
    textgen_wire wire = textgen_wire_of(content);
    textgen_field field;
    int32_t code = TEXTGEN_OK;
    while (textgen_reader_next(reader, &wire, &field, &code)) {
        if (field.number == 14) {
            code = textgen_read_property(reader, &field, &file->properties[file->property_count++]);
        }
    }
    return code;
}

int32_t textgen_onnx_read(textgen_view content, textgen_onnx *file, const textgen_error *error) {
    const char *exceeded_limit = NULL;
    size_t fields = 0;
    const textgen_reader reader = {content.data, error, &exceeded_limit, &fields};
    layout found = {{NULL, 0}, 0, 0, 0, 0, 0, 0};
    textgen_arena *arena = file->arena;
    memset(file, 0, sizeof(*file));
    file->arena = arena;
    if (content.size == 0) {
        return textgen_fail(error, TEXTGEN_DAMAGED_MODEL, "the file is empty");
    }
    int32_t code = count_model(&reader, content, file, &found);
    if (code != TEXTGEN_OK) {
        return code;
    }
    if (!allocate_tables(file, &found)) {
        code = textgen_out_of_memory(error);
    }
    if (code == TEXTGEN_OK) {
        code = fill_graph(&reader, file, &found);
    }
    if (code == TEXTGEN_OK) {
        code = fill_properties(&reader, content, file);
    }
    if (code != TEXTGEN_OK) {
        textgen_onnx_free(file);
    } else if (exceeded_limit != NULL) {
        file->exceeded_limit = exceeded_limit;
    }
    return code;
}

void textgen_onnx_free(textgen_onnx *file) {
    textgen_release(file->nodes);
    textgen_release(file->tensors);
    textgen_release(file->inputs);
    textgen_release(file->outputs);
    textgen_release(file->properties);
    textgen_release(file->names);
    memset(file, 0, sizeof(*file));
}

textgen_view textgen_onnx_property(const textgen_onnx *file, const char *key) {
    for (size_t i = file->property_count; i > 0; i--) {
        if (textgen_view_is(file->properties[i - 1].key, key)) {
            return file->properties[i - 1].value;
        }
    }
    return (textgen_view){NULL, 0};
}
