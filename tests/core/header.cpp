// Checks that the public header compiles as C++, with C linkage.
#include "textgen.h"

int main() {
    textgen_sampling sampling = TEXTGEN_SAMPLING_DEFAULT;
    textgen_error error;
    if (TEXTGEN_VERSION < 1 || sampling.mirostat_eta != 0.1 ||
        textgen_parameter(0)->initial != sampling.temperature) {
        return 1;
    }
    return textgen_generate(nullptr, 0, 0, textgen_memory(), nullptr, &error) == TEXTGEN_INVALID_ARGUMENT ? 0
                                                                                                          : 1;
}
