#include "fuzz_changes.h"

#include <string.h>

static uint64_t random_state;

/* splitmix64 (Steele, Lea and Flood, 2014). */
uint64_t random_bits(void) {
    uint64_t bits = random_state += UINT64_C(0x9E3779B97F4A7C15);
    bits = (bits ^ bits >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    bits = (bits ^ bits >> 27) * UINT64_C(0x94D049BB133111EB);
    return bits ^ bits >> 31;
}

void seed_random(uint64_t seed) { random_state = seed; }

size_t below(size_t limit) { return (size_t)(random_bits() % limit); }

static void insert(content *file, size_t offset, const unsigned char *bytes, size_t size) {
    append(file, bytes, size);
    memmove(file->data + offset + size, file->data + offset, file->size - size - offset);
    memcpy(file->data + offset, bytes, size);
}

void change(content *file) {
    static const size_t lengths[] = {1, 2, 4, 16, 200};
    static const unsigned char extremes[] = {0xFF, 0x00, 0x7F, 0x80};
    unsigned char range[200];
    const size_t offset = below(file->size);
    size_t size = lengths[below(5)];
    if (size > file->size - offset) {
        size = file->size - offset;
    }
    memcpy(range, file->data + offset, size);
    switch (below(9)) {
    case 0:
    case 1:
        file->data[offset] ^= (unsigned char)(1u << below(8));
        break;
    case 2:
        file->data[offset] = (unsigned char)below(256);
        break;
    case 3:
        memset(file->data + offset, extremes[below(4)], size);
        break;
    case 4:
        if (size < file->size) {
            memmove(file->data + offset, file->data + offset + size, file->size - offset - size);
            file->size -= size;
        }
        break;
    case 5:
        insert(file, offset, range, size);
        break;
    case 6:
        insert(file, below(file->size), range, size);
        break;
    case 7:
        file->data[offset] = (unsigned char)(file->data[offset] + below(5) - 2);
        break;
    default: {
        const size_t target = below(file->size);
        memmove(file->data + target, range, size < file->size - target ? size : file->size - target);
        break;
    }
    }
}
