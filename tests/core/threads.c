/* Tests that threads can share a model: threads MODEL PROMPT. Each thread has a stream; all texts are equal. */
#include "check.h"

#include <pthread.h>

enum { THREADS = 4, LENGTH = 300, TEXT_SIZE = LENGTH * 4 + 1 };

static const char *prompt;
static const textgen_model *shared;

static void *write_text(void *buffer) {
    char line[256], *text = buffer;
    textgen_sampling sampling = TEXTGEN_SAMPLING_DEFAULT;
    const size_t size = textgen_stream_size(shared);
    textgen_model_info info = TEXTGEN_MODEL_INFO_DEFAULT;
    void *memory = malloc(size);
    size_t metadata;
    textgen_stream *stream;
    const int valid = memory &&
                      !textgen_stream_init(memory, size, shared, &sampling, &stream, line, sizeof line) &&
                      !textgen_model_get_info(shared, &info, line, sizeof line) &&
                      textgen_model_get_metadata(shared, "textgen.vocabulary", &metadata) &&
                      !textgen_stream_feed(stream, prompt, strlen(prompt), line, sizeof line) &&
                      !textgen_stream_generate(stream, LENGTH, text, TEXT_SIZE, NULL, line, sizeof line);
    free(memory);
    return valid ? text : NULL;
}

int main(int count, char **arguments) {
    static char texts[THREADS][TEXT_SIZE];
    pthread_t threads[THREADS];
    CHECK(count > 2);
    loaded file = load(arguments[1], NULL);
    CHECK(file.symbol_bytes <= 4);
    shared = file.model;
    prompt = arguments[2];
    for (int i = 0; i < THREADS; i++) {
        CHECK(!pthread_create(&threads[i], NULL, write_text, texts[i]));
    }
    for (int i = 0; i < THREADS; i++) {
        void *result;
        CHECK(!pthread_join(threads[i], &result));
        CHECK(result && !strcmp(texts[i], texts[0]));
    }
    unload(&file);
    return 0;
}
