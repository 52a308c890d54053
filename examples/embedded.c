/* Generate text without the heap and without files. The model is in the program; textgen-embed wrote it:
 *
 *     textgen-embed nietzsche -o gen
 *     cc -O2 -DTEXTGEN_NO_HEAP -Igen examples/embedded.c gen/textgen.c gen/model.c -o embedded
 */
#include "model.h"
#include "textgen.h"
#include <stdio.h>
/* What textgen_model_info, textgen_stream_size and textgen_workspace_size state for this model, or more. A
 * model that needs more is refused, and the message says how much. The arrays have elements of 8 bytes, so that
 * they are aligned. */
static uint64_t model_memory[1400000 / 8], stream_memory[60000 / 8], workspace_memory[40000 / 8];
static char text[64 * 4 + 1];
static textgen_error error;
static int check(int32_t code) {
    if (code != TEXTGEN_OK) {
        printf("%s %s\n", error.parameter ? error.parameter : "", error.message);
    }
    return code == TEXTGEN_OK;
}
int main(void) {
    const textgen_model_options options = {.memory = {model_memory, sizeof model_memory}};
    const textgen_memory memory = {stream_memory, sizeof stream_memory};
    const textgen_memory workspace = {workspace_memory, sizeof workspace_memory};
    textgen_sampling sampling = TEXTGEN_SAMPLING_DEFAULT;
    textgen_model *model;
    textgen_stream *stream;
    size_t written;
    sampling.seed = 7;
    if (!check(textgen_model_create(model_data, model_size, &options, &model, &error)) ||
        !check(textgen_stream_init(memory, model, &sampling, &stream, &error)) ||
        !check(textgen_stream_feed(stream, "the will to ", 12, workspace, &error))) {
        return 1;
    }
    for (int i = 0; i < 10; i++) {
        if (!check(textgen_stream_generate(stream, 40, text, sizeof text, &written, workspace, &error))) {
            return 1;
        }
        printf("%s", text);
    }
    printf("\n");
    return 0;
}
