#include "input.h"

#include "../json.h"
#include "../utf8.h"
#include "output.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#ifdef _WIN32
#include <fcntl.h>
#include <io.h>
#endif

enum { FIRST_SIZE = 1 << 16, LARGEST_FIRST_SIZE = 1 << 30 };

/* Return the size of a file, or a guess if it is a pipe, a folder or very large. */
static size_t first_size(FILE *file) {
    long size = 0;
    if (!fseek(file, 0, SEEK_END)) {
        size = ftell(file);
        rewind(file);
    }
    return size > 0 && size < LARGEST_FIRST_SIZE ? (size_t)size : FIRST_SIZE;
}

/* Read a stream from its position to its end. size: the likely size. */
static content read_stream(FILE *file, size_t size) {
    content read = {NULL, 0};
    size_t room = size + 1, got;
    do {
        char *larger = realloc(read.data, room);
        if (!larger) {
            fail(EXIT_FAILED, "not enough memory");
        }
        read.data = larger;
        got = fread(read.data + read.size, 1, room - read.size, file);
        read.size += got;
        room *= 2;
    } while (got && !feof(file) && !ferror(file));
    return read;
}

void *allocate(size_t size) {
    void *memory = malloc(size);
    if (!memory) {
        fail(EXIT_FAILED, "not enough memory");
    }
    return memory;
}

/* Return the name of a file for messages. */
static const char *name_of(const char *path, char escaped[TEXTGEN_QUOTE_SIZE]) {
    return strcmp(path, "-") ? textgen_escape(textgen_view_of(path), escaped) : "standard input";
}

content read_content(const char *path, const char *kind) {
    char escaped[TEXTGEN_QUOTE_SIZE];
    const bool is_standard = !strcmp(path, "-");
    const char *name = name_of(path, escaped);
    FILE *file = is_standard ? stdin : fopen(path, "rb");
    content read = {NULL, 0};
    if (file) {
#ifdef _WIN32
        _setmode(_fileno(file), _O_BINARY);
#endif
        /* Another program may have read the first part of standard input, and seeking would return to it. */
        read = read_stream(file, is_standard ? FIRST_SIZE : first_size(file));
    }
    if (!file || ferror(file)) {
        fail(EXIT_FAILED, "cannot read %s%s: %s", is_standard ? "" : kind, name, strerror(errno));
    }
    if (!is_standard) {
        fclose(file);
    }
    return read;
}

const char *find_model(const char *path) {
    static const char name[] = "/model.onnx";
    const size_t size = strlen(path);
    char *inside = allocate(size + sizeof name);
    FILE *file;
    memcpy(inside, path, size);
    memcpy(inside + size, name, sizeof name);
    file = size ? fopen(inside, "rb") : NULL;
    if (!file) {
        free(inside);
        return path;
    }
    fclose(file);
    return inside;
}

/* Convert line ends. */
static void normalize_lines(content *prompt) {
    size_t from, to = 0;
    for (from = 0; from < prompt->size; from++) {
        char byte = prompt->data[from];
        if (byte == '\r') {
            byte = '\n';
            from += from + 1 < prompt->size && prompt->data[from + 1] == '\n';
        }
        prompt->data[to++] = byte;
    }
    prompt->size = to;
}

void make_lowercase(char *text, size_t size) {
    size_t i;
    for (i = 0; i < size; i++) {
        text[i] = (char)(text[i] >= 'A' && text[i] <= 'Z' ? text[i] - 'A' + 'a' : text[i]);
    }
}

/* Read the prompt's file. It must be a text in UTF-8, also for a model of bytes. */
static content read_prompt_file(const char *path) {
    const content read = read_content(path, "");
    const textgen_view text = {(const unsigned char *)read.data, read.size};
    const char *zero = memchr(read.data, 0, read.size);
    char escaped[TEXTGEN_QUOTE_SIZE];
    size_t offset = 0;
    if (zero) {
        fail(EXIT_FAILED, "%s is not a text: byte %zu is zero (if the text is UTF-16, convert it to UTF-8)",
             name_of(path, escaped), (size_t)(zero - read.data));
    }
    while (offset < text.size && textgen_utf8_next(text, &offset) >= 0) {
    }
    if (offset < text.size) {
        fail(EXIT_FAILED,
             "%s is not UTF-8: byte %zu is 0x%02x; convert it first, for example with iconv -f ENCODING -t "
             "utf-8",
             name_of(path, escaped), offset, (unsigned)text.data[offset]);
    }
    return read;
}

content read_prompt(const command_options *options, const textgen_model_info *info) {
    const bool is_bytes = !strcmp(info->level, "byte");
    content prompt = {NULL, 0};
    if (options->prompt_file) {
        prompt = read_prompt_file(options->prompt_file);
        prompt.size -= prompt.size && prompt.data[prompt.size - 1] == '\n';
        prompt.size -= prompt.size && prompt.data[prompt.size - 1] == '\r';
        if (!prompt.size) {
            char escaped[TEXTGEN_QUOTE_SIZE];
            fail(EXIT_FAILED,
                 "the prompt from %s is empty: omit the option to start from a prompt in the model",
                 name_of(options->prompt_file, escaped));
        }
    } else if (options->prompt) {
        prompt.size = strlen(options->prompt);
        prompt.data = allocate(prompt.size + 1);
        memcpy(prompt.data, options->prompt, prompt.size);
    }
    if (!is_bytes) {
        normalize_lines(&prompt);
    }
    if (prompt.data && !prompt.size) {
        fail(EXIT_FAILED, "the prompt is empty: omit it to start from a prompt in the model");
    }
    /* The encoder skips a byte-order mark at the start of a text. */
    if (!is_bytes && prompt.size == 3 && !memcmp(prompt.data, "\xEF\xBB\xBF", 3)) {
        fail(EXIT_FAILED, "there is no text to continue: none of its characters is in the vocabulary");
    }
    if (options->lowercase || (info->lowercase && !is_bytes)) {
        make_lowercase(prompt.data, prompt.size);
    }
    return prompt;
}

/* Return a number of 128 bits modulo a smaller one. */
static uint64_t remainder_of(uint64_t high, uint64_t low, uint64_t divisor) {
    uint64_t rest = high % divisor;
    int bit;
    for (bit = 63; bit >= 0; bit--) {
        rest = (rest * 2 + (low >> bit & 1)) % divisor;
    }
    return rest;
}

content stored_prompt(const textgen_model *model, const textgen_sampling *sampling) {
    content prompt = {NULL, 0};
    textgen_view text;
    textgen_json list, item;
    uint64_t count = 0, chosen;
    text.data = (const unsigned char *)textgen_model_get_metadata(model, "textgen.prompts", &text.size);
    if (!textgen_json_read(text, &list)) {
        return prompt;
    }
    for (text = list.text; textgen_json_item(&text, &item);) {
        count++;
    }
    if (!count) {
        return prompt;
    }
    chosen = (remainder_of(sampling->seed_high, sampling->seed, count) + sampling->substream) % count;
    for (text = list.text; textgen_json_item(&text, &item) && chosen; chosen--) {
    }
    prompt.data = allocate(item.text.size + 1);
    textgen_json_utf8(&item, prompt.data, &prompt.size);
    return prompt;
}

uint32_t fresh_seed(void) {
    uint32_t seed = (uint32_t)time(NULL) * 2654435761u ^ (uint32_t)clock();
    FILE *file = fopen("/dev/urandom", "rb");
    if (file) {
        setvbuf(file, NULL, _IONBF, 0);
        if (fread(&seed, sizeof seed, 1, file) != 1) {
            warn("cannot read random numbers: the seed is %lu", (unsigned long)seed);
        }
        fclose(file);
    }
    return seed;
}
