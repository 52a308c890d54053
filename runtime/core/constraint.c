#include "constraint.h"

#include "handles.h"

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

size_t textgen_constraint_work(const int16_t *next, size_t states, size_t vocabulary) {
    unsigned char seen[TEXTGEN_MAX_STATES / 8];
    size_t sources = 0;
    for (size_t state = 0; state < states; state++, next += vocabulary) {
        memset(seen, 0, sizeof seen);
        for (size_t token = 0; token < vocabulary; token++) {
            const int16_t target = next[token];
            if (target < -1 || target >= (int64_t)states) {
                return 0;
            }
            if (target >= 0 && !(seen[target / 8] >> target % 8 & 1)) {
                seen[target / 8] |= (unsigned char)(1 << target % 8);
                sources++;
            }
        }
    }
    /* For the states: where their sources begin, the latest source or where the next one goes, and a queue. */
    return 3 * states + 1 + sources;
}

/* List the states that lead to each state: those of state i are sources[starts[i]] to sources[starts[i + 1]],
 * each once. latest: temporary, [states]. */
static void list_sources(const int16_t *next, size_t states, size_t vocabulary, int32_t *starts,
                         int32_t *latest, int32_t *sources) {
    const size_t entries = states * vocabulary;
    int32_t *cursor = latest;
    memset(starts, 0, (states + 1) * sizeof *starts);
    memset(latest, 0xFF, states * sizeof *latest);
    for (size_t i = 0; i < entries; i++) {
        const int32_t source = (int32_t)(i / vocabulary);
        if (next[i] >= 0 && latest[next[i]] != source) {
            latest[next[i]] = source;
            starts[next[i] + 1]++;
        }
    }
    for (size_t i = 0; i < states; i++) {
        cursor[i] = starts[i];
        starts[i + 1] += starts[i];
    }
    for (size_t i = 0; i < entries; i++) {
        const int32_t source = (int32_t)(i / vocabulary);
        const int16_t state = next[i];
        if (state >= 0 && (cursor[state] == starts[state] || sources[cursor[state] - 1] != source)) {
            sources[cursor[state]++] = source;
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

void textgen_constraint_link(int16_t *next, int32_t *distance, size_t states, size_t vocabulary,
                             int32_t *work) {
    int32_t *starts = work, *cursor = starts + states + 1, *queue = cursor + states, *sources = queue + states;
    list_sources(next, states, vocabulary, starts, cursor, sources);
    measure(states, starts, sources, queue, distance);
    for (size_t state = 0; state < states; state++) {
        int16_t *row = next + state * vocabulary;
        bool complete = distance[state] == 0;
        for (size_t token = 0; token < vocabulary; token++) {
            if (row[token] >= 0 && distance[row[token]] == INT32_MAX) {
                row[token] = -1;
            }
            complete = complete && row[token] < 0;
        }
        distance[state] = complete ? -1 : distance[state];
    }
}

static int32_t out_of_memory(textgen_error *error) {
    return textgen_report(error, TEXTGEN_OUT_OF_MEMORY, "not enough memory for the constraint");
}

/* Read the transitions of a state to its row. */
static int32_t read_row(const textgen_json *next, size_t state, const textgen_vocabulary *vocabulary,
                        size_t states, int16_t *row, textgen_error *error) {
    textgen_view members = next->text;
    textgen_json key, target;
    while (textgen_json_member(&members, &key, &target)) {
        const int64_t token = textgen_vocabulary_find(vocabulary, &key);
        char quoted[TEXTGEN_QUOTE_SIZE];
        if (token < 0) {
            return textgen_report(error, TEXTGEN_INVALID_ARGUMENT,
                                  "the table has %s, which is not in the vocabulary: write it with this model",
                                  textgen_json_quote(&key, quoted));
        }
        int64_t number;
        if (!textgen_json_integer(&target, &number) || number < 0 || number >= (int64_t)states) {
            return textgen_report(error, TEXTGEN_INVALID_ARGUMENT,
                                  "state %zu of the table leads to %s; the states are 0 to %zu", state,
                                  textgen_json_quote(&target, quoted), states - 1);
        }
        row[token] = (int16_t)number;
    }
    return TEXTGEN_OK;
}

static int32_t read_state(const textgen_json *entry, size_t state, const textgen_vocabulary *vocabulary,
                          textgen_constraint *constraint, textgen_error *error) {
    static const char *const names[] = {"accepting", "next"};
    int16_t *row = constraint->next + state * constraint->vocabulary;
    int32_t *distance = constraint->distance + state;
    textgen_json values[2];
    textgen_json_members(entry, names, 2, values);
    const bool accepting = values[0].kind == TEXTGEN_JSON_TRUE;
    if ((!accepting && values[0].kind != TEXTGEN_JSON_FALSE) || values[1].kind != TEXTGEN_JSON_OBJECT) {
        return textgen_report(
            error, TEXTGEN_INVALID_ARGUMENT,
            "state %zu of the table must have \"accepting\" and \"next\": write it with textgen-info", state);
    }
    *distance = accepting ? 0 : INT32_MAX;
    return read_row(&values[1], state, vocabulary, constraint->states, row, error);
}

static int32_t link_table(textgen_constraint *constraint, textgen_error *error) {
    const size_t count = textgen_constraint_work(constraint->next, constraint->states, constraint->vocabulary);
    int32_t *work = textgen_allocate(&constraint->arena, count, sizeof *work);
    if (!work) {
        return out_of_memory(error);
    }
    textgen_constraint_link(constraint->next, constraint->distance, constraint->states, constraint->vocabulary,
                            work);
    textgen_release(work);
    return constraint->distance[0] == INT32_MAX
               ? textgen_report(error, TEXTGEN_INVALID_ARGUMENT,
                                "no text matches the table: no accepting state can be reached")
               : TEXTGEN_OK;
}

int32_t textgen_constraint_read(textgen_view content, const textgen_vocabulary *vocabulary,
                                textgen_constraint *constraint, textgen_error *error) {
    static const char *const names[] = {"states"};
    textgen_json table, list;
    const bool is_json = textgen_json_read(content, &table);
    if (is_json) {
        textgen_json_members(&table, names, 1, &list);
    }
    if (!is_json || !(constraint->states = textgen_json_count(&list))) {
        return textgen_report(error, TEXTGEN_INVALID_ARGUMENT,
                              "the table is not JSON with a list of states: write it with textgen-info");
    }
    constraint->vocabulary = vocabulary->symbols.count;
    size_t most = TEXTGEN_MAX_ENTRIES / constraint->vocabulary;
    most = most < TEXTGEN_MAX_STATES ? most : TEXTGEN_MAX_STATES;
    if (constraint->states > most) {
        return textgen_report(
            error, TEXTGEN_INVALID_ARGUMENT,
            "the table has %zu states, and at most %zu are supported: simplify the expression",
            constraint->states, most);
    }
    constraint->next =
        textgen_allocate(&constraint->arena, constraint->states * constraint->vocabulary, sizeof(int16_t));
    constraint->distance = textgen_allocate(&constraint->arena, constraint->states, sizeof(int32_t));
    if (!constraint->next || !constraint->distance) {
        return out_of_memory(error);
    }
    memset(constraint->next, 0xFF, constraint->states * constraint->vocabulary * sizeof(int16_t));
    textgen_view rest = list.text;
    textgen_json entry;
    for (size_t state = 0; textgen_json_item(&rest, &entry); state++) {
        TEXTGEN_TRY(read_state(&entry, state, vocabulary, constraint, error));
    }
    return link_table(constraint, error);
}

void textgen_constraint_release(textgen_constraint *constraint) {
    textgen_release(constraint->distance);
    textgen_release(constraint->next);
}

int32_t textgen_constraint_create(const textgen_model *model, const void *data, size_t size, void *memory,
                                  size_t memory_size, textgen_constraint **constraint, char *error,
                                  size_t error_size) {
    textgen_error message = {error, error_size};
    textgen_arena arena = {memory, memory_size, 0, 0};
    void *place;
    TEXTGEN_TRY(textgen_check_pointer(model, "model", &message));
    TEXTGEN_TRY(textgen_check_data(data, size, "data", "size", &message));
    TEXTGEN_TRY(textgen_check_pointer(constraint, "constraint", &message));
    TEXTGEN_TRY(textgen_find_place(&arena, sizeof **constraint, "constraint", &place, &message));
    textgen_constraint *created = place;
    created->arena = arena;
    int32_t result = textgen_constraint_read((textgen_view){data, size}, model->vocabulary, created, &message);
    if (result == TEXTGEN_OUT_OF_MEMORY && memory) {
        result = textgen_too_small(&created->arena, &message);
    }
    if (result < 0) {
        textgen_constraint_destroy(created);
    } else {
        *constraint = created;
    }
    return result;
}

void textgen_constraint_destroy(textgen_constraint *constraint) {
    if (constraint) {
        textgen_constraint_release(constraint);
        if (!constraint->arena.memory) {
            textgen_release(constraint);
        }
    }
}
