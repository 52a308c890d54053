/* Tables of constraints: each is refused, or the texts that it allows match it. */
#include "fuzz.h"

#include "tables.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_LENGTH = 16 };

/* Return the state of a constraint after a text of characters, or -1 if it does not match. */
static int64_t follow(const fuzz_model *model, const textgen_constraint *constraint, const fuzz_content *text) {
    int64_t state = 0;
    for (size_t i = 0, end; i < text->size && state >= 0; i = end) {
        for (end = i + 1; end < text->size && (text->data[end] & 0xC0) == 0x80;) {
            end++;
        }
        const int64_t token = textgen_model_get_token(model->model, (char *)text->data + i, end - i);
        REQUIRE(token >= 0);
        state = constraint->next[(size_t)state * constraint->vocabulary + (size_t)token];
    }
    return state;
}

/* Generate a text of a constraint, which matches it. A length that is too short is refused. */
static void constrain(const fuzz_model *model, const textgen_constraint *constraint, size_t length) {
    textgen_sampling sampling = TEXTGEN_SAMPLING_DEFAULT;
    const size_t size = textgen_stream_size(model->model);
    const size_t workspace_size = textgen_workspace_size(model->model, 1);
    textgen_lane lane = TEXTGEN_LANE_DEFAULT;
    void *memory = fuzz_allocate(size), *workspace = fuzz_allocate(workspace_size);
    sampling.constraint = constraint;
    sampling.temperature = 2.0;
    REQUIRE_CODE(textgen_stream_init(memory, size, model->model, &sampling, &lane.stream, fuzz_message,
                                     sizeof fuzz_message),
                 0);
    fuzz_feed(model->model, lane.stream, 1, 1);
    lane.length = length;
    lane.finish = 1;
    lane.size = textgen_stream_text_size(lane.stream, length);
    lane.text = fuzz_allocate(lane.size);
    const int32_t code =
        textgen_generate(&lane, 1, workspace, workspace_size, fuzz_message, sizeof fuzz_message);
    REQUIRE_CODE(code, CODE(LANE_FAILED) | CODE(INVALID_ARGUMENT));
    REQUIRE((code == TEXTGEN_INVALID_ARGUMENT) == (constraint->distance[0] > (int64_t)length));
    REQUIRE_CODE(lane.result, FUZZ_DRAW_ERRORS);
    if (code == TEXTGEN_OK && strcmp(model->info.level, "character") == 0) {
        const fuzz_content text = {(unsigned char *)lane.text, lane.written};
        const int64_t state = follow(model, constraint, &text);
        REQUIRE(state >= 0 && textgen_constraint_accepting(constraint, state));
    }
    free(lane.text);
    free(workspace);
    free(memory);
}

void fuzz_read_table(const fuzz_model *model, fuzz_input input) {
    textgen_constraint *constraint = NULL;
    const unsigned taken = fuzz_take(&input);
    const size_t length = 1 + taken % MAX_LENGTH;
    const int64_t banned[] = {(int64_t)(taken / MAX_LENGTH) % (int64_t)model->info.vocabulary};
    const int32_t code = textgen_constraint_create(model->model, input.data, input.size, banned, taken >= 128,
                                                   NULL, 0, &constraint, fuzz_message, sizeof fuzz_message);
    if (REQUIRE_CODE(code, CODE(INVALID_ARGUMENT)) == TEXTGEN_OK) {
        constrain(model, constraint, length);
    }
    textgen_constraint_destroy(constraint);
}
