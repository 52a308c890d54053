/* Fuzzes the core with libFuzzer, which changes inputs so that they reach more of its code. `make fuzz` builds
 * this program with the sanitizers, and runs it from the root of the checkout; replay.c runs it with given
 * inputs. It ends at a memory error, at undefined behavior, and where the core does not do what textgen.h
 * says. */
#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

fuzz_model fuzz_models[FUZZ_MODELS];
textgen_error fuzz_error;

/* seeds.py has the same list. */
static const char *const paths[FUZZ_MODELS] = {"tiny.onnx", "tiny_int8.onnx", "format_2/byte.onnx",
                                               "format_2/word.onnx", "format_2/records.onnx"};

void fuzz_require(bool holds, const char *condition, const char *file, int line) {
    if (!holds) {
        fprintf(stderr, "%s:%d: not %s; message: %s\n", file, line, condition, fuzz_error.message);
        abort();
    }
}

int32_t fuzz_require_code(int32_t code, unsigned codes, const char *file, int line) {
    const size_t length = strlen(fuzz_error.message);
    if (code != TEXTGEN_OK) {
        char condition[64];
        snprintf(condition, sizeof condition, "an expected code: %d", (int)code);
        fuzz_require(code < 0 && code > -32 && (codes >> -code & 1), condition, file, line);
        fuzz_require(fuzz_error.code == code && length > 0 &&
                         strcspn(fuzz_error.message, "\n\r\t\x1b") == length,
                     "the code, and a message of one line", file, line);
    }
    return code;
}

unsigned fuzz_take(fuzz_input *input) {
    if (!input->size) {
        return 0;
    }
    input->size--;
    return *input->data++;
}

void *fuzz_allocate(size_t size) {
    void *memory = malloc(size ? size : 1);
    if (!memory) {
        fprintf(stderr, "out of memory\n");
        exit(2);
    }
    return memory;
}

textgen_memory fuzz_memory(size_t size) { return (textgen_memory){fuzz_allocate(size), size}; }

textgen_memory fuzz_workspace(const textgen_model *model, size_t lanes) {
    return fuzz_memory(textgen_workspace_size(model, lanes));
}

void fuzz_append(fuzz_content *to, const void *data, size_t size) {
    /* The buffer has exactly the bytes in use, so that a sanitizer notices a read after them. */
    unsigned char *larger = fuzz_allocate(to->size + size);
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

static fuzz_content read_file(const char *name) {
    char path[64];
    unsigned char part[4096];
    fuzz_content content = {NULL, 0};
    snprintf(path, sizeof path, "tests/data/%s", name);
    FILE *file = fopen(path, "rb");
    if (!file) {
        fprintf(stderr, "cannot read %s: run this program in the root of a checkout\n", path);
        exit(2);
    }
    for (size_t size; (size = fread(part, 1, sizeof part, file)) > 0;) {
        fuzz_append(&content, part, size);
    }
    fclose(file);
    return content;
}

static void load(const char *name, fuzz_model *loaded) {
    static const char table[] = "{\"states\":[{\"accepting\":true,\"next\":{\"a\":0,\"b\":1}},"
                                "{\"accepting\":false,\"next\":{\"a\":2}},{\"accepting\":true,\"next\":{}}]}";
    static const char corpus[] = "abab\r\nbabb a cab cab ab";
    fuzz_field field = {0};
    loaded->file = read_file(name);
    while (fuzz_read_field(loaded->file.data, loaded->file.size, field.end, &field)) {
        if (field.number != 14) {
            fuzz_append(&loaded->graph, loaded->file.data + field.start, field.end - field.start);
        }
    }
    REQUIRE(field.end == loaded->file.size);
    REQUIRE_CODE(textgen_model_create(loaded->file.data, loaded->file.size, NULL, &loaded->model, &fuzz_error),
                 0);
    loaded->info = textgen_model_get_info(loaded->model);
    REQUIRE_CODE(textgen_constraint_create(loaded->model, table, strlen(table), NULL, 0, &loaded->constraint,
                                           &fuzz_error),
                 0);
    /* A model of words has none. */
    REQUIRE_CODE(textgen_spans_create(loaded->model, corpus, strlen(corpus), 2, &loaded->spans, &fuzz_error),
                 CODE(INVALID_ARGUMENT));
}

int LLVMFuzzerInitialize(int *count, char ***arguments) {
    (void)count;
    (void)arguments;
    for (size_t i = 0; i < FUZZ_MODELS; i++) {
        load(paths[i], &fuzz_models[i]);
    }
    return 0;
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size) {
    fuzz_input input = {data, size};
    const fuzz_target target = (fuzz_target)(fuzz_take(&input) % FUZZ_TARGETS);
    const fuzz_model *model = &fuzz_models[fuzz_take(&input) % FUZZ_MODELS];
    memset(&fuzz_error, 0, sizeof fuzz_error);
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
    default:
        fuzz_resume(model, input);
        break;
    }
    return 0;
}

int32_t fuzz_generate(const textgen_model *model, textgen_stream *stream, size_t length, fuzz_content *text) {
    const size_t size = textgen_stream_text_size(stream, length);
    const textgen_memory workspace = fuzz_workspace(model, 1);
    char *buffer = fuzz_allocate(size);
    size_t written = 0;
    const int32_t code =
        textgen_stream_generate(stream, length, buffer, size, &written, workspace, &fuzz_error);
    REQUIRE(written < size);
    fuzz_append(text, buffer, written);
    free(buffer), free(workspace.data);
    return code;
}

void fuzz_feed(const textgen_model *model, textgen_stream *stream, size_t first, size_t step) {
    const textgen_model_info *info = textgen_model_get_info(model);
    const textgen_memory workspace = fuzz_workspace(model, 1);
    fuzz_content text = {NULL, 0};
    char *symbol = fuzz_allocate(info->symbol_bytes);
    for (size_t i = 0; i < 6; i++) {
        const size_t token = (first + i * step) % info->vocabulary;
        fuzz_append(&text, symbol, textgen_model_get_symbol(model, (int64_t)token, symbol));
    }
    const int32_t code = textgen_stream_feed(stream, (char *)text.data, text.size, workspace, &fuzz_error);
    /* \r becomes \n, which the vocabulary may not have. */
    REQUIRE_CODE(code, text.size && memchr(text.data, '\r', text.size) ? CODE(UNKNOWN_CHARACTER) : 0u);
    free(symbol), free(text.data), free(workspace.data);
}
