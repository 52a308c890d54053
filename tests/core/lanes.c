/* Tests textgen_generate with several lanes.
 *
 *     lanes MODEL OTHER UNKNOWN BROKEN
 *
 * The vocabularies of MODEL, OTHER and BROKEN contain "abc". That of UNKNOWN is "a" and a symbol for unknown
 * characters. The weights of BROKEN are so large that its logits become infinite. */
#include "check.h"

#include "handles.h"

enum { LANES = 3, LENGTH = 200, TEXT_SIZE = LENGTH * 4 + 1 };

typedef struct {
    textgen_lane lanes[LANES];
    char text[LANES][TEXT_SIZE];
    void *workspace;
    size_t workspace_size;
} call;

static call new_call(const textgen_model *model) {
    const textgen_lane lane = TEXTGEN_LANE_DEFAULT;
    call batch;
    memset(&batch, 0, sizeof batch);
    batch.workspace_size = textgen_workspace_size(model, LANES);
    batch.workspace = allocate(batch.workspace_size);
    for (size_t i = 0; i < LANES; i++) {
        batch.lanes[i] = lane;
        batch.lanes[i].stream = start(model, 1.0, 7, i, "abc");
        batch.lanes[i].length = LENGTH;
        batch.lanes[i].size = TEXT_SIZE;
        batch.lanes[i].result = 99;
        batch.lanes[i].written = 99;
    }
    return batch;
}

/* Set the text buffers here, because they move with the structure. */
static int32_t run(call *batch, size_t count) {
    for (size_t i = 0; i < LANES; i++) {
        batch->lanes[i].text = batch->text[i];
    }
    return textgen_generate(batch->lanes, count, batch->workspace, batch->workspace_size, ERROR);
}

static void end_call(call *batch) {
    for (size_t i = 0; i < LANES; i++) {
        free(batch->lanes[i].stream);
    }
    free(batch->workspace);
}

/* Check that the call fails and changes nothing. */
static void check_fails(call *batch, size_t count, int32_t code, const char *text) {
    CHECK_FAILS(run(batch, count), code, text);
    for (size_t i = 0; i < LANES; i++) {
        CHECK(!*batch->text[i] && batch->lanes[i].written == 99 && batch->lanes[i].result == 99);
    }
}

static void check_arguments(const textgen_model *model, const textgen_model *other_model) {
    call batch = new_call(model);
    textgen_lane *last = &batch.lanes[LANES - 1], original = *last;
    textgen_stream *other = start(other_model, 1.0, 7, 0, "abc"), *empty = start(model, 1.0, 7, 0, NULL);
    CHECK_INVALID(textgen_generate(NULL, 1, batch.workspace, batch.workspace_size, ERROR), "lanes is NULL");
    check_fails(&batch, 0, TEXTGEN_INVALID_ARGUMENT, "count must be 1 or more");
    last->stream = NULL;
    check_fails(&batch, LANES, TEXTGEN_INVALID_ARGUMENT, "lane 2: stream is NULL");
    last->stream = batch.lanes[0].stream;
    check_fails(&batch, LANES, TEXTGEN_INVALID_ARGUMENT, "lane 2: the stream is also in an earlier lane");
    last->stream = other;
    check_fails(&batch, LANES, TEXTGEN_INVALID_ARGUMENT,
                "lane 2: the stream has another model than the stream of lane 0");
    last->stream = empty;
    check_fails(&batch, LANES, TEXTGEN_NO_PROMPT, "lane 2: ");
    *last = original;
    last->length = 0;
    check_fails(&batch, LANES, TEXTGEN_INVALID_ARGUMENT, "lane 2: length must be 1 or more, not 0");
    last->length = SIZE_MAX;
    check_fails(&batch, LANES, TEXTGEN_INVALID_ARGUMENT, "lane 2: length is");
    last->length = LENGTH + 1;
    check_fails(&batch, LANES, TEXTGEN_BUFFER_TOO_SMALL, "lane 2: text has");
    *last = original;
    last->struct_size = 0;
    check_fails(&batch, LANES, TEXTGEN_INVALID_ARGUMENT, "lane 2: struct_size must be sizeof(textgen_lane)");
    *last = original;
    CHECK_OK(run(&batch, LANES));
    free(other), free(empty);
    end_call(&batch);
}

static void check_workspace(const textgen_model *model) {
    call batch = new_call(model);
    char *workspace = batch.workspace;
    CHECK(textgen_workspace_size(NULL, 1) == 0 && textgen_workspace_size(model, 0) == 0);
    CHECK(textgen_workspace_size(model, SIZE_MAX) == 0 && textgen_workspace_size(model, SIZE_MAX / 512) == 0);
    batch.workspace = NULL;
    check_fails(&batch, LANES, TEXTGEN_INVALID_ARGUMENT, "workspace is NULL");
    batch.workspace = workspace + 4;
    check_fails(&batch, LANES, TEXTGEN_INVALID_ARGUMENT, "workspace is not aligned");
    batch.workspace = workspace;
    batch.workspace_size--;
    check_fails(&batch, LANES, TEXTGEN_BUFFER_TOO_SMALL, "workspace has");
    batch.workspace_size++;
    CHECK_OK(run(&batch, LANES));
    end_call(&batch);
}

/* Lanes of a later version of the structure are larger. */
static void check_newer_lanes(const textgen_model *model) {
    call batch = new_call(model);
    struct {
        textgen_lane lane;
        size_t later;
    } newer[LANES];
    static char text[LANES][TEXT_SIZE];
    memset(newer, 0, sizeof newer);
    for (size_t i = 0; i < LANES; i++) {
        newer[i].lane = batch.lanes[i];
        newer[i].lane.struct_size = sizeof *newer;
        newer[i].lane.text = text[i];
        newer[i].lane.stream = start(model, 1.0, 7, i, "abc");
    }
    newer[1].later = 1;
    CHECK_INVALID(textgen_generate(&newer[0].lane, LANES, batch.workspace, batch.workspace_size, ERROR),
                  "lane 1: textgen_lane has a nonzero field");
    newer[1].later = 0;
    newer[1].lane.struct_size = sizeof(textgen_lane);
    CHECK_INVALID(textgen_generate(&newer[0].lane, LANES, batch.workspace, batch.workspace_size, ERROR),
                  "in lane 0");
    newer[1].lane.struct_size = sizeof *newer;
    CHECK_OK(textgen_generate(&newer[0].lane, LANES, batch.workspace, batch.workspace_size, ERROR));
    CHECK_OK(run(&batch, LANES));
    for (size_t i = 0; i < LANES; i++) {
        CHECK(!strcmp(text[i], batch.text[i]) && newer[i].lane.written == strlen(text[i]));
        free(newer[i].lane.stream);
    }
    end_call(&batch);
}

/* If the random numbers of one lane end, only that lane stops. The other texts do not change. */
static void check_failing_lane(const textgen_model *model) {
    call batch = new_call(model), expected = new_call(model);
    textgen_stream *failing = batch.lanes[1].stream;
    textgen_rng_seek(&textgen_stream_text(failing)->rng, INT64_MAX - 100);
    CHECK_FAILS(run(&batch, LANES), TEXTGEN_LANE_FAILED, "lane 1: the random");
    CHECK_OK(run(&expected, LANES));
    CHECK(batch.lanes[0].result == TEXTGEN_OK && batch.lanes[2].result == TEXTGEN_OK);
    CHECK(!strcmp(batch.text[0], expected.text[0]) && !strcmp(batch.text[2], expected.text[2]));
    CHECK(batch.lanes[1].result == TEXTGEN_RNG_EXHAUSTED);
    CHECK(batch.lanes[1].written == strlen(batch.text[1]) && batch.lanes[1].written >= 100);
    CHECK(batch.lanes[1].written <= 400);
    /* The same for a single stream, which can still be fed. */
    batch.lanes[1].written = 99;
    CHECK_FAILS(textgen_stream_generate(failing, 5, batch.text[1], TEXT_SIZE, &batch.lanes[1].written, ERROR),
                TEXTGEN_RNG_EXHAUSTED, "random");
    CHECK(batch.lanes[1].written == 0 && !*batch.text[1]);
    CHECK_OK(textgen_stream_feed(failing, "abc", 3, ERROR));
    end_call(&batch);
    end_call(&expected);
}

/* The unknown symbol can be fed, and is never generated. */
static void check_unknown_symbol(const textgen_model *model) {
    textgen_stream *stream = start(model, 1.0, 1, 0, "axa");
    textgen_model_info info = TEXTGEN_MODEL_INFO_DEFAULT;
    char text[LENGTH * 4 + 1];
    CHECK_OK(textgen_model_get_info(model, &info, ERROR));
    CHECK(info.unknown == 1);
    size_t written;
    CHECK_OK(textgen_stream_generate(stream, LENGTH, text, sizeof text, &written, ERROR));
    CHECK(written == LENGTH);
    for (size_t i = 0; i < LENGTH; i++) {
        CHECK(text[i] == 'a');
    }
    CHECK_FAILS(textgen_stream_feed(stream, "a\xff", 2, ERROR), TEXTGEN_INVALID_UTF8, "UTF-8");
    free(stream);
}

static void check_broken_logits(const textgen_model *model) {
    textgen_stream *stream = start(model, 1.0, 1, 0, "abc");
    char text[TEXT_SIZE] = "before";
    size_t written = 99;
    CHECK_FAILS(textgen_stream_generate(stream, LENGTH, text, TEXT_SIZE, &written, ERROR),
                TEXTGEN_INVALID_LOGITS, "logits");
    CHECK(written == strlen(text) && written < sizeof text - 1);
    free(stream);
}

int main(int count, char **arguments) {
    CHECK(count > 4);
    loaded model = load(arguments[1], NULL);
    loaded other = load(arguments[2], NULL);
    loaded unknown = load(arguments[3], NULL);
    loaded broken = load(arguments[4], NULL);
    check_arguments(model.model, other.model);
    check_workspace(model.model);
    check_newer_lanes(model.model);
    check_failing_lane(model.model);
    check_unknown_symbol(unknown.model);
    check_broken_logits(broken.model);
    unload(&model), unload(&other), unload(&unknown), unload(&broken);
    return 0;
}
