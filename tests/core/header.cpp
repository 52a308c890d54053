// Checks that the public header compiles as C++, with C linkage.
#include "textgen.h"

int main() {
    textgen_sampling sampling = TEXTGEN_SAMPLING_DEFAULT;
    textgen_lane lane = TEXTGEN_LANE_DEFAULT;
    textgen_model_options options = TEXTGEN_MODEL_OPTIONS_DEFAULT;
    textgen_model_info info = TEXTGEN_MODEL_INFO_DEFAULT;
    textgen_layer_info layer = TEXTGEN_LAYER_INFO_DEFAULT;
    char error[64];
    if (textgen_version() != TEXTGEN_VERSION || sampling.mirostat_eta != 0.1 ||
        textgen_parameter(0)->initial != sampling.temperature || options.struct_size != sizeof options ||
        info.struct_size != sizeof info || layer.struct_size != sizeof layer) {
        return 1;
    }
    return textgen_generate(&lane, 1, nullptr, 0, error, sizeof error) == TEXTGEN_INVALID_ARGUMENT ? 0 : 1;
}
