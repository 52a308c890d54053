#include "onnx_reader.h"

#include "onnx_parts.h"

#include <stdlib.h>
#include <string.h>

/* How many entries of each kind there are in the file, and where its graph is. */
typedef struct {
    textgen_view graph;
    size_t nodes, tensors, inputs, outputs, properties, names;
} layout;

static int32_t read_opset(const textgen_source *source, const textgen_field *opset, textgen_onnx *file) {
    textgen_wire wire;
    textgen_field field;
    int64_t version = 0;
    textgen_view domain = {NULL, 0};
    int32_t code = textgen_source_enter(source, opset, &wire);
    while (textgen_source_next(source, &wire, &field, &code)) {
        code = field.number == 1   ? textgen_source_text(source, &field, &domain)
               : field.number == 2 ? textgen_source_int64(source, &field, &version)
                                   : TEXTGEN_OK;
    }
    if (file->opset_count++ == 0) {
        file->opset_version = version;
        file->opset_domain = domain;
    }
    return code;
}

static int32_t count_graph(const textgen_source *source, textgen_onnx *file, layout *found) {
    textgen_wire wire = textgen_wire_of(found->graph);
    textgen_field field;
    textgen_view name;
    int32_t code = TEXTGEN_OK;
    while (textgen_source_next(source, &wire, &field, &code)) {
        size_t inputs = 0;
        size_t outputs = 0;
        switch (field.number) {
        case 1:
            if (found->nodes++ < TEXTGEN_MAX_NODES) {
                code = textgen_count_names(source, &field, &inputs, &outputs);
                found->names += inputs + outputs;
            }
            break;
        case 2:
            code = textgen_source_text(source, &field, &name);
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

static int32_t count_model(const textgen_source *source, textgen_view content, textgen_onnx *file,
                           layout *found) {
    textgen_wire wire = textgen_wire_of(content);
    textgen_field field;
    int64_t version;
    char counted[TEXTGEN_COUNTED];
    int32_t code = TEXTGEN_OK;
    while (textgen_source_next(source, &wire, &field, &code)) {
        switch (field.number) {
        case 1:
            code = textgen_source_int64(source, &field, &version);
            break;
        case 7:
            code = textgen_source_message(source, &field, &found->graph);
            break;
        case 8:
            code = read_opset(source, &field, file);
            break;
        case 14:
            if (++found->properties > TEXTGEN_MAX_PROPERTIES) {
                code = textgen_fail(source->error, TEXTGEN_TOO_LARGE, "it has more than %s metadata entries",
                                    textgen_count(TEXTGEN_MAX_PROPERTIES, counted));
            }
            break;
        default:
            break;
        }
    }
    return code != TEXTGEN_OK ? code : count_graph(source, file, found);
}

static size_t limit(size_t count, size_t most, const char *what, textgen_onnx *file) {
    if (count <= most) {
        return count;
    }
    file->beyond_limits = what;
    return most;
}

/* A table of zeros; one of no entries is no failure. */
static void *allocate(size_t count, size_t size, bool *failed) {
    void *table = count == 0 ? NULL : calloc(count, size);
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
    file->nodes = allocate(found->nodes, sizeof(*file->nodes), &failed);
    file->tensors = allocate(found->tensors, sizeof(*file->tensors), &failed);
    file->inputs = allocate(found->inputs, sizeof(*file->inputs), &failed);
    file->outputs = allocate(found->outputs, sizeof(*file->outputs), &failed);
    file->properties = allocate(found->properties, sizeof(*file->properties), &failed);
    file->names = allocate(found->names, sizeof(*file->names), &failed);
    return !failed;
}

/* Read a node, whose names come behind the `*used` ones of the nodes before it. If there is no room for them,
 * the node is left out, and so is every one that follows. */
static int32_t add_node(const textgen_source *source, const textgen_field *field, textgen_onnx *file,
                        layout *found, size_t *used) {
    size_t inputs;
    size_t outputs;
    if (file->node_count == found->nodes) {
        return TEXTGEN_OK;
    }
    const int32_t code = textgen_count_names(source, field, &inputs, &outputs);
    if (code != TEXTGEN_OK) {
        return code;
    }
    if (inputs > found->names - *used || outputs > found->names - *used - inputs) {
        found->nodes = file->node_count;
        return TEXTGEN_OK;
    }
    textgen_view *names = file->names == NULL ? NULL : file->names + *used;
    *used += inputs + outputs;
    return textgen_read_node(source, field, names, inputs, &file->nodes[file->node_count++]);
}

static int32_t fill_graph(const textgen_source *source, textgen_onnx *file, layout *found) {
    textgen_wire wire = textgen_wire_of(found->graph);
    textgen_field field;
    size_t used = 0;
    int32_t code = TEXTGEN_OK;
    while (textgen_source_next(source, &wire, &field, &code)) {
        if (field.number == 1) {
            code = add_node(source, &field, file, found, &used);
        } else if (field.number == 5 && file->tensor_count < found->tensors) {
            textgen_tensor *tensor = &file->tensors[file->tensor_count++];
            code = textgen_read_tensor(source, &field, tensor);
            if (tensor->type == TEXTGEN_ONNX_FLOAT) {
                file->parameters += tensor->raw.size / 4 + tensor->floats.size / 4;
            }
        } else if (field.number == 11 && file->input_count < found->inputs) {
            code = textgen_read_value(source, &field, &file->inputs[file->input_count++]);
        } else if (field.number == 12 && file->output_count < found->outputs) {
            code = textgen_read_value(source, &field, &file->outputs[file->output_count++]);
        }
    }
    return code;
}

static int32_t fill_properties(const textgen_source *source, textgen_view content, textgen_onnx *file) {
    textgen_wire wire = textgen_wire_of(content);
    textgen_field field;
    int32_t code = TEXTGEN_OK;
    while (textgen_source_next(source, &wire, &field, &code)) {
        if (field.number == 14) {
            code = textgen_read_property(source, &field, &file->properties[file->property_count++]);
        }
    }
    return code;
}

int32_t textgen_onnx_read(textgen_view content, textgen_onnx *file, const textgen_error *error) {
    const char *beyond_limits = NULL;
    size_t fields = 0;
    const textgen_source source = {content.data, error, &beyond_limits, &fields};
    layout found = {{NULL, 0}, 0, 0, 0, 0, 0, 0};
    memset(file, 0, sizeof(*file));
    if (content.size == 0) {
        return textgen_fail(error, TEXTGEN_DAMAGED_MODEL, "it is empty");
    }
    int32_t code = count_model(&source, content, file, &found);
    if (code != TEXTGEN_OK) {
        return code;
    }
    if (!allocate_tables(file, &found)) {
        code = textgen_out_of_memory(error);
    }
    if (code == TEXTGEN_OK) {
        code = fill_graph(&source, file, &found);
    }
    if (code == TEXTGEN_OK) {
        code = fill_properties(&source, content, file);
    }
    if (code != TEXTGEN_OK) {
        textgen_onnx_free(file);
    } else if (beyond_limits != NULL) {
        file->beyond_limits = beyond_limits;
    }
    return code;
}

void textgen_onnx_free(textgen_onnx *file) {
    free(file->nodes);
    free(file->tensors);
    free(file->inputs);
    free(file->outputs);
    free(file->properties);
    free(file->names);
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
