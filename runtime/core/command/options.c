#include "options.h"

#include "../parameters.h"
#include "help.h"
#include "output.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { USAGE_SIZE = 256 };

/* Define TEXTGEN_EMBEDDED to build the command with a model that textgen-embed wrote. */
#ifdef TEXTGEN_EMBEDDED
#define HAS_MODEL true
#else
#define HAS_MODEL false
#endif

typedef enum { WHOLE, FLAG, TEXT, STOP, SEED, HELP, VERSION } option_kind;

/* An option, and where its value is in command_options. The sampling parameters are options, too. */
typedef struct {
    const char *name;
    option_kind kind;
    size_t offset;
    uint64_t high; /* the limit of a whole number; the least is 1 */
} option;

#define AT(field) offsetof(command_options, field)

static const option known_options[] = {
    {"-h", HELP, 0, 0},
    {"--help", HELP, 0, 0},
    {"--version", VERSION, 0, 0},
    {"--seed", SEED, 0, 0},
    {"--length", WHOLE, AT(length), SIZE_MAX / 2},
    {"--count", WHOLE, AT(count), UINT32_MAX},
    {"--stop", STOP, 0, 0},
    {"--until-newline", FLAG, AT(until_newline), 0},
    {"--keep-stop", FLAG, AT(keep_stop), 0},
    {"--prompt", TEXT, AT(prompt), 0},
    {"--prompt-file", TEXT, AT(prompt_file), 0},
    {"--no-echo", FLAG, AT(no_echo), 0},
    {"--lowercase", FLAG, AT(lowercase), 0},
};

void spell_option(const char *name, size_t length, char spelled[MAX_NAME]) {
    const bool is_temperature = length == strlen("temperature") && !strncmp(name, "temperature", length);
    size_t i;
    snprintf(spelled, MAX_NAME, "--%.*s", is_temperature ? 4 : (int)length, name);
    for (i = 0; spelled[i]; i++) {
        spelled[i] = spelled[i] == '_' ? '-' : spelled[i];
    }
}

_Noreturn void fail_usage(const char *problem) { fail(EXIT_USAGE, "%s (see textgen --help)", problem); }

static _Noreturn void fail_value(const char *name, const char *requirement, const char *value) {
    char problem[USAGE_SIZE];
    char quoted[TEXTGEN_QUOTE_SIZE];
    snprintf(problem, sizeof problem, "argument %s: must be %s, not %s", name, requirement,
             textgen_quote(textgen_view_of(value), quoted));
    fail_usage(problem);
}

/* Read an integer of up to 128 bits, 0 or more. Return whether it is one. */
static bool read_integer(const char *value, uint64_t *high, uint64_t *low) {
    const char *digit = value + (*value == '+');
    *high = *low = 0;
    if (!*digit || digit[strspn(digit, "0123456789")]) {
        return false;
    }
    for (; *digit; digit++) {
        /* Multiply the halves of 32 bits by 10. */
        const uint64_t first = (*low & UINT32_MAX) * 10 + (uint64_t)(*digit - '0');
        const uint64_t second = (*low >> 32) * 10 + (first >> 32);
        if (*high > (UINT64_MAX - (second >> 32)) / 10) {
            return false;
        }
        *low = second << 32 | (first & UINT32_MAX);
        *high = *high * 10 + (second >> 32);
    }
    return true;
}

static uint64_t read_whole(const option *given, const char *value) {
    uint64_t high, low;
    if (!read_integer(value, &high, &low) || high || low < 1 || low > given->high) {
        char requirement[USAGE_SIZE];
        snprintf(requirement, sizeof requirement, "an integer from 1 to %llu", (unsigned long long)given->high);
        fail_value(given->name, requirement, value);
    }
    return low;
}

/* Set a sampling parameter. */
static void set_parameter(const textgen_parameter_info *parameter, const char *value,
                          textgen_sampling *sampling) {
    char name[MAX_NAME], requirement[TEXTGEN_REQUIREMENT_SIZE];
    void *field = (char *)sampling + parameter->offset;
    uint64_t high = 0, whole = 0;
    double number;
    bool is_valid;
    if (!strcmp(parameter->kind, "whole")) {
        is_valid = read_integer(value, &high, &whole) && !high;
        number = (double)whole;
    } else {
        char *end;
        number = strtod(value, &end);
        /* strtod also reads hexadecimal numbers. */
        is_valid = end != value && !*end && !strpbrk(value, "xX");
    }
    if (!is_valid || !textgen_parameter_accepts(parameter, number)) {
        spell_option(parameter->name, strlen(parameter->name), name);
        fail_value(name, textgen_parameter_requirement(parameter, requirement), value);
    }
    if (!strcmp(parameter->kind, "whole")) {
        *(uint64_t *)field = whole;
    } else {
        *(double *)field = number;
    }
}

/* Replace \n, \t and \\ by what they stand for. */
static char *unescape(char *text) {
    char *from = text, *to = text;
    for (; *from; from++) {
        const char next = from[0] == '\\' ? from[1] : '\0';
        if (next == 'n' || next == 't' || next == '\\') {
            *to++ = (char)(next == 'n' ? '\n' : next == 't' ? '\t' : '\\');
            from++;
        } else {
            *to++ = *from;
        }
    }
    *to = '\0';
    return text;
}

static void add_stop(command_options *options, char *text) {
    if (options->stop_count == MAX_STOPS) {
        fail_usage("argument --stop: there are more than 64 stop texts");
    }
    if (!*text) {
        fail_usage("argument --stop: must not be empty");
    }
    options->stops[options->stop_count++] = text;
}

/* Set the prompt or its file. */
static void set_prompt(const char **field, const char *value, const command_options *options) {
    if (options->prompt || options->prompt_file) {
        fail_usage("there are several prompts: pass only one of PROMPT, --prompt and --prompt-file");
    }
    *field = value;
}

static void set_option(const option *given, char *value, command_options *options) {
    void *field = (char *)options + given->offset;
    switch (given->kind) {
    case WHOLE:
        *(uint64_t *)field = read_whole(given, value);
        break;
    case FLAG:
        *(bool *)field = true;
        break;
    case TEXT:
        set_prompt(field, value, options);
        break;
    case STOP:
        add_stop(options, unescape(value));
        break;
    case SEED:
        if (!read_integer(value, &options->sampling.seed_high, &options->sampling.seed)) {
            fail_value(given->name, "an integer from 0 to 2**128 - 1", value);
        }
        options->has_seed = true;
        break;
    case HELP:
        write_help();
    case VERSION:
        write_version();
    }
}

static const option *find_option(const char *argument, size_t length) {
    size_t i;
    for (i = 0; i < sizeof known_options / sizeof *known_options; i++) {
        if (strlen(known_options[i].name) == length && !memcmp(known_options[i].name, argument, length)) {
            return &known_options[i];
        }
    }
    return NULL;
}

/* Return the parameter of an option, or NULL. */
static const textgen_parameter_info *find_parameter(const char *argument, size_t length) {
    const textgen_parameter_info *parameter;
    char name[MAX_NAME];
    size_t i;
    for (i = 0; (parameter = textgen_parameter(i)) != NULL; i++) {
        spell_option(parameter->name, strlen(parameter->name), name);
        if (parameter->offset && strlen(name) == length && !memcmp(name, argument, length)) {
            return parameter;
        }
    }
    return NULL;
}

static _Noreturn void fail_argument(const char *format, const char *argument) {
    char problem[USAGE_SIZE];
    char escaped[TEXTGEN_QUOTE_SIZE];
    snprintf(problem, sizeof problem, format, textgen_escape(textgen_view_of(argument), escaped));
    fail_usage(problem);
}

/* Read the option at an index. Return the index of its last argument. */
static int read_option(int count, char **arguments, int index, command_options *options) {
    char *argument = arguments[index];
    const size_t length = strcspn(argument, "=");
    char *value = argument[length] ? argument + length + 1 : NULL;
    const option *found = find_option(argument, length);
    const textgen_parameter_info *parameter = found ? NULL : find_parameter(argument, length);
    const bool needs_value =
        parameter || (found && found->kind != FLAG && found->kind != HELP && found->kind != VERSION);
    if (!found && !parameter) {
        fail_argument("unrecognized arguments: %s", argument);
    }
    if (!needs_value && value) {
        fail_argument("argument %s: it has no value", argument);
    }
    if (needs_value && !value) {
        if (index + 1 == count) {
            fail_argument("argument %s: expected one argument", argument);
        }
        value = arguments[++index];
    }
    if (parameter) {
        set_parameter(parameter, value, &options->sampling);
    } else {
        set_option(found, value, options);
    }
    return index;
}

static void add_positional(const char *argument, command_options *options) {
    if (!options->model && !HAS_MODEL) {
        options->model = argument;
    } else {
        set_prompt(strcmp(argument, "-") ? &options->prompt : &options->prompt_file, argument, options);
    }
}

static void check_options(const command_options *options) {
    if (!options->model && !HAS_MODEL) {
        fail_usage("the following arguments are required: MODEL");
    }
}

void read_options(int count, char **arguments, command_options *options) {
    static char newline[] = "\n";
    const textgen_sampling sampling = TEXTGEN_SAMPLING_DEFAULT;
    bool only_positional = false;
    int i;
    memset(options, 0, sizeof *options);
    options->sampling = sampling;
    options->count = 1;
    for (i = 1; i < count; i++) {
        char *argument = arguments[i];
        if (only_positional || argument[0] != '-' || !argument[1]) {
            add_positional(argument, options);
        } else if (!strcmp(argument, "--")) {
            only_positional = true;
        } else {
            i = read_option(count, arguments, i, options);
        }
    }
    if (options->until_newline) {
        add_stop(options, newline);
    }
    check_options(options);
}
