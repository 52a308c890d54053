/* Tests models and the sizes of structures: models MODEL LAYERS PARAMETERS, with the expected numbers. */
#include "check.h"

static void check_version_and_codes(void) {
    CHECK(textgen_version() == TEXTGEN_VERSION);
    for (int32_t code = TEXTGEN_NEWER_FORMAT; code <= TEXTGEN_OK; code++) {
        CHECK(strcmp(textgen_code_text(code), textgen_code_text(1)) != 0);
    }
    CHECK(strstr(textgen_code_text(TEXTGEN_TOO_LARGE), "limits"));
    CHECK(strstr(textgen_code_text(TEXTGEN_NEWER_FORMAT), "newer version"));
    printf("%d\n", (int)TEXTGEN_VERSION);
}

static void check_create(const void *data, size_t size) {
    textgen_model *model = NULL;
    textgen_model_options options = {.struct_size = sizeof options, .kernels = "abacus"};
    CHECK_INVALID(textgen_model_create(NULL, size, NULL, &model, ERROR), "data is NULL");
    CHECK_INVALID(textgen_model_create(data, size, NULL, NULL, ERROR), "model is NULL");
    CHECK_INVALID(textgen_model_create(data, size, &options, &model, ERROR),
                  "baseline on this processor, not 'abacus'");
    CHECK_FAILS(textgen_model_create(data, 0, NULL, &model, ERROR), TEXTGEN_DAMAGED_MODEL, "model file: ");
    CHECK_FAILS(textgen_model_create(data, size / 2, NULL, &model, ERROR), TEXTGEN_DAMAGED_MODEL,
                "model file: ");
    CHECK(!model);
    textgen_model_destroy(NULL);
}

/* Sizes such as the result of a failed ftell. */
static void check_sizes(const void *data, size_t size) {
    textgen_model *model = NULL;
    CHECK_INVALID(textgen_model_create(data, SIZE_MAX, NULL, &model, ERROR), "size is");
    CHECK_INVALID(textgen_model_create(data, (size_t)PTRDIFF_MAX + 1, NULL, &model, ERROR), "size is");
    CHECK_OK(textgen_model_create(data, size, NULL, &model, ERROR));
    textgen_stream *stream = start(model, 0.5, 0, 0, NULL);
    CHECK_INVALID(textgen_stream_feed(stream, "abc", SIZE_MAX, ERROR), "size is");
    CHECK_INVALID(textgen_stream_feed(stream, "abc", (size_t)PTRDIFF_MAX + 1, ERROR), "size is");
    CHECK_OK(textgen_stream_feed(stream, "abc", 3, ERROR));
    free(stream);
    textgen_model_destroy(model);
}

/* Messages are cut to the size of the buffer, which may be 0. */
static void check_error_size(void) {
    char small[8] = "1234567";
    CHECK(textgen_model_create(NULL, 0, NULL, NULL, NULL, 0) == TEXTGEN_INVALID_ARGUMENT);
    CHECK(textgen_model_create(NULL, 0, NULL, NULL, NULL, 99) == TEXTGEN_INVALID_ARGUMENT);
    CHECK(textgen_model_create(NULL, 0, NULL, NULL, small, 0) == TEXTGEN_INVALID_ARGUMENT);
    CHECK(!strcmp(small, "1234567"));
    CHECK(textgen_model_create(NULL, 0, NULL, NULL, small, 5) == TEXTGEN_INVALID_ARGUMENT);
    CHECK(!strcmp(small, "data") && !strcmp(small + 5, "67"));
}

/* No message ends within a character. */
static void check_cut_message(const void *data, size_t size) {
    static const char name[] = "\xf0\x9d\x84\x9e\xf0\x9d\x84\x9e\xf0\x9d\x84\x9e";
    const textgen_model_options options = {.struct_size = sizeof options, .kernels = name};
    textgen_model *model;
    CHECK_INVALID(textgen_model_create(data, size, &options, &model, ERROR), name);
    size_t others;
    for (size_t room = 1; room <= strlen(error); room++) {
        char text[sizeof error];
        CHECK(textgen_model_create(data, size, &options, &model, text, room) == TEXTGEN_INVALID_ARGUMENT);
        size_t length;
        for (length = others = 0; text[length]; length++) {
            others += (unsigned char)text[length] > 127;
        }
        CHECK(length < room && length + 4 >= room && others % 4 == 0);
    }
}

/* Options of a later version have another field. */
static void check_options_size(const void *data, size_t size) {
    struct {
        textgen_model_options options;
        size_t later[2];
    } newer = {{sizeof newer, NULL, NULL, 0}, {0, 0}};
    textgen_model *model = NULL;
    CHECK_OK(textgen_model_create(data, size, &newer.options, &model, ERROR));
    textgen_model_destroy(model);
    newer.later[1] = 1;
    CHECK_INVALID(textgen_model_create(data, size, &newer.options, &model, ERROR), "does not support");
    newer.options.struct_size = 0;
    CHECK_INVALID(textgen_model_create(data, size, &newer.options, &model, ERROR),
                  "struct_size must be sizeof(textgen_model_options)");
    newer.options.struct_size = sizeof(size_t);
    CHECK_INVALID(textgen_model_create(data, size, &newer.options, &model, ERROR), "struct_size");
    newer.options.struct_size = 2 * sizeof(size_t) + 1;
    CHECK_INVALID(textgen_model_create(data, size, &newer.options, &model, ERROR),
                  sizeof(size_t) == 8 ? "a multiple of 8 from 16 to 4096" : "a multiple of 4 from 8 to 4096");
    newer.options.struct_size = (SIZE_MAX >> 4) + 1;
    CHECK_INVALID(textgen_model_create(data, size, &newer.options, &model, ERROR), "struct_size");
}

static void check_info(const textgen_model *model, size_t layers, size_t parameters) {
    struct {
        textgen_model_info info;
        size_t later;
    } newer;
    memset(&newer, 0xff, sizeof newer);
    newer.info.struct_size = sizeof newer;
    CHECK_OK(textgen_model_get_info(model, &newer.info, ERROR));
    CHECK(newer.info.struct_size == sizeof newer && newer.later == 0);
    CHECK(newer.info.layers == layers && newer.info.parameters == parameters);
    CHECK(newer.info.unknown == 0 && newer.info.lowercase == 1 && !strcmp(newer.info.unicode, "NFC") &&
          *newer.info.kernels);
    CHECK(!strcmp(newer.info.level, "character") && !newer.info.records);
    textgen_model_info info;
    memset(&info, 0, sizeof info);
    CHECK_INVALID(textgen_model_get_info(model, &info, ERROR), "struct_size must be");
    info.struct_size = sizeof info;
    CHECK_INVALID(textgen_model_get_info(NULL, &info, ERROR), "model is NULL");
    CHECK_INVALID(textgen_model_get_info(model, NULL, ERROR), "info is NULL");
}

static void check_layers(const textgen_model *model, size_t layers) {
    textgen_layer_info layer = {.struct_size = sizeof layer}, first = {0};
    size_t before = 0;
    for (size_t i = 0; i < layers; i++) {
        const char *kind = i == 0 ? "embedding" : i + 1 == layers ? "linear" : "lstm";
        CHECK_OK(textgen_model_get_layer(model, i, &layer, ERROR));
        CHECK(!strcmp(layer.kind, kind) && (i == 0 || layer.inputs == before));
        before = layer.outputs;
        if (i == 0) {
            first = layer;
        }
    }
    CHECK(first.inputs == layer.outputs);
    CHECK_INVALID(textgen_model_get_layer(model, layers, &layer, ERROR), "out of range");
    CHECK_INVALID(textgen_model_get_layer(NULL, 0, &layer, ERROR), "model is NULL");
    CHECK_INVALID(textgen_model_get_layer(model, 0, NULL, ERROR), "layer is NULL");
}

static void check_metadata(const textgen_model *model, const char *data, size_t data_size) {
    size_t size = 99;
    const char *text = textgen_model_get_metadata(model, "textgen.level", &size);
    CHECK(text && size == strlen("\"character\"") && !memcmp(text, "\"character\"", size));
    CHECK(text >= data && text + size <= data + data_size);
    CHECK(!textgen_model_get_metadata(model, "textgen.absent", &size) && size == 0);
    CHECK(!textgen_model_get_metadata(NULL, "textgen.level", &size) && size == 0);
    CHECK(!textgen_model_get_metadata(model, NULL, &size) && size == 0);
    CHECK(textgen_model_get_metadata(model, "textgen.level", NULL) == text);
}

/* Metadata points into the caller's buffer, even if it is empty or has no value. */
static void check_metadata_in_buffer(const void *data, size_t size) {
    static const char entries[] = "\x72\x06\x0a\x04note\x72\x09\x0a\x05"
                                  "empty\x12\x00";
    const size_t more = sizeof entries - 1;
    char *content = allocate(size + more);
    memcpy(content, data, size);
    memcpy(content + size, entries, more);
    textgen_model *model;
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
    CHECK(count > 3);
    size_t size;
    void *data = read_file(arguments[1], &size);
    const size_t layers = strtoul(arguments[2], NULL, 10);
    check_version_and_codes();
    check_create(data, size);
    check_sizes(data, size);
    check_error_size();
    check_cut_message(data, size);
    check_options_size(data, size);
    textgen_model *model;
    CHECK_OK(textgen_model_create(data, size, NULL, &model, ERROR));
    check_info(model, layers, strtoul(arguments[3], NULL, 10));
    check_layers(model, layers);
    check_metadata(model, data, size);
    check_metadata_in_buffer(data, size);
    textgen_model_destroy(model);
    free(data);
    return 0;
}
