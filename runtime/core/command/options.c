#include "options.h"

#include "../core.h"
#include "help.h"
#include "output.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* MAX_NAME: of an option, and of what is compared with it. */
enum { USAGE_SIZE = 256, MAX_NAME = 40 };

/* Define TEXTGEN_EMBEDDED to build the command with a model that textgen-embed wrote. */
#ifdef TEXTGEN_EMBEDDED
#define HAS_MODEL true
#else
#define HAS_MODEL false
#endif

typedef enum { NUMBER, WHOLE, FLAG, TEXT, STOP, SEED, HELP, VERSION } option_kind;

/* An option, and where its value is in command_options. */
typedef struct {
    const char *name;
    option_kind kind;
    size_t offset;
    double low, high;        /* the limits of a number */
    const char *requirement; /* of a number, for messages */
} option;

#define AT(field) offsetof(command_options, field)
#define IN_SAMPLING(field) (AT(sampling) + offsetof(textgen_sampling, field))
#define LARGEST 9223372036854775807.0
#define ABOVE_ZERO 5e-324

static const option known_options[] = {
    {"-h", HELP, 0, 0, 0, NULL},
    {"--help", HELP, 0, 0, 0, NULL},
    {"--version", VERSION, 0, 0, 0, NULL},
    {"--temp", NUMBER, IN_SAMPLING(temperature), 0, HUGE_VAL, "a finite number, 0 or more"},
    {"--top-k", WHOLE, IN_SAMPLING(top_k), 0, LARGEST, NULL},
    {"--typical-p", NUMBER, IN_SAMPLING(typical_p), ABOVE_ZERO, 1, "a number more than 0, at most 1"},
    {"--top-p", NUMBER, IN_SAMPLING(top_p), ABOVE_ZERO, 1, "a number more than 0, at most 1"},
    {"--min-p", NUMBER, IN_SAMPLING(min_p), 0, 1, "a number from 0 to 1"},
    {"--repetition-penalty", NUMBER, IN_SAMPLING(repetition_penalty), ABOVE_ZERO, 100,
     "a number more than 0, at most 100"},
    {"--frequency-penalty", NUMBER, IN_SAMPLING(frequency_penalty), -100, 100, "a number from -100 to 100"},
    {"--presence-penalty", NUMBER, IN_SAMPLING(presence_penalty), -100, 100, "a number from -100 to 100"},
    {"--penalty-window", WHOLE, IN_SAMPLING(penalty_window), 1, 1024, NULL},
    {"--mirostat-tau", NUMBER, IN_SAMPLING(mirostat_tau), 0, 100, "a number from 0 to 100"},
    {"--mirostat-eta", NUMBER, IN_SAMPLING(mirostat_eta), ABOVE_ZERO, 1, "a number more than 0, at most 1"},
    {"--seed", SEED, 0, 0, 0, NULL},
    {"--length", WHOLE, AT(length), 1, LARGEST, NULL},
    {"--min-length", WHOLE, IN_SAMPLING(min_length), 0, LARGEST, NULL},
    {"--count", WHOLE, AT(count), 1, UINT32_MAX, NULL},
    {"--stop", STOP, 0, 0, 0, NULL},
    {"--until-newline", FLAG, AT(until_newline), 0, 0, NULL},
    {"--keep-stop", FLAG, AT(keep_stop), 0, 0, NULL},
    {"--prompt", TEXT, AT(prompt), 0, 0, NULL},
    {"--prompt-file", TEXT, AT(prompt_file), 0, 0, NULL},
    {"--no-echo", FLAG, AT(no_echo), 0, 0, NULL},
    {"--lowercase", FLAG, AT(lowercase), 0, 0, NULL},
};

_Noreturn void fail_usage(const char *problem) { fail(EXIT_USAGE, "%s (see textgen --help)", problem); }

static _Noreturn void fail_value(const option *given, const char *requirement, const char *value) {
    char problem[USAGE_SIZE];
    char quoted[TEXTGEN_QUOTE_SIZE];
    snprintf(problem, sizeof problem, "argument %s: must be %s, not %s", given->name, requirement,
             textgen_quote(textgen_view_of(value), quoted));
    fail_usage(problem);
}

static double read_number(const option *given, const char *value) {
    char *end;
    const double number = strtod(value, &end);
    /* strtod also reads hexadecimal numbers. */
    if (end == value || *end || strpbrk(value, "xX") || !isfinite(number) || !(number >= given->low) ||
        !(number <= given->high)) {
        fail_value(given, given->requirement, value);
    }
    return number;
}

/* Read an integer of up to 128 bits. */
static void read_integer(const option *given, const char *value, uint64_t *high, uint64_t *low) {
    const char *digit = value + (*value == '-' || *value == '+');
    *high = *low = 0;
    if (!*digit || digit[strspn(digit, "0123456789")]) {
        fail_value(given, "an integer", value);
    }
    for (; *digit; digit++) {
        /* Multiply the halves of 32 bits by 10. */
        const uint64_t first = (*low & UINT32_MAX) * 10 + (uint64_t)(*digit - '0');
        const uint64_t second = (*low >> 32) * 10 + (first >> 32);
        if (*high > (UINT64_MAX - (second >> 32)) / 10) {
            fail_value(given, given->kind == SEED ? "2**128 - 1 or less" : "smaller", value);
        }
        *low = second << 32 | (first & UINT32_MAX);
        *high = *high * 10 + (second >> 32);
    }
    if (*value == '-' && (*high || *low)) {
        fail_value(given, given->low > 0 ? "1 or more" : "0 or more", value);
    }
}

static size_t read_whole(const option *given, const char *value) {
    /* LARGEST is rounded up to 2^63. */
    const uint64_t limit = given->high < LARGEST ? (uint64_t)given->high : INT64_MAX;
    const size_t largest = limit < SIZE_MAX ? (size_t)limit : SIZE_MAX;
    uint64_t high, low;
    read_integer(given, value, &high, &low);
    if ((double)low < given->low) {
        fail_value(given, "1 or more", value);
    }
    if (high || low > largest) {
        char requirement[USAGE_SIZE];
        snprintf(requirement, sizeof requirement, "%zu or less", largest);
        fail_value(given, requirement, value);
    }
    return (size_t)low;
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
    case NUMBER:
        *(double *)field = read_number(given, value);
        break;
    case WHOLE:
        *(size_t *)field = read_whole(given, value);
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
        read_integer(given, value, &options->sampling.seed_high, &options->sampling.seed);
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

static size_t smallest(size_t a, size_t b, size_t c) {
    const size_t smaller = a < b ? a : b;
    return smaller < c ? smaller : c;
}

/* The number of characters to insert, remove or replace to turn a typed text into a name (V. Levenshtein,
 * 1966). */
static size_t distance(const char *typed, size_t length, const char *name) {
    size_t row[MAX_NAME + 1], i, j;
    const size_t size = strlen(name);
    for (j = 0; j <= size; j++) {
        row[j] = j;
    }
    for (i = 1; i <= length; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (j = 1; j <= size; j++) {
            const size_t replaced = diagonal + (typed[i - 1] != name[j - 1]);
            diagonal = row[j];
            row[j] = smallest(replaced, diagonal + 1, row[j - 1] + 1);
        }
    }
    return row[size];
}

/* Return the name of the option that is nearest to a mistyped one, or NULL if none is near. */
static const char *nearest_option(const char *typed, size_t length) {
    const char *nearest = NULL;
    /* Two fifths of the characters may be wrong. */
    size_t least = length > 2 && length <= MAX_NAME ? length * 2 / 5 + 1 : 0, i;
    for (i = 0; i < sizeof known_options / sizeof *known_options && least > 0; i++) {
        const char *name = known_options[i].name;
        const size_t size = strlen(name), common = length < size ? length : size;
        const size_t wrong = size > 2 && !memcmp(name, typed, common) ? 0 : distance(typed, length, name);
        if (wrong < least) {
            least = wrong;
            nearest = name;
        }
    }
    return nearest;
}

static _Noreturn void fail_unknown(const char *argument, size_t length) {
    char problem[USAGE_SIZE];
    char escaped[TEXTGEN_QUOTE_SIZE];
    const char *nearest = nearest_option(argument, length);
    snprintf(problem, sizeof problem, "unrecognized arguments: %s%s%s%s",
             textgen_escape(textgen_view_of(argument), escaped), nearest ? "; did you mean " : "",
             nearest ? nearest : "", nearest ? "?" : "");
    fail_usage(problem);
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
    const bool needs_value = found && found->kind != FLAG && found->kind != HELP && found->kind != VERSION;
    if (!found) {
        fail_unknown(argument, length);
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
    set_option(found, value, options);
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
