#include "help.h"

#include "output.h"

#include "../textgen.h"

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
    "  --temp T                sampling temperature; 0 always selects the most likely token, higher\n"
    "                          values are more random (default: 0.5)\n"
    "  --length N              maximum number of tokens to generate; a token is usually one character\n"
    "                          (default: 400; 10,000 for a model of records, which end earlier)\n"
    "  --seed N                random seed; the same seed gives the same text (default: a new seed)\n"
    "  --count N               number of texts (default: 1)\n"
    "  --prompt TEXT           the prompt, also if it is - or begins with a hyphen\n"
    "  --prompt-file PATH      read the prompt from a UTF-8 file; a final line end is removed\n"
    "  --no-echo               do not print the prompt\n"
    "  --lowercase             convert the prompt's letters A to Z to lower case\n"
    "\n"
    "filters, applied before the temperature:\n"
    "  --top-k N               draw from the N most likely characters (default: 0, off)\n"
    "  --typical-p P           draw from the characters whose surprisal is nearest to the entropy, with\n"
    "                          total probability P (default: 1, off)\n"
    "  --top-p P               draw from the most likely characters, with total probability P\n"
    "                          (default: 1, off)\n"
    "  --min-p P               draw from the characters with at least P times the probability of the\n"
    "                          most likely one (default: 0, off)\n"
    "  --repetition-penalty X  divide the positive logits of recent characters by X, and multiply the\n"
    "                          negative ones (default: 1, off)\n"
    "  --frequency-penalty X   subtract X from the logit of a character for each recent occurrence\n"
    "                          (default: 0, off)\n"
    "  --presence-penalty X    subtract X from the logit of each recent character (default: 0, off)\n"
    "  --penalty-window N      number of latest generated characters that count as recent for the\n"
    "                          penalties (default: 64)\n"
    "  --mirostat-tau BITS     keep the mean surprisal near this value, with mirostat version 2 in place\n"
    "                          of --top-k, --typical-p, --top-p and --min-p; use it with --temp 1\n"
    "                          (default: 0, off)\n"
    "  --mirostat-eta X        learning rate of mirostat (default: 0.1)\n"
    "\n"
    "where a text ends:\n"
    "  --min-length N          for a model of records: do not end a record before it has N generated\n"
    "                          tokens (default: 0, off)\n"
    "  --stop TEXT             end a text before TEXT; may be repeated; in TEXT, \\n is a line end, \\t a\n"
    "                          tab and \\\\ a backslash\n"
    "  --until-newline         end a text before its first line end\n"
    "  --keep-stop             print the stop text, too\n";

static _Noreturn void write_and_exit(const char *text) {
    output standard;
    open_output(&standard);
    write_text(&standard, text, strlen(text));
    flush_output();
    exit(EXIT_SUCCESS);
}

_Noreturn void write_help(void) { write_and_exit(help); }

_Noreturn void write_version(void) {
    char text[64];
    snprintf(text, sizeof text, "textgen %d.%d.%d\n", TEXTGEN_VERSION / 10000, TEXTGEN_VERSION / 100 % 100,
             TEXTGEN_VERSION % 100);
    write_and_exit(text);
}
