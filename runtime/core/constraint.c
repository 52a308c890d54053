#include "constraint.h"

#include "json.h"
#include "symbols.h"
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
    size_t token;
    if (textgen_constraint_accepting(constraint, state)) {
        return;
    }
    for (token = 0; token < constraint->vocabulary; token++) {
        if (textgen_constraint_next(constraint, state, (int64_t)token, remaining) < 0) {
            logits[token] = -INFINITY;
        }
    }
}

size_t textgen_constraint_work(const int16_t *next, size_t states, size_t vocabulary) {
    unsigned char seen[TEXTGEN_MAX_STATES / 8];
    size_t sources = 0, state, token;
    for (state = 0; state < states; state++, next += vocabulary) {
        memset(seen, 0, sizeof seen);
        for (token = 0; token < vocabulary; token++) {
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
    size_t i;
    memset(starts, 0, (states + 1) * sizeof *starts);
    memset(latest, 0xFF, states * sizeof *latest);
    for (i = 0; i < entries; i++) {
        const int32_t source = (int32_t)(i / vocabulary);
        if (next[i] >= 0 && latest[next[i]] != source) {
            latest[next[i]] = source;
            starts[next[i] + 1]++;
        }
    }
    for (i = 0; i < states; i++) {
        cursor[i] = starts[i];
        starts[i + 1] += starts[i];
    }
    for (i = 0; i < entries; i++) {
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
    size_t first, last = 0, i;
    for (i = 0; i < states; i++) {
        if (distance[i] == 0) {
            queue[last++] = (int32_t)i;
        }
    }
    for (first = 0; first < last; first++) {
        const int32_t state = queue[first];
        int32_t source;
        for (source = starts[state]; source < starts[state + 1]; source++) {
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
    size_t state, token;
    list_sources(next, states, vocabulary, starts, cursor, sources);
    measure(states, starts, sources, queue, distance);
    for (state = 0; state < states; state++) {
        int16_t *row = next + state * vocabulary;
        bool complete = distance[state] == 0;
        for (token = 0; token < vocabulary; token++) {
            if (row[token] >= 0 && distance[row[token]] == INT32_MAX) {
                row[token] = -1;
            }
            complete = complete && row[token] < 0;
        }
        distance[state] = complete ? -1 : distance[state];
    }
}

static int32_t out_of_memory(const textgen_error *error) {
    return textgen_report(error, TEXTGEN_OUT_OF_MEMORY, "not enough memory for the constraint");
}

static int32_t damaged(const textgen_error *error, size_t state) {
    return textgen_report(
        error, TEXTGEN_INVALID_ARGUMENT,
        "state %zu of the table must have \"accepting\" and \"next\": write it with textgen-info", state);
}

/* Read the transitions of a state to its row. */
static int32_t read_row(const textgen_json *next, size_t state, const textgen_vocabulary *vocabulary,
                        size_t states, int16_t *row, const textgen_error *error) {
    textgen_view members = next->text;
    textgen_json key, target;
    while (textgen_json_member(&members, &key, &target)) {
        const int64_t token = textgen_vocabulary_find(vocabulary, &key);
        char quoted[TEXTGEN_QUOTE_SIZE];
        int64_t number;
        if (token < 0) {
            return textgen_report(error, TEXTGEN_INVALID_ARGUMENT,
                                  "the table has %s, which is not in the vocabulary: write it with this model",
                                  textgen_json_quote(&key, quoted));
        }
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
                          textgen_constraint *constraint, const textgen_error *error) {
    int16_t *row = (int16_t *)constraint->next + state * constraint->vocabulary;
    int32_t *distance = (int32_t *)constraint->distance + state;
    textgen_view members = entry->text;
    textgen_json key, value;
    bool has_accepting = false, has_next = false;
    int32_t result = entry->kind == TEXTGEN_JSON_OBJECT ? TEXTGEN_OK : damaged(error, state);
    while (result == TEXTGEN_OK && textgen_json_member(&members, &key, &value)) {
        if (textgen_json_is(&key, "accepting")) {
            has_accepting = value.kind == TEXTGEN_JSON_TRUE || value.kind == TEXTGEN_JSON_FALSE;
            *distance = value.kind == TEXTGEN_JSON_TRUE ? 0 : INT32_MAX;
        } else if (textgen_json_is(&key, "next") && value.kind == TEXTGEN_JSON_OBJECT) {
            has_next = true;
            result = read_row(&value, state, vocabulary, constraint->states, row, error);
        }
    }
    return result < 0 || (has_accepting && has_next) ? result : damaged(error, state);
}

static size_t count_items(textgen_view items) {
    textgen_json item;
    size_t count = 0;
    while (textgen_json_item(&items, &item)) {
        count++;
    }
    return count;
}

/* Find the list of states. */
static bool find_states(textgen_view content, textgen_json *list) {
    textgen_json table, key, value;
    textgen_view members;
    bool found = false;
    if (!textgen_json_read(content, &table) || table.kind != TEXTGEN_JSON_OBJECT) {
        return false;
    }
    members = table.text;
    while (textgen_json_member(&members, &key, &value)) {
        if (textgen_json_is(&key, "states") && value.kind == TEXTGEN_JSON_ARRAY) {
            *list = value;
            found = true;
        }
    }
    return found;
}

static int32_t link_table(textgen_constraint *constraint, const textgen_error *error) {
    const size_t count = textgen_constraint_work(constraint->next, constraint->states, constraint->vocabulary);
    int32_t *work = textgen_allocate(&constraint->arena, count, sizeof *work);
    if (!work) {
        return out_of_memory(error);
    }
    textgen_constraint_link((int16_t *)constraint->next, (int32_t *)constraint->distance, constraint->states,
                            constraint->vocabulary, work);
    textgen_release(work);
    return constraint->distance[0] == INT32_MAX
               ? textgen_report(error, TEXTGEN_INVALID_ARGUMENT,
                                "no text matches the table: no accepting state can be reached")
               : TEXTGEN_OK;
}

int32_t textgen_constraint_read(textgen_view content, const textgen_vocabulary *vocabulary,
                                textgen_constraint *constraint, const textgen_error *error) {
    textgen_json list, entry;
    textgen_view rest;
    size_t state = 0, most;
    int32_t result = TEXTGEN_OK;
    if (!find_states(content, &list) || !(constraint->states = count_items(list.text))) {
        return textgen_report(error, TEXTGEN_INVALID_ARGUMENT,
                              "the table is not JSON with a list of states: write it with textgen-info");
    }
    constraint->vocabulary = textgen_vocabulary_size(vocabulary);
    most = TEXTGEN_MAX_ENTRIES / constraint->vocabulary;
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
    memset((void *)constraint->next, 0xFF, constraint->states * constraint->vocabulary * sizeof(int16_t));
    rest = list.text;
    while (result == TEXTGEN_OK && textgen_json_item(&rest, &entry)) {
        result = read_state(&entry, state++, vocabulary, constraint, error);
    }
    return result < 0 ? result : link_table(constraint, error);
}
