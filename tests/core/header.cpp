// Checks that the public header compiles as C++, with C linkage.
#include "textgen.h"

int main() {
    textgen_sampling sampling = TEXTGEN_SAMPLING_DEFAULT;
    textgen_error error;
    if (TEXTGEN_VERSION < 1 || sampling.mirostat_eta != 0.1 ||
        textgen_parameter(0)->initial != sampling.temperature) {
        return 1;
    }
    textgen_model *model;
    return textgen_model_create("", 0, nullptr, &model, &error) == TEXTGEN_DAMAGED_MODEL ? 0 : 1;
}
