/* Learn a list of a thousand lines or more, then make up more of it: learn LIST [UPDATES] */
#include "textgen_train.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
static textgen_error error;
static void check(int32_t code) {
    if (code != TEXTGEN_OK)
        fprintf(stderr, "learn: %s %s\n", error.parameter ? error.parameter : "", error.message), exit(1);
}
static textgen_memory allocate(size_t size) { return (textgen_memory){malloc(size), size}; }
int main(int count, char **arguments) {
    FILE *file = count > 1 ? fopen(arguments[1], "rb") : NULL;
    long updates = count > 2 ? strtol(arguments[2], NULL, 10) : 1000;
    if (!file || updates < 1) fprintf(stderr, "usage: learn LIST [UPDATES]\n"), exit(2);
    /* Line ends around the list and around a text find a text only if it is a whole line. */
    static char list[1 << 24], text[2000];
    list[0] = text[0] = '\n';
    size_t size = fread(list + 1, 1, sizeof list - 2, file), written;
    if (size == sizeof list - 2) fprintf(stderr, "learn: the list has more than 16 MiB\n"), exit(1);
    list[size + 1] = '\n';
    fclose(file);
    /* The corpus: each line is a record, of which a tenth is held out. */
    textgen_corpus_options kind = {.name = "list", .records = "lines"};
    textgen_corpus *corpus;
    check(textgen_corpus_create(list + 1, size, &kind, &corpus, &error));
    const textgen_corpus_info *info = textgen_corpus_get_info(corpus);
    /* The run: a small network, on one thread. */
    textgen_options options = textgen_default_options();
    textgen_choose_preset("small", info->common, info->training_tokens, 0, &options);
    textgen_trainer *trainer;
    check(textgen_trainer_create(corpus, &options, 1, 1, NULL, &trainer, &error));
    double loss = 0;
    for (long i = 0; i < updates; i++)
        loss = textgen_trainer_update(trainer, (double)i / (double)updates);
    fprintf(stderr, "loss %.3f learned, %.3f held out\n", loss, textgen_trainer_score(trainer));
    /* The model file, from which a stream makes up records. */
    textgen_memory content = allocate(textgen_trainer_write_model(trainer, -1, NULL, NULL));
    textgen_trainer_write_model(trainer, textgen_trainer_score(trainer), NULL, content.data);
    textgen_sampling sampling = TEXTGEN_SAMPLING_DEFAULT;
    textgen_model *model;
    textgen_stream *stream;
    check(textgen_model_create(content.data, content.size, NULL, &model, &error));
    textgen_memory memory = allocate(textgen_stream_size(model)),
                   workspace = allocate(textgen_workspace_size(model, 1));
    check(textgen_stream_init(memory, model, &sampling, &stream, &error));
    for (int i = 0; i < 10; i++) {
        check(textgen_stream_feed(stream, NULL, 0, workspace, &error));
        check(textgen_stream_generate(stream, 100, text + 1, sizeof text - 2, &written, workspace, &error));
        strcat(text, "\n");
        printf("%.*s%s\n", (int)written, text + 1, strstr(list, text) ? " (in the list)" : "");
    }
    textgen_trainer_destroy(trainer), textgen_corpus_destroy(corpus), textgen_model_destroy(model);
    free(memory.data), free(workspace.data), free(content.data);
}
