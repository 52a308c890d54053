/* Tests the public functions with unusual files and sizes: model_files MODEL. */
#include "check.h"

static void check_codes(void) {
    CHECK(strstr(textgen_code_text(TEXTGEN_TOO_LARGE), "limits"));
    CHECK(strstr(textgen_code_text(TEXTGEN_NEWER_FORMAT), "newer version"));
}

/* Sizes such as the result of a failed ftell. */
static void check_sizes(const void *data, size_t size) {
    textgen_model *model = NULL;
    CHECK_FAILS(textgen_model_create(data, SIZE_MAX, NULL, &model, ERROR), TEXTGEN_INVALID_ARGUMENT, "size is");
    CHECK_FAILS(textgen_model_create(data, (size_t)PTRDIFF_MAX + 1, NULL, &model, ERROR),
                TEXTGEN_INVALID_ARGUMENT, "size is");
    CHECK_OK(textgen_model_create(data, size, NULL, &model, ERROR));
    textgen_stream *stream = start(model, 0.5, 0, 0, NULL);
    CHECK_FAILS(textgen_stream_feed(stream, "abc", SIZE_MAX, ERROR), TEXTGEN_INVALID_ARGUMENT, "size is");
    CHECK_FAILS(textgen_stream_feed(stream, "abc", (size_t)PTRDIFF_MAX + 1, ERROR), TEXTGEN_INVALID_ARGUMENT,
                "size is");
    CHECK_OK(textgen_stream_feed(stream, "abc", 3, ERROR));
    free(stream);
    textgen_model_destroy(model);
}

/* Metadata points into the caller's buffer, even if it is empty or has no value. */
static void check_metadata(const void *data, size_t size) {
    static const char entries[] = "\x72\x06\x0a\x04note\x72\x09\x0a\x05"
                                  "empty\x12\x00";
    const size_t more = sizeof entries - 1;
    char *content = allocate(size + more);
    textgen_model *model;
    memcpy(content, data, size);
    memcpy(content + size, entries, more);
    CHECK_OK(textgen_model_create(content, size + more, NULL, &model, ERROR));
    const char *const keys[] = {"note", "empty", "textgen.training"};
    for (size_t i = 0; i < 3; i++) {
        size_t length = 99;
        const char *value = textgen_model_get_metadata(model, keys[i], &length);
        CHECK(value >= content && value + length <= content + size + more);
        CHECK(i == 2 ? value[0] == '{' && value[length - 1] == '}' : length == 0);
    }
    CHECK(!textgen_model_get_metadata(model, "absent", NULL));
    textgen_model_destroy(model);
    free(content);
}

int main(int count, char **arguments) {
    size_t size;
    CHECK(count == 2);
    void *data = read_file(arguments[1], &size);
    check_codes();
    check_sizes(data, size);
    check_metadata(data, size);
    free(data);
    return 0;
}
