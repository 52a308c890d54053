/* Runs the fuzz targets without libFuzzer, with inputs from standard input, each after its size in 4
 * little-endian bytes, and prints how many there were. */
#include "fuzz.h"

int main(void) {
    unsigned char *data;
    size_t size, count = 0;
    LLVMFuzzerInitialize(NULL, NULL);
    for (; (data = read_part(&size)) != NULL; count++) {
        LLVMFuzzerTestOneInput(data, size);
        free(data);
    }
    printf("%zu inputs\n", count);
    return 0;
}
