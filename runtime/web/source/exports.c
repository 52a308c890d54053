/* What the module that generates has besides textgen.h, whose functions the linker exports under their names.
 * JavaScript reads the structs by the offsets in structs.js. */
#include "core.h"
#include "sha256.h"

#define EXPORT(name) __attribute__((export_name(#name))) name

_Static_assert(offsetof(textgen_error, message) == 16 && sizeof(textgen_error) == 264, "structs.js");
_Static_assert(offsetof(textgen_model_info, unknown) == 48 && offsetof(textgen_model_info, kernels) == 88,
               "structs.js");
_Static_assert(offsetof(textgen_parameter_info, initial) == 24 &&
                   offsetof(textgen_parameter_info, offset) == 64,
               "structs.js");
_Static_assert(offsetof(textgen_sampling, spans) == 44 && sizeof(textgen_sampling) == 144, "structs.js");
_Static_assert(offsetof(textgen_stream_info, logits) == 40, "structs.js");

/* Call functions with the arguments that are always the same, so that the compiler can leave out the rest. */

int32_t EXPORT(create)(const void *data, size_t size, textgen_model **model, textgen_error *error) {
    return textgen_model_create(data, size, NULL, model, error);
}

/* Draw up to `steps` tokens of a text. counts: how many were drawn, the bytes of the text, and its ending. */
int32_t EXPORT(generate)(textgen_stream *stream, size_t length, int32_t finish, size_t steps, char *text,
                         int32_t counts[3], textgen_memory workspace, textgen_error *error) {
    textgen_lane lane = {.stream = stream, .length = length, .finish = finish, .text = text};
    const int32_t code = textgen_generate(&lane, 1, steps, workspace, NULL, error);
    counts[0] = (int32_t)lane.drawn;
    counts[1] = (int32_t)lane.written;
    counts[2] = lane.ending;
    return code == TEXTGEN_LANE_FAILED ? lane.result : code;
}

void EXPORT(digest)(const void *data, size_t size, unsigned char hash[TEXTGEN_SHA256_SIZE]) {
    textgen_sha256 sum;
    textgen_sha256_init(&sum);
    textgen_sha256_add(&sum, data, size);
    textgen_sha256_end(&sum, hash);
}
