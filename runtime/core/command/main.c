/* The command `textgen`: generates a text with a model and writes it to standard output. It is the text that
 * textgen-run writes. The end of the program frees the memory of what it needs once. */
#include "command.h"
#include "platform.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Define TEXTGEN_EMBEDDED to build the command with a model that textgen-embed wrote. */
#ifdef TEXTGEN_EMBEDDED
extern const uint64_t model_data[];
extern const size_t model_size;
#define MODEL ""
#else
#define MODEL "MODEL "
#endif

enum { CHUNK = 64, DEFAULT_LENGTH = 400, DEFAULT_RECORD_LENGTH = 10000 };

static const char help[] =
    "usage: textgen " MODEL "[PROMPT] [OPTIONS]\n"
#ifdef TEXTGEN_TRAIN
    "       textgen train TEXT -o MODEL [OPTIONS]\n"
#endif
    "\n"
    "Generate text with a model and write it to standard output.\n"
    "\n"
    "  MODEL        a model file\n"
    "  PROMPT       text to continue, or - to read it from standard input, without its final line end\n"
    "               (default: a prompt stored in the model; a model of records starts a new record)\n"
    "  --length N   maximum number of tokens to generate; a token is usually one character\n"
    "               (default: 400; 10,000 for a model of records, which ends texts itself)\n"
    "  --seed N     random seed; the same seed gives the same text (default: a new random seed)\n"
    "  --stop TEXT  end the text before TEXT; may be repeated; in TEXT, \\n is a line end, \\t a tab and\n"
    "               \\\\ a backslash\n"
    "  --keep-stop  print the stop text, too (default: off)\n"
    "  --           read all further arguments as MODEL or PROMPT, even if they begin with a hyphen\n"
    "  --version    show the version and exit\n"
    "  -h, --help   show this help message and exit\n"
    "\n";

/* What the arguments say. */
static textgen_sampling sampling = TEXTGEN_SAMPLING_DEFAULT;
static char **stops;                       /* [sampling.stop_count] */
static char *model_path, *prompt_argument; /* the prompt: "-" for standard input; NULL for a stored one */
static uint64_t length;                    /* 0 for the default */

textgen_error error;
const char *helpful_command = "textgen --help";

/* ---- Errors ---- */

_Noreturn void fail(int code, const char *format, ...) {
    va_list values;
    fflush(stdout);
    fputs("textgen: error: ", stderr);
    va_start(values, format);
    vfprintf(stderr, format, values);
    va_end(values);
    if (code == EXIT_USAGE) {
        fprintf(stderr, " (see %s)", helpful_command);
    }
    fputs("\n", stderr);
    exit(code);
}

const char *spell(const char *name, size_t size, char option[MAX_NAME]) {
    const bool is_temperature = size == strlen("temperature") && !strncmp(name, "temperature", size);
    snprintf(option, MAX_NAME, "--%.*s", is_temperature ? 4 : (int)size, name);
    for (char *place = option; *place; place++) {
        *place = *place == '_' ? '-' : *place;
    }
    return option;
}

/* Return the parameter of an option, or NULL. */
static const textgen_parameter_info *find_parameter(const char *option) {
    const textgen_parameter_info *parameter;
    char spelled[MAX_NAME];
    for (size_t i = 0; (parameter = textgen_parameter(i)); i++) {
        if (!strcmp(spell(parameter->name, strlen(parameter->name), spelled), option)) {
            break;
        }
    }
    return parameter;
}

void check(int32_t code, int status, const char *subject) {
    char option[MAX_NAME], place[MAX_NAME] = "";
    const char *name = error.parameter ? error.parameter : "";
    if (code >= 0) {
        return;
    }
    if (*name && error.place >= 0) {
        snprintf(place, sizeof place, " at %lld", (long long)error.place);
    }
    spell(name, strlen(name), option);
    fail(status, "%s%s%s%s%s%s", subject, *subject ? ": " : "", find_parameter(option) ? option : name, place,
         *name ? " " : "", error.message);
}

void *allocate(size_t size) {
    void *memory = malloc(size);
    if (!memory) {
        fail(EXIT_FAILED, "not enough memory");
    }
    return memory;
}

static textgen_memory new_memory(size_t size) { return (textgen_memory){allocate(size), size}; }

void write_text(const char *text, size_t size) {
    fwrite(text, 1, size, stdout);
    if (fflush(stdout)) {
        fail(EXIT_FAILED, "cannot write standard output: %s", strerror(errno));
    }
}

/* ---- Arguments ---- */

/* Print the help, in which {name} stands for the parameter of this name, and exit. */
static _Noreturn void print_help(void) {
    const textgen_parameter_info *parameter;
    char option[MAX_NAME];
    fputs(help, stdout);
    for (size_t i = 0; (parameter = textgen_parameter(i)); i++) {
        if (!parameter->offset) {
            continue;
        }
        spell(parameter->name, strlen(parameter->name), option);
        printf("  %s %s\n      ", option, parameter->value);
        for (const char *next = parameter->help; *next; next++) {
            const size_t size = *next == '{' ? strcspn(next, "}") : 0;
            fputs(size ? spell(next + 1, size - 1, option) : (char[]){*next, '\0'}, stdout);
            next += size;
        }
        printf(" (default: %g%s)\n", parameter->initial, parameter->initial == parameter->off ? ", off" : "");
    }
    write_text("", 0);
    exit(EXIT_SUCCESS);
}

bool read_integer(const char *value, uint64_t *number) {
    char *end;
    errno = 0;
    *number = strtoull(value, &end, 10);
    return *value >= '0' && *value <= '9' && !*end && !errno;
}

/* Set a parameter. Return false if it has no such value. A 0 would stand for its default. */
static bool set_parameter(const textgen_parameter_info *parameter, const char *value) {
    void *field = (char *)&sampling + parameter->offset;
    char *end;
    if (!strcmp(parameter->kind, "whole")) {
        uint64_t *number = field;
        return read_integer(value, number) && textgen_parameter_accepts(parameter, (double)*number);
    }
    double *number = field;
    *number = strtod(value, &end);
    return end != value && !*end && textgen_parameter_accepts(parameter, *number);
}

/* Replace \n, \t and \\ by what they stand for. */
static char *unescape(char *text) {
    char *to = text;
    for (const char *from = text; *from; from++) {
        const char next = from[0] == '\\' ? from[1] : '\0';
        const bool is_escape = next == 'n' || next == 't' || next == '\\';
        *to++ = (char)(!is_escape ? *from : next == 'n' ? '\n' : next == 't' ? '\t' : '\\');
        from += is_escape;
    }
    *to = '\0';
    return text;
}

/* Set an option that has a value. */
static void set_option(const char *option, char *value) {
    const textgen_parameter_info *parameter = find_parameter(option);
    const bool is_stop = !strcmp(option, "--stop"), is_length = !strcmp(option, "--length");
    const char *needed = "an integer from 0 to 18446744073709551615";
    char requirement[TEXTGEN_REQUIREMENT_SIZE];
    bool is_valid;
    if (!(parameter && parameter->offset) && !is_stop && !is_length && strcmp(option, "--seed")) {
        fail(EXIT_USAGE, "unrecognized argument: %s", option);
    }
    if (!value) {
        fail(EXIT_USAGE, "%s needs a value", option);
    }
    if (is_stop) {
        needed = "a text";
        is_valid = *value;
        stops[sampling.stop_count++] = unescape(value);
    } else if (is_length) {
        needed = "an integer, 1 or more";
        is_valid = read_integer(value, &length) && length && length <= PTRDIFF_MAX;
    } else if (parameter) {
        needed = textgen_parameter_requirement(parameter, requirement);
        is_valid = set_parameter(parameter, value);
    } else {
        is_valid = read_integer(value, &sampling.seed);
    }
    if (!is_valid) {
        fail(EXIT_USAGE, "%s must be %s, not '%s'", option, needed, value);
    }
}

static void read_arguments(int count, char **arguments) {
    bool only_positional = false;
    stops = allocate((size_t)count * sizeof *stops);
    for (int i = 1; i < count; i++) {
        char *argument = arguments[i];
        if (only_positional || argument[0] != '-' || !argument[1]) {
            char **positional = *MODEL && !model_path ? &model_path : &prompt_argument;
            if (*positional) {
                fail(EXIT_USAGE, "there are several prompts: put the prompt in quotes");
            }
            *positional = argument;
        } else if (!strcmp(argument, "--")) {
            only_positional = true;
        } else if (!strcmp(argument, "-h") || !strcmp(argument, "--help")) {
            print_help();
        } else if (!strcmp(argument, "--version")) {
            printf("textgen %d.%d.%d\n", TEXTGEN_VERSION / 10000, TEXTGEN_VERSION / 100 % 100,
                   TEXTGEN_VERSION % 100);
            exit(EXIT_SUCCESS);
        } else if (!strcmp(argument, "--keep-stop")) {
            sampling.keep_stop = 1;
        } else {
            char *equals = strchr(argument, '=');
            if (equals) {
                *equals = '\0';
            }
            set_option(argument, equals ? equals + 1 : i + 1 < count ? arguments[++i] : NULL);
        }
    }
    if (*MODEL && !model_path) {
        fail(EXIT_USAGE, "pass a model file");
    }
}

/* ---- The model and the prompt ---- */

textgen_memory read_content(const char *path) {
    const bool is_input = !strcmp(path, "-");
    FILE *file = is_input ? stdin : platform_open(path);
    textgen_memory content = {NULL, 0};
    size_t room = 1 << 16, got = 1;
    while (file && got) {
        content.data = realloc(content.data, room);
        if (!content.data) {
            fail(EXIT_FAILED, "not enough memory");
        }
        got = fread((char *)content.data + content.size, 1, room - content.size, file);
        content.size += got;
        room *= 2;
    }
    if (!file || ferror(file)) {
        fail(EXIT_FAILED, "cannot read %s: %s", is_input ? "standard input" : path, strerror(errno));
    }
    return content;
}

static textgen_model *load(void) {
    textgen_model *model;
#ifdef TEXTGEN_EMBEDDED
    check(textgen_model_create(model_data, model_size, NULL, &model, &error), EXIT_FAILED, "the model");
#else
    const textgen_memory file = read_content(model_path);
    check(textgen_model_create(file.data, file.size, NULL, &model, &error), EXIT_FAILED, model_path);
#endif
    return model;
}

void make_lowercase(char *text, size_t size) {
    for (size_t i = 0; i < size; i++) {
        text[i] = (char)(text[i] >= 'A' && text[i] <= 'Z' ? text[i] - 'A' + 'a' : text[i]);
    }
}

/* Return the prompt that the model stores for the seed. */
static textgen_memory stored_prompt(const textgen_model *model) {
    size_t count = 0;
    while (textgen_model_get_prompt(model, count, NULL)) {
        count++;
    }
    if (!count) {
        fail(EXIT_FAILED, "the model has no default prompt: pass a prompt");
    }
    const size_t chosen = (size_t)(sampling.seed % count);
    textgen_memory prompt = new_memory(textgen_model_get_prompt(model, chosen, NULL));
    prompt.size = textgen_model_get_prompt(model, chosen, prompt.data);
    return prompt;
}

/* Return the prompt that the arguments tell. */
static textgen_memory given_prompt(void) {
    if (strcmp(prompt_argument, "-")) {
        return (textgen_memory){prompt_argument, strlen(prompt_argument)};
    }
    textgen_memory prompt = read_content("-");
    const char *text = prompt.data;
    prompt.size -= prompt.size && text[prompt.size - 1] == '\n';
    prompt.size -= prompt.size && text[prompt.size - 1] == '\r';
    return prompt;
}

/* ---- The text ---- */

/* Return a seed that is short enough to type. */
static uint32_t fresh_seed(void) {
    struct timespec now = {0};
    timespec_get(&now, TIME_UTC);
    return (uint32_t)now.tv_sec * 2654435761u ^ (uint32_t)now.tv_nsec;
}

/* Generate the text and write it, a part at a time; at last what was held back. */
static void generate(textgen_stream *stream, textgen_memory workspace) {
    size_t part, written;
    do {
        part = length < CHUNK ? (size_t)length : CHUNK;
        const size_t size = textgen_stream_text_size(stream, part);
        char *text = allocate(size);
        check(part ? textgen_stream_generate(stream, part, text, size, &written, workspace, &error)
                   : textgen_stream_finish(stream, 1, text, size, &written, &error),
              EXIT_FAILED, "");
        write_text(text, written);
        free(text);
        length = textgen_stream_get_info(stream).ending == TEXTGEN_REACHED_LENGTH ? length - part : 0;
    } while (part);
    write_text("\n", 1);
}

int main(int count, char **arguments) {
    textgen_stream *stream;
    sampling.seed = fresh_seed();
    arguments = platform_start(&count, arguments);
    if (!arguments) {
        fail(EXIT_FAILED, "not enough memory");
    }
#ifdef TEXTGEN_TRAIN
    if (count > 1 && !strcmp(arguments[1], "train")) {
        return train(count - 2, arguments + 2);
    }
#endif
    read_arguments(count, arguments);
    textgen_model *model = load();
    const textgen_model_info *info = textgen_model_get_info(model);
    const bool lower = info->lowercase && strcmp(info->level, "byte");
    for (size_t i = 0; lower && i < sampling.stop_count; i++) {
        make_lowercase(stops[i], strlen(stops[i]));
    }
    sampling.stop = (const char *const *)stops;
    const textgen_memory memory = new_memory(textgen_stream_size(model));
    const textgen_memory workspace = new_memory(textgen_workspace_size(model, 1));
    const int32_t code = textgen_stream_init(memory, model, &sampling, &stream, &error);
    check(code, code == TEXTGEN_INVALID_ARGUMENT ? EXIT_USAGE : EXIT_FAILED, "");
    if (prompt_argument || !info->records) {
        const textgen_memory prompt = prompt_argument ? given_prompt() : stored_prompt(model);
        if (lower) {
            make_lowercase(prompt.data, prompt.size);
        }
        check(textgen_stream_feed(stream, prompt.data, prompt.size, workspace, &error), EXIT_FAILED, "");
        write_text(prompt.data, prompt.size);
    }
    if (!length) {
        length = info->records ? DEFAULT_RECORD_LENGTH : DEFAULT_LENGTH;
    }
    generate(stream, workspace);
    return EXIT_SUCCESS;
}
