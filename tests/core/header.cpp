// Checks that the public header compiles as C++, with C linkage.
#include "textgen.h"

int main() {
    textgen_sampling sampling = TEXTGEN_SAMPLING_DEFAULT;
    textgen_lane lane = {};
    lane.struct_size = sizeof lane;
    char error[64];
    if (textgen_version() != TEXTGEN_VERSION || sampling.mirostat_eta != 0.1 ||
        textgen_parameter(0)->initial != sampling.temperature) {
        return 1;
    }
    return textgen_generate(&lane, 1, nullptr, 0, error, sizeof error) == TEXTGEN_INVALID_ARGUMENT ? 0 : 1;
}
