#include "constraint.h"

#include "handles.h"
#include "utf8.h"

#include <math.h>
#include <string.h>

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

/* Visit the states that lead to each state, each once: count them in `counts` if `sources` is NULL. Otherwise,
 * the counts are where the sources of a state end, and become where they begin. latest: temporary. */
static void visit_sources(const textgen_constraint *constraint, int32_t *latest, int32_t *counts,
                          int32_t *sources) {
    const int16_t *next = constraint->next;
    memset(latest, 0xFF, constraint->states * sizeof *latest);
    for (int32_t state = 0; state < (int32_t)constraint->states; state++) {
        for (size_t token = 0; token < constraint->vocabulary; token++, next++) {
            if (*next < 0 || latest[*next] == state) {
                continue;
            }
            latest[*next] = state;
            if (sources) {
                sources[--counts[*next]] = state;
            } else {
                counts[*next]++;
            }
        }
    }
}

/* Write the distance of each state to the nearest accepting state: a breadth-first search backwards. */
static void measure(size_t states, const int32_t *starts, const int32_t *sources, int32_t *queue,
                    int32_t *distance) {
    size_t last = 0;
    for (size_t i = 0; i < states; i++) {
        if (distance[i] == 0) {
            queue[last++] = (int32_t)i;
        }
    }
    for (size_t first = 0; first < last; first++) {
        const int32_t state = queue[first];
        for (int32_t source = starts[state]; source < starts[state + 1]; source++) {
            if (distance[sources[source]] == INT32_MAX) {
                distance[sources[source]] = distance[state] + 1;
                queue[last++] = sources[source];
            }
        }
    }
}

static int32_t out_of_memory(textgen_error *error) {
    return textgen_report(error, TEXTGEN_OUT_OF_MEMORY, "not enough memory for the constraint");
}

/* Write the distances, and forbid the tokens after which no text can match. */
static int32_t link(textgen_constraint *constraint, textgen_error *error) {
    const size_t states = constraint->states;
    int32_t *distance = constraint->distance;
    int32_t *starts = textgen_allocate(&constraint->arena, 3 * states + 1, sizeof *starts);
    if (!starts) {
        return out_of_memory(error);
    }
    int32_t *latest = starts + states + 1, *queue = latest + states;
    visit_sources(constraint, latest, starts, NULL);
    for (size_t i = 1; i <= states; i++) {
        starts[i] += starts[i - 1];
    }
    int32_t *sources = textgen_allocate(&constraint->arena, (size_t)starts[states], sizeof *sources);
    if (sources) {
        visit_sources(constraint, latest, starts, sources);
        measure(states, starts, sources, queue, distance);
    }
    textgen_release(sources);
    textgen_release(starts);
    for (size_t state = 0; state < states && sources; state++) {
        int16_t *row = constraint->next + state * constraint->vocabulary;
        bool complete = distance[state] == 0;
        for (size_t token = 0; token < constraint->vocabulary; token++) {
            if (row[token] >= 0 && distance[row[token]] == INT32_MAX) {
                row[token] = -1;
            }
            complete = complete && row[token] < 0;
        }
        distance[state] = complete ? -1 : distance[state];
    }
    return sources ? TEXTGEN_OK : out_of_memory(error);
}

/* Append the little-endian bytes of a number to a hash. */
static void add_number(textgen_sha256 *sum, uint64_t number, size_t size) {
    unsigned char bytes[8];
    for (size_t i = 0; i < size; i++) {
        bytes[i] = (unsigned char)(number >> 8 * i & 0xFF);
    }
    textgen_sha256_add(sum, bytes, size);
}

void textgen_constraint_digest(textgen_constraint *constraint) {
    textgen_sha256 sum;
    textgen_sha256_init(&sum);
    add_number(&sum, constraint->states, 8);
    add_number(&sum, constraint->vocabulary, 8);
    for (size_t i = 0; i < constraint->states * constraint->vocabulary; i++) {
        add_number(&sum, (uint16_t)constraint->next[i], 2);
    }
    for (size_t state = 0; state < constraint->states; state++) {
        add_number(&sum, constraint->distance[state] <= 0, 1);
    }
    textgen_sha256_end(&sum, constraint->digest);
}

int32_t textgen_constraint_link(textgen_constraint *constraint, textgen_error *error) {
    for (size_t i = 0; i < constraint->states * constraint->vocabulary; i++) {
        if (constraint->next[i] < -1 || constraint->next[i] >= (int64_t)constraint->states) {
            return textgen_report(error, TEXTGEN_INVALID_ARGUMENT, "state %zu of the table leads to no state",
                                  i / constraint->vocabulary);
        }
    }
    TEXTGEN_TRY(link(constraint, error));
    return constraint->distance[0] == INT32_MAX
               ? textgen_report(error, TEXTGEN_INVALID_ARGUMENT, "no text matches the table")
               : TEXTGEN_OK;
}

int32_t textgen_constraint_ban(textgen_constraint *constraint, const int64_t *banned, size_t count,
                               textgen_error *error) {
    if (!count) {
        return TEXTGEN_OK;
    }
    for (size_t i = 0; i < count; i++) {
        if (banned[i] < 0 || banned[i] >= (int64_t)constraint->vocabulary) {
            return textgen_report(error, TEXTGEN_INVALID_ARGUMENT, "banned[%zu] is no token", i);
        }
    }
    for (size_t state = 0; state < constraint->states; state++) {
        for (size_t i = 0; i < count; i++) {
            constraint->next[state * constraint->vocabulary + (size_t)banned[i]] = -1;
        }
        constraint->distance[state] = constraint->distance[state] <= 0 ? 0 : INT32_MAX;
    }
    return textgen_constraint_link(constraint, error);
}

/* Allocate a table. */
static int32_t allocate(textgen_constraint *constraint, size_t states, textgen_error *error) {
    const size_t fitting = TEXTGEN_MAX_ENTRIES / constraint->vocabulary;
    const size_t most = fitting < TEXTGEN_MAX_STATES ? fitting : TEXTGEN_MAX_STATES;
    if (states < 1 || states > most) {
        return textgen_report(error, TEXTGEN_INVALID_ARGUMENT,
                              "the table must have from 1 to %zu states, not %zu", most, states);
    }
    constraint->states = states;
    constraint->next = textgen_allocate(&constraint->arena, states * constraint->vocabulary, sizeof(int16_t));
    constraint->distance = textgen_allocate(&constraint->arena, states, sizeof(int32_t));
    return constraint->next && constraint->distance ? TEXTGEN_OK : out_of_memory(error);
}

/* Read a state of a table. Return whether it is one of this vocabulary. Whether it leads to states is checked
 * when the table is linked. */
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
        const int64_t token = textgen_vocabulary_find(vocabulary, &key);
        int64_t number;
        if (token < 0 || !textgen_json_integer(&target, &number)) {
            return false;
        }
        constraint->next[state * constraint->vocabulary + (size_t)token] =
            (int16_t)(number < 0 || number >= TEXTGEN_MAX_STATES ? INT16_MIN : number);
    }
    return true;
}

int32_t textgen_constraint_read(textgen_view content, const textgen_vocabulary *vocabulary,
                                textgen_constraint *constraint, textgen_error *error) {
    static const char *const names[] = {"states"};
    textgen_json table, list = {0};
    if (textgen_utf8_valid(content) && textgen_json_read(content, &table)) {
        textgen_json_members(&table, names, 1, &list);
    }
    TEXTGEN_TRY(allocate(constraint, textgen_json_count(&list), error));
    memset(constraint->next, 0xFF, constraint->states * constraint->vocabulary * sizeof(int16_t));
    textgen_json entry;
    for (size_t state = 0; textgen_json_item(&list.text, &entry); state++) {
        if (!read_state(&entry, state, vocabulary, constraint)) {
            return textgen_report(error, TEXTGEN_INVALID_ARGUMENT,
                                  "state %zu of the table is wrong, or of another model", state);
        }
    }
    return textgen_constraint_link(constraint, error);
}

void textgen_constraint_release(textgen_constraint *constraint) {
    textgen_release(constraint->distance);
    textgen_release(constraint->next);
}

/* Read a table of `states` states. */
static int32_t read_table(const int16_t *next, const uint8_t *accepting, size_t states,
                          textgen_constraint *constraint, textgen_error *error) {
    TEXTGEN_TRY(allocate(constraint, states, error));
    memcpy(constraint->next, next, states * constraint->vocabulary * sizeof *next);
    for (size_t i = 0; i < states; i++) {
        constraint->distance[i] = accepting[i] ? 0 : INT32_MAX;
    }
    return textgen_constraint_link(constraint, error);
}

static int32_t begin_constraint(size_t vocabulary, textgen_memory memory, textgen_constraint **constraint,
                                textgen_error *error) {
    textgen_arena arena;
    void *place;
    TEXTGEN_TRY(textgen_find_place(memory, sizeof **constraint, &arena, &place, error));
    *constraint = place;
    (*constraint)->arena = arena;
    (*constraint)->vocabulary = vocabulary;
    return TEXTGEN_OK;
}

/* Complete a constraint whose table was read with a code. It is destroyed after an error. */
static int32_t end_constraint(int32_t code, const int64_t *banned, size_t banned_count,
                              textgen_constraint *created, textgen_constraint **constraint,
                              textgen_error *error) {
    if (code == TEXTGEN_OK) {
        textgen_constraint_digest(created);
        code = textgen_constraint_ban(created, banned, banned_count, error);
    }
    if (code < 0) {
        code = textgen_creation_code(&created->arena, code, error);
        textgen_constraint_destroy(created);
    } else {
        *constraint = created;
    }
    return code;
}

int32_t textgen_constraint_create(const textgen_model *model, const void *json, size_t size,
                                  const int64_t *banned, size_t banned_count, textgen_memory memory,
                                  textgen_constraint **constraint, textgen_error *error) {
    textgen_constraint *created;
    TEXTGEN_TRY(begin_constraint(model->shape.vocabulary, memory, &created, error));
    const int32_t code = textgen_constraint_read((textgen_view){json, size}, model->vocabulary, created, error);
    return end_constraint(code, banned, banned_count, created, constraint, error);
}

int32_t textgen_constraint_create_table(const int16_t *next, const uint8_t *accepting, size_t states,
                                        size_t vocabulary, const int64_t *banned, size_t banned_count,
                                        textgen_memory memory, textgen_constraint **constraint,
                                        textgen_error *error) {
    textgen_constraint *created;
    TEXTGEN_TRY(begin_constraint(vocabulary, memory, &created, error));
    const int32_t code = read_table(next, accepting, states, created, error);
    return end_constraint(code, banned, banned_count, created, constraint, error);
}

void textgen_constraint_destroy(textgen_constraint *constraint) {
    if (constraint) {
        textgen_constraint_release(constraint);
        if (!constraint->arena.memory) {
            textgen_release(constraint);
        }
    }
}
