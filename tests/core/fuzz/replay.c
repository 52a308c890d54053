/* Runs the fuzz targets without libFuzzer, with inputs from standard input, each after its size in 4
 * little-endian bytes, and prints how many there were. */
#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>

int main(void) {
    unsigned char head[4];
    size_t count = 0;
    LLVMFuzzerInitialize(NULL, NULL);
    for (; fread(head, 1, sizeof head, stdin) == sizeof head; count++) {
        const size_t size = head[0] | (size_t)head[1] << 8 | (size_t)head[2] << 16 | (size_t)head[3] << 24;
        unsigned char *data = fuzz_allocate(size);
        if (fread(data, 1, size, stdin) != size) {
            return 2;
        }
        LLVMFuzzerTestOneInput(data, size);
        free(data);
    }
    printf("%zu inputs\n", count);
    return 0;
}
