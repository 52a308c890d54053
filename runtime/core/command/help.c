#include "help.h"

#include "options.h"
#include "output.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char help[] =
#ifdef TEXTGEN_EMBEDDED
    "usage: textgen [PROMPT] [OPTIONS]\n"
#else
    "usage: textgen MODEL [PROMPT] [OPTIONS]\n"
#endif
    "\n"
    "Generate text with a model and write it to standard output.\n"
    "\n"
    "arguments:\n"
#ifndef TEXTGEN_EMBEDDED
    "  MODEL                   a model file, or a folder with a file model.onnx\n"
#endif
    "  PROMPT                  text to continue, or - for standard input (default: a prompt stored\n"
    "                          in the model; a model of records starts a new one)\n"
    "\n"
    "options:\n"
    "  -h, --help              show this help message and exit\n"
    "  --version               show the version and exit\n"
    "  --length N              maximum number of tokens to generate; a token is usually one character\n"
    "                          (default: 400; 10,000 for a model of records, which end earlier)\n"
    "  --seed N                random seed; the same seed gives the same text (default: a new seed)\n"
    "  --count N               number of texts (default: 1)\n"
    "  --prompt TEXT           the prompt, also if it is - or begins with a hyphen\n"
    "  --prompt-file PATH      read the prompt from a UTF-8 file; a final line end is removed\n"
    "  --no-echo               do not print the prompt\n"
    "  --lowercase             convert the prompt's letters A to Z to lower case\n"
    "  --stop TEXT             end a text before TEXT; may be repeated; in TEXT, \\n is a line end, \\t a\n"
    "                          tab and \\\\ a backslash\n"
    "  --until-newline         end a text before its first line end\n"
    "  --keep-stop             print the stop text, too\n";

/* The columns of a help text. */
enum { MARGIN = 26, WIDTH = 98, HELP_SIZE = 512 };

/* Write a help text with the options of the parameters that it names as {name}, and the default. */
static void spell_help(const textgen_parameter_info *parameter, char text[HELP_SIZE]) {
    const char *next = parameter->help;
    size_t used = 0;
    while (*next) {
        const size_t plain = strcspn(next, "{"), end = plain + strcspn(next + plain, "}");
        char name[MAX_NAME] = "";
        if (next[plain]) {
            spell_option(next + plain + 1, end - plain - 1, name);
        }
        used += (size_t)snprintf(text + used, HELP_SIZE - used, "%.*s%s", (int)plain, next, name);
        next += end + (next[end] == '}');
    }
    snprintf(text + used, HELP_SIZE - used, " (default: %g%s)", parameter->initial,
             parameter->initial == parameter->off ? ", off" : "");
}

static void write_string(output *to, const char *text) { write_text(to, text, strlen(text)); }

/* Write an option and its help text, in lines of at most WIDTH columns. */
static void write_parameter(output *to, const textgen_parameter_info *parameter) {
    char name[MAX_NAME], start[MAX_NAME + MARGIN], text[HELP_SIZE];
    const char *word = text;
    size_t column = MARGIN;
    spell_option(parameter->name, strlen(parameter->name), name);
    spell_help(parameter, text);
    snprintf(start, sizeof start, "  %s %-*s ", name, (int)(MARGIN - 4 - strlen(name)), parameter->value);
    write_string(to, start);
    while (*word) {
        const size_t size = strcspn(word, " ");
        if (column > MARGIN && column + 1 + size > WIDTH) {
            snprintf(start, sizeof start, "\n%*s", (int)MARGIN, "");
            write_string(to, start);
            column = MARGIN;
        }
        write_string(to, column > MARGIN ? " " : "");
        write_text(to, word, size);
        column += size + (column > MARGIN);
        word += size + (word[size] == ' ');
    }
    write_string(to, "\n");
}

static void write_parameters(output *to) {
    const textgen_parameter_info *parameter;
    size_t i;
    write_string(to, "\nsampling parameters:\n");
    for (i = 0; (parameter = textgen_parameter(i)) != NULL; i++) {
        if (parameter->offset) {
            write_parameter(to, parameter);
        }
    }
}

_Noreturn void write_help(void) {
    output standard;
    open_output(&standard);
    write_string(&standard, help);
    write_parameters(&standard);
    flush_output();
    exit(EXIT_SUCCESS);
}

_Noreturn void write_version(void) {
    printf("textgen %d.%d.%d\n", TEXTGEN_VERSION / 10000, TEXTGEN_VERSION / 100 % 100, TEXTGEN_VERSION % 100);
    flush_output();
    exit(EXIT_SUCCESS);
}
