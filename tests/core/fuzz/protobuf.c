/* Fields of protobuf messages. */
#include "fuzz.h"

static bool read_varint(const unsigned char *data, size_t size, size_t *offset, size_t *value) {
    *value = 0;
    for (unsigned shift = 0; *offset < size && shift < 8 * sizeof *value; shift += 7) {
        const unsigned char byte = data[(*offset)++];
        *value |= (size_t)(byte & 0x7F) << shift;
        if (byte < 0x80) {
            return true;
        }
    }
    return false;
}

bool fuzz_read_field(const unsigned char *data, size_t size, size_t offset, fuzz_field *field) {
    size_t key, length, end = offset;
    if (!read_varint(data, size, &end, &key)) {
        return false;
    }
    fuzz_field found = {(unsigned)(key >> 3), (key & 7) == 2, offset, end, 0};
    switch (key & 7) {
    case 0:
        if (!read_varint(data, size, &end, &length)) {
            return false;
        }
        break;
    case 1:
        end += 8;
        break;
    case 2:
        if (!read_varint(data, size, &end, &length) || length > size - end) {
            return false;
        }
        found.content = end;
        end += length;
        break;
    case 5:
        end += 4;
        break;
    default:
        return false;
    }
    found.end = end;
    *field = end <= size ? found : *field;
    return end <= size;
}

size_t fuzz_write_varint(unsigned char *data, size_t number) {
    size_t size = 0;
    do {
        data[size++] = (unsigned char)((number & 0x7F) | (number > 0x7F ? 0x80 : 0));
        number >>= 7;
    } while (number);
    return size;
}
