/* Prints arguments of log64, and its results, as hexadecimal numbers: logarithms COUNT. */
#include "check.h"

#include "log64.h"

int main(int count, char **arguments) {
    uint64_t state = 3, bits;
    long i;
    CHECK(count > 1);
    for (i = 0; i < strtol(arguments[1], NULL, 10); i++) {
        double argument;
        bits = next_random(&state);
        switch (i % 4) {
        case 0: /* of all sizes; some are subnormal */
            bits = (bits << 10) % 0x7FF0000000000000;
            break;
        case 1: /* from 1/2 to 2 */
            bits = 0x3FE0000000000000 + bits;
            break;
        case 2: /* next to 1 */
            bits = 0x3FF0000000000000 + bits % 2000 - 1000;
            break;
        default: /* subnormal */
            bits = bits >> (bits % 53);
        }
        memcpy(&argument, &bits, sizeof argument);
        argument = argument > 0.0 ? argument : 1.0;
        printf("%a %a\n", argument, textgen_log64(argument));
    }
    return 0;
}
