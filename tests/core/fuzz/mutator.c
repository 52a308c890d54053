/* Changes of a model file that keep the lengths of its protobuf messages right. Other changes would mostly end
 * at the first wrong length. */
#include "fuzz.h"

/* Of libFuzzer. */
size_t LLVMFuzzerMutate(unsigned char *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(unsigned char *data, size_t size, size_t max_size, unsigned seed);

static size_t below(unsigned *state, size_t limit) {
    *state = *state * 1664525u + 1013904223u;
    return (*state >> 8) % limit;
}

/* Choose a field, half of the time one with many bytes. Return false if the data is no message. */
static bool choose_field(const unsigned char *data, size_t size, unsigned *state, fuzz_field *chosen) {
    fuzz_field field = {0};
    size_t count = 0;
    while (fuzz_read_field(data, size, field.end, &field)) {
        count++;
    }
    if (field.end < size || !count) {
        return false;
    }
    const bool by_size = below(state, 2);
    size_t left = below(state, by_size ? size : count);
    for (*chosen = (fuzz_field){0}; fuzz_read_field(data, size, chosen->end, chosen);) {
        const size_t step = by_size ? chosen->end - chosen->start : 1;
        if (left < step) {
            break;
        }
        left -= step;
    }
    return true;
}

/* Replace the bytes from `start` to `end`. Return the new size, or `size` if the result is too large. */
static size_t replace(unsigned char *data, size_t size, size_t max_size, size_t start, size_t end,
                      const unsigned char *part, size_t part_size) {
    if (size - (end - start) + part_size > max_size) {
        return size;
    }
    memmove(data + start + part_size, data + end, size - end);
    memcpy(data + start, part, part_size);
    return size - (end - start) + part_size;
}

static size_t mutate(unsigned char *data, size_t size, size_t max_size, unsigned *state) {
    enum { LENGTH_BYTES = 10 };
    fuzz_field field;
    const size_t action = below(state, 16);
    if (action == 0 || !choose_field(data, size, state, &field)) {
        return LLVMFuzzerMutate(data, size, max_size);
    }
    const size_t bytes = field.end - field.start;
    if (action == 1) {
        return replace(data, size, max_size, field.start, field.end, data, 0);
    }
    const size_t room = max_size - size + bytes + 2 * LENGTH_BYTES;
    unsigned char *part = allocate(room);
    size_t part_size = 0;
    if (action == 2) {
        memcpy(part, data + field.start, bytes);
        part_size = replace(data, size, max_size, field.end, field.end, part, bytes);
        free(part);
        return part_size;
    }
    if (field.has_length) {
        unsigned char *content = allocate(room);
        const size_t content_size = field.end - field.content;
        size_t key = field.start;
        memcpy(content, data + field.content, content_size);
        const size_t changed = mutate(content, content_size, room - 2 * LENGTH_BYTES, state);
        do {
            part[part_size++] = data[key];
        } while (data[key++] & 0x80);
        part_size += fuzz_write_varint(part + part_size, changed);
        memcpy(part + part_size, content, changed);
        part_size += changed;
        free(content);
    } else {
        memcpy(part, data + field.start, bytes);
        part_size = LLVMFuzzerMutate(part, bytes, room);
    }
    size = replace(data, size, max_size, field.start, field.end, part, part_size);
    free(part);
    return size;
}

size_t LLVMFuzzerCustomMutator(unsigned char *data, size_t size, size_t max_size, unsigned seed) {
    const unsigned target = size ? data[0] % FUZZ_TARGETS : 0;
    /* Before the file are the bytes that select the target and a model. */
    const bool is_model = size > 2 && (target == FUZZ_MODEL || target == FUZZ_START);
    return is_model && below(&seed, 8) ? 2 + mutate(data + 2, size - 2, max_size - 2, &seed)
                                       : LLVMFuzzerMutate(data, size, max_size);
}
