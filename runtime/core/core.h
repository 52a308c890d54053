/* Used everywhere in the core: views of the caller's buffer, errors, memory, UTF-8, compiler differences. */
#ifndef TEXTGEN_CORE_H
#define TEXTGEN_CORE_H

#include "textgen.h"

#include <stdbool.h>

#if defined(__GNUC__) || defined(__clang__)
#define TEXTGEN_PRINTF(string, first) __attribute__((__format__(__printf__, string, first)))
#else
#define TEXTGEN_PRINTF(string, first)
#endif

/* Bytes within the caller's buffer, without a terminating zero. */
typedef struct {
    const unsigned char *data;
    size_t size;
} textgen_view;

textgen_view textgen_view_of(const char *text);
bool textgen_view_is(textgen_view view, const char *text);
bool textgen_views_equal(textgen_view a, textgen_view b);

/* Describe an error, which may be NULL. Return `code`. The first form says what is wrong, and where: see
 * textgen_error. */
int32_t textgen_report_at(textgen_error *error, int32_t code, const char *parameter, int64_t place,
                          const char *format, ...) TEXTGEN_PRINTF(5, 6);
#define textgen_report(error, code, ...) textgen_report_at(error, code, NULL, -1, __VA_ARGS__)

/* The same, for errors of model files and arguments, which no text, constraint, corpus or saved text causes.
 * With TEXTGEN_FAIL_ENDS, which only the WebAssembly module has, textgen_fail_at does not return, so that the
 * compiler leaves out what follows an error, and an error of a model file has only the text of its code. */
#ifdef TEXTGEN_FAIL_ENDS
#define textgen_fail_at(...) (textgen_report_at(__VA_ARGS__), __builtin_trap(), -1)
#define textgen_fail(error, code, ...) textgen_fail_at(error, code, NULL, -1, "%s", textgen_code_text(code))
#else
#define textgen_fail textgen_report
#define textgen_fail_at textgen_report_at
#endif

/* Return the code of a call from the function around it, if the call failed. */
#define TEXTGEN_TRY(call)                                                                                      \
    do {                                                                                                       \
        const int32_t tried = (call);                                                                          \
        if (tried < 0) {                                                                                       \
            return tried;                                                                                      \
        }                                                                                                      \
    } while (0)

/* Fail with TEXTGEN_OUT_OF_MEMORY. */
int32_t textgen_out_of_memory(textgen_error *error);

/* The memory of an object, of which it is the first array: from the heap, or from memory that the caller
 * provides. Arrays are released in the reverse order. On the heap their bytes are only counted, so that the
 * sizes tell how much memory a caller must provide. */
typedef struct {
    char *memory; /* aligned to 8 bytes; NULL for the heap */
    size_t size;  /* in bytes */
    size_t used;  /* bytes of the arrays */
    size_t peak;  /* the largest value of `used`, also if the memory was not enough for it */
    void *last;   /* the latest array */
} textgen_arena;

/* Allocate an array of zeros. Return NULL if there is not enough memory. arena: NULL for a single array on the
 * heap. */
void *textgen_allocate(textgen_arena *arena, size_t count, size_t size);

/* Release an array, which may be NULL, and all later ones of its arena. */
void textgen_release(void *memory);

/* Create an object of zeros that begins with its arena. memory: of the caller, or no data for the heap. */
int32_t textgen_object_create(textgen_memory memory, size_t size, void **object, textgen_error *error);

/* Return the code with which an object could not be created: its memory may be too small. */
int32_t textgen_object_code(const void *object, int32_t code, textgen_error *error);

/* Check memory of the caller. needed: bytes; 0 if there is no memory for what is asked. */
int32_t textgen_check_memory(textgen_memory memory, size_t needed, const char *name, textgen_error *error);

/* Take the next part of an array whose start is aligned to PART_ALIGNMENT bytes, a cache line. If `start` is
 * NULL, only count its bytes. */
enum { TEXTGEN_PART_ALIGNMENT = 64 };
static inline char *textgen_align(void *memory) {
    const size_t past = (uintptr_t)memory % TEXTGEN_PART_ALIGNMENT;
    return past ? (char *)memory + TEXTGEN_PART_ALIGNMENT - past : memory;
}
static inline void *textgen_part(char *start, uint64_t *used, uint64_t bytes) {
    char *part = start ? start + *used : NULL;
    *used += (bytes + TEXTGEN_PART_ALIGNMENT - 1) / TEXTGEN_PART_ALIGNMENT * TEXTGEN_PART_ALIGNMENT;
    return part;
}

/* UTF-8 as the Unicode Standard defines it: no surrogates, no overlong forms, at most U+10FFFF. */
enum { TEXTGEN_UTF8_BYTES = 4, TEXTGEN_CODE_POINTS = 0x110000 };

/* Return the character at `*offset`, which is within the text, and move `*offset` past it. Return -1 and leave
 * `*offset` unchanged if the bytes are not valid UTF-8. */
int32_t textgen_utf8_next(textgen_view text, size_t *offset);

/* Write a character that is not a surrogate. Return the number of bytes, at most TEXTGEN_UTF8_BYTES. */
size_t textgen_utf8_write(uint32_t character, char *text);

bool textgen_utf8_valid(textgen_view text);

#endif
