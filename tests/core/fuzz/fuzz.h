/* Shared by the fuzz targets: what an input is, and what must hold for all of them. */
#ifndef FUZZ_H
#define FUZZ_H

#include "../check.h"

/* The first byte of an input selects its target, and the second one a model of fuzz_models. Both wrap around.
 */
typedef enum {
    FUZZ_MODEL,
    FUZZ_METADATA,
    FUZZ_TABLE,
    FUZZ_STREAM,
    FUZZ_SAVED,
    FUZZ_TEXT,
    FUZZ_RUN,
    FUZZ_START,
    FUZZ_TARGETS
} fuzz_target;

/* What is left of an input. */
typedef struct {
    const unsigned char *data;
    size_t size;
} fuzz_input;

/* Take a byte of an input; 0 after its end. */
unsigned fuzz_take(fuzz_input *input);

/* Skip a text of an input and the zero byte after it. Return its size. */
size_t fuzz_skip_text(fuzz_input *input);

/* A growing buffer. The caller frees `data`. */
typedef struct {
    unsigned char *data;
    size_t size;
} fuzz_content;
void fuzz_append(fuzz_content *to, const void *data, size_t size);

/* A model of tests/data, with what the targets need of it. */
typedef struct {
    fuzz_content file, graph; /* the file with and without its metadata */
    textgen_model *model;
    const textgen_model_info *info;
    textgen_constraint *constraint;
    textgen_spans *spans;
} fuzz_model;

enum { FUZZ_MODELS = 5 };
extern fuzz_model fuzz_models[FUZZ_MODELS];

/* Allocate a workspace for some lanes. The caller frees `data`. */
textgen_memory fuzz_workspace(const textgen_model *model, size_t lanes);

/* A set of codes, and a check that a code is TEXTGEN_OK, or in the set, with a message of one line. Return the
 * code. */
#define CODE(name) (1u << -TEXTGEN_##name)
#define CHECK_CODE(code, codes) fuzz_check_code((code), (codes), __FILE__, __LINE__)
static inline int32_t fuzz_check_code(int32_t code, unsigned codes, const char *file, int line) {
    const size_t length = strlen(error.message);
    const bool is_expected = code < 0 && code > -32 && (codes >> -code & 1);
    const bool is_told = error.code == code && length && strcspn(error.message, "\n\r\t\x1b") == length;
    if (code != TEXTGEN_OK && !(is_expected && is_told)) {
        fprintf(stderr, "%s:%d: code %d (error %d: %s)\n", file, line, (int)code, (int)error.code,
                error.message);
        exit(1);
    }
    return code;
}
enum { FUZZ_DRAW_ERRORS = CODE(INVALID_LOGITS) | CODE(NO_TOKEN) };

/* A field of a protobuf message: its offsets, and whether it has a length. */
typedef struct {
    unsigned number;
    bool has_length;
    size_t start, content, end;
} fuzz_field;

/* Read the field at an offset. Return false if there is none. */
bool fuzz_read_field(const unsigned char *data, size_t size, size_t offset, fuzz_field *field);

/* Write a number, of at most 10 bytes. Return its bytes. */
size_t fuzz_write_varint(unsigned char *data, size_t number);

/* Generate, and append the text. Return the code, which must be one of the set. */
int32_t fuzz_generate(const textgen_model *model, textgen_stream *stream, size_t length, fuzz_content *text,
                      unsigned codes);

/* Feed symbols of the model's own vocabulary, from token `first` in steps of `step`. */
void fuzz_feed(const textgen_model *model, textgen_stream *stream, size_t first, size_t step);

/* The targets. */
void fuzz_read_model(fuzz_input input);
void fuzz_read_metadata(const fuzz_model *model, fuzz_input input);
void fuzz_read_table(const fuzz_model *model, fuzz_input input);
void fuzz_run_stream(const fuzz_model *model, fuzz_input input);
void fuzz_resume(const fuzz_model *model, fuzz_input input);
void fuzz_learn_text(fuzz_input input);
void fuzz_resume_run(const fuzz_model *model, fuzz_input input);
void fuzz_start_from(const fuzz_model *model, fuzz_input input);

/* What libFuzzer calls. */
int LLVMFuzzerInitialize(int *count, char ***arguments);
int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

#endif
