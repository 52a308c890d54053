/* Tables of constraints: each is refused, or the texts that it allows match it. */
#include "fuzz.h"

#include "tables.h"

enum { MAX_LENGTH = 16 };

/* Return the state of a constraint after a text of characters, or -1 if it does not match. */
static int64_t follow(const fuzz_model *model, const textgen_constraint *constraint, const fuzz_content *text) {
    int64_t state = 0;
    for (size_t i = 0, end; i < text->size && state >= 0; i = end) {
        for (end = i + 1; end < text->size && (text->data[end] & 0xC0) == 0x80;) {
            end++;
        }
        int64_t token;
        size_t count;
        const int32_t code =
            textgen_encode(model->model, (char *)text->data + i, end - i, 0, &token, &count, &error);
        CHECK(code == TEXTGEN_OK && count == 1);
        state = constraint->next[(size_t)state * constraint->vocabulary + (size_t)token];
    }
    return state;
}

/* Generate a text of a constraint, which matches it. A length that is too short is refused. */
static void constrain(const fuzz_model *model, const textgen_constraint *constraint, size_t length) {
    const textgen_sampling sampling = {.constraint = constraint, .temperature = 2.0};
    const textgen_memory memory = new_memory(textgen_stream_size(model->model));
    const textgen_memory workspace = fuzz_workspace(model->model, 1);
    textgen_lane lane = {.length = length, .finish = 1};
    CHECK_CODE(textgen_stream_init(memory, model->model, &sampling, &lane.stream, &error), 0);
    fuzz_feed(model->model, lane.stream, 1, 1);
    lane.text = allocate(textgen_stream_text_size(lane.stream, length));
    const size_t needed = textgen_stream_get_info(lane.stream).needed;
    const int32_t code = textgen_generate(&lane, 1, 0, workspace, NULL, &error);
    CHECK_CODE(code, CODE(LANE_FAILED) | CODE(INVALID_ARGUMENT));
    CHECK((code == TEXTGEN_INVALID_ARGUMENT) == (needed > length));
    if (code == TEXTGEN_LANE_FAILED) {
        CHECK(lane.result == TEXTGEN_INVALID_LOGITS || lane.result == TEXTGEN_NO_TOKEN);
    }
    if (code == TEXTGEN_OK && strcmp(model->info->level, "character") == 0) {
        const fuzz_content text = {(unsigned char *)lane.text, lane.written};
        const int64_t state = follow(model, constraint, &text);
        CHECK(state >= 0 && textgen_constraint_accepting(constraint, state));
    }
    free(lane.text), free(workspace.data), free(memory.data);
}

/* The first byte is the length of a text, and the tokens that are banned. */
void fuzz_read_table(const fuzz_model *model, fuzz_input input) {
    textgen_constraint *constraint = NULL;
    const unsigned head = fuzz_take(&input);
    const int64_t banned = head / 32;
    const int32_t code = textgen_constraint_create(model->model, input.data, input.size, &banned, head >= 32,
                                                   &constraint, &error);
    if (CHECK_CODE(code, CODE(INVALID_ARGUMENT)) == TEXTGEN_OK) {
        constrain(model, constraint, 1 + head % MAX_LENGTH);
    }
    textgen_constraint_destroy(constraint);
}
