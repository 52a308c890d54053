#include "exact.h"
#include "handles.h"

#include <math.h>
#include <string.h>

/* Odd numbers with no pattern in their bits: the base of the polynomial, and the multiplier whose high bits
 * choose a place (Knuth, "The Art of Computer Programming", volume 3, section 6.4). */
#define BASE UINT64_C(0xC6A4A7935BD1E995)
#define MIX UINT64_C(0x9E3779B97F4A7C15)

/* Append a token to a hash. No token counts as 0, so that spans of token 0 differ in length. */
static uint64_t append(uint64_t hash, int64_t token) { return hash * BASE + (uint64_t)token + 1; }

/* The spans of a context are in successive places. Return the first one, where to look for them. */
static size_t first_place(const textgen_spans *spans, uint64_t hash) {
    return (size_t)((hash * MIX) >> spans->shift);
}

static size_t next_place(const textgen_spans *spans, size_t place) {
    return (place + 1) & (((size_t)1 << (64 - spans->shift)) - 1);
}

uint64_t textgen_spans_next(const textgen_spans *spans, const int32_t *recent, int64_t count, uint64_t hash,
                            int64_t token) {
    if (count >= spans->max_copy) {
        hash -= ((uint64_t)recent[count - spans->max_copy] + 1) * spans->oldest;
    }
    hash = append(hash, token);
    /* It is not in the cache, and the network runs before it is read. */
    TEXTGEN_PREFETCH(&spans->places[first_place(spans, hash)]);
    return hash;
}

uint64_t textgen_spans_hash(const textgen_spans *spans, const int32_t *recent, int64_t count) {
    uint64_t hash = 0;
    for (int64_t i = count > spans->max_copy ? count - spans->max_copy : 0; i < count; i++) {
        hash = append(hash, recent[i]);
    }
    return hash;
}

/* Return whether the span at a place begins with a context. */
static bool begins(const textgen_spans *spans, const int32_t *span, const int32_t *context) {
    return memcmp(span, context, (size_t)spans->max_copy * sizeof *span) == 0;
}

/* Return the place of the span of a context and the token after it, or the empty place where it would be. */
static uint32_t *find(const textgen_spans *spans, const int32_t *context, uint64_t hash, int64_t token) {
    size_t place = first_place(spans, hash);
    for (; spans->places[place] != 0; place = next_place(spans, place)) {
        const int32_t *span = spans->tokens + spans->places[place] - 1;
        if (span[spans->max_copy] == token && begins(spans, span, context)) {
            break;
        }
    }
    return &spans->places[place];
}

bool textgen_spans_has(const textgen_spans *spans, const int32_t *recent, int64_t count, uint64_t hash,
                       int64_t token) {
    return count >= spans->max_copy && *find(spans, recent + count - spans->max_copy, hash, token) != 0;
}

const float *textgen_spans_mask(const textgen_spans *spans, const int32_t *recent, int64_t count, uint64_t hash,
                                const float *logits, float *masked) {
    if (count < spans->max_copy) {
        return logits;
    }
    const int32_t *context = recent + count - spans->max_copy;
    for (size_t place = first_place(spans, hash); spans->places[place] != 0; place = next_place(spans, place)) {
        const int32_t *span = spans->tokens + spans->places[place] - 1;
        if (begins(spans, span, context)) {
            if (logits != masked) {
                memcpy(masked, logits, spans->vocabulary * sizeof *masked);
                logits = masked;
            }
            masked[span[spans->max_copy]] = -INFINITY;
        }
    }
    return logits;
}

/* Enter all spans. A span contains no character that no text can have. */
static void enter_all(textgen_spans *spans) {
    int64_t run = 0;
    uint64_t hash = 0;
    for (size_t i = 0; i < spans->count; i++) {
        const int32_t token = spans->tokens[i];
        if (token < 0) {
            run = 0;
            hash = 0;
            continue;
        }
        const int32_t *tokens = spans->tokens + i - run;
        if (run >= spans->max_copy) {
            const int32_t *before = spans->tokens + i - spans->max_copy;
            uint32_t *place = find(spans, before, hash, token);
            if (*place == 0) {
                *place = (uint32_t)(before - spans->tokens) + 1;
            }
        }
        hash = textgen_spans_next(spans, tokens, run, hash, token);
        run++;
    }
}

/* Of the number of places. So many have no room in memory. */
enum { MAX_BITS = sizeof(size_t) * 8 - 1 };

/* Allocate the table for the tokens. At most half of its places are used. */
static int32_t allocate(textgen_spans *spans, size_t count, size_t vocabulary, size_t max_copy,
                        textgen_error *error) {
    int32_t bits = 1;
    if (max_copy < 1 || max_copy > TEXTGEN_MAX_COPY) {
        return textgen_fail_at(error, TEXTGEN_INVALID_ARGUMENT, "max_copy", -1, "must be from 1 to %d, not %zu",
                               (int)TEXTGEN_MAX_COPY, max_copy);
    }
    if (count >= UINT32_MAX / 2) {
        return textgen_report(error, TEXTGEN_TOO_LARGE, "the corpus has more than 2,147,483,646 tokens");
    }
    while (bits < MAX_BITS && ((size_t)1 << bits) < 2 * count) {
        bits++;
    }
    spans->max_copy = (int64_t)max_copy;
    spans->vocabulary = vocabulary;
    spans->count = count;
    spans->shift = 64 - bits;
    spans->oldest = 1;
    for (size_t i = 1; i < max_copy; i++) {
        spans->oldest *= BASE;
    }
    spans->tokens = textgen_allocate(&spans->arena, count, sizeof *spans->tokens);
    spans->places = textgen_allocate(&spans->arena, (size_t)1 << bits, sizeof *spans->places);
    return spans->tokens && spans->places
               ? TEXTGEN_OK
               : textgen_report(error, TEXTGEN_OUT_OF_MEMORY, "not enough memory for the spans of the corpus");
}

int32_t textgen_spans_build(textgen_spans *spans, const int32_t *tokens, size_t count, size_t vocabulary,
                            size_t max_copy, textgen_error *error) {
    TEXTGEN_TRY(allocate(spans, count, vocabulary, max_copy, error));
    memcpy(spans->tokens, tokens, count * sizeof *tokens);
    enter_all(spans);
    return TEXTGEN_OK;
}

int32_t textgen_spans_read(textgen_spans *spans, const textgen_vocabulary *vocabulary, const char *text,
                           size_t size, size_t max_copy, textgen_error *error) {
    textgen_encoder encoder = {text, size, 0};
    int64_t token;
    size_t count = 0;
    int32_t result;
    if (vocabulary->symbols.level == TEXTGEN_WORD_LEVEL) {
        return textgen_report_at(error, TEXTGEN_INVALID_ARGUMENT, "max_copy", -1,
                                 "needs a model of characters or bytes");
    }
    while ((result = textgen_encode_known(vocabulary, &encoder, &token, error)) > 0) {
        count++;
    }
    TEXTGEN_TRY(result);
    TEXTGEN_TRY(allocate(spans, count, vocabulary->symbols.count, max_copy, error));
    encoder.offset = 0;
    for (size_t i = 0; textgen_encode_known(vocabulary, &encoder, &token, error) > 0; i++) {
        spans->tokens[i] = (int32_t)token;
    }
    enter_all(spans);
    return TEXTGEN_OK;
}

void textgen_spans_release(textgen_spans *spans) {
    textgen_release(spans->places);
    textgen_release(spans->tokens);
}

int32_t textgen_spans_create(const textgen_model *model, const char *text, size_t size, size_t max_copy,
                             textgen_memory memory, textgen_spans **spans, textgen_error *error) {
    textgen_arena arena;
    void *place;
    TEXTGEN_TRY(textgen_find_place(memory, sizeof **spans, &arena, &place, error));
    textgen_spans *created = place;
    created->arena = arena;
    const int32_t code = textgen_creation_code(
        &created->arena, textgen_spans_read(created, model->vocabulary, text, size, max_copy, error), error);
    if (code < 0) {
        textgen_spans_destroy(created);
    } else {
        *spans = created;
    }
    return code;
}

size_t textgen_spans_count(const textgen_spans *spans, const int64_t *tokens, size_t count) {
    int32_t recent[TEXTGEN_MAX_RECENT];
    int64_t kept = 0, end = 0;
    uint64_t hash = 0;
    size_t copied = 0;
    for (size_t i = 0; i < count; i++) {
        const int64_t at = (int64_t)i, first = at - spans->max_copy;
        if (textgen_spans_has(spans, recent, kept, hash, tokens[i])) {
            copied += (size_t)(at + 1 - (first > end ? first : end));
            end = at + 1;
        }
        hash = textgen_spans_next(spans, recent, kept, hash, tokens[i]);
        if (kept == TEXTGEN_MAX_RECENT) {
            kept = TEXTGEN_MAX_COPY;
            memcpy(recent, recent + TEXTGEN_MAX_COPY, TEXTGEN_MAX_COPY * sizeof *recent);
        }
        recent[kept++] = (int32_t)tokens[i];
    }
    return copied;
}

void textgen_spans_destroy(textgen_spans *spans) {
    if (spans) {
        textgen_spans_release(spans);
        if (!spans->arena.memory) {
            textgen_release(spans);
        }
    }
}
