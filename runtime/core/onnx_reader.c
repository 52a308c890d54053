/* See onnx_reader.h for the files of the reader, and for how to add a second file format. */
#include "onnx_reader.h"

#include "onnx_messages.h"

#include <string.h>

/* The number of entries of each kind in the file, and its graph. */
typedef struct {
    textgen_view graph;
    size_t nodes, tensors, inputs, outputs, properties, names;
} layout;

static void read_opset(textgen_reader *reader, const textgen_field *opset, textgen_onnx *file) {
    textgen_wire wire = textgen_reader_enter(reader, opset);
    textgen_field field;
    int64_t version = 0;
    textgen_view domain = {NULL, 0};
    while (textgen_reader_next(reader, &wire, &field)) {
        if (field.number == 1) {
            textgen_reader_text(reader, &field, &domain);
        } else if (field.number == 2) {
            textgen_reader_int64(reader, &field, &version);
        }
    }
    if (file->opset_count++ == 0) {
        file->opset_version = version;
        file->opset_domain = domain;
    }
}

static void count_graph(textgen_reader *reader, textgen_onnx *file, layout *found) {
    textgen_wire wire = textgen_wire_of(found->graph);
    textgen_field field;
    textgen_view name;
    while (textgen_reader_next(reader, &wire, &field)) {
        size_t inputs = 0, outputs = 0;
        switch (field.number) {
        case 1:
            if (found->nodes++ < TEXTGEN_MAX_NODES) {
                textgen_count_names(reader, &field, &inputs, &outputs);
                found->names += inputs + outputs;
            }
            break;
        case 2:
            textgen_reader_text(reader, &field, &name);
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
        }
    }
}

static void count_model(textgen_reader *reader, textgen_view content, textgen_onnx *file, layout *found) {
    textgen_wire wire = textgen_wire_of(content);
    textgen_field field;
    int64_t version;
    char formatted[TEXTGEN_NUMBER_SIZE];
    while (textgen_reader_next(reader, &wire, &field)) {
        switch (field.number) {
        case 1:
            textgen_reader_int64(reader, &field, &version);
            break;
        case 7:
            textgen_reader_message(reader, &field, &found->graph);
            break;
        case 8:
            read_opset(reader, &field, file);
            break;
        case 14:
            if (++found->properties > TEXTGEN_MAX_PROPERTIES) {
                reader->code =
                    textgen_fail(reader->error, TEXTGEN_TOO_LARGE, "the file has more than %s metadata entries",
                                 textgen_format_number(TEXTGEN_MAX_PROPERTIES, formatted));
            }
        }
    }
    count_graph(reader, file, found);
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
    *failed = *failed || (count > 0 && !table);
    return table;
}

static bool allocate_tables(textgen_onnx *file, layout *found) {
    bool failed = false;
    found->nodes = limit(found->nodes, TEXTGEN_MAX_NODES, "4,096 nodes", file);
    found->tensors = limit(found->tensors, TEXTGEN_MAX_TENSORS, "4,096 weights", file);
    found->inputs = limit(found->inputs, TEXTGEN_MAX_VALUES, "64 inputs", file);
    found->outputs = limit(found->outputs, TEXTGEN_MAX_VALUES, "64 outputs", file);
    found->names = limit(found->names, TEXTGEN_MAX_NAMES, "32,768 inputs and outputs of nodes", file);
    file->nodes = allocate(file->arena, found->nodes, sizeof *file->nodes, &failed);
    file->tensors = allocate(file->arena, found->tensors, sizeof *file->tensors, &failed);
    file->inputs = allocate(file->arena, found->inputs, sizeof *file->inputs, &failed);
    file->outputs = allocate(file->arena, found->outputs, sizeof *file->outputs, &failed);
    file->properties = allocate(file->arena, found->properties, sizeof *file->properties, &failed);
    file->names = allocate(file->arena, found->names, sizeof *file->names, &failed);
    return !failed;
}

/* Read a node. Its names follow the `*used` names of the nodes before it. If they do not fit, skip this node
 * and all later ones. */
static void add_node(textgen_reader *reader, const textgen_field *field, textgen_onnx *file, layout *found,
                     size_t *used) {
    size_t inputs, outputs;
    if (file->node_count == found->nodes) {
        return;
    }
    textgen_count_names(reader, field, &inputs, &outputs);
    if (inputs > found->names - *used || outputs > found->names - *used - inputs) {
        found->nodes = file->node_count;
        return;
    }
    textgen_view *names = file->names ? file->names + *used : NULL;
    *used += inputs + outputs;
    textgen_read_node(reader, field, names, inputs, &file->nodes[file->node_count++]);
}

static void fill_graph(textgen_reader *reader, textgen_onnx *file, layout *found) {
    textgen_wire wire = textgen_wire_of(found->graph);
    textgen_field field;
    size_t used = 0;
    while (textgen_reader_next(reader, &wire, &field)) {
        if (field.number == 1) {
            add_node(reader, &field, file, found, &used);
        } else if (field.number == 5 && file->tensor_count < found->tensors) {
            textgen_tensor *tensor = &file->tensors[file->tensor_count++];
            textgen_read_tensor(reader, &field, tensor);
            if (tensor->type == TEXTGEN_ONNX_FLOAT) {
                file->parameters += tensor->raw.size / 4 + tensor->floats.size / 4;
            } else if (tensor->type == TEXTGEN_ONNX_INT8) {
                file->parameters += tensor->raw.size;
            }
        } else if (field.number == 11 && file->input_count < found->inputs) {
            textgen_read_value(reader, &field, &file->inputs[file->input_count++]);
        } else if (field.number == 12 && file->output_count < found->outputs) {
            textgen_read_value(reader, &field, &file->outputs[file->output_count++]);
        }
    }
}

static void fill_properties(textgen_reader *reader, textgen_view content, textgen_onnx *file) {
    textgen_wire wire = textgen_wire_of(content);
    textgen_field field;
    while (textgen_reader_next(reader, &wire, &field)) {
        if (field.number == 14) {
            textgen_read_property(reader, &field, &file->properties[file->property_count++]);
        }
    }
}

int32_t textgen_onnx_read(textgen_view content, textgen_onnx *file, textgen_error *error) {
    textgen_reader reader = {.start = content.data, .error = error};
    layout found = {{NULL, 0}, 0, 0, 0, 0, 0, 0};
    textgen_arena *arena = file->arena;
    memset(file, 0, sizeof *file);
    file->arena = arena;
    if (content.size == 0) {
        return textgen_fail(error, TEXTGEN_DAMAGED_MODEL, "the file is empty: copy or export it again");
    }
    count_model(&reader, content, file, &found);
    TEXTGEN_TRY(reader.code);
    if (!allocate_tables(file, &found)) {
        reader.code = textgen_out_of_memory(error);
    }
    fill_graph(&reader, file, &found);
    fill_properties(&reader, content, file);
    if (reader.code != TEXTGEN_OK) {
        textgen_onnx_free(file);
    } else if (reader.exceeded_limit) {
        file->exceeded_limit = reader.exceeded_limit;
    }
    return reader.code;
}

void textgen_onnx_free(textgen_onnx *file) {
    textgen_release(file->nodes);
    textgen_release(file->tensors);
    textgen_release(file->inputs);
    textgen_release(file->outputs);
    textgen_release(file->properties);
    textgen_release(file->names);
    memset(file, 0, sizeof *file);
}

textgen_view textgen_onnx_property(const textgen_onnx *file, const char *key) {
    for (size_t i = file->property_count; i > 0; i--) {
        if (textgen_view_is(file->properties[i - 1].key, key)) {
            return file->properties[i - 1].value;
        }
    }
    return (textgen_view){NULL, 0};
}
