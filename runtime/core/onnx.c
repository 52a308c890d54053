#include "onnx.h"

#include <string.h>

_Static_assert(sizeof(float) == 4, "weights are float32");

int32_t textgen_damaged(size_t offset, const char *part, textgen_view name, textgen_error *error) {
    const char *text = (const char *)name.data;
    return offset == SIZE_MAX ? textgen_fail(error, TEXTGEN_DAMAGED_MODEL, "damaged: without %s '%.*s'", part,
                                             (int)name.size, text)
                              : textgen_fail(error, TEXTGEN_DAMAGED_MODEL, "damaged at byte %zu: %s '%.*s'",
                                             offset, part, (int)name.size, text);
}

/* ---- Protobuf ---- */

/* The first error stays in the `code` of a reader, and ends every loop over fields. */
typedef struct {
    const textgen_onnx *file;
    textgen_error *error;
    int32_t code;
    size_t next_tensor; /* where the next tensor probably is */
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

static size_t offset_of(const reader *from, const unsigned char *place) {
    return (size_t)(place - from->file->content.data);
}

static void fail(reader *from, const field *at) {
    if (from->code == TEXTGEN_OK) {
        from->code = textgen_fail(from->error, TEXTGEN_DAMAGED_MODEL, "damaged at byte %zu: protobuf",
                                  offset_of(from, at->start));
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
        fail(from, read);
        return false;
    }
    read->bytes = (textgen_view){message->data, (size_t)size};
    message->data += (size_t)size;
    message->size -= (size_t)size;
    return true;
}

/* These functions return the value of a field. It is an error if the field has another type. */

static uint64_t get_integer(reader *from, const field *read) {
    if (read->type != VARINT) {
        fail(from, read);
    }
    return read->integer;
}

static textgen_view get_bytes(reader *from, const field *read) {
    if (read->type != BYTES) {
        fail(from, read);
        return (textgen_view){NULL, 0};
    }
    return read->bytes;
}

static textgen_view get_text(reader *from, const field *read) {
    const textgen_view text = get_bytes(from, read);
    if (!textgen_utf8_valid(text)) {
        fail(from, read);
    }
    return text;
}

/* ---- Metadata and tensors ---- */

static void read_tensor(reader *from, const field *tensor, textgen_tensor *result) {
    textgen_view message = get_bytes(from, tensor);
    field part;
    result->offset = offset_of(from, tensor->start);
    while (next_field(from, &message, &part)) {
        if (part.number == 1) { /* dims */
            const uint64_t size = get_integer(from, &part);
            if (result->dimensions < TEXTGEN_MAX_DIMENSIONS) {
                result->shape[result->dimensions] = size;
            }
            result->dimensions++;
        } else if (part.number == 2) {
            result->type = get_integer(from, &part);
        } else if (part.number == 8) {
            result->name = get_bytes(from, &part);
        } else if (part.number == 9) {
            result->raw = get_bytes(from, &part);
        } else { /* values of another field, or the place of another file */
            result->elsewhere = true;
        }
    }
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

/* Count the entries of a table, and allocate it. */
static void *make_table(reader *from, textgen_view message, uint32_t number, size_t limit, size_t size) {
    size_t count = 0;
    field part;
    while (next_field(from, &message, &part)) {
        count += part.number == number;
    }
    void *table = count <= limit ? textgen_allocate(from->file->arena, count, size) : NULL;
    if (!table && from->code == TEXTGEN_OK) {
        from->code = count <= limit
                         ? textgen_out_of_memory(from->error)
                         : textgen_fail(from->error, TEXTGEN_TOO_LARGE,
                                        "the file has more than %zu tensors or metadata entries", limit);
    }
    return table;
}

/* Read the fields of the file, and find its graph. */
static void read_model(reader *from, textgen_onnx *file) {
    /* opset_import: version 17 of the operators of ONNX. */
    static const char operators[] = "\x42\x04\x0a\x00\x10\x11";
    textgen_view message = file->content;
    size_t sets = 0;
    bool has_graph = false;
    field part;
    file->properties = make_table(from, message, 14, TEXTGEN_MAX_PROPERTIES, sizeof *file->properties);
    while (next_field(from, &message, &part)) {
        if (part.number == 7) {
            /* protobuf would merge it with the other one; no program writes such a file */
            if (has_graph) {
                fail(from, &part);
            }
            has_graph = true;
            file->graph = get_bytes(from, &part);
        } else if (part.number == 8) {
            const textgen_view set = {part.start, (size_t)(message.data - part.start)};
            file->has_operators =
                sets++ == 0 && textgen_views_equal(set, (textgen_view){(const void *)operators, 6});
        } else if (part.number == 14) {
            read_property(from, &part, &file->properties[file->property_count++]);
        }
    }
}

static bool is_scale(textgen_view name) {
    return name.size >= 6 && memcmp(name.data + name.size - 6, "_scale", 6) == 0;
}

static void read_graph(reader *from, textgen_onnx *file) {
    textgen_view message = file->graph;
    field part;
    file->tensors = make_table(from, message, 5, TEXTGEN_MAX_TENSORS, sizeof *file->tensors);
    while (next_field(from, &message, &part)) {
        if (part.number == 5) {
            textgen_tensor *tensor = &file->tensors[file->tensor_count++];
            read_tensor(from, &part, tensor);
            file->parameters += is_scale(tensor->name)               ? 0
                                : tensor->type == TEXTGEN_ONNX_FLOAT ? tensor->raw.size / 4
                                : tensor->type == TEXTGEN_ONNX_INT8  ? tensor->raw.size
                                                                     : 0;
        }
    }
}

int32_t textgen_onnx_read(textgen_view content, textgen_onnx *file, textgen_error *error) {
    reader from = {file, error, TEXTGEN_OK, 0};
    /* Without a graph, an empty one is at the end. */
    *file = (textgen_onnx){.content = content, .graph = {content.data + content.size, 0}, .arena = file->arena};
    /* ONNX files begin with the field ir_version. */
    if (content.size == 0 || content.data[0] != 0x08) {
        return textgen_fail(error, TEXTGEN_DAMAGED_MODEL, "the file is not an ONNX model");
    }
    read_model(&from, file);
    TEXTGEN_TRY(from.code);
    read_graph(&from, file);
    return from.code;
}

textgen_view textgen_onnx_property(const textgen_onnx *file, const char *key) {
    for (size_t i = file->property_count; i > 0; i--) {
        if (textgen_view_is(file->properties[i - 1].key, key)) {
            return file->properties[i - 1].value;
        }
    }
    return (textgen_view){NULL, 0};
}

/* ---- The graph ---- */

enum { NAME_SIZE = 48 /* of any tensor */ };

static void put_byte(textgen_output *to, int byte) {
    if (to->data) {
        to->data[to->size] = (unsigned char)byte;
    }
    to->size++;
}

static void put_varint(textgen_output *to, size_t value) {
    for (; value > 0x7F; value >>= 7) {
        put_byte(to, (int)(value & 0x7F) | 0x80);
    }
    put_byte(to, (int)value);
}

void textgen_onnx_wrap(textgen_output *to, size_t number, size_t start) {
    const size_t size = to->size - start;
    textgen_output head = {NULL, 0};
    put_varint(&head, number << 3 | BYTES);
    put_varint(&head, size);
    if (to->data) {
        memmove(to->data + start + head.size, to->data + start, size);
    }
    to->size = start;
    put_varint(to, number << 3 | BYTES);
    put_varint(to, size);
    to->size += size;
}

static void put_decimal(textgen_output *to, size_t number) {
    if (number > 9) {
        put_decimal(to, number / 10);
    }
    put_byte(to, '0' + (int)(number % 10));
}

/* Put a sign of a name. These stand for a text:
 *   #  the number of the layer
 *   @  _# if there are several layers
 *   <  the input of the layer, or of the output layer */
static void put_sign(textgen_output *to, char sign, const textgen_sizes *sizes, size_t layer) {
    if (sign == '#') {
        put_decimal(to, layer);
    } else if (sign == '<') {
        const char *input = layer == 0 ? "embedded" : sizes->residual && layer > 1 ? "residual_" : "output_";
        for (; *input; input++) {
            put_byte(to, *input);
        }
        if (layer > 0) {
            put_decimal(to, layer - 1);
        }
    } else if (sign != '@') {
        put_byte(to, sign);
    } else if (sizes->layers > 1) {
        put_byte(to, '_');
        put_decimal(to, layer);
    }
}

/* The graph, without its tensors. */
static const char graph_template[] =
    "[8 1(1'embedding_int8' 1'embedding_scale' 2'embedding' 3'embedding_dequantize' 4'DequantizeLinear'"
    "     5(1'axis' 3=0 20=2))"
    "  {1(1'input_#_int8' 1'input_#_scale' 2'input_#' 3'input_#_dequantize' 4'DequantizeLinear'"
    "     5(1'axis' 3=1 20=2))"
    "   1(1'recurrent_#_int8' 1'recurrent_#_scale' 2'recurrent_#' 3'recurrent_#_dequantize'"
    "     4'DequantizeLinear' 5(1'axis' 3=1 20=2))}"
    "   1(1'output_weights_int8' 1'output_weights_scale' 2'output_weights' 3'output_weights_dequantize'"
    "     4'DequantizeLinear' 5(1'axis' 3=1 20=2))]"
    "1(1'embedding' 1'token' 2'embedded' 3'embed' 4'Gather')"
    "[s 1(1'hidden' {2'hidden_#'} 3'split_hidden' 4'Split' 5(1'axis' 3=0 20=2))"
    "   1(1'cell' {2'cell_#'} 3'split_cell' 4'Split' 5(1'axis' 3=0 20=2))]"
    "{1(1'<' 1'input_#' 1'recurrent_#' 1'bias_#' 1'' 1'hidden@' 1'cell@'"
    "   2'directions_#' 2'next_hidden@' 2'next_cell@' 3'lstm_#' 4'LSTM' 5(1'hidden_size' 3=u 20=2))"
    " 1(1'directions_#' 1'direction_axis' 2'output_#' 3'squeeze_#' 4'Squeeze')"
    " [r 1(1'output_#' 1'<' 2'residual_#' 3'residual_#' 4'Add')]}"
    "1(1'<' 1'output_weights' 2'scores' 3'output' 4'MatMul')"
    "1(1'scores' 1'output_bias' 2'logits' 3'add_bias' 4'Add')"
    "[s 1({1'next_hidden_#'} 2'next_hidden' 3'join_hidden' 4'Concat' 5(1'axis' 3=0 20=2))"
    "   1({1'next_cell_#'} 2'next_cell' 3'join_cell' 4'Concat' 5(1'axis' 3=0 20=2))]"
    "2'character_lstm'"
    "11(1'token' 2(1(1=7 2(1(2'time') 1(2'batch')))))"
    "11(1'hidden' 2(1(1=1 2(1(1=l) 1(2'batch') 1(1=u)))))"
    "11(1'cell' 2(1(1=1 2(1(1=l) 1(2'batch') 1(1=u)))))"
    "12(1'logits' 2(1(1=1 2(1(2'time') 1(2'batch') 1(1=v)))))"
    "12(1'next_hidden' 2(1(1=1 2(1(1=l) 1(2'batch') 1(1=u)))))"
    "12(1'next_cell' 2(1(1=1 2(1(1=l) 1(2'batch') 1(1=u)))))";

/* Take a number from the start of a template. */
static size_t take_number(const char **from, const textgen_sizes *sizes) {
    size_t number = **from == 'u'   ? sizes->units
                    : **from == 'v' ? sizes->vocabulary
                    : **from == 'e' ? sizes->embedding
                                    : sizes->layers;
    if (**from >= '0' && **from <= '9') {
        for (number = 0; **from >= '0' && **from <= '9'; ++*from) {
            number = 10 * number + (size_t)(**from - '0');
        }
    } else {
        ++*from;
    }
    return number;
}

/* Put the fields of a template, up to its end or a closing bracket, which is removed from it, too. */
static void put_fields(textgen_output *to, const char **from, const textgen_sizes *sizes, size_t layer) {
    while (**from && !strchr(")]}", **from)) {
        const char first = **from, *start = *from + 1;
        if (first == ' ') {
            ++*from;
        } else if (first == '{') {
            for (size_t i = 0; i < sizes->layers; i++) {
                *from = start;
                put_fields(to, from, sizes, i);
            }
        } else if (first == '[') {
            const bool is_there = *start == '8'   ? sizes->bits == 8
                                  : *start == 's' ? sizes->layers > 1
                                                  : sizes->residual && layer > 0;
            textgen_output nothing = {NULL, 0};
            *from = start + 1;
            put_fields(is_there ? to : &nothing, from, sizes, layer);
        } else {
            const size_t number = take_number(from, sizes), content = to->size;
            const char kind = *(*from)++;
            if (kind == '=') {
                put_varint(to, number << 3 | VARINT);
                put_varint(to, take_number(from, sizes));
                continue;
            }
            if (kind == '(') {
                put_fields(to, from, sizes, layer);
            } else {
                for (; **from != '\''; ++*from) {
                    put_sign(to, **from, sizes, layer);
                }
                ++*from;
            }
            textgen_onnx_wrap(to, number, content);
        }
    }
    *from += **from != '\0';
}

void textgen_onnx_put(textgen_output *to, const char *from, const textgen_sizes *sizes, size_t layer) {
    put_fields(to, &from, sizes, layer);
}

void textgen_onnx_put_graph(textgen_output *to, const textgen_sizes *sizes) {
    textgen_onnx_put(to, graph_template, sizes, sizes->layers);
}

/* Compare the graph with that of a network. Return the offset of the first difference, or SIZE_MAX. */
static size_t compare_graph(reader *from, const textgen_sizes *sizes) {
    textgen_view graph = from->file->graph;
    textgen_output expected = {NULL, 0};
    size_t same = 0, bytes;
    bool equal = true;
    field part;
    textgen_onnx_put_graph(&expected, sizes);
    const size_t size = expected.size;
    expected = (textgen_output){textgen_allocate(from->file->arena, size, 1), 0};
    if (!expected.data) {
        from->code = textgen_out_of_memory(from->error);
        return 0;
    }
    textgen_onnx_put_graph(&expected, sizes);
    while (equal && next_field(from, &graph, &part)) {
        bytes = part.number == 5 ? 0 : (size_t)(graph.data - part.start);
        equal = bytes <= size - same && memcmp(expected.data + same, part.start, bytes) == 0;
        same += bytes;
    }
    textgen_release(expected.data);
    return !equal ? offset_of(from, part.start) : same < size ? offset_of(from, graph.data) : SIZE_MAX;
}

/* ---- The layers ---- */

/* Find the tensor of a layer whose name has a pattern: see put_sign. Write the name to an array. */
static const textgen_tensor *find_by_name(reader *from, const char *pattern, size_t layer, textgen_view *name,
                                          unsigned char written[NAME_SIZE]) {
    const textgen_onnx *file = from->file;
    textgen_output to = {written, 0};
    for (; *pattern; pattern++) {
        put_sign(&to, *pattern, NULL, layer);
    }
    *name = (textgen_view){written, to.size};
    for (size_t i = 0; i < file->tensor_count; i++) {
        const size_t place = (from->next_tensor + i) % file->tensor_count;
        if (textgen_views_equal(file->tensors[place].name, *name)) {
            from->next_tensor = place + 1;
            return &file->tensors[place];
        }
    }
    return NULL;
}

/* The tensors that a file must have. Letters of a shape: i for the inputs of the layer, o for its outputs, g
 * for the gates of all units, b for the biases of all gates, 1 for the number of directions. */
enum { ANY_BITS = 0, SCALES = TEXTGEN_LAYER_TENSORS /* their first slot */ };

typedef struct {
    textgen_layer_kind kind;
    int bits; /* of the weights of the network */
    uint64_t type;
    size_t slot; /* in textgen_layer */
    const char *name, *shape;
} pattern;

static const pattern patterns[] = {
    {TEXTGEN_EMBEDDING, 32, TEXTGEN_ONNX_FLOAT, 0, "embedding", "io"},
    {TEXTGEN_EMBEDDING, 8, TEXTGEN_ONNX_INT8, 0, "embedding_int8", "io"},
    {TEXTGEN_EMBEDDING, 8, TEXTGEN_ONNX_FLOAT, SCALES, "embedding_scale", "i"},
    {TEXTGEN_LSTM, 32, TEXTGEN_ONNX_FLOAT, 0, "input_#", "1gi"},
    {TEXTGEN_LSTM, 8, TEXTGEN_ONNX_INT8, 0, "input_#_int8", "1gi"},
    {TEXTGEN_LSTM, 8, TEXTGEN_ONNX_FLOAT, SCALES, "input_#_scale", "g"},
    {TEXTGEN_LSTM, 32, TEXTGEN_ONNX_FLOAT, 1, "recurrent_#", "1go"},
    {TEXTGEN_LSTM, 8, TEXTGEN_ONNX_INT8, 1, "recurrent_#_int8", "1go"},
    {TEXTGEN_LSTM, 8, TEXTGEN_ONNX_FLOAT, SCALES + 1, "recurrent_#_scale", "g"},
    {TEXTGEN_LSTM, ANY_BITS, TEXTGEN_ONNX_FLOAT, 2, "bias_#", "1b"},
    {TEXTGEN_LINEAR, 32, TEXTGEN_ONNX_FLOAT, 0, "output_weights", "io"},
    {TEXTGEN_LINEAR, 8, TEXTGEN_ONNX_INT8, 0, "output_weights_int8", "io"},
    {TEXTGEN_LINEAR, 8, TEXTGEN_ONNX_FLOAT, SCALES, "output_weights_scale", "o"},
    {TEXTGEN_LINEAR, ANY_BITS, TEXTGEN_ONNX_FLOAT, 1, "output_bias", "o"},
};

static size_t size_of(const textgen_layer *layer, char letter) {
    return letter == 'i'   ? layer->inputs
           : letter == 'o' ? layer->outputs
           : letter == 'g' ? 4 * layer->outputs
           : letter == 'b' ? 8 * layer->outputs
                           : 1;
}

/* Find a tensor of a layer, and check its type and its shape. */
static int32_t find_tensor(reader *from, const pattern *wanted, const textgen_layer *layer, size_t number,
                           const textgen_tensor **found) {
    unsigned char written[NAME_SIZE];
    textgen_view name;
    const textgen_tensor *tensor = *found = find_by_name(from, wanted->name, number, &name, written);
    const size_t dimensions = strlen(wanted->shape);
    /* TEXTGEN_MAX_SIZE keeps the product of the sizes below 2^63. */
    uint64_t bytes = wanted->type == TEXTGEN_ONNX_FLOAT ? 4 : wanted->type == TEXTGEN_ONNX_INT8 ? 1 : 8;
    if (!tensor) {
        return textgen_damaged(SIZE_MAX, "tensor", name, from->error);
    }
    bool valid = tensor->type == wanted->type && tensor->dimensions == dimensions && !tensor->elsewhere;
    for (size_t i = 0; i < dimensions; i++) {
        const size_t size = size_of(layer, wanted->shape[i]);
        valid = valid && size > 0 && tensor->shape[i] == size;
        bytes *= size;
    }
    return valid && tensor->raw.size == bytes ? TEXTGEN_OK : textgen_tensor_damaged(tensor, from->error);
}

static int32_t describe_layer(reader *from, textgen_description *description, size_t index) {
    textgen_layer *layer = &description->layers[index];
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++) {
        const pattern *wanted = &patterns[i];
        const textgen_tensor *found;
        if (wanted->kind != layer->kind ||
            (wanted->bits != ANY_BITS && wanted->bits != description->sizes.bits)) {
            continue;
        }
        TEXTGEN_TRY(find_tensor(from, wanted, layer, index - 1, &found));
        description->bytes += found->raw.size;
        if (wanted->slot >= SCALES) {
            layer->scales[wanted->slot - SCALES] = found;
        } else {
            layer->tensors[wanted->slot] = found;
        }
    }
    return TEXTGEN_OK;
}

static int32_t describe_layers(reader *from, textgen_description *description) {
    static const pattern axis = {TEXTGEN_LINEAR, ANY_BITS, TEXTGEN_ONNX_INT64, 0, "direction_axis", "1"};
    const textgen_sizes *sizes = &description->sizes;
    textgen_layer *layers = description->layers =
        textgen_allocate(description->arena, sizes->layers + 2, sizeof *layers);
    const textgen_tensor *found;
    const size_t last = sizes->layers + 1;
    if (!layers) {
        return textgen_out_of_memory(from->error);
    }
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
    TEXTGEN_TRY(find_tensor(from, &axis, layers, 0, &found));
    return memcmp(found->raw.data, "\1\0\0\0\0\0\0\0", 8) == 0 ? TEXTGEN_OK
                                                               : textgen_tensor_damaged(found, from->error);
}

/* Return a dimension of a tensor, or 0 if there is no such tensor, or no layer has such a size. */
static size_t measure(reader *from, const char *name_pattern, size_t dimension) {
    unsigned char written[NAME_SIZE];
    textgen_view name;
    const textgen_tensor *tensor = find_by_name(from, name_pattern, 0, &name, written);
    const uint64_t size = tensor ? tensor->shape[dimension] : 0;
    return size <= TEXTGEN_MAX_SIZE ? (size_t)size : 0;
}

int32_t textgen_onnx_describe(const textgen_onnx *file, textgen_description *description,
                              textgen_error *error) {
    reader from = {file, error, TEXTGEN_OK, 0};
    textgen_sizes *sizes = &description->sizes;
    *description = (textgen_description){.arena = file->arena};
    const bool is_int8 = measure(&from, "embedding_int8", 0);
    const size_t others = is_int8 ? 6 : 4, of_a_layer = is_int8 ? 5 : 3, count = file->tensor_count;
    *sizes = (textgen_sizes){
        .layers = count > others ? (count - others) / of_a_layer : 0,
        .units = measure(&from, is_int8 ? "recurrent_0_int8" : "recurrent_0", 2),
        .embedding = measure(&from, is_int8 ? "embedding_int8" : "embedding", 1),
        .vocabulary = measure(&from, is_int8 ? "embedding_int8" : "embedding", 0),
        .bits = is_int8 ? 8 : 32,
    };
    if (sizes->layers > TEXTGEN_MAX_LAYERS) {
        return textgen_fail(error, TEXTGEN_TOO_LARGE, "the graph has more than %d layers",
                            (int)TEXTGEN_MAX_LAYERS);
    }
    if (!file->has_operators || !sizes->layers || count != others + of_a_layer * sizes->layers) {
        return textgen_fail(error, TEXTGEN_UNKNOWN_GRAPH,
                            "the graph is not that of an LSTM network: operators or tensors");
    }
    size_t place = compare_graph(&from, sizes);
    if (place != SIZE_MAX) {
        sizes->residual = true;
        const size_t other = compare_graph(&from, sizes);
        place = other > place ? other : place;
    }
    TEXTGEN_TRY(from.code);
    if (place != SIZE_MAX) {
        return textgen_fail(error, TEXTGEN_UNKNOWN_GRAPH, "the graph is not that of an LSTM network: byte %zu",
                            place);
    }
    return describe_layers(&from, description);
}

int32_t textgen_tensor_damaged(const textgen_tensor *tensor, textgen_error *error) {
    return textgen_damaged(tensor->offset, "tensor", tensor->name, error);
}
