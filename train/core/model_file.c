#include "model_file.h"

#include <float.h>
#include <math.h>
#include <string.h>

/* Put the bits of a number, little-endian. */
static void put_float(textgen_output *to, float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    for (int i = 0; i < 32 && to->data; i += 8) {
        to->data[to->size + (size_t)i / 8] = (unsigned char)(bits >> i);
    }
    to->size += sizeof bits;
}

static bool is_of_layer(const textgen_matrix *matrix) {
    return matrix->kind == TEXTGEN_INPUT_WEIGHTS || matrix->kind == TEXTGEN_RECURRENT_WEIGHTS ||
           matrix->kind == TEXTGEN_LAYER_BIAS;
}

/* Where the value `i` of a tensor is in its matrix. ONNX has a row of a layer's weights for each gate of each
 * unit. columns: of the tensor, or units. */
static size_t place_of(const textgen_matrix *matrix, size_t columns, size_t i) {
    const size_t rows = (size_t)matrix->rows, stride = (size_t)matrix->columns, column = i / rows;
    return is_of_layer(matrix) ? i % rows * stride + column / columns * (stride / 4) + column % columns
                               : i / columns * stride + i % columns;
}

/* Put a matrix of the network as a tensor. A layer has two biases, which are added: the second one is zero. */
static void put_matrix(textgen_output *to, const textgen_matrix *matrix, const float *values,
                       textgen_sizes sizes) {
    /* By textgen_matrix_kind. In a layer, u stands for its gates, and e for its inputs. Field 1 is a dimension,
     * 2 the type float32, 8 the name, and 9 the values. */
    static const char *const heads[] = {"1=v 1=e 2=1 8'embedding'",       "1=1 1=u 1=e 2=1 8'input_#'",
                                        "1=1 1=u 1=e 2=1 8'recurrent_#'", "1=1 1=u 2=1 8'bias_#'",
                                        "1=u 1=v 2=1 8'output_weights'",  "1=v 2=1 8'output_bias'"};
    const bool is_bias = matrix->kind == TEXTGEN_LAYER_BIAS, is_layer = is_of_layer(matrix);
    const size_t columns = is_layer                         ? sizes.units
                           : matrix->kind == TEXTGEN_TOKENS ? sizes.embedding
                                                            : sizes.vocabulary;
    const size_t count = (size_t)matrix->rows * columns * (is_layer ? 4 : 1), tensor = to->size;
    if (is_layer) {
        sizes.units *= is_bias ? 8 : 4;
        sizes.embedding = (size_t)matrix->rows;
    }
    textgen_onnx_put(to, heads[matrix->kind], &sizes, (size_t)matrix->layer);
    const size_t raw = to->size;
    for (size_t i = 0; i < count; i++) {
        put_float(to, values[place_of(matrix, columns, i)]);
    }
    for (size_t i = 0; is_bias && i < count; i++) {
        put_float(to, 0.0f);
    }
    textgen_onnx_wrap(to, 9, raw);
    textgen_onnx_wrap(to, 5, tensor);
}

static void put_bytes(textgen_output *to, const void *bytes, size_t size) {
    if (to->data && size) {
        memcpy(to->data + to->size, bytes, size);
    }
    to->size += size;
}

static void put_property(textgen_output *to, textgen_view key, textgen_view value) {
    const textgen_view texts[] = {key, value};
    const size_t start = to->size;
    for (size_t i = 0; i < 2; i++) {
        const size_t text = to->size;
        put_bytes(to, texts[i].data, texts[i].size);
        textgen_onnx_wrap(to, i + 1, text);
    }
    textgen_onnx_wrap(to, 14, start);
}

/* Begin a file. Return where its graph begins. */
static size_t put_head(textgen_output *to, const textgen_sizes *sizes) {
    textgen_onnx_put(to, "1=9 2'textgen'", sizes, 0);
    const size_t graph = to->size;
    textgen_onnx_put_graph(to, sizes);
    return graph;
}

/* End the graph, and put all that follows it but the metadata. */
static void end_graph(textgen_output *to, const textgen_sizes *sizes, size_t graph) {
    const size_t axis = to->size;
    textgen_onnx_put(to, "1=1 2=7 8'direction_axis'", sizes, 0);
    const size_t raw = to->size;
    put_bytes(to, "\1\0\0\0\0\0\0\0", 8);
    textgen_onnx_wrap(to, 9, raw);
    textgen_onnx_wrap(to, 5, axis);
    textgen_onnx_wrap(to, 7, graph);
    textgen_onnx_put(to, "8(1'' 2=17)", sizes, 0);
}

size_t textgen_write_model(const textgen_run *run, const char *const *metadata, size_t entries,
                           unsigned char *file) {
    const textgen_network_shape shape = textgen_run_shape(run);
    const textgen_sizes sizes = {.layers = (size_t)shape.layers,
                                 .units = (size_t)shape.units,
                                 .embedding = (size_t)shape.embedding,
                                 .vocabulary = (size_t)shape.vocabulary,
                                 .residual = shape.residual,
                                 .bits = 32};
    textgen_output to = {file, 0};
    const size_t graph = put_head(&to, &sizes);
    for (ptrdiff_t i = 0; i < textgen_matrix_count(&shape); i++) {
        const textgen_matrix matrix = textgen_matrix_at(&shape, i);
        put_matrix(&to, &matrix, textgen_run_weights(run) + matrix.offset, sizes);
    }
    end_graph(&to, &sizes, graph);
    for (size_t i = 0; i + 1 < entries; i += 2) {
        put_property(&to, textgen_view_of(metadata[i]), textgen_view_of(metadata[i + 1]));
    }
    return to.size;
}

/* ---- Reading ---- */

typedef struct {
    textgen_arena arena;
    textgen_onnx file;
    textgen_description network;
} opened_file;

/* Open a model file, which may come from an untrusted source. Creating a model checks all of it. */
static int32_t open_file(textgen_view content, opened_file **opened, textgen_error *error) {
    textgen_model *model;
    void *object;
    TEXTGEN_TRY(textgen_model_create(content.data, content.size, NULL, &model, error));
    textgen_model_destroy(model);
    TEXTGEN_TRY(textgen_object_create((textgen_memory){NULL, 0}, sizeof **opened, &object, error));
    opened_file *from = *opened = object;
    from->file.arena = &from->arena;
    int32_t code = textgen_onnx_read(content, &from->file, error);
    code = code ? code : textgen_onnx_describe(&from->file, &from->network, error);
    if (code) {
        textgen_release(object);
    }
    return code;
}

static int32_t check_sizes(const textgen_sizes *sizes, const textgen_options *options, textgen_error *error) {
    const struct {
        const char *name;
        int64_t there, here;
    } values[] = {{"units", (int64_t)sizes->units, options->units},
                  {"layers", (int64_t)sizes->layers, options->layers},
                  {"embedding", (int64_t)sizes->embedding, options->embedding},
                  {"residual", sizes->residual, options->layers > 1 && options->residual}};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        if (values[i].there != values[i].here) {
            return textgen_report_at(error, TEXTGEN_INVALID_ARGUMENT, values[i].name, -1,
                                     "must be %lld, as in the model file", (long long)values[i].there);
        }
    }
    return TEXTGEN_OK;
}

/* Whether a vocabulary begins with that of a file. */
static bool begins_with(const textgen_vocabulary *all, const textgen_vocabulary *first) {
    const textgen_special *known = &first->special, *special = &all->special;
    bool is_same = first->level == all->level && first->count <= all->count &&
                   (known->unknown < 0 || known->unknown == special->unknown) &&
                   (known->begin < 0 || (known->begin == special->begin && known->end == special->end));
    for (size_t i = 0; is_same && i < first->count; i++) {
        is_same = textgen_views_equal(first->symbols[i], all->symbols[i]);
    }
    return is_same;
}

/* Return a value of a tensor. scale: the number of its scale, if it has 8 bits. */
static float read_value(const textgen_layer *layer, size_t slot, size_t i, size_t scale) {
    const textgen_tensor *scales = slot < TEXTGEN_LAYER_SCALES ? layer->scales[slot] : NULL;
    return scales ? (float)(signed char)layer->tensors[slot]->raw.data[i] * textgen_tensor_float(scales, scale)
                  : textgen_tensor_float(layer->tensors[slot], i);
}

/* Read a matrix. Only the first tokens may be in the file. */
static void read_matrix(const textgen_description *from, const textgen_matrix *matrix, float *values) {
    const bool is_bias = matrix->kind == TEXTGEN_LAYER_BIAS, is_layer = is_of_layer(matrix);
    const bool is_tokens = matrix->kind == TEXTGEN_TOKENS;
    const textgen_layer *layer = from->layers + (is_tokens  ? 0
                                                 : is_layer ? 1 + (size_t)matrix->layer
                                                            : from->sizes.layers + 1);
    const size_t slot = is_bias                                                                            ? 2
                        : matrix->kind == TEXTGEN_RECURRENT_WEIGHTS || matrix->kind == TEXTGEN_OUTPUT_BIAS ? 1
                                                                                                           : 0;
    const size_t columns = layer->outputs, rows = is_tokens ? layer->inputs : (size_t)matrix->rows;
    const size_t count = rows * columns * (is_layer ? 4 : 1);
    for (size_t i = 0; i < count; i++) {
        const size_t scale = is_layer ? i / rows : is_tokens ? i / columns : i % columns;
        float *value = &values[place_of(matrix, columns, i)];
        *value = read_value(layer, slot, i, scale);
        if (is_bias) {
            *value += read_value(layer, slot, count + i, 0);
        }
    }
}

/* Set the new numbers of a row of symbols, of which `known` are there, or those of new rows: their means. */
static void add_means(float *values, size_t known, size_t all, size_t step) {
    double sum = 0.0;
    for (size_t i = 0; i < known; i++) {
        sum += (double)values[i * step];
    }
    for (size_t i = known; i < all; i++) {
        values[i * step] = (float)(sum / (double)known);
    }
}

/* Set the output biases of new symbols, so that as far as biases determine it, the ratio of their probability
 * to that of all others is that of their frequencies. */
static void add_biases(float *bias, size_t known, size_t all, const textgen_tokens *tokens) {
    double largest = (double)bias[0], sum = 0.0, count = 0.0;
    for (size_t i = 0; i < known; i++) {
        largest = fmax(largest, (double)bias[i]);
    }
    for (size_t i = 0; i < known; i++) {
        sum += exp((double)bias[i] - largest);
    }
    for (size_t i = known; i < all; i++) {
        bias[i] = 0.0f;
    }
    for (int64_t i = 0; i < tokens->count; i++) {
        const size_t token = (size_t)textgen_token_at(tokens, i);
        count += token < known;
        bias[token] += token < known ? 0.0f : 1.0f;
    }
    for (size_t i = known; i < all; i++) {
        bias[i] = (float)(largest + log(sum) + log(((double)bias[i] + 0.5) / fmax(count, 1.0)));
    }
}

static int32_t read_weights(textgen_run *run, const opened_file *from, const textgen_vocabulary *vocabulary,
                            const textgen_tokens *tokens, textgen_error *error) {
    const textgen_network_shape shape = textgen_run_shape(run);
    const textgen_sizes *sizes = &from->network.sizes;
    textgen_vocabulary *known;
    TEXTGEN_TRY(check_sizes(sizes, &run->options, error));
    TEXTGEN_TRY(textgen_vocabulary_create(&from->file, sizes->vocabulary, &known, error));
    if (!begins_with(vocabulary, known)) {
        return textgen_report_at(error, TEXTGEN_INVALID_ARGUMENT, "vocabulary", -1,
                                 "must begin with that of the model file");
    }
    for (ptrdiff_t i = 0; i < textgen_matrix_count(&shape); i++) {
        const textgen_matrix matrix = textgen_matrix_at(&shape, i);
        const size_t stride = (size_t)matrix.columns;
        float *values = textgen_run_weights(run) + matrix.offset;
        read_matrix(&from->network, &matrix, values);
        for (size_t k = 0; matrix.kind == TEXTGEN_TOKENS && k < sizes->embedding; k++) {
            add_means(values + k, known->count, vocabulary->count, stride);
        }
        for (size_t k = 0; matrix.kind == TEXTGEN_OUTPUT_WEIGHTS && k < sizes->units; k++) {
            add_means(values + k * stride, known->count, vocabulary->count, 1);
        }
        if (matrix.kind == TEXTGEN_OUTPUT_BIAS) {
            add_biases(values, known->count, vocabulary->count, tokens);
        }
    }
    return TEXTGEN_OK;
}

int32_t textgen_read_model(textgen_run *run, textgen_view content, const textgen_vocabulary *vocabulary,
                           const textgen_tokens *tokens, textgen_error *error) {
    opened_file *from;
    TEXTGEN_TRY(open_file(content, &from, error));
    const int32_t code = read_weights(run, from, vocabulary, tokens, error);
    textgen_release(from);
    return code;
}

/* ---- 8 bits ---- */

/* Bounds of weights, and of the sums of two neighbors. On processors with AVX2, kernels add the products of
 * both and of inputs from 0 to 254 as 16-bit integers: 254 * 129 is 32,766. The project rnnoise has such a
 * bound. */
#define MAX_WEIGHT 127.0
#define MAX_PAIR 129.0

/* What a scale is raised by at a time, until rounded weights are within the bounds. */
#define RAISE (1.0f + 0x1p-14f)

/* The rows of a matrix, each of which has a scale. */
typedef struct {
    const textgen_tensor *tensor;
    size_t rows, count, row_step, step; /* between rows, and between the values of a row */
    bool is_multiplied;                 /* or only looked up: without a bound of pairs */
} matrix_rows;

static size_t place_in(const matrix_rows *from, size_t row, size_t i) {
    return row * from->row_step + i * from->step;
}

static double value_in(const matrix_rows *from, size_t row, size_t i) {
    return (double)textgen_tensor_float(from->tensor, place_in(from, row, i));
}

/* Return the smallest scale of a row with which all weights are within the bounds. */
static float find_scale(const matrix_rows *from, size_t row) {
    double largest = 0.0, pair = 0.0;
    for (size_t i = 0; i < from->count; i++) {
        largest = fmax(largest, fabs(value_in(from, row, i)));
        if (from->is_multiplied && i % 2) {
            pair = fmax(pair, fabs(value_in(from, row, i - 1) + value_in(from, row, i)));
        }
    }
    /* Processors compute with numbers below FLT_MIN slowly, or as zero. */
    float scale = (float)fmax(fmax(largest / MAX_WEIGHT, pair / MAX_PAIR), (double)FLT_MIN);
    for (bool is_over = true; is_over;) {
        double before = 0.0;
        is_over = false;
        for (size_t i = 0; i < from->count && !is_over; i++) {
            const double weight = rint(value_in(from, row, i) / (double)scale);
            is_over =
                fabs(weight) > MAX_WEIGHT || (from->is_multiplied && i % 2 && fabs(before + weight) > MAX_PAIR);
            before = weight;
        }
        scale = is_over ? scale * RAISE : scale;
    }
    return scale;
}

/* Put the tensor of a layer, with its scales if it has 8 bits. */
static void put_layer_tensor(textgen_output *to, const textgen_layer *layer, size_t slot, size_t number,
                             textgen_sizes sizes) {
    /* See put_matrix. The first of a pair is the tensor, the second that of the scales. */
    static const char *const heads[][TEXTGEN_LAYER_TENSORS][2] = {
        {{"1=v 1=e 2=3 8'embedding_int8'", "1=v 2=1 8'embedding_scale'"}},
        {{"1=1 1=u 1=e 2=3 8'input_#_int8'", "1=u 2=1 8'input_#_scale'"},
         {"1=1 1=u 1=e 2=3 8'recurrent_#_int8'", "1=u 2=1 8'recurrent_#_scale'"},
         {"1=1 1=u 2=1 8'bias_#'"}},
        {{"1=u 1=v 2=3 8'output_weights_int8'", "1=v 2=1 8'output_weights_scale'"},
         {"1=v 2=1 8'output_bias'"}}};
    const char *const *head = heads[layer->kind][slot];
    const textgen_tensor *tensor = layer->tensors[slot];
    const bool is_layer = layer->kind == TEXTGEN_LSTM, is_linear = layer->kind == TEXTGEN_LINEAR;
    matrix_rows from = {.tensor = tensor, .is_multiplied = layer->kind != TEXTGEN_EMBEDDING};
    from.count = is_layer && slot == 1   ? layer->outputs
                 : is_layer || is_linear ? layer->inputs
                                         : layer->outputs;
    from.rows = tensor->raw.size / 4 / from.count;
    from.row_step = is_linear ? 1 : from.count;
    from.step = is_linear ? from.rows : 1;
    if (is_layer) {
        sizes.units *= slot == 2 ? 8 : 4;
        sizes.embedding = from.count;
    }
    size_t start = to->size;
    textgen_onnx_put(to, head[0], &sizes, number);
    size_t raw = to->size;
    if (!head[1]) {
        put_bytes(to, tensor->raw.data, tensor->raw.size);
        textgen_onnx_wrap(to, 9, raw);
        textgen_onnx_wrap(to, 5, start);
        return;
    }
    for (size_t row = 0; to->data && row < from.rows; row++) {
        const float scale = find_scale(&from, row);
        for (size_t i = 0; i < from.count; i++) {
            to->data[raw + place_in(&from, row, i)] =
                (unsigned char)(int)rint(value_in(&from, row, i) / (double)scale);
        }
    }
    to->size += tensor->raw.size / 4;
    textgen_onnx_wrap(to, 9, raw);
    textgen_onnx_wrap(to, 5, start);
    start = to->size;
    textgen_onnx_put(to, head[1], &sizes, number);
    raw = to->size;
    for (size_t row = 0; row < from.rows; row++) {
        put_float(to, to->data ? find_scale(&from, row) : 0.0f);
    }
    textgen_onnx_wrap(to, 9, raw);
    textgen_onnx_wrap(to, 5, start);
}

static bool is_key(const char *const *more, textgen_view key) {
    for (; more && *more; more += 2) {
        if (textgen_view_is(key, *more)) {
            return true;
        }
    }
    return textgen_view_is(key, "textgen.format");
}

int32_t textgen_quantize(const void *file, size_t file_size, const char *const *more, unsigned char *converted,
                         size_t *size, textgen_error *error) {
    opened_file *from;
    textgen_output to = {converted, 0};
    TEXTGEN_TRY(open_file((textgen_view){file, file_size}, &from, error));
    textgen_sizes sizes = from->network.sizes;
    if (sizes.bits == 8) {
        textgen_release(from);
        return textgen_report(error, TEXTGEN_INVALID_ARGUMENT, "the weights have 8 bits already");
    }
    sizes.bits = 8;
    const size_t graph = put_head(&to, &sizes);
    for (size_t i = 0; i < sizes.layers + 2; i++) {
        const textgen_layer *layer = &from->network.layers[i];
        for (size_t slot = 0; slot < TEXTGEN_LAYER_TENSORS && layer->tensors[slot]; slot++) {
            put_layer_tensor(&to, layer, slot, i - 1, sizes);
        }
    }
    end_graph(&to, &sizes, graph);
    put_property(&to, textgen_view_of("textgen.format"), textgen_view_of("2"));
    for (size_t i = 0; i < from->file.property_count; i++) {
        const textgen_property *property = &from->file.properties[i];
        if (!is_key(more, property->key)) {
            put_property(&to, property->key, property->value);
        }
    }
    for (; more && *more; more += 2) {
        put_property(&to, textgen_view_of(more[0]), textgen_view_of(more[1]));
    }
    *size = to.size;
    textgen_release(from);
    return TEXTGEN_OK;
}
