/* Tests that threads can share a model: threads MODEL PROMPT. Each thread has a stream; all texts are equal. */
#include "check.h"

#include <pthread.h>

enum { THREADS = 4, LENGTH = 300, TEXT_SIZE = LENGTH * 4 + 1 };

static const char *prompt;
static const textgen_model *shared;

static void *write_text(void *buffer) {
    textgen_stream *stream;
    size_t metadata, written;
    const textgen_memory memory = {malloc(textgen_stream_size(shared)), textgen_stream_size(shared)};
    const textgen_memory own = {malloc(textgen_workspace_size(shared, 1)), textgen_workspace_size(shared, 1)};
    const bool valid = !textgen_stream_init(memory, shared, NULL, &stream, NULL) &&
                       textgen_model_get_metadata(shared, "textgen.vocabulary", &metadata) &&
                       !textgen_stream_feed(stream, prompt, strlen(prompt), own, NULL) &&
                       !textgen_stream_generate(stream, LENGTH, buffer, TEXT_SIZE, &written, own, NULL);
    free(memory.data), free(own.data);
    return valid ? buffer : NULL;
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
