#include "options.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Define TEXTGEN_EMBEDDED to build the command with a model that textgen-embed wrote. */
#ifdef TEXTGEN_EMBEDDED
#define HAS_MODEL true
#else
#define HAS_MODEL false
#endif

#define SEE_HELP " (see textgen --help)"

/* MAX_NAME: bytes of the name of an option. */
enum { MAX_NAME = 40 };

static const char help[] =
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

_Noreturn void fail(int code, const char *format, ...) {
    va_list values;
    fflush(stdout);
    fputs("textgen: error: ", stderr);
    va_start(values, format);
    vfprintf(stderr, format, values);
    va_end(values);
    fputc('\n', stderr);
    exit(code);
}

/* Write the option of a parameter, such as --top-p for top_p. `name` has `length` bytes. */
static const char *spell(const char *name, size_t length, char option[MAX_NAME]) {
    const bool is_temperature = length == strlen("temperature") && !strncmp(name, "temperature", length);
    snprintf(option, MAX_NAME, "--%.*s", is_temperature ? 4 : (int)length, name);
    for (char *place = option; *place; place++) {
        *place = *place == '_' ? '-' : *place;
    }
    return option;
}

/* Whether a name is that of a parameter that is an option. */
static bool is_option(const char *name) {
    const textgen_parameter_info *parameter;
    for (size_t i = 0; (parameter = textgen_parameter(i)); i++) {
        if (!strcmp(parameter->name, name)) {
            return parameter->offset || !strcmp(name, "stop");
        }
    }
    return false;
}

_Noreturn void fail_as(int code, const char *what, const textgen_error *error) {
    char option[MAX_NAME], place[MAX_NAME] = "";
    const char *parameter = error->parameter;
    const bool is_argument = parameter && is_option(parameter);
    if (error->place >= 0) {
        snprintf(place, sizeof place, " at %lld", (long long)error->place);
    }
    fail(code, "%s%s%s%s%s%s%s%s%s", what ? what : "", what ? ": " : "", is_argument ? "argument " : "",
         is_argument ? spell(parameter, strlen(parameter), option)
         : parameter ? parameter
                     : "",
         place, is_argument ? ":" : "", parameter || *place ? " " : "", error->message,
         code == EXIT_USAGE ? SEE_HELP : "");
}

/* Print what a parameter does, in which {name} stands for the parameter of this name. */
static void print_parameter(const textgen_parameter_info *parameter) {
    char option[MAX_NAME];
    printf("  %s %s\n      ", spell(parameter->name, strlen(parameter->name), option), parameter->value);
    for (const char *next = parameter->help; *next; next++) {
        const size_t length = *next == '{' ? strcspn(next, "}") : 0;
        if (length) {
            fputs(spell(next + 1, length - 1, option), stdout);
            next += length;
        } else {
            putchar(*next);
        }
    }
    printf(" (default: %g%s)\n", parameter->initial, parameter->initial == parameter->off ? ", off" : "");
}

static _Noreturn void print_help(void) {
    const textgen_parameter_info *parameter;
    printf("usage: textgen %s[PROMPT] [OPTIONS]\n\n%s", HAS_MODEL ? "" : "MODEL ", help);
    for (size_t i = 0; (parameter = textgen_parameter(i)); i++) {
        if (parameter->offset) {
            print_parameter(parameter);
        }
    }
    exit(fflush(stdout) ? EXIT_FAILED : EXIT_SUCCESS);
}

static _Noreturn void fail_value(const char *option, const char *requirement, const char *value) {
    fail(EXIT_USAGE, "argument %s: must be %s, not '%s'" SEE_HELP, option, requirement, value);
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

static void set_parameter(const textgen_parameter_info *parameter, const char *option, const char *value,
                          textgen_sampling *sampling) {
    char requirement[TEXTGEN_REQUIREMENT_SIZE], *end;
    void *field = (char *)sampling + parameter->offset;
    const bool is_whole = !strcmp(parameter->kind, "whole");
    uint64_t high, whole;
    const bool is_integer = read_integer(value, &high, &whole) && !high;
    const double number = is_whole ? (double)whole : strtod(value, &end);
    /* strtod also reads hexadecimal numbers. */
    const bool is_valid = is_whole ? is_integer : end != value && !*end && !strpbrk(value, "xX");
    if (!is_valid || !textgen_parameter_accepts(parameter, number)) {
        fail_value(option, textgen_parameter_requirement(parameter, requirement), value);
    }
    if (is_whole) {
        *(uint64_t *)field = whole;
    } else {
        *(double *)field = number;
    }
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

static void add_stop(char *text, command_options *options) {
    if (!*text) {
        fail(EXIT_USAGE, "argument --stop: must not be empty" SEE_HELP);
    }
    if (options->sampling.stop_count == MAX_STOPS) {
        fail(EXIT_USAGE, "argument --stop: there are more than %d stop texts" SEE_HELP, (int)MAX_STOPS);
    }
    options->stops[options->sampling.stop_count++] = unescape(text);
}

/* Return the parameter of an option, or NULL. */
static const textgen_parameter_info *find_parameter(const char *option) {
    const textgen_parameter_info *parameter;
    char spelled[MAX_NAME];
    for (size_t i = 0; (parameter = textgen_parameter(i)); i++) {
        if (parameter->offset && !strcmp(spell(parameter->name, strlen(parameter->name), spelled), option)) {
            break;
        }
    }
    return parameter;
}

/* Set an option that has a value. */
static void set_option(const char *option, char *value, command_options *options) {
    const textgen_parameter_info *parameter = find_parameter(option);
    textgen_sampling *sampling = &options->sampling;
    uint64_t high, low;
    if (!parameter && strcmp(option, "--stop") && strcmp(option, "--length") && strcmp(option, "--seed")) {
        fail(EXIT_USAGE, "unrecognized argument: %s" SEE_HELP, option);
    }
    if (!value) {
        fail(EXIT_USAGE, "argument %s: expected a value" SEE_HELP, option);
    }
    if (parameter) {
        set_parameter(parameter, option, value, sampling);
    } else if (!strcmp(option, "--stop")) {
        add_stop(value, options);
    } else if (!strcmp(option, "--length")) {
        if (!read_integer(value, &high, &low) || high || !low || low > PTRDIFF_MAX) {
            fail_value(option, "an integer, 1 or more", value);
        }
        options->length = (size_t)low;
    } else {
        if (!read_integer(value, &sampling->seed_high, &sampling->seed)) {
            fail_value(option, "an integer from 0 to 2**128 - 1", value);
        }
        options->has_seed = true;
    }
}

static void add_positional(const char *argument, command_options *options) {
    if (!options->model && !HAS_MODEL) {
        options->model = argument;
    } else if (!options->prompt) {
        options->prompt = argument;
    } else {
        fail(EXIT_USAGE, "there are several prompts: put the prompt in quotes" SEE_HELP);
    }
}

void read_options(int count, char **arguments, command_options *options) {
    const textgen_sampling sampling = TEXTGEN_SAMPLING_DEFAULT;
    bool only_positional = false;
    memset(options, 0, sizeof *options);
    options->sampling = sampling;
    for (int i = 1; i < count; i++) {
        char *argument = arguments[i];
        if (only_positional || argument[0] != '-' || !argument[1]) {
            add_positional(argument, options);
        } else if (!strcmp(argument, "--")) {
            only_positional = true;
        } else if (!strcmp(argument, "-h") || !strcmp(argument, "--help")) {
            print_help();
        } else if (!strcmp(argument, "--version")) {
            printf("textgen %d.%d.%d\n", TEXTGEN_VERSION / 10000, TEXTGEN_VERSION / 100 % 100,
                   TEXTGEN_VERSION % 100);
            exit(fflush(stdout) ? EXIT_FAILED : EXIT_SUCCESS);
        } else if (!strcmp(argument, "--keep-stop")) {
            options->sampling.keep_stop = 1;
        } else {
            char *equals = strchr(argument, '=');
            if (equals) {
                *equals = '\0';
            }
            set_option(argument, equals ? equals + 1 : i + 1 < count ? arguments[++i] : NULL, options);
        }
    }
    if (!options->model && !HAS_MODEL) {
        fail(EXIT_USAGE, "pass a model file" SEE_HELP);
    }
}
