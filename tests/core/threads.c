/* Threads share a model: threads MODEL PROMPT. Each has a stream of its own, and all write the same text. */
#include "check.h"

#include <pthread.h>

enum { THREADS = 4, LENGTH = 300, ROOM = LENGTH * 4 + 1 };

static const char *prompt;
static const textgen_model *shared;

static void *write_text(void *room) {
    char line[256], *text = room;
    textgen_sampling sampling = TEXTGEN_SAMPLING_DEFAULT;
    const size_t size = textgen_stream_size(shared);
    textgen_model_info info = {.struct_size = sizeof info};
    textgen_stream *stream;
    void *memory = malloc(size);
    size_t metadata;
    const int fine = memory &&
                     !textgen_stream_init(memory, size, shared, &sampling, &stream, line, sizeof line) &&
                     !textgen_model_get_info(shared, &info, line, sizeof line) &&
                     textgen_model_get_metadata(shared, "textgen.vocabulary", &metadata) &&
                     !textgen_stream_feed(stream, prompt, strlen(prompt), line, sizeof line) &&
                     !textgen_stream_generate(stream, LENGTH, text, ROOM, NULL, line, sizeof line);
    free(memory);
    return fine ? text : NULL;
}

int main(int count, char **arguments) {
    static char texts[THREADS][ROOM];
    pthread_t threads[THREADS];
    loaded file;
    int i;
    CHECK(count > 2);
    file = load(arguments[1], NULL);
    CHECK(file.symbol_bytes <= 4);
    shared = file.model;
    prompt = arguments[2];
    for (i = 0; i < THREADS; i++) {
        CHECK(!pthread_create(&threads[i], NULL, write_text, texts[i]));
    }
    for (i = 0; i < THREADS; i++) {
        void *result;
        CHECK(!pthread_join(threads[i], &result));
        CHECK(result && !strcmp(texts[i], texts[0]));
    }
    unload(&file);
    return 0;
}
