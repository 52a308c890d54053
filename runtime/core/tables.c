#include "tables.h"

#include "exact.h"
#include "text.h"

#include <math.h>
#include <string.h>

/* ---- Constraints ---- */

int64_t textgen_constraint_next(const textgen_constraint *constraint, int64_t state, int64_t token,
                                int64_t remaining) {
    const int64_t next = constraint->next[(size_t)state * constraint->vocabulary + (size_t)token];
    return next < 0 || constraint->distance[next] > remaining - 1 ? -1 : next;
}

void textgen_constraint_mask(const textgen_constraint *constraint, int64_t state, int64_t remaining,
                             float *logits) {
    if (textgen_constraint_accepting(constraint, state)) {
        return;
    }
    for (size_t token = 0; token < constraint->vocabulary; token++) {
        if (textgen_constraint_next(constraint, state, (int64_t)token, remaining) < 0) {
            logits[token] = -INFINITY;
        }
    }
}

/* Write the distance of each state to the nearest accepting state: a breadth-first search backwards. It begins
 * with 0 for the accepting states, and INT32_MAX for the others. The entries that lead to a state are a list:
 * `latest` of each state, then `earlier` of each entry, both plus 1, until a 0. */
static int32_t measure(textgen_constraint *constraint, textgen_error *error) {
    const size_t states = constraint->states, entries = states * constraint->vocabulary;
    const int16_t *next = constraint->next;
    int32_t *distance = constraint->distance;
    int32_t *latest = textgen_allocate(NULL, entries + 2 * states, sizeof *latest);
    size_t last = 0;
    if (!latest) {
        return textgen_report(error, TEXTGEN_OUT_OF_MEMORY, "not enough memory for the constraint");
    }
    int32_t *queue = latest + states, *earlier = queue + states;
    for (size_t i = 0; i < entries; i++) {
        if (next[i] >= 0) {
            earlier[i] = latest[next[i]];
            latest[next[i]] = (int32_t)i + 1;
        }
    }
    for (size_t i = 0; i < states; i++) {
        if (distance[i] == 0) {
            queue[last++] = (int32_t)i;
        }
    }
    for (size_t first = 0; first < last; first++) {
        for (int32_t entry = latest[queue[first]]; entry; entry = earlier[entry - 1]) {
            const size_t source = (size_t)(entry - 1) / constraint->vocabulary;
            if (distance[source] == INT32_MAX) {
                distance[source] = distance[queue[first]] + 1;
                queue[last++] = (int32_t)source;
            }
        }
    }
    textgen_release(latest);
    return TEXTGEN_OK;
}

/* Append the little-endian bytes of a number to a hash. */
static void add_number(textgen_sha256 *sum, uint64_t number, size_t size) {
    unsigned char bytes[8];
    for (size_t i = 0; i < size; i++) {
        bytes[i] = (unsigned char)(number >> 8 * i & 0xFF);
    }
    textgen_sha256_add(sum, bytes, size);
}

static void write_digest(textgen_constraint *constraint) {
    textgen_sha256 sum;
    textgen_sha256_init(&sum);
    add_number(&sum, constraint->states, 8);
    add_number(&sum, constraint->vocabulary, 8);
    for (size_t i = 0; i < constraint->states * constraint->vocabulary; i++) {
        add_number(&sum, (uint16_t)constraint->next[i], 2);
    }
    for (size_t state = 0; state < constraint->states; state++) {
        add_number(&sum, constraint->distance[state] == 0, 1);
    }
    textgen_sha256_end(&sum, constraint->digest);
}

/* Complete a table of `next` and `distance`, 0 for the accepting states and INT32_MAX for the others. Forbid
 * the banned tokens, and those after which no text can match. */
static int32_t complete_table(textgen_constraint *constraint, const int64_t *banned, size_t count,
                              textgen_error *error) {
    const size_t states = constraint->states, vocabulary = constraint->vocabulary;
    int16_t *next = constraint->next;
    int32_t *distance = constraint->distance;
    for (size_t i = 0; i < states * vocabulary; i++) {
        if (next[i] < -1 || next[i] >= (int64_t)states) {
            return textgen_report(error, TEXTGEN_INVALID_ARGUMENT, "state %zu of the table leads to no state",
                                  i / vocabulary);
        }
    }
    write_digest(constraint);
    for (size_t i = 0; i < count; i++) {
        if (banned[i] < 0 || banned[i] >= (int64_t)vocabulary) {
            return textgen_report_at(error, TEXTGEN_INVALID_ARGUMENT, "banned", (int64_t)i, "is no token");
        }
        for (size_t state = 0; state < states; state++) {
            next[state * vocabulary + (size_t)banned[i]] = -1;
        }
    }
    TEXTGEN_TRY(measure(constraint, error));
    for (size_t state = 0; state < states; state++, next += vocabulary) {
        bool complete = distance[state] == 0;
        for (size_t token = 0; token < vocabulary; token++) {
            next[token] = next[token] >= 0 && distance[next[token]] < INT32_MAX ? next[token] : -1;
            complete = complete && next[token] < 0;
        }
        distance[state] = complete ? -1 : distance[state];
    }
    return distance[0] == INT32_MAX
               ? textgen_report(error, TEXTGEN_INVALID_ARGUMENT, "no text matches the table")
               : TEXTGEN_OK;
}

/* Create a table in which no token is allowed. */
static int32_t create_table(size_t states, size_t vocabulary, textgen_constraint **constraint,
                            textgen_error *error) {
    const size_t fitting = vocabulary ? TEXTGEN_MAX_ENTRIES / vocabulary : 0, entries = states * vocabulary;
    const size_t most = fitting < TEXTGEN_MAX_STATES ? fitting : TEXTGEN_MAX_STATES;
    textgen_constraint *created = NULL;
    if (states < 1 || states > most) {
        return textgen_report(error, TEXTGEN_INVALID_ARGUMENT, "the table must have a list of 1 to %zu states",
                              most);
    }
    created = textgen_allocate(
        NULL, 1, sizeof *created + states * sizeof *created->distance + entries * sizeof *created->next);
    if (!created) {
        return textgen_report(error, TEXTGEN_OUT_OF_MEMORY, "not enough memory for the constraint");
    }
    created->states = states;
    created->vocabulary = vocabulary;
    created->distance = (void *)(created + 1);
    created->next = memset(created->distance + states, 0xFF, entries * sizeof *created->next);
    *constraint = created;
    return TEXTGEN_OK;
}

/* Complete a table that was filled with a code, or destroy it. */
static int32_t end_table(textgen_constraint *created, int32_t code, const int64_t *banned, size_t banned_count,
                         textgen_constraint **constraint, textgen_error *error) {
    if (code == TEXTGEN_OK) {
        code = complete_table(created, banned, banned_count, error);
    }
    if (code < 0) {
        textgen_constraint_destroy(created);
    } else {
        *constraint = created;
    }
    return code;
}

/* Read a state of a table. Return whether it is one of this vocabulary. Whether it leads to states is checked
 * when the table is complete. */
static bool read_state(const textgen_json *entry, size_t state, const textgen_vocabulary *vocabulary,
                       textgen_constraint *constraint) {
    static const char *const names[] = {"accepting", "next"};
    textgen_json values[2], key, target;
    textgen_json_members(entry, names, 2, values);
    const bool accepting = values[0].kind == TEXTGEN_JSON_TRUE;
    if ((!accepting && values[0].kind != TEXTGEN_JSON_FALSE) || values[1].kind != TEXTGEN_JSON_OBJECT) {
        return false;
    }
    constraint->distance[state] = accepting ? 0 : INT32_MAX;
    while (textgen_json_member(&values[1].text, &key, &target)) {
        const int64_t token = textgen_vocabulary_find_entry(vocabulary, &key);
        int64_t number;
        if (token < 0 || !textgen_json_integer(&target, &number)) {
            return false;
        }
        constraint->next[state * constraint->vocabulary + (size_t)token] =
            (int16_t)(number < 0 || number >= TEXTGEN_MAX_STATES ? INT16_MIN : number);
    }
    return true;
}

int32_t textgen_constraint_create(const textgen_model *model, const void *json, size_t size,
                                  const int64_t *banned, size_t banned_count, textgen_constraint **constraint,
                                  textgen_error *error) {
    static const char *const names[] = {"states"};
    textgen_json table, entry, list = {0};
    textgen_constraint *created;
    int32_t code = TEXTGEN_OK;
    if (textgen_json_read((textgen_view){json, size}, &table)) {
        textgen_json_members(&table, names, 1, &list);
    }
    TEXTGEN_TRY(create_table(textgen_json_count(&list), model->shape.vocabulary, &created, error));
    for (size_t state = 0; code == TEXTGEN_OK && textgen_json_item(&list.text, &entry); state++) {
        if (!read_state(&entry, state, model->vocabulary, created)) {
            code = textgen_report(error, TEXTGEN_INVALID_ARGUMENT,
                                  "state %zu of the table is wrong, or of another model", state);
        }
    }
    return end_table(created, code, banned, banned_count, constraint, error);
}

int32_t textgen_constraint_create_table(const int16_t *next, const uint8_t *accepting, size_t states,
                                        size_t vocabulary, const int64_t *banned, size_t banned_count,
                                        textgen_constraint **constraint, textgen_error *error) {
    textgen_constraint *created;
    TEXTGEN_TRY(create_table(states, vocabulary, &created, error));
    memcpy(created->next, next, states * vocabulary * sizeof *next);
    for (size_t i = 0; i < states; i++) {
        created->distance[i] = accepting[i] ? 0 : INT32_MAX;
    }
    return end_table(created, TEXTGEN_OK, banned, banned_count, constraint, error);
}

void textgen_constraint_destroy(textgen_constraint *constraint) { textgen_release(constraint); }

/* ---- Spans ---- */

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
    size_t known = 0; /* successive characters before this one that a text can have */
    uint64_t hash = 0;
    for (size_t i = 0; i < spans->count; i++) {
        const int32_t token = spans->tokens[i];
        if (token >= 0 && known >= (size_t)spans->max_copy) {
            const size_t first = i - (size_t)spans->max_copy;
            uint32_t *place = find(spans, spans->tokens + first, hash, token);
            *place = *place ? *place : (uint32_t)first + 1;
        }
        hash = textgen_spans_next(spans, spans->tokens, (int64_t)i, hash, token);
        known = token >= 0 ? known + 1 : 0;
    }
}

/* Create spans for `count` tokens, which the caller writes before it enters them. */
static int32_t create_spans(size_t count, size_t vocabulary, size_t max_copy, textgen_spans **spans,
                            textgen_error *error) {
    /* The sizes have room in a size_t of 32 bits. */
    const size_t most = (size_t)1 << 29;
    textgen_spans *created = NULL;
    int32_t bits = 1;
    if (max_copy < 1 || max_copy > TEXTGEN_MAX_COPY) {
        return textgen_report_at(error, TEXTGEN_INVALID_ARGUMENT, "max_copy", -1,
                                 "must be from 1 to %d, not %zu", (int)TEXTGEN_MAX_COPY, max_copy);
    }
    if (count < most) {
        /* At most half of the places are used. */
        while ((size_t)1 << bits < 2 * count) {
            bits++;
        }
        const size_t numbers = count + ((size_t)1 << bits);
        created = textgen_allocate(NULL, sizeof *created / sizeof(int32_t) + numbers, sizeof(int32_t));
    }
    if (!created) {
        return textgen_report(error, TEXTGEN_OUT_OF_MEMORY, "not enough memory for the spans of the corpus");
    }
    created->tokens = (void *)(created + 1);
    created->places = (void *)(created->tokens + count);
    created->max_copy = (int64_t)max_copy;
    created->vocabulary = vocabulary;
    created->count = count;
    created->shift = 64 - bits;
    created->oldest = 1;
    for (size_t i = 1; i < max_copy; i++) {
        created->oldest *= BASE;
    }
    *spans = created;
    return TEXTGEN_OK;
}

int32_t textgen_spans_create(const textgen_model *model, const char *text, size_t size, size_t max_copy,
                             textgen_spans **spans, textgen_error *error) {
    const textgen_vocabulary *vocabulary = model->vocabulary;
    textgen_encoder encoder = {text, size, 0, 0};
    int64_t token;
    size_t count = 0;
    int32_t code;
    if (vocabulary->level == TEXTGEN_WORD_LEVEL) {
        return textgen_report_at(error, TEXTGEN_INVALID_ARGUMENT, "max_copy", -1,
                                 "needs a model of characters or bytes");
    }
    while ((code = textgen_encode_known(vocabulary, &encoder, &token, error)) > 0) {
        count++;
    }
    TEXTGEN_TRY(code);
    TEXTGEN_TRY(create_spans(count, vocabulary->count, max_copy, spans, error));
    encoder.offset = 0;
    for (size_t i = 0; textgen_encode_known(vocabulary, &encoder, &token, error) > 0; i++) {
        (*spans)->tokens[i] = (int32_t)token;
    }
    enter_all(*spans);
    return TEXTGEN_OK;
}

int32_t textgen_spans_create_tokens(const int32_t *tokens, size_t count, size_t vocabulary, size_t max_copy,
                                    textgen_spans **spans, textgen_error *error) {
    for (size_t i = 0; i < count; i++) {
        if (tokens[i] < -1 || tokens[i] >= (int64_t)vocabulary) {
            return textgen_fail_at(error, TEXTGEN_INVALID_ARGUMENT, "tokens", (int64_t)i,
                                   "must be from -1 to %zu", vocabulary - 1);
        }
    }
    TEXTGEN_TRY(create_spans(count, vocabulary, max_copy, spans, error));
    memcpy((*spans)->tokens, tokens, count * sizeof *tokens);
    enter_all(*spans);
    return TEXTGEN_OK;
}

void textgen_spans_destroy(textgen_spans *spans) { textgen_release(spans); }

/* The spans that are found may overlap. */
size_t textgen_spans_count(const textgen_spans *spans, const int32_t *tokens, size_t count) {
    int64_t copied = 0, end = 0;
    uint64_t hash = 0;
    for (int64_t i = 0; i < (int64_t)count; i++) {
        const int64_t first = i - spans->max_copy;
        if (first >= 0 && *find(spans, tokens + first, hash, tokens[i])) {
            copied += i + 1 - (first > end ? first : end);
            end = i + 1;
        }
        hash = textgen_spans_next(spans, tokens, i, hash, tokens[i]);
    }
    return (size_t)copied;
}
