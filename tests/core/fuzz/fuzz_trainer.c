/* The trainer: texts and vocabularies, saved runs, and model files from which it starts, or which it converts.
 * Each is refused, or it learns, and gives model files that load. */
#include "fuzz.h"

#include "run.h"

#include <math.h>

enum { MODEL_REFUSALS = CODE(DAMAGED_MODEL) | CODE(UNKNOWN_GRAPH) | CODE(TOO_LARGE) | CODE(NEWER_FORMAT) };

/* A corpus with the vocabulary of a model, and a trainer of its sizes. seeds.py makes the same. */
typedef struct {
    textgen_corpus *corpus;
    textgen_trainer *trainer;
    fuzz_content first; /* the run before the first update */
} learner;

static fuzz_content save(const textgen_trainer *trainer) {
    fuzz_content saved = {NULL, 0};
    size_t size;
    const void *run = textgen_trainer_save(trainer, &size);
    fuzz_append(&saved, run, size);
    return saved;
}

static int32_t resume(textgen_trainer *trainer, const fuzz_content *saved) {
    return textgen_trainer_resume(trainer, saved->data, saved->size, &error);
}

static void check_saved(const textgen_trainer *trainer, const fuzz_content *expected) {
    const fuzz_content saved = save(trainer);
    CHECK(saved.size == expected->size && !memcmp(saved.data, expected->data, saved.size));
    free(saved.data);
}

/* Convert a file, and check that the result loads. Return the code of the conversion, which is in `refusals`,
 * as that of the result is in `codes`. */
static int32_t quantize(const unsigned char *file, size_t file_size, unsigned refusals, unsigned codes) {
    static const char *const more[] = {"textgen.training", "{\"bits\": 8}", NULL};
    size_t size = 0, same = 0;
    textgen_model *model = NULL;
    const int32_t code = textgen_quantize(file, file_size, more, NULL, &size, &error);
    if (CHECK_CODE(code, refusals) < 0) {
        return code;
    }
    unsigned char *converted = allocate(size);
    CHECK_CODE(textgen_quantize(file, file_size, more, converted, &same, &error), 0);
    CHECK(same == size);
    if (CHECK_CODE(textgen_model_create(converted, size, NULL, &model, &error), codes) == TEXTGEN_OK) {
        CHECK(textgen_model_get_info(model)->bits == 8);
    }
    textgen_model_destroy(model);
    free(converted);
    return code;
}

/* Check that the model file loads, with the sizes of the run and the vocabulary of the corpus. */
static void write_model(const textgen_trainer *trainer, const textgen_corpus *corpus, double nats,
                        bool is_converted, unsigned codes) {
    size_t size, text_size;
    const textgen_run *run = textgen_trainer_save(trainer, &size);
    const char *vocabulary = textgen_corpus_get_content(corpus).vocabulary;
    textgen_model *model = NULL;
    size = textgen_trainer_write_model(trainer, nats, NULL, NULL);
    unsigned char *file = allocate(size);
    CHECK(textgen_trainer_write_model(trainer, nats, NULL, file) == size);
    if (CHECK_CODE(textgen_model_create(file, size, NULL, &model, &error), codes) == TEXTGEN_OK) {
        const textgen_model_info *info = textgen_model_get_info(model);
        const char *text = textgen_model_get_metadata(model, "textgen.vocabulary", &text_size);
        CHECK(info->vocabulary == textgen_corpus_get_info(corpus)->vocabulary && info->bits == 32);
        CHECK((int64_t)info->units == run->options.units && (int64_t)info->layers == run->options.layers);
        CHECK((int64_t)info->embedding == run->options.embedding);
        CHECK(info->parameters == textgen_trainer_get_info(trainer).parameters);
        CHECK(text_size == strlen(vocabulary) && !memcmp(text, vocabulary, text_size));
        if (is_converted) {
            quantize(file, size, 0, codes);
        }
    }
    textgen_model_destroy(model);
    free(file);
}

/* Learn, score and write. is_converted: whether the model file is converted, too, which takes as long as all
 * else. codes: how a written model file, and the run after the update, may be refused. */
static void learn(textgen_trainer *trainer, const textgen_corpus *corpus, bool is_converted, unsigned codes) {
    textgen_trainer_update(trainer, 0.5);
    const double nats = textgen_trainer_score(trainer), start = textgen_trainer_score_start(trainer, 3);
    CHECK(codes || (nats > 0.0 && start > 0.0));
    write_model(trainer, corpus, nats, is_converted, codes);
    const fuzz_content saved = save(trainer);
    CHECK_CODE(resume(trainer, &saved), codes ? CODE(DAMAGED_SAVED) : 0);
    check_saved(trainer, &saved);
    free(saved.data);
}

/* ---- Texts ---- */

/* Take the text before the next zero byte. */
static char *take_string(fuzz_input *input) {
    fuzz_content text = {NULL, 0};
    const void *start = input->data;
    fuzz_append(&text, start, fuzz_skip_text(input));
    fuzz_append(&text, "", 1);
    return (char *)text.data;
}

/* Bytes that select options, a name and the JSON texts of a vocabulary, each before a zero byte, a text, and
 * another one that is held out. */
void fuzz_learn_text(fuzz_input input) {
    static const char *const levels[] = {"character", "byte", "word", NULL};
    static const char *const kinds[] = {NULL, "lines", "blank"};
    static const char *const forms[] = {NULL, "NFC", "NFD", "NFKC", "NFKD", "nfc"};
    const unsigned head = fuzz_take(&input), more = fuzz_take(&input), share = fuzz_take(&input);
    const unsigned held_out = fuzz_take(&input), sizes = fuzz_take(&input);
    char *const strings[] = {take_string(&input), take_string(&input), take_string(&input)};
    const size_t size = input.size - input.size * (more & 4 ? held_out : 0) / 256;
    fuzz_content text = {NULL, 0}, other = {NULL, 0};
    fuzz_append(&text, input.data, size);
    fuzz_append(&other, input.data + size, input.size - size);
    const textgen_corpus_options chosen = {.name = strings[0],
                                           .level = levels[head % 4],
                                           .records = kinds[head / 4 % 3],
                                           .unicode = forms[head / 12 % 6],
                                           .held_out = share / 240.0,
                                           .lowercase = more >> 3 & 1,
                                           .held_out_text = more & 4 ? other.data : NULL,
                                           .held_out_size = other.size,
                                           .vocabulary = more & 1 ? strings[1] : NULL,
                                           .special = more & 2 ? strings[2] : NULL};
    textgen_options options = textgen_default_options();
    options.units = 1 + sizes % 8;
    options.embedding = 1 + sizes / 8 % 4;
    options.layers = 1 + sizes / 32 % 2;
    options.residual = sizes / 64 % 2;
    options.dropout = options.input_dropout = options.weight_dropout = sizes / 128 * 0.5;
    options.batch = 2;
    options.sequence_length = 4;
    textgen_corpus *corpus = NULL;
    textgen_trainer *trainer = NULL;
    const int32_t code = textgen_corpus_create(text.data, text.size, &chosen, &corpus, &error);
    if (CHECK_CODE(code, CODE(INVALID_ARGUMENT) | CODE(INVALID_UTF8) | CODE(UNKNOWN_CHARACTER)) == TEXTGEN_OK) {
        CHECK_CODE(textgen_trainer_create(corpus, &options, head, 1, NULL, &trainer, &error), 0);
        learn(trainer, corpus, more & 16, 0);
    }
    textgen_trainer_destroy(trainer);
    textgen_corpus_destroy(corpus);
    free(text.data), free(other.data), free(strings[0]), free(strings[1]), free(strings[2]);
}

/* ---- Runs and model files ---- */

static char *metadata_of(const textgen_model *model, const char *key) {
    size_t size = 0;
    const char *found = textgen_model_get_metadata(model, key, &size);
    fuzz_content text = {NULL, 0};
    fuzz_append(&text, found, size);
    fuzz_append(&text, "", 1);
    return (char *)text.data;
}

/* Bytes of the text, which is cut at the ends of lines. */
enum { TRAINING = 301, HELD_OUT = 48 };

/* Return the trainer of a model, whose vocabulary has one more character, but for bytes. */
static learner *learner_of(const fuzz_model *model) {
    static learner learners[FUZZ_MODELS];
    learner *found = &learners[model - fuzz_models];
    if (found->trainer) {
        return found;
    }
    const textgen_model_info *info = model->info;
    textgen_options options = textgen_default_options();
    options.units = (int64_t)info->units, options.embedding = (int64_t)info->embedding;
    options.layers = (int64_t)info->layers, options.residual = (int64_t)info->residual;
    options.batch = 2, options.sequence_length = 4;
    fuzz_content text, vocabulary = {NULL, 0};
    char *known = metadata_of(model->model, "textgen.vocabulary");
    char *special = metadata_of(model->model, "textgen.special");
    const bool is_bytes = !strcmp(info->level, "byte");
    fuzz_append(&vocabulary, known, strlen(known) - 1);
    fuzz_append(&vocabulary, is_bytes ? "]" : ", \"x\"]", is_bytes ? 2 : 7);
    text.data = read_file("tests/data/tiny_int8.txt", &text.size);
    const textgen_corpus_options chosen = {.name = "text",
                                           .level = info->level,
                                           .records = info->records,
                                           .held_out_text = text.data + TRAINING,
                                           .held_out_size = HELD_OUT,
                                           .vocabulary = (char *)vocabulary.data,
                                           .special = *special ? special : NULL};
    CHECK_CODE(textgen_corpus_create(text.data, TRAINING, &chosen, &found->corpus, &error), 0);
    CHECK_CODE(textgen_trainer_create(found->corpus, &options, 1, 1, NULL, &found->trainer, &error), 0);
    found->first = save(found->trainer);
    free(known), free(special), free(text.data), free(vocabulary.data);
    return found;
}

/* Learn if a run or file was accepted, and go back. What was refused has changed nothing. */
static void learn_and_return(const learner *on, bool is_accepted) {
    if (is_accepted) {
        learn(on->trainer, on->corpus, false, CODE(DAMAGED_MODEL));
        CHECK_CODE(resume(on->trainer, &on->first), 0);
    }
    check_saved(on->trainer, &on->first);
}

/* A saved run, which gets the hash of the text. The first byte says whether it gets its missing bytes, too. */
void fuzz_resume_run(const fuzz_model *model, fuzz_input input) {
    const learner *on = learner_of(model);
    const textgen_run *first = (const void *)on->first.data;
    const bool is_whole = fuzz_take(&input) % 2;
    fuzz_content data = {NULL, 0};
    fuzz_append(&data, input.data, input.size);
    if (!is_whole && data.size < on->first.size) {
        fuzz_append(&data, on->first.data + data.size, on->first.size - data.size);
    }
    textgen_run *run = (void *)data.data;
    if (data.size >= sizeof *run) {
        memcpy(run->text, first->text, sizeof run->text);
    }
    const int32_t code = resume(on->trainer, &data);
    if (CHECK_CODE(code, CODE(DAMAGED_SAVED) | CODE(OTHER_SAVED)) == TEXTGEN_OK) {
        /* The precision stays that of the trainer. */
        run->options.precision = first->options.precision;
        check_saved(on->trainer, &data);
        const float *numbers = textgen_run_weights(run), *end = (const void *)(data.data + data.size);
        for (; numbers < end; numbers++) {
            CHECK(isfinite(*numbers));
        }
    }
    learn_and_return(on, code == TEXTGEN_OK);
    free(data.data);
}

/* A model file. */
void fuzz_start_from(const fuzz_model *model, fuzz_input input) {
    const learner *on = learner_of(model);
    const unsigned refusals = MODEL_REFUSALS | CODE(INVALID_ARGUMENT);
    quantize(input.data, input.size, refusals, CODE(DAMAGED_MODEL));
    const int32_t code = textgen_trainer_start_from(on->trainer, input.data, input.size, &error);
    learn_and_return(on, CHECK_CODE(code, refusals) == TEXTGEN_OK);
}
