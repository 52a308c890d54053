/* The command `textgen train`: learns a text, and writes the best model so far to a file. */

#include "command/command.h"
#include "command/platform.h"
#include "textgen_train.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char help[] =
    "usage: textgen train TEXT -o MODEL [OPTIONS]\n"
    "\n"
    "Learn a text and write a model, which is always the best one so far.\n"
    "\n"
    "  TEXT             a file of text in UTF-8, or - for standard input\n"
    "  -o MODEL         the model file to write\n"
    "  --minutes X      train for so many minutes (default: 1)\n"
    "  --epochs X       train for so many epochs; without --precision auto, the result then depends only on\n"
    "                   the text, the options and the instruction set\n"
    "  --from MODEL     start from the weights of a model file, and add the characters of the text that it "
    "lacks\n"
    "  --preset NAME    small, medium or large: the size of the network, and what is against overfitting\n"
    "                   (default: for a budget of minutes, the one that learns best in that time on this\n"
    "                   machine; with --epochs or an option below, small; with --from, that of the most "
    "similar\n"
    "                   network)\n"
    "  --records KIND   the text is a list: each line is a record (lines), or blank lines are between them\n"
    "                   (blank)\n"
    "  --level LEVEL    what a token is: character or byte (default: character)\n"
    "  --held-out X     the share of the text that is not learned, to measure the loss there\n"
    "                   (default: 0.1, at most a million characters)\n"
    "  --precision P    of products: float32, bfloat16 if the processor has it, or auto, which measures which\n"
    "                   of both is faster (default: auto with --minutes, float32 with --epochs)\n"
    "  --threads N      threads (default: one for each processor)\n"
    "  --seed N         random seed (default: 0)\n"
    "  -h, --help       show this help message and exit\n"
    "\n"
    "A preset sets the default values of these options:\n"
    "\n";

/* An evaluation takes as long as learning so many of the tokens that it scores. Evaluations take at most this
 * share of a run, and there are so many at most. */
#define COST 0.4
#define MAX_SHARE 0.03
#define MAX_EVALUATIONS 20.0

/* The speed of the machine is that of at least so many updates, and of so many seconds. */
#define MIN_UPDATES 2.0
#define SPEED_SECONDS 0.1

/* The epochs that a run of minutes will have are estimated after so many seconds. */
#define MEASURED_SECONDS 1.0

/* The first evaluation is after an epoch, or so many seconds, if it would be later. */
#define FIRST_SECONDS 2.0

/* Characters of a sample. */
enum { SAMPLE = 70 };

/* The values of the option `precision`. */
static const char *const precisions[] = {"float32", "bfloat16", "auto"};

/* What the arguments say. */
static const char *text_path, *model_path, *parent_path, *preset;
static int precision = -1;
static textgen_corpus_options corpus_options;
static textgen_options options;
static textgen_memory parent_file;
static const textgen_model_info *parent; /* of --from, or NULL */
static double minutes, epochs;
static uint64_t seed, threads;
static struct {
    const textgen_option_info *option;
    double value;
} chosen[64]; /* the options that the arguments set */
static size_t chosen_count;

static volatile sig_atomic_t is_interrupted;

static void interrupt(int number) {
    is_interrupted = 1;
    signal(number, SIG_DFL);
}

/* ---- Arguments ---- */

static _Noreturn void print_help(void) {
    char option[MAX_NAME];
    fputs(help, stdout);
    const textgen_option_info *info;
    for (size_t i = 0; (info = textgen_option(i)); i++) {
        if (!strcmp(info->name, "precision")) {
            continue;
        }
        printf("  %s %s\n      %s\n", spell(info->name, strlen(info->name), option),
               info->is_number ? "X" : "N", info->help);
    }
    write_text("", 0);
    exit(EXIT_SUCCESS);
}

static bool read_number(const char *value, double least, double most, double *number) {
    char *end;
    *number = strtod(value, &end);
    return end != value && !*end && *number >= least && *number <= most;
}

/* Choose an option of a run. Return false if there is none of this name. */
static bool choose(const char *name, const char *value) {
    char option[MAX_NAME];
    const textgen_option_info *info;
    double number;
    for (size_t i = 0; (info = textgen_option(i)); i++) {
        if (strcmp(spell(info->name, strlen(info->name), option), name)) {
            continue;
        }
        if (!read_number(value, info->least, info->most, &number) ||
            (!info->is_number && number != floor(number))) {
            fail(EXIT_USAGE, "%s must be %s from %g to %g, not '%s'", name,
                 info->is_number ? "a number" : "an integer", info->least, info->most, value);
        }
        if (chosen_count == sizeof chosen / sizeof *chosen) {
            fail(EXIT_USAGE, "there are too many options");
        }
        chosen[chosen_count].option = info;
        chosen[chosen_count++].value = number;
        return true;
    }
    return false;
}

static void set_option(const char *name, const char *value) {
    const char *needed = NULL;
    if (!strcmp(name, "-o")) {
        model_path = value;
    } else if (!strcmp(name, "--from")) {
        parent_path = value;
    } else if (!strcmp(name, "--minutes")) {
        needed = read_number(value, 1e-9, 1e9, &minutes) ? NULL : "a number above 0";
    } else if (!strcmp(name, "--epochs")) {
        needed = read_number(value, 1e-9, 1e9, &epochs) ? NULL : "a number above 0";
    } else if (!strcmp(name, "--held-out")) {
        needed = read_number(value, 1e-9, 1.0, &corpus_options.held_out) && corpus_options.held_out < 1.0
                     ? NULL
                     : "a number between 0 and 1";
    } else if (!strcmp(name, "--seed")) {
        needed = read_integer(value, &seed) ? NULL : "an integer from 0 to 18446744073709551615";
    } else if (!strcmp(name, "--threads")) {
        needed = read_integer(value, &threads) && threads >= 1 && threads <= TEXTGEN_MAX_THREADS
                     ? NULL
                     : "an integer from 1 to 256";
        _Static_assert(TEXTGEN_MAX_THREADS == 256, "the message states it");
    } else if (!strcmp(name, "--preset")) {
        preset = value;
        needed = textgen_choose_preset(preset, 1, 1, 0.0, &options) ? NULL : "small, medium or large";
    } else if (!strcmp(name, "--precision")) {
        for (precision = 0; precision <= TEXTGEN_FASTER && strcmp(value, precisions[precision]); precision++) {
        }
        needed = precision <= TEXTGEN_FASTER ? NULL : "float32, bfloat16 or auto";
    } else if (!strcmp(name, "--records")) {
        corpus_options.records = value;
        needed = !strcmp(value, "lines") || !strcmp(value, "blank") ? NULL : "lines or blank";
    } else if (!strcmp(name, "--level")) {
        corpus_options.level = value;
        needed = !strcmp(value, "character") || !strcmp(value, "byte") ? NULL : "character or byte";
    } else if (!choose(name, value)) {
        fail(EXIT_USAGE, "unrecognized argument: %s", name);
    }
    if (needed) {
        fail(EXIT_USAGE, "%s must be %s, not '%s'", name, needed, value);
    }
}

static void read_arguments(int count, char **arguments) {
    for (int i = 0; i < count; i++) {
        char *argument = arguments[i], *equals = strchr(argument, '=');
        if (!strcmp(argument, "-h") || !strcmp(argument, "--help")) {
            print_help();
        }
        if (argument[0] != '-' || !argument[1]) {
            if (text_path) {
                fail(EXIT_USAGE, "there are several texts: pass one");
            }
            text_path = argument;
            continue;
        }
        if (equals) {
            *equals = '\0';
        } else if (i + 1 == count) {
            fail(EXIT_USAGE, "%s needs a value", argument);
        }
        set_option(argument, equals ? equals + 1 : arguments[++i]);
    }
    if (!text_path) {
        fail(EXIT_USAGE, "pass a text");
    }
    if (!model_path) {
        fail(EXIT_USAGE, "pass the model file to write: -o MODEL");
    }
    if (minutes > 0.0 && epochs > 0.0) {
        fail(EXIT_USAGE, "pass --minutes or --epochs, not both");
    }
    if (parent_path && (corpus_options.level || corpus_options.records)) {
        fail(EXIT_USAGE, "--level and --records cannot be combined with --from: the model determines them");
    }
    minutes = minutes > 0.0 || epochs > 0.0 ? minutes : 1.0;
}

/* Return a metadata entry with a final zero byte; NULL if there is none. */
static const char *read_metadata(const textgen_model *model, const char *key) {
    size_t size;
    const char *text = textgen_model_get_metadata(model, key, &size);
    char *copy = text ? allocate(size + 1) : NULL;
    if (copy) {
        memcpy(copy, text, size);
        copy[size] = '\0';
    }
    return copy;
}

/* Open the model of --from, which determines what the tokens of the corpus are. */
static void open_parent(void) {
    textgen_model *model;
    parent_file = read_content(parent_path);
    check(textgen_model_create(parent_file.data, parent_file.size, NULL, &model, &error), EXIT_FAILED,
          parent_path);
    parent = textgen_model_get_info(model);
    corpus_options.vocabulary = read_metadata(model, "textgen.vocabulary");
    corpus_options.special = read_metadata(model, "textgen.special");
    corpus_options.level = parent->level;
    corpus_options.records = parent->records;
    corpus_options.unicode = parent->unicode;
    corpus_options.lowercase = parent->lowercase;
    corpus_options.extend = 1;
    preset = preset ? preset : textgen_nearest_preset(parent->layers, parent->units);
}

/* Set the options to those of the preset for so many epochs, 0 if that is not known, and to those of the
 * arguments. */
static void choose_options(const textgen_corpus_info *corpus, double expected) {
    options = textgen_default_options();
    textgen_choose_preset(preset, corpus->common, corpus->training_tokens, expected, &options);
    options.precision = precision >= 0 ? precision : minutes > 0.0 ? TEXTGEN_FASTER : TEXTGEN_FLOAT32;
    if (parent) {
        options.units = (int64_t)parent->units;
        options.layers = (int64_t)parent->layers;
        options.embedding = (int64_t)parent->embedding;
        options.residual = (int64_t)parent->residual;
    }
    for (size_t i = 0; i < chosen_count; i++) {
        char *field = (char *)&options + chosen[i].option->offset;
        if (chosen[i].option->is_number) {
            *(double *)(void *)field = chosen[i].value;
        } else {
            *(int64_t *)(void *)field = (int64_t)chosen[i].value;
        }
    }
}

/* ---- The run ---- */

/* Load the model, and write a line of what it makes up. */
static void print_sample(const unsigned char *file, size_t size) {
    textgen_model *model;
    textgen_stream *stream;
    textgen_sampling sampling = TEXTGEN_SAMPLING_DEFAULT;
    char text[SAMPLE * 64 + 1], prompt[1024] = "";
    size_t written;
    check(textgen_model_create(file, size, NULL, &model, &error), EXIT_FAILED, "the model");
    const textgen_memory memory = {allocate(textgen_stream_size(model)), textgen_stream_size(model)};
    const textgen_memory workspace = {allocate(textgen_workspace_size(model, 1)),
                                      textgen_workspace_size(model, 1)};
    const size_t prompt_size = textgen_model_get_prompt(model, 0, NULL);
    if (prompt_size && prompt_size < sizeof prompt) {
        textgen_model_get_prompt(model, 0, prompt);
    } else if (!textgen_model_get_info(model)->records) {
        strcpy(prompt, "\n");
    }
    check(textgen_stream_init(memory, model, &sampling, &stream, &error), EXIT_FAILED, "");
    /* A text without line ends and prompts has no sample. */
    if (!textgen_stream_feed(stream, prompt, strlen(prompt), workspace, NULL) &&
        !textgen_stream_generate(stream, SAMPLE, text, sizeof text, &written, workspace, NULL)) {
        for (size_t i = 0; i < written; i++) {
            text[i] = (char)((unsigned char)text[i] < 0x20 ? ' ' : text[i]);
        }
        fprintf(stderr, "    %.*s\n", (int)written, text);
    }
    free(workspace.data);
    free(memory.data);
    textgen_model_destroy(model);
}

static void write_model(const textgen_trainer *trainer, double loss) {
    const size_t size = textgen_trainer_write_model(trainer, loss, NULL, NULL);
    unsigned char *file = allocate(size);
    textgen_trainer_write_model(trainer, loss, NULL, file);
    if (!platform_replace(model_path, file, size)) {
        fail(EXIT_FAILED, "cannot write %s: %s", model_path, strerror(errno));
    }
    print_sample(file, size);
    free(file);
}

static const char diverged[] = "training has diverged: lower --learning-rate and --muon-lr";

/* How many evaluations a run of so many epochs has. */
static double count_evaluations(const textgen_corpus_info *corpus, double expected) {
    const double most =
        MAX_SHARE * expected * (double)corpus->training_tokens / (COST * (double)corpus->held_out_tokens);
    return most < 1.0 ? 1.0 : most > MAX_EVALUATIONS ? MAX_EVALUATIONS : floor(most);
}

static void print_time(double left) {
    if (left >= 99.5) {
        fprintf(stderr, ", %.0f min left\n", left / 60.0);
    } else if (left > 0.0) {
        fprintf(stderr, ", %.0f s left\n", left);
    } else {
        fputs("\n", stderr);
    }
}

/* Score the network, and write the model if its loss is below the best one. Return the lower one. */
static double evaluate(textgen_trainer *trainer, double progress, double left, double best) {
    const double loss = textgen_trainer_score(trainer);
    if (!isfinite(loss)) {
        fail(EXIT_FAILED, diverged);
    }
    fprintf(stderr, "%3.0f%%  %.1f epochs, loss %.4f nats (%.3f bits) per character%s", 100.0 * progress,
            textgen_trainer_get_info(trainer).epoch, loss, loss / log(2.0),
            loss < best ? "" : ", not the best");
    print_time(left);
    if (loss < best) {
        write_model(trainer, loss);
    }
    return loss < best ? loss : best;
}

/* Train until the budget is used, or until an interrupt. Return the best loss. */
static double run(textgen_trainer *trainer, const textgen_corpus_info *corpus) {
    const double start = platform_seconds();
    double progress = 0.0, expected = epochs, best = INFINITY;
    const double first = epochs > 0.0 ? 1.0 / epochs : FIRST_SECONDS / (60.0 * minutes);
    double evaluated = 0.0; /* the progress at the latest evaluation */
    if (parent) {
        best = evaluate(trainer, 0.0, 0.0, best);
    }
    /* The evaluation of the model of --from belongs to the budget, but its time does not come again. */
    const double begun = platform_seconds();
    while (progress < 1.0 && !is_interrupted) {
        if (!isfinite(textgen_trainer_update(trainer, progress))) {
            fail(EXIT_FAILED, diverged);
        }
        const textgen_trainer_info info = textgen_trainer_get_info(trainer);
        const double now = platform_seconds(), training = now - begun;
        progress = minutes > 0.0 ? (now - start) / (60.0 * minutes)
                                 : (double)info.step / (epochs * (double)info.per_epoch);
        progress = progress < 1.0 ? progress : 1.0;
        const double left =
            minutes > 0.0 ? 60.0 * minutes * (1.0 - progress) : training * (1.0 / progress - 1.0);
        if (!(expected > 0.0) && (training >= MEASURED_SECONDS || progress >= 1.0)) {
            expected = info.epoch * (1.0 + left / training);
            choose_options(corpus, expected);
            check(textgen_trainer_regularize(trainer, &options, &error), EXIT_FAILED, "");
        }
        /* Evaluations, with the last one, are evenly spaced, but the first one is early. */
        const double evaluations = expected > 0.0 ? count_evaluations(corpus, expected) : 1.0;
        const double due = (floor(evaluated * evaluations) + 1.0) / evaluations;
        if (progress < fmin(evaluated > 0.0 ? due : fmin(first, due), 1.0) && !is_interrupted) {
            continue;
        }
        evaluated = progress;
        best = evaluate(trainer, progress, left, best);
    }
    if (isinf(best)) {
        exit(EXIT_INTERRUPTED);
    }
    return best;
}

static textgen_trainer *create_trainer(const textgen_corpus *corpus, const textgen_corpus_info *info) {
    textgen_trainer *trainer;
    choose_options(info, epochs);
    check(textgen_trainer_create(corpus, &options, seed, (int32_t)threads, NULL, &trainer, &error), EXIT_FAILED,
          "");
    return trainer;
}

/* If there is none, choose the preset for the budget: with minutes, by the speed of `small` on this machine. */
static void choose_preset(const textgen_corpus *corpus, const textgen_corpus_info *info) {
    const char *most = textgen_preset_for(info->common, info->training_tokens, INFINITY);
    const bool is_chosen = preset || chosen_count || !strcmp(most, "small");
    preset = preset ? preset : "small";
    if (is_chosen || !(minutes > 0.0)) {
        return;
    }
    textgen_trainer *trainer = create_trainer(corpus, info);
    /* The first update takes longer than the others. */
    textgen_trainer_update(trainer, 0.0);
    const double start = platform_seconds();
    double seconds = 0.0, updates = 0.0;
    for (; updates < MIN_UPDATES || seconds < SPEED_SECONDS; updates++) {
        textgen_trainer_update(trainer, 0.0);
        seconds = platform_seconds() - start;
    }
    const double per_epoch = (double)textgen_trainer_get_info(trainer).per_epoch * seconds / updates;
    preset = textgen_preset_for(info->common, info->training_tokens, 60.0 * minutes / per_epoch);
    textgen_trainer_destroy(trainer);
}

/* Return the name of a file without its folder. */
static const char *name_of(const char *path) {
    const char *name = path, *end;
    while (*(end = name + strcspn(name, "/\\"))) {
        name = end + 1;
    }
    return name;
}

/* Convert A to Z as the model of --from needs. The command has no tables of Unicode for other letters. */
static void normalize(textgen_memory text) {
    bool is_ascii = true;
    if (!parent || !strcmp(parent->level, "byte")) {
        return;
    }
    for (size_t i = 0; i < text.size; i++) {
        is_ascii = is_ascii && ((const unsigned char *)text.data)[i] < 0x80;
    }
    if (!is_ascii && (parent->lowercase || parent->unicode)) {
        fprintf(stderr, "textgen: %s: characters outside ASCII must already be %s%s, as the model needs them\n",
                text_path, parent->lowercase ? "lower case " : "", parent->unicode ? parent->unicode : "");
    }
    if (parent->lowercase) {
        make_lowercase(text.data, text.size);
    }
}

int train(int count, char **arguments) {
    textgen_corpus *corpus;
    textgen_trainer *trainer;
    helpful_command = "textgen train --help";
    read_arguments(count, arguments);
    const textgen_memory text = read_content(text_path);
    /* A shell ignores interrupts for a command in the background. */
    if (signal(SIGINT, SIG_IGN) != SIG_IGN) {
        signal(SIGINT, interrupt);
    }
    if (platform_is_same(text_path, model_path) || (parent_path && platform_is_same(parent_path, model_path))) {
        fail(EXIT_USAGE, "-o must not be the text or the model of --from");
    }
    if (!platform_can_replace(model_path)) {
        fail(EXIT_FAILED, "cannot write %s: %s", model_path, strerror(errno));
    }
    corpus_options.name = strcmp(text_path, "-") ? name_of(text_path) : "standard input";
    if (parent_path) {
        open_parent();
    }
    normalize(text);
    check(textgen_corpus_create(text.data, text.size, &corpus_options, &corpus, &error), EXIT_FAILED,
          text_path);
    free(text.data);
    const textgen_corpus_info *info = textgen_corpus_get_info(corpus);
    const int processors = platform_processors();
    threads =
        threads ? threads : (uint64_t)(processors < TEXTGEN_MAX_THREADS ? processors : TEXTGEN_MAX_THREADS);
    choose_preset(corpus, info);
    trainer = create_trainer(corpus, info);
    if (parent) {
        check(textgen_trainer_start_from(trainer, parent_file.data, parent_file.size, &error), EXIT_FAILED,
              parent_path);
    }
    const textgen_trainer_info of_run = textgen_trainer_get_info(trainer);
    fprintf(stderr, "%s: %zu characters to learn, %zu held out, %zu different tokens", corpus_options.name,
            info->training_characters, info->held_out_characters, info->vocabulary);
    if (parent) {
        fprintf(stderr, ", %zu of them new", info->vocabulary - parent->vocabulary);
    }
    if (info->training_records) {
        fprintf(stderr, ", %zu records", info->training_records + info->held_out_records);
    }
    fprintf(stderr, "\npreset %s: %zu parameters, %d thread%s, %s, %s\n", preset, of_run.parameters,
            of_run.threads, of_run.threads > 1 ? "s" : "", of_run.kernels, precisions[of_run.precision]);
    const double best = run(trainer, info);
    printf("wrote %s: loss %.4f nats per character of the held-out text\n", model_path, best);
    textgen_trainer_destroy(trainer);
    textgen_corpus_destroy(corpus);
    return is_interrupted ? EXIT_INTERRUPTED : EXIT_SUCCESS;
}
