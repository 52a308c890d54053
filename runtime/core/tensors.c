#include "tensors.h"

#include "model.h"
#include "wire.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

_Static_assert(sizeof(float) == 4, "weights are float32");

int32_t textgen_tensors_create(const textgen_onnx *file, textgen_tensors *tensors, textgen_error *error) {
    char quoted[TEXTGEN_QUOTE_SIZE];
    tensors->tensors = file->tensors;
    tensors->count = file->tensor_count;
    tensors->names = textgen_allocate(file->arena, tensors->count + 1, sizeof *tensors->names);
    if (!tensors->names) {
        return textgen_out_of_memory(error);
    }
    for (size_t i = 0; i < tensors->count; i++) {
        tensors->names[i].name = file->tensors[i].name;
        tensors->names[i].index = i;
    }
    const textgen_name *duplicate = textgen_names_sort(tensors->names, tensors->count);
    if (duplicate) {
        return textgen_fail(error, TEXTGEN_DAMAGED_MODEL,
                            "the weights %s are stored twice: export the model again",
                            textgen_quote(duplicate->name, quoted));
    }
    return TEXTGEN_OK;
}

const textgen_tensor *textgen_tensors_find(const textgen_tensors *tensors, textgen_view name) {
    const textgen_name *found = textgen_names_find(tensors->names, tensors->count, name);
    return found ? &tensors->tensors[found->index] : NULL;
}

const char *textgen_format_shape(const int64_t *shape, size_t dimensions, char buffer[TEXTGEN_SHAPE_SIZE]) {
    size_t written = 1;
    buffer[0] = '[';
    for (size_t i = 0; i < dimensions && i < TEXTGEN_MAX_DIMENSIONS; i++) {
        written += (size_t)snprintf(buffer + written, TEXTGEN_SHAPE_SIZE - written, "%s%" PRId64,
                                    i == 0 ? "" : ", ", shape[i]);
    }
    buffer[written] = ']';
    buffer[written + 1] = '\0';
    return buffer;
}

/* The number of values of a type that a tensor has outside raw_data. */
static size_t typed_values(const textgen_tensor *tensor, int32_t type) {
    if (type == TEXTGEN_ONNX_FLOAT) {
        return tensor->floats.size / 4;
    }
    if (type == TEXTGEN_ONNX_INT8) {
        return 0;
    }
    /* Other integer tensors have one value. The scan has a limit, because many nodes of a file could use the
     * same tensor. */
    enum { MAX_SCAN = 4096 };
    size_t count = 0;
    for (size_t i = 0; i < tensor->integers.size && i < MAX_SCAN; i++) {
        count += tensor->integers.data[i] < 0x80;
    }
    return count;
}

/* Whether items of `item` bytes in this shape, with dimensions of 1 or more, are `bytes` bytes. */
static bool has_size(const int64_t *shape, size_t dimensions, uint64_t item, uint64_t bytes) {
    uint64_t size = item;
    for (size_t i = 0; i < dimensions; i++) {
        if (size > bytes / (uint64_t)shape[i]) {
            return false;
        }
        size *= (uint64_t)shape[i];
    }
    return size == bytes;
}

int32_t textgen_tensors_check(const textgen_tensors *tensors, textgen_view name, int32_t type,
                              size_t dimensions, const textgen_tensor **found, textgen_error *error) {
    char quoted[TEXTGEN_QUOTE_SIZE];
    char shape[TEXTGEN_SHAPE_SIZE];
    char formatted[TEXTGEN_NUMBER_SIZE];
    const textgen_tensor *tensor = *found = textgen_tensors_find(tensors, name);
    textgen_quote(name, quoted);
    if (!tensor) {
        return textgen_fail(error, TEXTGEN_DAMAGED_MODEL, "the weights %s are missing: export the model again",
                            quoted);
    }
    if (tensor->external) {
        return textgen_fail(error, TEXTGEN_DAMAGED_MODEL,
                            "the weights %s are in another file: export the model to a single file", quoted);
    }
    bool valid = tensor->type == type && tensor->dimensions == dimensions;
    for (size_t i = 0; valid && i < dimensions; i++) {
        valid = tensor->shape[i] >= 1;
    }
    textgen_format_shape(tensor->shape, tensor->dimensions, shape);
    if (!valid) {
        return textgen_fail(error, TEXTGEN_DAMAGED_MODEL,
                            "the weights %s have ONNX type %" PRId32 " and shape %s; expected type %" PRId32
                            " and %zu dimensions",
                            quoted, tensor->type, shape, type, dimensions);
    }
    if (tensor->scattered) {
        return textgen_fail(error, TEXTGEN_UNKNOWN_GRAPH,
                            "the weights %s are stored in several parts: export the model again", quoted);
    }
    const uint64_t item = type == TEXTGEN_ONNX_FLOAT ? 4 : type == TEXTGEN_ONNX_INT8 ? 1 : 8;
    const size_t typed = typed_values(tensor, type);
    const uint64_t bytes = tensor->raw.size > 0 ? tensor->raw.size : typed * item;
    if ((tensor->raw.size > 0 && typed > 0) || !has_size(tensor->shape, dimensions, item, bytes)) {
        return textgen_fail(error, TEXTGEN_DAMAGED_MODEL,
                            "the weights %s have %s bytes, which does not match their shape %s", quoted,
                            textgen_format_number(bytes, formatted), shape);
    }
    return TEXTGEN_OK;
}

int32_t textgen_tensor_integer(const textgen_tensor *tensor, int64_t *value, textgen_error *error) {
    char quoted[TEXTGEN_QUOTE_SIZE];
    uint64_t bits = 0;
    if (tensor->raw.size > 0) {
        for (unsigned i = 0; i < 8; i++) {
            bits |= (uint64_t)tensor->raw.data[i] << 8 * i;
        }
    } else {
        textgen_wire wire = textgen_wire_of(tensor->integers);
        if (!textgen_wire_varint(&wire, &bits) || wire.next != wire.end) {
            return textgen_fail(error, TEXTGEN_DAMAGED_MODEL,
                                "the value of %s is damaged: export the model again",
                                textgen_quote(tensor->name, quoted));
        }
    }
    *value = textgen_wire_int64(bits);
    return TEXTGEN_OK;
}

static bool little_endian(void) {
    const uint32_t one = 1;
    unsigned char first;
    memcpy(&first, &one, 1);
    return first == 1;
}

bool textgen_all_finite(const float *values, size_t count) {
    /* NaN and infinity have all exponent bits set. Adding 1 to the exponent then carries into the sign bit. The
     * inner loop has a fixed length so that compilers vectorise it at -O2. */
#ifdef TEXTGEN_SMALL
    enum { WIDTH = 1 };
#else
    enum { WIDTH = 16 };
#endif
    const uint32_t exponent = 0x7F800000u, lowest = 0x00800000u, sign = 0x80000000u;
    uint32_t found[WIDTH] = {0};
    size_t i = 0;
    for (; i + WIDTH <= count; i += WIDTH) {
        uint32_t bits[WIDTH];
        memcpy(bits, values + i, sizeof bits);
        for (size_t j = 0; j < WIDTH; j++) {
            found[j] |= (bits[j] & exponent) + lowest;
        }
    }
    for (; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, values + i, sizeof bits);
        found[0] |= (bits & exponent) + lowest;
    }
    for (i = 1; i < WIDTH; i++) {
        found[0] |= found[i];
    }
    return (found[0] & sign) == 0;
}

int32_t textgen_tensor_floats(const textgen_tensor *tensor, size_t first, size_t count, float *values,
                              textgen_error *error) {
    char quoted[TEXTGEN_QUOTE_SIZE];
    const textgen_view stored = tensor->raw.size > 0 ? tensor->raw : tensor->floats;
    if (first > stored.size / 4 || count > stored.size / 4 - first) {
        return textgen_fail(error, TEXTGEN_DAMAGED_MODEL,
                            "the weights %s have too few values: export the model again",
                            textgen_quote(tensor->name, quoted));
    }
    if (count == 0) {
        return TEXTGEN_OK;
    }
    const unsigned char *bytes = stored.data + first * 4;
    if (little_endian()) {
        memcpy(values, bytes, count * 4);
    } else {
        for (size_t i = 0; i < count; i++, bytes += 4) {
            const uint32_t bits = (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 |
                                  (uint32_t)bytes[3] << 24;
            memcpy(&values[i], &bits, sizeof bits);
        }
    }
    if (!textgen_all_finite(values, count)) {
        return textgen_fail(error, TEXTGEN_DAMAGED_MODEL,
                            "the weights %s contain NaN or infinity: the file is damaged",
                            textgen_quote(tensor->name, quoted));
    }
    return TEXTGEN_OK;
}
