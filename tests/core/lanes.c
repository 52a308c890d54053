/* Several streams at once: lanes MODEL OTHER UNKNOWN BROKEN. The first two know "abc". UNKNOWN has "a" and an
 * unknown symbol, which stands for "x". BROKEN has weights so large that its logits become infinite. */
#include "check.h"

#include "handles.h"

enum { LANES = 3, LENGTH = 200, ROOM = LENGTH * 4 + 1 };

typedef struct {
    textgen_lane lanes[LANES];
    char text[LANES][ROOM];
    void *workspace;
    size_t workspace_size;
} call;

static call make_call(const textgen_model *model) {
    call made;
    size_t i;
    memset(&made, 0, sizeof made);
    made.workspace_size = textgen_workspace_size(model, LANES);
    made.workspace = allocate(made.workspace_size);
    for (i = 0; i < LANES; i++) {
        made.lanes[i].struct_size = sizeof *made.lanes;
        made.lanes[i].stream = start(model, 1.0, 7, i, "abc");
        made.lanes[i].length = LENGTH;
        made.lanes[i].size = ROOM;
        made.lanes[i].result = 99;
        made.lanes[i].written = 99;
    }
    return made;
}

/* The rooms move with the structure. */
static int32_t run(call *made, size_t count) {
    size_t i;
    for (i = 0; i < LANES; i++) {
        made->lanes[i].text = made->text[i];
    }
    return textgen_generate(made->lanes, count, made->workspace, made->workspace_size, ERROR);
}

static void end_call(call *made) {
    size_t i;
    for (i = 0; i < LANES; i++) {
        free(made->lanes[i].stream);
    }
    free(made->workspace);
}

/* The call is refused and changes nothing: afterwards it works once what was wrong is put right. */
static void check_refused(call *made, size_t count, int32_t code, const char *text) {
    size_t i;
    CHECK_FAILS(run(made, count), code, text);
    for (i = 0; i < LANES; i++) {
        CHECK(!*made->text[i] && made->lanes[i].written == 99 && made->lanes[i].result == 99);
    }
}

static void check_arguments(const textgen_model *model, const textgen_model *other_model) {
    call made = make_call(model);
    textgen_lane *last = &made.lanes[LANES - 1], kept = *last;
    textgen_stream *other = start(other_model, 1.0, 7, 0, "abc"), *empty = start(model, 1.0, 7, 0, NULL);
    CHECK_FAILS(textgen_generate(NULL, 1, made.workspace, made.workspace_size, ERROR), TEXTGEN_INVALID_ARGUMENT,
                "lanes is NULL");
    check_refused(&made, 0, TEXTGEN_INVALID_ARGUMENT, "count is 0");
    last->stream = NULL;
    check_refused(&made, LANES, TEXTGEN_INVALID_ARGUMENT, "lane 2: stream is NULL");
    last->stream = made.lanes[0].stream;
    check_refused(&made, LANES, TEXTGEN_INVALID_ARGUMENT, "lane 2: its stream is in an earlier lane too");
    last->stream = other;
    check_refused(&made, LANES, TEXTGEN_INVALID_ARGUMENT, "lane 2: its stream is not of the model of lane 0");
    last->stream = empty;
    check_refused(&made, LANES, TEXTGEN_NO_PROMPT, "lane 2: ");
    *last = kept;
    last->length = 0;
    check_refused(&made, LANES, TEXTGEN_INVALID_ARGUMENT, "lane 2: length is 0");
    last->length = SIZE_MAX;
    check_refused(&made, LANES, TEXTGEN_INVALID_ARGUMENT, "lane 2: length is");
    last->length = LENGTH + 1;
    check_refused(&made, LANES, TEXTGEN_BUFFER_TOO_SMALL, "lane 2: text has room for");
    *last = kept;
    last->reserved = 1;
    check_refused(&made, LANES, TEXTGEN_INVALID_ARGUMENT, "lane 2: reserved");
    *last = kept;
    last->struct_size = 0;
    check_refused(&made, LANES, TEXTGEN_INVALID_ARGUMENT, "lane 2: struct_size is 0");
    *last = kept;
    CHECK_OK(run(&made, LANES));
    free(other), free(empty);
    end_call(&made);
}

static void check_workspace(const textgen_model *model) {
    call made = make_call(model);
    char *whole = made.workspace;
    CHECK(textgen_workspace_size(NULL, 1) == 0 && textgen_workspace_size(model, 0) == 0);
    CHECK(textgen_workspace_size(model, SIZE_MAX) == 0 && textgen_workspace_size(model, SIZE_MAX / 512) == 0);
    made.workspace = NULL;
    check_refused(&made, LANES, TEXTGEN_INVALID_ARGUMENT, "workspace is NULL");
    made.workspace = whole + 4;
    check_refused(&made, LANES, TEXTGEN_INVALID_ARGUMENT, "workspace is not aligned");
    made.workspace = whole;
    made.workspace_size--;
    check_refused(&made, LANES, TEXTGEN_BUFFER_TOO_SMALL, "workspace has");
    made.workspace_size++;
    CHECK_OK(run(&made, LANES));
    end_call(&made);
}

/* Lanes of a later version lie further apart. */
static void check_newer_lanes(const textgen_model *model) {
    call made = make_call(model);
    struct {
        textgen_lane lane;
        size_t later;
    } newer[LANES];
    static char text[LANES][ROOM];
    size_t i;
    memset(newer, 0, sizeof newer);
    for (i = 0; i < LANES; i++) {
        newer[i].lane = made.lanes[i];
        newer[i].lane.struct_size = sizeof *newer;
        newer[i].lane.text = text[i];
        newer[i].lane.stream = start(model, 1.0, 7, i, "abc");
    }
    newer[1].later = 1;
    CHECK_FAILS(textgen_generate(&newer[0].lane, LANES, made.workspace, made.workspace_size, ERROR),
                TEXTGEN_INVALID_ARGUMENT, "lane 1: textgen_lane has a field");
    newer[1].later = 0;
    newer[1].lane.struct_size = sizeof(textgen_lane);
    CHECK_FAILS(textgen_generate(&newer[0].lane, LANES, made.workspace, made.workspace_size, ERROR),
                TEXTGEN_INVALID_ARGUMENT, "in lane 0");
    newer[1].lane.struct_size = sizeof *newer;
    CHECK_OK(textgen_generate(&newer[0].lane, LANES, made.workspace, made.workspace_size, ERROR));
    CHECK_OK(run(&made, LANES));
    for (i = 0; i < LANES; i++) {
        CHECK(!strcmp(text[i], made.text[i]) && newer[i].lane.written == strlen(text[i]));
        free(newer[i].lane.stream);
    }
    end_call(&made);
}

/* A lane whose random numbers end in the middle ends alone; the others' texts are what they are without it. */
static void check_failing_lane(const textgen_model *model) {
    call made = make_call(model), whole = make_call(model);
    textgen_stream *failing = made.lanes[1].stream;
    textgen_rng_seek(&failing->sampler.rng, INT64_MAX - 100);
    CHECK_FAILS(run(&made, LANES), TEXTGEN_LANE_FAILED, "lane 1: the random");
    CHECK_OK(run(&whole, LANES));
    CHECK(made.lanes[0].result == TEXTGEN_OK && made.lanes[2].result == TEXTGEN_OK);
    CHECK(!strcmp(made.text[0], whole.text[0]) && !strcmp(made.text[2], whole.text[2]));
    CHECK(made.lanes[1].result == TEXTGEN_RNG_EXHAUSTED);
    CHECK(made.lanes[1].written == strlen(made.text[1]) && made.lanes[1].written >= 100);
    CHECK(made.lanes[1].written <= 400);
    /* The same of a stream alone, which can still be fed. */
    made.lanes[1].written = 99;
    CHECK_FAILS(textgen_stream_generate(failing, 5, made.text[1], ROOM, &made.lanes[1].written, ERROR),
                TEXTGEN_RNG_EXHAUSTED, "random");
    CHECK(made.lanes[1].written == 0 && !*made.text[1]);
    CHECK_OK(textgen_stream_feed(failing, "abc", 3, ERROR));
    end_call(&made);
    end_call(&whole);
}

/* Lanes of different lengths end where they should, with the texts that they have alone. */
static void check_lengths(const textgen_model *model) {
    call made = make_call(model);
    size_t i;
    for (i = 0; i < LANES; i++) {
        made.lanes[i].length = 1 + 64 * i;
    }
    CHECK_OK(run(&made, LANES));
    for (i = 0; i < LANES; i++) {
        textgen_stream *alone = start(model, 1.0, 7, i, "abc");
        char text[ROOM];
        CHECK_OK(textgen_stream_generate(alone, made.lanes[i].length, text, ROOM, NULL, ERROR));
        CHECK(!strcmp(text, made.text[i]));
        free(alone);
    }
    end_call(&made);
}

/* The unknown symbol can be fed, and is never drawn. */
static void check_unknown_symbol(const textgen_model *model) {
    textgen_stream *stream = start(model, 1.0, 1, 0, "axa");
    textgen_model_info info = {.struct_size = sizeof info};
    char text[LENGTH * 4 + 1];
    size_t written, i;
    CHECK_OK(textgen_model_get_info(model, &info, ERROR));
    CHECK(info.unknown == 1);
    CHECK_OK(textgen_stream_generate(stream, LENGTH, text, sizeof text, &written, ERROR));
    CHECK(written == LENGTH);
    for (i = 0; i < LENGTH; i++) {
        CHECK(text[i] == 'a');
    }
    CHECK_FAILS(textgen_stream_feed(stream, "a\xff", 2, ERROR), TEXTGEN_INVALID_UTF8, "UTF-8");
    free(stream);
}

static void check_broken_logits(const textgen_model *model) {
    textgen_stream *stream = start(model, 1.0, 1, 0, "abc");
    char text[ROOM] = "before";
    size_t written = 99;
    CHECK_FAILS(textgen_stream_generate(stream, LENGTH, text, ROOM, &written, ERROR), TEXTGEN_INVALID_LOGITS,
                "logits");
    CHECK(written == strlen(text) && written < sizeof text - 1);
    free(stream);
}

int main(int count, char **arguments) {
    loaded model, other, unknown, broken;
    CHECK(count > 4);
    model = load(arguments[1], NULL);
    other = load(arguments[2], NULL);
    unknown = load(arguments[3], NULL);
    broken = load(arguments[4], NULL);
    check_arguments(model.model, other.model);
    check_workspace(model.model);
    check_newer_lanes(model.model);
    check_failing_lane(model.model);
    check_lengths(model.model);
    check_unknown_symbol(unknown.model);
    check_broken_logits(broken.model);
    unload(&model), unload(&other), unload(&unknown), unload(&broken);
    return 0;
}
