#include "options.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Define TEXTGEN_EMBEDDED to build the command with a model that textgen-embed wrote. */
#ifdef TEXTGEN_EMBEDDED
#define MODEL ""
#else
#define MODEL "MODEL "
#endif

enum { MAX_NAME = 40 }; /* bytes of the name of an option */

static const char help[] =
    "usage: textgen " MODEL "[PROMPT] [OPTIONS]\n"
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

_Noreturn void fail(int code, const char *format, ...) {
    va_list values;
    fflush(stdout);
    fputs("textgen: error: ", stderr);
    va_start(values, format);
    vfprintf(stderr, format, values);
    va_end(values);
    fputs(code == EXIT_USAGE ? " (see textgen --help)\n" : "\n", stderr);
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

_Noreturn void fail_as(int code, const char *what, const textgen_error *error) {
    char option[MAX_NAME], place[MAX_NAME] = "";
    const char *name = error->parameter ? error->parameter : "";
    spell(name, strlen(name), option);
    const bool is_option = find_parameter(option) || !strcmp(name, "stop");
    if (error->place >= 0) {
        snprintf(place, sizeof place, " at %lld", (long long)error->place);
    }
    fail(code, "%s%s%s%s%s%s%s", what ? what : "", what ? ": " : "", is_option ? "argument " : "",
         is_option ? option : name, place,
         is_option         ? ": "
         : *name || *place ? " "
                           : "",
         error->message);
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

/* Print the help or the version, and exit. */
static _Noreturn void print(bool is_help) {
    const textgen_parameter_info *parameter;
    if (is_help) {
        fputs(help, stdout);
    } else {
        printf("textgen %d.%d.%d\n", TEXTGEN_VERSION / 10000, TEXTGEN_VERSION / 100 % 100,
               TEXTGEN_VERSION % 100);
    }
    for (size_t i = 0; is_help && (parameter = textgen_parameter(i)); i++) {
        if (parameter->offset) {
            print_parameter(parameter);
        }
    }
    exit(fflush(stdout) ? EXIT_FAILED : EXIT_SUCCESS);
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

/* Set a parameter. Return false if it has no such value. A 0 would stand for its default. */
static bool set_parameter(const textgen_parameter_info *parameter, const char *value,
                          textgen_sampling *sampling) {
    void *field = (char *)sampling + parameter->offset;
    uint64_t high, whole = 0;
    char *end;
    if (!strcmp(parameter->kind, "whole")) {
        const bool is_integer = read_integer(value, &high, &whole) && !high;
        *(uint64_t *)field = whole;
        return is_integer && textgen_parameter_accepts(parameter, (double)whole);
    }
    const double number = *(double *)field = strtod(value, &end);
    /* strtod also reads hexadecimal numbers. */
    return end != value && !*end && !strpbrk(value, "xX") && textgen_parameter_accepts(parameter, number);
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

/* Set an option that has a value. Return NULL, or what the value must be. */
static const char *set_option(const char *option, char *value, command_options *options,
                              char requirement[TEXTGEN_REQUIREMENT_SIZE]) {
    const textgen_parameter_info *parameter = find_parameter(option);
    textgen_sampling *sampling = &options->sampling;
    uint64_t high, low;
    if (!parameter && strcmp(option, "--stop") && strcmp(option, "--length") && strcmp(option, "--seed")) {
        fail(EXIT_USAGE, "unrecognized argument: %s", option);
    }
    if (!value) {
        fail(EXIT_USAGE, "argument %s: expected a value", option);
    }
    if (parameter) {
        return set_parameter(parameter, value, sampling)
                   ? NULL
                   : textgen_parameter_requirement(parameter, requirement);
    }
    if (!strcmp(option, "--stop")) {
        if (!*value || sampling->stop_count == MAX_STOPS) {
            return "a text, and one of 64 at most";
        }
        options->stops[sampling->stop_count++] = unescape(value);
        return NULL;
    }
    if (!strcmp(option, "--length")) {
        const bool is_length = read_integer(value, &high, &low) && !high && low && low <= PTRDIFF_MAX;
        options->length = (size_t)low;
        return is_length ? NULL : "an integer, 1 or more";
    }
    options->has_seed = true;
    return read_integer(value, &sampling->seed_high, &sampling->seed) ? NULL
                                                                      : "an integer from 0 to 2**128 - 1";
}

void read_options(int count, char **arguments, command_options *options) {
    const textgen_sampling sampling = TEXTGEN_SAMPLING_DEFAULT;
    char requirement[TEXTGEN_REQUIREMENT_SIZE];
    bool only_positional = false;
    memset(options, 0, sizeof *options);
    options->sampling = sampling;
    for (int i = 1; i < count; i++) {
        char *argument = arguments[i];
        if (only_positional || argument[0] != '-' || !argument[1]) {
            const char **positional = *MODEL && !options->model ? &options->model : &options->prompt;
            if (*positional) {
                fail(EXIT_USAGE, "there are several prompts: put the prompt in quotes");
            }
            *positional = argument;
        } else if (!strcmp(argument, "--")) {
            only_positional = true;
        } else if (!strcmp(argument, "-h") || !strcmp(argument, "--help") || !strcmp(argument, "--version")) {
            print(argument[2] != 'v');
        } else if (!strcmp(argument, "--keep-stop")) {
            options->sampling.keep_stop = 1;
        } else {
            char *equals = strchr(argument, '=');
            if (equals) {
                *equals = '\0';
            }
            char *value = equals ? equals + 1 : i + 1 < count ? arguments[++i] : NULL;
            const char *needed = set_option(argument, value, options, requirement);
            if (needed) {
                fail(EXIT_USAGE, "argument %s: must be %s, not '%s'", argument, needed, value);
            }
        }
    }
    if (*MODEL && !options->model) {
        fail(EXIT_USAGE, "pass a model file");
    }
}
