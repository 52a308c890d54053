/* Generate text without the heap and without files. The model is in the program; textgen-embed wrote it:
 *
 *     textgen-embed nietzsche -o gen
 *     cc -O2 -DTEXTGEN_NO_HEAP -Igen examples/embedded.c gen/textgen.c gen/model.c -o embedded
 */
#include "model.h"
#include "textgen.h"
#include <stdio.h>
/* What textgen_model_get_info and textgen_stream_size state for this model, or more. A model that needs more is
 * refused, and the message says how much. The arrays have elements of 8 bytes, so that they are aligned. */
static uint64_t model_memory[1400000 / 8], stream_memory[60000 / 8];
static char text[64 * 4 + 1], error[256];
static int check(int32_t code) {
    if (code != TEXTGEN_OK) {
        printf("%s\n", error);
    }
    return code == TEXTGEN_OK;
}
int main(void) {
    textgen_model_options options = TEXTGEN_MODEL_OPTIONS_DEFAULT;
    textgen_sampling sampling = TEXTGEN_SAMPLING_DEFAULT;
    textgen_model *model;
    textgen_stream *stream;
    options.memory = model_memory;
    options.memory_size = sizeof model_memory;
    sampling.seed = 7;
    if (!check(textgen_model_create(model_data, model_size, &options, &model, error, sizeof error)) ||
        !check(textgen_stream_init(stream_memory, sizeof stream_memory, model, &sampling, &stream, error,
                                   sizeof error)) ||
        !check(textgen_stream_feed(stream, "the will to ", 12, error, sizeof error))) {
        return 1;
    }
    for (int i = 0; i < 10; i++) {
        if (!check(textgen_stream_generate(stream, 40, text, sizeof text, NULL, error, sizeof error))) {
            return 1;
        }
        printf("%s", text);
    }
    printf("\n");
    return 0;
}
