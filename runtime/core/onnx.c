#include "onnx.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

_Static_assert(sizeof(float) == 4, "weights are float32");

int32_t textgen_damaged(size_t offset, const char *part, textgen_view name, textgen_error *error) {
    char quoted[TEXTGEN_QUOTE_SIZE] = "", place[32] = "";
    if (name.size > 0) {
        textgen_quote(name, quoted);
    }
    if (offset != SIZE_MAX) {
        snprintf(place, sizeof place, " at byte %zu", offset);
    }
    return textgen_fail(error, TEXTGEN_DAMAGED_MODEL, "damaged%s: %s%s%s", place, part,
                        name.size > 0 ? " " : "", quoted);
}

/* Protobuf. The first error stays in the `code` of a reader, and ends every loop over fields. */
typedef struct {
    const textgen_onnx *file;
    textgen_error *error;
    int32_t code;
} reader;

typedef enum { VARINT = 0, FIXED_64 = 1, BYTES = 2, FIXED_32 = 5 } wire_type;

typedef struct {
    uint32_t number;
    wire_type type;
    uint64_t integer;           /* the value of a varint */
    textgen_view bytes;         /* the value of all other types */
    const unsigned char *start; /* the first byte of the field in the file */
} field;

static bool read_varint(textgen_view *rest, uint64_t *value) {
    *value = 0;
    for (unsigned shift = 0; shift < 64 && rest->size > 0; shift += 7) {
        const unsigned char byte = *rest->data++;
        rest->size--;
        *value |= (uint64_t)(byte & 0x7F) << shift;
        if (byte < 0x80) {
            /* Only one bit of the tenth byte fits into 64 bits. */
            return shift < 63 || byte <= 1;
        }
    }
    return false;
}

static int64_t as_signed(uint64_t value) {
    return value <= INT64_MAX ? (int64_t)value : -(int64_t)(UINT64_MAX - value) - 1;
}

static void fail(reader *from, const field *at, const char *part) {
    if (from->code == TEXTGEN_OK) {
        from->code = textgen_damaged((size_t)(at->start - from->file->content.data), part,
                                     (textgen_view){NULL, 0}, from->error);
    }
}

/* Read the next field of a message, and remove it. Return false at its end, or after an error. ONNX does not
 * use groups, so they count as damaged. */
static bool next_field(reader *from, textgen_view *message, field *read) {
    uint64_t tag = 0, size = 0;
    if (from->code != TEXTGEN_OK || message->size == 0) {
        return false;
    }
    read->start = message->data;
    read->integer = 0;
    bool valid = read_varint(message, &tag) && tag >> 3 > 0 && tag >> 3 < 1 << 29;
    read->number = (uint32_t)(tag >> 3);
    read->type = (wire_type)(tag & 7);
    if (read->type == VARINT) {
        valid = valid && read_varint(message, &read->integer);
    } else if (read->type == BYTES) {
        valid = valid && read_varint(message, &size);
    } else {
        valid = valid && (read->type == FIXED_64 || read->type == FIXED_32);
        size = read->type == FIXED_64 ? 8 : 4;
    }
    if (!valid || size > message->size) {
        fail(from, read, "a protobuf field");
        return false;
    }
    read->bytes = (textgen_view){message->data, (size_t)size};
    message->data += (size_t)size;
    message->size -= (size_t)size;
    return true;
}

/* The functions below return the value of a field. It is an error if the field has another type. */

static textgen_view get_bytes(reader *from, const field *read) {
    if (read->type != BYTES) {
        fail(from, read, "the type of a protobuf field");
        return (textgen_view){NULL, 0};
    }
    return read->bytes;
}

static textgen_view get_text(reader *from, const field *read) {
    const textgen_view text = get_bytes(from, read);
    if (!textgen_utf8_valid(text)) {
        fail(from, read, "a text");
    }
    return text;
}

static int64_t get_integer(reader *from, const field *read) {
    if (read->type != VARINT) {
        fail(from, read, "the type of a protobuf field");
    }
    return as_signed(read->integer);
}

/* A message that may occur only once, because protobuf would merge it. No program writes such a file. */
static void get_message(reader *from, const field *read, textgen_view *message) {
    if (message->data) {
        fail(from, read, "a part is repeated");
    }
    *message = get_bytes(from, read);
}

static void add_dimension(int64_t *shape, size_t *dimensions, int64_t size) {
    if (*dimensions < TEXTGEN_MAX_DIMENSIONS) {
        shape[*dimensions] = size;
    }
    ++*dimensions;
}

static void read_tensor(reader *from, const field *tensor, textgen_tensor *result) {
    textgen_view message = get_bytes(from, tensor);
    field part;
    uint64_t size;
    result->offset = (size_t)(tensor->start - from->file->content.data);
    while (next_field(from, &message, &part)) {
        switch (part.number) {
        case 1: /* dims, packed or single fields */
            if (part.type == VARINT) {
                add_dimension(result->shape, &result->dimensions, as_signed(part.integer));
            }
            while (part.type != VARINT && part.bytes.size > 0) {
                if (part.type != BYTES || !read_varint(&part.bytes, &size)) {
                    fail(from, &part, "a shape");
                    break;
                }
                add_dimension(result->shape, &result->dimensions, as_signed(size));
            }
            break;
        case 2: /* data_type */
            result->type = (int32_t)(get_integer(from, &part) & INT32_MAX);
            break;
        case 8:
            result->name = get_text(from, &part);
            break;
        case 9:
            result->raw = get_bytes(from, &part);
            break;
        case 12: /* doc_string */
            break;
        default: /* a segment, values of another field, or the place of another file */
            result->elsewhere = true;
        }
    }
}

/* Read a TensorShapeProto. */
static void read_shape(reader *from, textgen_view shape, textgen_value *result) {
    field dimension, part;
    while (next_field(from, &shape, &dimension)) {
        if (dimension.number == 1) {
            textgen_view message = get_bytes(from, &dimension);
            int64_t size = 0;
            while (next_field(from, &message, &part)) {
                /* A dimension is a number or a name; the last one counts. */
                if (part.number == 1) {
                    size = get_integer(from, &part);
                } else if (part.number == 2) {
                    (void)get_text(from, &part);
                    size = 0;
                }
            }
            add_dimension(result->shape, &result->dimensions, size);
        }
    }
}

static void read_value(reader *from, const field *value, textgen_value *result) {
    textgen_view message = get_bytes(from, value), type = {NULL, 0}, tensor = {NULL, 0}, shape = {NULL, 0};
    field part;
    while (next_field(from, &message, &part)) {
        if (part.number == 1) {
            result->name = get_text(from, &part);
        } else if (part.number == 2) {
            get_message(from, &part, &type);
        }
    }
    while (next_field(from, &type, &part)) {
        if (part.number == 1) {
            get_message(from, &part, &tensor);
        }
    }
    while (next_field(from, &tensor, &part)) {
        if (part.number == 1) {
            result->type = (int32_t)(get_integer(from, &part) & INT32_MAX);
        } else if (part.number == 2) {
            get_message(from, &part, &shape);
        }
    }
    read_shape(from, shape, result);
}

static void read_property(reader *from, const field *property, textgen_property *result) {
    textgen_view message = get_bytes(from, property);
    field part;
    /* A missing key or value is an empty text, which also points into the file. */
    result->key = result->value = (textgen_view){message.data, 0};
    while (next_field(from, &message, &part)) {
        if (part.number == 1) {
            result->key = get_text(from, &part);
        } else if (part.number == 2) {
            result->value = get_text(from, &part);
        }
    }
}

static bool is_model_opset(reader *from, const field *opset) {
    textgen_view message = get_bytes(from, opset), domain = {NULL, 0};
    int64_t version = 0;
    field part;
    while (next_field(from, &message, &part)) {
        if (part.number == 1) {
            domain = get_text(from, &part);
        } else if (part.number == 2) {
            version = get_integer(from, &part);
        }
    }
    return domain.size == 0 && version == TEXTGEN_OPSET;
}

/* Count the entries of a table, and allocate it. A table without entries is NULL. */
static void *make_table(reader *from, textgen_view message, uint32_t number, size_t limit, size_t size,
                        bool *too_large) {
    size_t count = 0;
    field part;
    while (next_field(from, &message, &part)) {
        count += part.number == number;
    }
    *too_large = *too_large || count > limit;
    count = count > limit ? limit : count;
    void *table = count == 0 ? NULL : textgen_allocate(from->file->arena, count, size);
    if (count > 0 && !table && from->code == TEXTGEN_OK) {
        from->code = textgen_out_of_memory(from->error);
    }
    return table;
}

/* Read the fields of the file, and find its graph. */
static void read_model(reader *from, textgen_onnx *file) {
    size_t opsets = 0, model_opsets = 0;
    bool too_large = false;
    textgen_view message = file->content;
    field part;
    file->properties =
        make_table(from, message, 14, TEXTGEN_MAX_PROPERTIES, sizeof *file->properties, &too_large);
    if (too_large && from->code == TEXTGEN_OK) {
        from->code = textgen_fail(from->error, TEXTGEN_TOO_LARGE, "the file has more than %d metadata entries",
                                  (int)TEXTGEN_MAX_PROPERTIES);
    }
    while (next_field(from, &message, &part)) {
        if (part.number == 1) {
            (void)get_integer(from, &part);
        } else if (part.number == 7) {
            get_message(from, &part, &file->graph);
        } else if (part.number == 8) {
            opsets++;
            model_opsets += is_model_opset(from, &part);
        } else if (part.number == 14) {
            read_property(from, &part, &file->properties[file->property_count++]);
        }
    }
    file->other_operators = opsets != 1 || model_opsets != 1;
}

static void read_graph(reader *from, textgen_onnx *file) {
    textgen_view message = file->graph;
    bool *too_large = &file->too_large;
    field part;
    file->tensors = make_table(from, message, 5, TEXTGEN_MAX_TENSORS, sizeof *file->tensors, too_large);
    file->names = make_table(from, message, 5, TEXTGEN_MAX_TENSORS, sizeof *file->names, too_large);
    file->inputs = make_table(from, message, 11, TEXTGEN_MAX_VALUES, sizeof *file->inputs, too_large);
    file->outputs = make_table(from, message, 12, TEXTGEN_MAX_VALUES, sizeof *file->outputs, too_large);
    while (next_field(from, &message, &part)) {
        if (part.number == 5 && file->tensor_count < TEXTGEN_MAX_TENSORS) {
            textgen_tensor *tensor = &file->tensors[file->tensor_count];
            read_tensor(from, &part, tensor);
            file->names[file->tensor_count] = (textgen_name){tensor->name, file->tensor_count};
            file->tensor_count++;
            file->parameters += tensor->type == TEXTGEN_ONNX_FLOAT  ? tensor->raw.size / 4
                                : tensor->type == TEXTGEN_ONNX_INT8 ? tensor->raw.size
                                                                    : 0;
        } else if (part.number == 11 && file->input_count < TEXTGEN_MAX_VALUES) {
            read_value(from, &part, &file->inputs[file->input_count++]);
        } else if (part.number == 12 && file->output_count < TEXTGEN_MAX_VALUES) {
            read_value(from, &part, &file->outputs[file->output_count++]);
        } else if (part.number == 15) {
            file->other_operators = true; /* sparse_initializer */
        }
    }
}

int32_t textgen_onnx_read(textgen_view content, textgen_onnx *file, textgen_error *error) {
    reader from = {file, error, TEXTGEN_OK};
    *file = (textgen_onnx){.content = content, .arena = file->arena};
    /* ONNX files begin with the field ir_version. */
    if (content.size == 0 || content.data[0] != 0x08) {
        return textgen_fail(error, TEXTGEN_DAMAGED_MODEL, "the file is not an ONNX model");
    }
    read_model(&from, file);
    read_graph(&from, file);
    if (from.code != TEXTGEN_OK) {
        textgen_onnx_free(file);
    }
    return from.code;
}

void textgen_onnx_free(textgen_onnx *file) {
    textgen_release(file->outputs);
    textgen_release(file->inputs);
    textgen_release(file->names);
    textgen_release(file->tensors);
    textgen_release(file->properties);
    *file = (textgen_onnx){.arena = NULL};
}

textgen_view textgen_onnx_property(const textgen_onnx *file, const char *key) {
    for (size_t i = file->property_count; i > 0; i--) {
        if (textgen_view_is(file->properties[i - 1].key, key)) {
            return file->properties[i - 1].value;
        }
    }
    return (textgen_view){NULL, 0};
}

/* The nodes of a model file in their order. In their names, these signs stand for a text:
 *   #  the number of the layer
 *   @  _# if there are several layers
 *   <  the input of the layer, or of the output layer
 *   *  a number for each layer: the name is a list
 *   -  no input
 * Steps for each layer that follow each other are repeated together. */
enum { INT8 = 1, SEVERAL_LAYERS = 2, EACH_LAYER = 4, RESIDUAL = 8 };

static const struct {
    int when;
    textgen_node node;
} steps[] = {
    {INT8,
     {"DequantizeLinear", "embedding_dequantize", "embedding_int8 embedding_scale", "embedding", "axis", 0, 0}},
    {INT8 | EACH_LAYER,
     {"DequantizeLinear", "input_#_dequantize", "input_#_int8 input_#_scale", "input_#", "axis", 1, 0}},
    {INT8 | EACH_LAYER,
     {"DequantizeLinear", "recurrent_#_dequantize", "recurrent_#_int8 recurrent_#_scale", "recurrent_#", "axis",
      1, 0}},
    {INT8,
     {"DequantizeLinear", "output_weights_dequantize", "output_weights_int8 output_weights_scale",
      "output_weights", "axis", 1, 0}},
    {0, {"Gather", "embed", "embedding token", "embedded", NULL, 0, 0}},
    {SEVERAL_LAYERS, {"Split", "split_hidden", "hidden", "hidden_*", "axis", 0, 0}},
    {SEVERAL_LAYERS, {"Split", "split_cell", "cell", "cell_*", "axis", 0, 0}},
    {EACH_LAYER,
     {"LSTM", "lstm_#", "< input_# recurrent_# bias_# - hidden@ cell@", "directions_# next_hidden@ next_cell@",
      "hidden_size", 0, 0}},
    {EACH_LAYER, {"Squeeze", "squeeze_#", "directions_# direction_axis", "output_#", NULL, 0, 0}},
    {EACH_LAYER | RESIDUAL, {"Add", "residual_#", "output_# <", "residual_#", NULL, 0, 0}},
    {0, {"MatMul", "output", "< output_weights", "scores", NULL, 0, 0}},
    {0, {"Add", "add_bias", "scores output_bias", "logits", NULL, 0, 0}},
    {SEVERAL_LAYERS, {"Concat", "join_hidden", "next_hidden_*", "next_hidden", "axis", 0, 0}},
    {SEVERAL_LAYERS, {"Concat", "join_cell", "next_cell_*", "next_cell", "axis", 0, 0}},
};

bool textgen_onnx_next_node(const textgen_sizes *sizes, textgen_place *place, textgen_node *node) {
    while (place->step < sizeof steps / sizeof *steps) {
        const int when = steps[place->step].when;
        *node = steps[place->step].node;
        node->layer = when & EACH_LAYER ? place->layer : sizes->layers;
        node->value = strcmp(node->type, "LSTM") == 0 ? (int64_t)sizes->units : node->value;
        if (when & EACH_LAYER && !(steps[place->step + 1].when & EACH_LAYER)) {
            const bool repeats = ++place->layer < sizes->layers;
            place->layer = repeats ? place->layer : 0;
            while (repeats && steps[place->step - 1].when & EACH_LAYER) {
                place->step--;
            }
            place->step += !repeats;
        } else {
            place->step++;
        }
        if ((!(when & INT8) || sizes->bits == 8) && (!(when & SEVERAL_LAYERS) || sizes->layers > 1) &&
            (!(when & RESIDUAL) || (sizes->residual && node->layer > 0))) {
            return true;
        }
    }
    return false;
}

/* Write a name up to its end or a space. index: for a list of layers. */
static size_t write_name(const textgen_sizes *sizes, const textgen_node *node, const char *pattern,
                         size_t index, char name[TEXTGEN_NAME_SIZE]) {
    size_t length = 0;
    for (; *pattern && *pattern != ' '; pattern++) {
        char *end = name + length;
        const size_t left = TEXTGEN_NAME_SIZE - length;
        const unsigned layer = (unsigned)(*pattern == '*' ? index : node->layer);
        if (*pattern == '#' || *pattern == '*') {
            length += (size_t)snprintf(end, left, "%u", layer);
        } else if (*pattern == '@') {
            length += sizes->layers > 1 ? (size_t)snprintf(end, left, "_%u", layer) : 0;
        } else if (*pattern == '<' && layer > 0) {
            length += (size_t)snprintf(end, left, "%s_%u", sizes->residual && layer > 1 ? "residual" : "output",
                                       layer - 1);
        } else if (*pattern == '<') {
            length += (size_t)snprintf(end, left, "embedded");
        } else {
            *end = *pattern;
            length++;
        }
    }
    name[length] = '\0';
    return length;
}

size_t textgen_node_name(const textgen_sizes *sizes, const textgen_node *node, const char *list, size_t index,
                         char name[TEXTGEN_NAME_SIZE]) {
    const char *found = list;
    if (strchr(list, '*')) {
        return index < sizes->layers ? write_name(sizes, node, list, index, name) : 0;
    }
    for (size_t i = 0; i < index && found; i++) {
        found = strchr(found, ' ');
        found = found ? found + 1 : NULL;
    }
    return found ? write_name(sizes, node, found, 0, name) : 0;
}

/* What the file has of a node. */
typedef struct {
    textgen_view type;
    int64_t value; /* of its last attribute */
    bool equal;    /* to the expected node */
} found_node;

static bool is_name(const textgen_sizes *sizes, const textgen_node *node, const char *list, size_t index,
                    textgen_view found) {
    char name[TEXTGEN_NAME_SIZE];
    const size_t length = textgen_node_name(sizes, node, list, index, name);
    return length > 0 && textgen_view_is(found, *name == '-' ? "" : name);
}

static bool read_attribute(reader *from, const field *attribute, const char *name, int64_t *value) {
    textgen_view message = get_bytes(from, attribute), found = {NULL, 0};
    field part;
    *value = 0;
    while (next_field(from, &message, &part)) {
        if (part.number == 1) {
            found = get_text(from, &part);
        } else if (part.number == 3) {
            *value = get_integer(from, &part);
        }
    }
    return name && textgen_view_is(found, name);
}

static found_node read_node(reader *from, const field *read, const textgen_sizes *sizes,
                            const textgen_node *expected) {
    textgen_view message = get_bytes(from, read);
    found_node found = {{NULL, 0}, 0, true};
    size_t inputs = 0, outputs = 0, attributes = 0;
    char ignored[TEXTGEN_NAME_SIZE];
    field part;
    while (next_field(from, &message, &part)) {
        bool equal = true;
        switch (part.number) {
        case 1:
            equal = is_name(sizes, expected, expected->inputs, inputs++, get_text(from, &part));
            break;
        case 2:
            equal = is_name(sizes, expected, expected->outputs, outputs++, get_text(from, &part));
            break;
        case 4:
            found.type = get_text(from, &part);
            break;
        case 5:
            equal = read_attribute(from, &part, expected->attribute, &found.value);
            attributes++;
            break;
        case 7: /* domain */
            equal = get_text(from, &part).size == 0;
        }
        found.equal = found.equal && equal;
    }
    found.equal = found.equal && textgen_view_is(found.type, expected->type) &&
                  attributes == (expected->attribute != NULL) && found.value == expected->value &&
                  textgen_node_name(sizes, expected, expected->inputs, inputs, ignored) == 0 &&
                  textgen_node_name(sizes, expected, expected->outputs, outputs, ignored) == 0;
    return found;
}

/* Guess the number of layers, units, residual connections and bits from the types of the nodes. */
static void guess_sizes(reader *from, textgen_sizes *sizes) {
    textgen_view graph = from->file->graph;
    size_t additions = 0;
    field part;
    while (next_field(from, &graph, &part)) {
        if (part.number == 1) {
            const found_node node = read_node(from, &part, sizes, &steps[0].node);
            additions += textgen_view_is(node.type, "Add");
            if (textgen_view_is(node.type, "DequantizeLinear")) {
                sizes->bits = 8;
            } else if (textgen_view_is(node.type, "LSTM")) {
                sizes->layers++;
                sizes->units = node.value > 0 && node.value <= TEXTGEN_MAX_SIZE ? (size_t)node.value : 0;
            }
        }
    }
    sizes->residual = additions > 1;
}

static int32_t fail_unknown(textgen_error *error, const char *part) {
    return textgen_fail(error, TEXTGEN_UNKNOWN_GRAPH, "the graph is not that of an LSTM network: %s", part);
}

static int32_t compare_nodes(reader *from, const textgen_sizes *sizes) {
    textgen_view graph = from->file->graph;
    textgen_place place = {0, 0};
    textgen_node node;
    char part[32];
    size_t count = 0;
    bool equal = true;
    field found;
    while (equal && next_field(from, &graph, &found)) {
        if (found.number == 1) {
            count++;
            equal = textgen_onnx_next_node(sizes, &place, &node) && read_node(from, &found, sizes, &node).equal;
        }
    }
    TEXTGEN_TRY(from->code);
    snprintf(part, sizeof part, "node %zu", count);
    return equal && !textgen_onnx_next_node(sizes, &place, &node) ? TEXTGEN_OK
                                                                  : fail_unknown(from->error, part);
}

static bool is_value(const textgen_value *value, const char *name, int32_t type, size_t dimensions,
                     size_t first, size_t last) {
    return textgen_view_is(value->name, name) && value->type == type && value->dimensions == dimensions &&
           value->shape[0] == (int64_t)first && value->shape[1] == 0 && value->shape[2] == (int64_t)last;
}

/* Compare the inputs and outputs of the graph. Other runtimes need their declared types and shapes. */
static int32_t compare_values(const textgen_onnx *file, const textgen_sizes *sizes, textgen_error *error) {
    const textgen_value *inputs = file->inputs, *outputs = file->outputs;
    const size_t layers = sizes->layers, units = sizes->units;
    const bool equal = file->input_count == 3 && file->output_count == 3 &&
                       is_value(&inputs[0], "token", TEXTGEN_ONNX_INT64, 2, 0, 0) &&
                       is_value(&outputs[0], "logits", TEXTGEN_ONNX_FLOAT, 3, 0, sizes->vocabulary) &&
                       is_value(&inputs[1], "hidden", TEXTGEN_ONNX_FLOAT, 3, layers, units) &&
                       is_value(&outputs[1], "next_hidden", TEXTGEN_ONNX_FLOAT, 3, layers, units) &&
                       is_value(&inputs[2], "cell", TEXTGEN_ONNX_FLOAT, 3, layers, units) &&
                       is_value(&outputs[2], "next_cell", TEXTGEN_ONNX_FLOAT, 3, layers, units);
    return equal ? TEXTGEN_OK : fail_unknown(error, "inputs or outputs");
}

static const textgen_tensor *find_by_name(const textgen_onnx *file, const char *name) {
    const textgen_name *found = textgen_names_find(file->names, file->tensor_count, textgen_view_of(name));
    return found ? &file->tensors[found->index] : NULL;
}

/* The tensors of a layer, in the order of textgen_layer. Letters of a shape: i for the inputs of the layer, o
 * for its outputs, g for the gates of all units, b for the biases of all gates, 1 for the number of directions.
 */
static const struct {
    textgen_layer_kind kind;
    const char *name, *shape;
    int axis; /* of the scales of 8-bit weights; -1 for a bias */
} tensor_patterns[] = {
    {TEXTGEN_EMBEDDING, "embedding", "io", 0},   {TEXTGEN_LSTM, "input_#", "1gi", 1},
    {TEXTGEN_LSTM, "recurrent_#", "1go", 1},     {TEXTGEN_LSTM, "bias_#", "1b", -1},
    {TEXTGEN_LINEAR, "output_weights", "io", 1}, {TEXTGEN_LINEAR, "output_bias", "o", -1},
};

static size_t size_of(const textgen_layer *layer, char letter) {
    return letter == 'i'   ? layer->inputs
           : letter == 'o' ? layer->outputs
           : letter == 'g' ? 4 * layer->outputs
           : letter == 'b' ? 8 * layer->outputs
                           : 1;
}

/* Find a tensor of a layer, and check its type and its shape. */
static int32_t find_tensor(const reader *from, const char *name, int32_t type, const textgen_layer *layer,
                           const char *shape, size_t dimensions, const textgen_tensor **found) {
    const textgen_tensor *tensor = *found = find_by_name(from->file, name);
    /* TEXTGEN_MAX_SIZE keeps the product of the sizes below 2^63. */
    uint64_t bytes = type == TEXTGEN_ONNX_FLOAT ? 4 : type == TEXTGEN_ONNX_INT8 ? 1 : 8;
    if (!tensor) {
        return textgen_damaged(SIZE_MAX, "without tensor", textgen_view_of(name), from->error);
    }
    bool valid = tensor->type == type && tensor->dimensions == dimensions;
    for (size_t i = 0; i < dimensions; i++) {
        const size_t size = size_of(layer, shape[i]);
        valid = valid && size > 0 && tensor->shape[i] == (int64_t)size;
        bytes *= size;
    }
    return valid && !tensor->elsewhere && tensor->raw.size == bytes
               ? TEXTGEN_OK
               : textgen_tensor_damaged(tensor, from->error);
}

static int32_t describe_layer(const reader *from, textgen_description *description, size_t index) {
    textgen_layer *layer = &description->layers[index];
    const textgen_node about = {.layer = index - 1};
    size_t slot = 0;
    for (size_t i = 0; i < sizeof tensor_patterns / sizeof *tensor_patterns; i++) {
        const char *shape = tensor_patterns[i].shape;
        char name[TEXTGEN_NAME_SIZE];
        if (tensor_patterns[i].kind != layer->kind) {
            continue;
        }
        const size_t length = write_name(&description->sizes, &about, tensor_patterns[i].name, 0, name);
        const bool has_scales = description->sizes.bits == 8 && tensor_patterns[i].axis >= 0;
        strcpy(name + length, has_scales ? "_int8" : "");
        TEXTGEN_TRY(find_tensor(from, name, has_scales ? TEXTGEN_ONNX_INT8 : TEXTGEN_ONNX_FLOAT, layer, shape,
                                strlen(shape), &layer->tensors[slot]));
        if (has_scales) {
            shape += tensor_patterns[i].axis;
            strcpy(name + length, "_scale");
            TEXTGEN_TRY(find_tensor(from, name, TEXTGEN_ONNX_FLOAT, layer, shape, 1, &layer->scales[slot]));
            description->scales += size_of(layer, *shape);
        }
        slot++;
    }
    return TEXTGEN_OK;
}

static int32_t describe_layers(const reader *from, textgen_description *description) {
    const textgen_sizes *sizes = &description->sizes;
    textgen_layer *layers = description->layers;
    const textgen_tensor *axis;
    const size_t last = sizes->layers + 1;
    description->layer_count = last + 1;
    for (size_t i = 0; i <= last; i++) {
        layers[i] = (textgen_layer){
            .kind = i == 0     ? TEXTGEN_EMBEDDING
                    : i < last ? TEXTGEN_LSTM
                               : TEXTGEN_LINEAR,
            .inputs = i == 0 ? sizes->vocabulary : layers[i - 1].outputs,
            .outputs = i == 0     ? sizes->embedding
                       : i < last ? sizes->units
                                  : sizes->vocabulary,
            .residual = sizes->residual && i > 1 && i < last,
        };
        TEXTGEN_TRY(describe_layer(from, description, i));
    }
    TEXTGEN_TRY(find_tensor(from, "direction_axis", TEXTGEN_ONNX_INT64, layers, "1", 1, &axis));
    return memcmp(axis->raw.data, "\1\0\0\0\0\0\0\0", 8) == 0 ? TEXTGEN_OK
                                                              : textgen_tensor_damaged(axis, from->error);
}

/* Return a dimension of a tensor, or 0 if there is no tensor, or no layer has such a size. */
static size_t measure(const textgen_tensor *tensor, size_t dimension) {
    const int64_t size = tensor ? tensor->shape[dimension] : 0;
    return size > 0 && size <= TEXTGEN_MAX_SIZE ? (size_t)size : 0;
}

int32_t textgen_onnx_describe(const textgen_onnx *file, textgen_description *description,
                              textgen_error *error) {
    reader from = {file, error, TEXTGEN_OK};
    textgen_sizes *sizes = &description->sizes;
    *sizes = (textgen_sizes){.bits = 32};
    description->scales = 0;
    description->arena = file->arena;
    guess_sizes(&from, sizes);
    TEXTGEN_TRY(from.code);
    if (file->too_large || sizes->layers > TEXTGEN_MAX_LAYERS) {
        return textgen_fail(error, TEXTGEN_TOO_LARGE, "the graph has more than %d layers",
                            (int)TEXTGEN_MAX_LAYERS);
    }
    if (file->other_operators || sizes->layers == 0) {
        return fail_unknown(error, "operators");
    }
    TEXTGEN_TRY(compare_nodes(&from, sizes));
    const textgen_name *twice = textgen_names_sort(file->names, file->tensor_count);
    if (twice) {
        return textgen_damaged(file->tensors[twice->index].offset, "a second tensor", twice->name, error);
    }
    const textgen_tensor *embedding = find_by_name(file, sizes->bits == 8 ? "embedding_int8" : "embedding");
    sizes->vocabulary = measure(embedding, 0);
    sizes->embedding = measure(embedding, 1);
    TEXTGEN_TRY(describe_layers(&from, description));
    TEXTGEN_TRY(compare_values(file, sizes, error));
    const size_t tensors = sizes->bits == 8 ? 5 * sizes->layers + 6 : 3 * sizes->layers + 4;
    return file->tensor_count == tensors ? TEXTGEN_OK : fail_unknown(error, "number of tensors");
}

int32_t textgen_tensor_damaged(const textgen_tensor *tensor, textgen_error *error) {
    return textgen_damaged(tensor->offset, "tensor", tensor->name, error);
}

bool textgen_all_finite(const float *values, size_t count) {
    /* NaN and infinity have all exponent bits set. Adding 1 to the exponent then carries into the sign bit. */
    const uint32_t exponent = 0x7F800000u, lowest = 0x00800000u, sign = 0x80000000u;
    uint32_t found = 0;
    for (size_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, values + i, sizeof bits);
        found |= (bits & exponent) + lowest;
    }
    return (found & sign) == 0;
}

int32_t textgen_tensor_floats(const textgen_tensor *tensor, size_t first, size_t count, float *values,
                              textgen_error *error) {
    const unsigned char *bytes = tensor->raw.data + first * 4;
    for (size_t i = 0; i < count; i++, bytes += 4) {
        const uint32_t bits =
            (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
        memcpy(&values[i], &bits, sizeof bits);
    }
    return textgen_all_finite(values, count) ? TEXTGEN_OK : textgen_tensor_damaged(tensor, error);
}
