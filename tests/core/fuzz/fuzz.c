/* Fuzzes the core with libFuzzer, which changes inputs so that they reach more of its code. `make fuzz` builds
 * this program with the sanitizers, and runs it from the root of the checkout; replay.c runs it with given
 * inputs. It ends at a memory error, at undefined behavior, and where the core does not do what textgen.h
 * says. */
#include "fuzz.h"

fuzz_model fuzz_models[FUZZ_MODELS];

/* seeds.py has the same list. */
static const char *const paths[FUZZ_MODELS] = {"tiny.onnx", "tiny_int8.onnx", "format_2/byte.onnx",
                                               "format_2/word.onnx", "format_2/records.onnx"};

unsigned fuzz_take(fuzz_input *input) {
    if (!input->size) {
        return 0;
    }
    input->size--;
    return *input->data++;
}

size_t fuzz_skip_text(fuzz_input *input) {
    const unsigned char *end = input->size ? memchr(input->data, 0, input->size) : NULL;
    const size_t size = end ? (size_t)(end - input->data) : input->size;
    input->data += size + (end != NULL);
    input->size -= size + (end != NULL);
    return size;
}

textgen_memory fuzz_workspace(const textgen_model *model, size_t lanes) {
    return new_memory(textgen_workspace_size(model, lanes));
}

void fuzz_append(fuzz_content *to, const void *data, size_t size) {
    /* The buffer has exactly the bytes in use, so that a sanitizer notices a read after them. */
    unsigned char *larger = allocate(to->size + size);
    if (to->size) {
        memcpy(larger, to->data, to->size);
    }
    if (size) {
        memcpy(larger + to->size, data, size);
    }
    free(to->data);
    to->data = larger;
    to->size += size;
}

static void load_model(const char *name, fuzz_model *model) {
    static const char table[] = "{\"states\":[{\"accepting\":true,\"next\":{\"a\":0,\"b\":1}},"
                                "{\"accepting\":false,\"next\":{\"a\":2}},{\"accepting\":true,\"next\":{}}]}";
    static const char corpus[] = "abab\r\nbabb a cab cab ab";
    fuzz_field field = {0};
    char path[64];
    snprintf(path, sizeof path, "tests/data/%s", name);
    model->file.data = read_file(path, &model->file.size);
    while (fuzz_read_field(model->file.data, model->file.size, field.end, &field)) {
        if (field.number != 14) {
            fuzz_append(&model->graph, model->file.data + field.start, field.end - field.start);
        }
    }
    CHECK(field.end == model->file.size);
    CHECK_CODE(textgen_model_create(model->file.data, model->file.size, NULL, &model->model, &error), 0);
    model->info = textgen_model_get_info(model->model);
    CHECK_CODE(
        textgen_constraint_create(model->model, table, strlen(table), NULL, 0, &model->constraint, &error), 0);
    /* A model of words has none. */
    CHECK_CODE(textgen_spans_create(model->model, corpus, strlen(corpus), 2, &model->spans, &error),
               CODE(INVALID_ARGUMENT));
}

int LLVMFuzzerInitialize(int *count, char ***arguments) {
    (void)count;
    (void)arguments;
    for (size_t i = 0; i < FUZZ_MODELS; i++) {
        load_model(paths[i], &fuzz_models[i]);
    }
    return 0;
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size) {
    fuzz_input input = {data, size};
    const fuzz_target target = (fuzz_target)(fuzz_take(&input) % FUZZ_TARGETS);
    const fuzz_model *model = &fuzz_models[fuzz_take(&input) % FUZZ_MODELS];
    switch (target) {
    case FUZZ_MODEL:
        fuzz_read_model(input);
        break;
    case FUZZ_METADATA:
        fuzz_read_metadata(model, input);
        break;
    case FUZZ_TABLE:
        fuzz_read_table(model, input);
        break;
    case FUZZ_STREAM:
        fuzz_run_stream(model, input);
        break;
    case FUZZ_SAVED:
        fuzz_resume(model, input);
        break;
    case FUZZ_TEXT:
        fuzz_learn_text(input);
        break;
    case FUZZ_RUN:
        fuzz_resume_run(model, input);
        break;
    default:
        fuzz_start_from(model, input);
        break;
    }
    return 0;
}

int32_t fuzz_generate(const textgen_model *model, textgen_stream *stream, size_t length, fuzz_content *text,
                      unsigned codes) {
    const size_t size = textgen_stream_text_size(stream, length);
    const textgen_memory workspace = fuzz_workspace(model, 1);
    char *buffer = allocate(size);
    size_t written = 0;
    const int32_t code =
        CHECK_CODE(textgen_stream_generate(stream, length, buffer, size, &written, workspace, &error), codes);
    CHECK(written < size);
    fuzz_append(text, buffer, written);
    free(buffer), free(workspace.data);
    return code;
}

void fuzz_feed(const textgen_model *model, textgen_stream *stream, size_t first, size_t step) {
    const textgen_model_info *info = textgen_model_get_info(model);
    const textgen_memory workspace = fuzz_workspace(model, 1);
    fuzz_content text = {NULL, 0};
    char *symbol = allocate(info->symbol_bytes);
    for (size_t i = 0; i < 6; i++) {
        const size_t token = (first + i * step) % info->vocabulary;
        fuzz_append(&text, symbol, textgen_model_get_symbol(model, (int64_t)token, symbol));
    }
    const int32_t code = textgen_stream_feed(stream, (char *)text.data, text.size, workspace, &error);
    /* \r becomes \n, which the vocabulary may not have. */
    CHECK_CODE(code, text.size && memchr(text.data, '\r', text.size) ? CODE(UNKNOWN_CHARACTER) : 0u);
    free(symbol), free(text.data), free(workspace.data);
}
