/* Tests constraints from tables: tables MODEL RECORDS TABLE TEXTS. Prints TEXTS texts that match TABLE, one on
 * each line. RECORDS is a model of records with another number of tokens. The vocabulary of MODEL contains
 * "ab", and not "x". */
#include "check.h"

#include "constraint.h"

#include <math.h>

enum { LENGTH = 30, TEXT_SIZE = LENGTH * 4 + 1, MOST_TOKENS = 300, TOO_MANY = TEXTGEN_MAX_STATES + 1 };

static int32_t create(const textgen_model *model, const char *table, textgen_constraint **made) {
    const size_t size = strlen(table);
    /* A sanitizer sees what is read beyond the end. */
    void *data = memcpy(allocate(size + !size), table, size);
    const int32_t code = textgen_constraint_create(model, data, size, NULL, 0, made, ERROR);
    free(data);
    return code;
}

static textgen_constraint *table_of(const textgen_model *model, const char *table) {
    textgen_constraint *made;
    CHECK_OK(create(model, table, &made));
    return made;
}

static textgen_stream *start_constrained(const textgen_model *model, const textgen_constraint *constraint,
                                         uint64_t seed, const char *prompt) {
    textgen_sampling sampling = TEXTGEN_SAMPLING_DEFAULT;
    sampling.temperature = 1.5;
    sampling.seed = seed;
    sampling.constraint = constraint;
    return start_with(model, &sampling, prompt);
}

static void check_damaged(const textgen_model *model) {
    static const char *const tables[][2] = {
        {"", "the table is not JSON with a list of states: write it with textgen-info"},
        {"{\"states\": [", "not JSON"},
        {"[]", "a list of states"},
        {"{\"states\": {}}", "a list of states"},
        {"{\"states\": []}", "a list of states"},
        {"{\"states\": [1]}", "state 0 of the table must have \"accepting\" and \"next\""},
        {"{\"states\": [{\"accepting\": true}]}", "state 0 of the table must have"},
        {"{\"states\": [{\"next\": {}}]}", "state 0 of the table must have"},
        {"{\"states\": [{\"accepting\": 1, \"next\": {}}]}", "state 0 of the table must have"},
        {"{\"states\": [{\"accepting\": true, \"next\": []}]}", "state 0 of the table must have"},
        {"{\"states\": [{\"accepting\": true, \"next\": {}}, {}]}", "state 1 of the table must have"},
        {"{\"states\": [{\"accepting\": true, \"next\": {\"x\": 0}}]}",
         "the table has 'x', which is not in the"},
        {"{\"states\": [{\"accepting\": true, \"next\": {\"ab\": 0}}]}", "the table has 'ab'"},
        {"{\"states\": [{\"accepting\": true, \"next\": {\"\": 0}}]}", "the table has ''"},
        {"{\"states\": [{\"accepting\": true, \"next\": {\"a\": 1}}]}", "leads to '1'; the states are 0 to 0"},
        {"{\"states\": [{\"accepting\": true, \"next\": {\"a\": -1}}]}", "state 0 of the table leads to '-1'"},
        {"{\"states\": [{\"accepting\": true, \"next\": {\"a\": 65536}}]}", "leads to '65536'"},
        {"{\"states\": [{\"accepting\": true, \"next\": {\"a\": 0.5}}]}", "leads to '0.5'"},
        {"{\"states\": [{\"accepting\": true, \"next\": {\"a\": \"0\"}}]}", "leads to '0'"},
        {"{\"states\": [{\"accepting\": false, \"next\": {\"a\": 0}}]}", "no text matches the table"},
    };
    textgen_constraint *made = NULL;
    char *large = allocate(TOO_MANY * 2 + 20), *end = large + sprintf(large, "{\"states\": [0");
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        CHECK_INVALID(create(model, tables[i][0], &made), tables[i][1]);
    }
    for (size_t i = 1; i < TOO_MANY; i++) {
        end += sprintf(end, ",0");
    }
    sprintf(end, "]}");
    CHECK_INVALID(create(model, large, &made), "the table has 32769 states, and at most 32768 are supported");
    CHECK(!made);
    free(large);
}

/* Every change of one byte is refused, or gives a constraint that can be used. */
static void check_changed_bytes(const textgen_model *model, const char *table) {
    char text[TEXT_SIZE], *changed = allocate(strlen(table) + 1);
    size_t refused = 0;
    for (size_t i = 0; i < strlen(table); i++) {
        for (size_t bit = 0; bit < 8; bit++) {
            textgen_constraint *made = NULL;
            strcpy(changed, table);
            changed[i] = (char)((unsigned char)changed[i] ^ 1u << bit);
            const int32_t code = create(model, changed, &made);
            CHECK(code == TEXTGEN_OK || code == TEXTGEN_INVALID_ARGUMENT);
            if (code == TEXTGEN_OK) {
                textgen_stream *stream = start_constrained(model, made, i, "a");
                CHECK_OK(textgen_stream_generate(stream, LENGTH, text, TEXT_SIZE, NULL, ERROR));
                free(stream);
            }
            refused += code < 0;
            textgen_constraint_destroy(made);
        }
    }
    CHECK(refused > 0);
    free(changed);
}

/* Random tables, with their distances by the definition. The temporary memory has exactly its size. */
static void check_links(void) {
    enum { STATES = 12, TOKENS = 5, ROUNDS = 2000 };
    uint64_t state = 3;
    for (size_t round = 0; round < ROUNDS; round++) {
        int16_t next[STATES * TOKENS], linked[STATES * TOKENS];
        int32_t distance[STATES], expected[STATES], *work;
        bool leads[STATES][STATES] = {{false}};
        size_t sources = 0;
        for (size_t i = 0; i < (size_t)STATES * TOKENS; i++) {
            next[i] = linked[i] = (int16_t)((int)random_up_to(&state, 2 * STATES) - STATES - 1);
            next[i] = linked[i] = next[i] < -1 ? -1 : next[i];
            sources += next[i] >= 0 && !leads[i / TOKENS][next[i]];
            leads[i / TOKENS][next[i] < 0 ? 0 : next[i]] |= next[i] >= 0;
        }
        size_t s;
        for (s = 0; s < STATES; s++) {
            distance[s] = expected[s] = random_up_to(&state, 5) ? INT32_MAX : 0;
        }
        for (size_t i = 0; i < (size_t)STATES * STATES * TOKENS; i++) {
            const int16_t to = next[i % (STATES * TOKENS)];
            s = i % (STATES * TOKENS) / TOKENS;
            if (to >= 0 && expected[to] < INT32_MAX && expected[to] + 1 < expected[s]) {
                expected[s] = expected[to] + 1;
            }
        }
        CHECK(textgen_constraint_work(next, STATES, TOKENS) == 3 * STATES + 1 + sources);
        work = allocate((3 * STATES + 1 + sources) * sizeof *work);
        textgen_constraint_link(linked, distance, STATES, TOKENS, work);
        free(work);
        for (s = 0; s < STATES; s++) {
            bool leads_on = false;
            for (size_t t = s * TOKENS; t < (s + 1) * TOKENS; t++) {
                const bool matches = next[t] >= 0 && expected[next[t]] < INT32_MAX;
                CHECK(linked[t] == (matches ? next[t] : -1));
                leads_on |= matches;
            }
            CHECK(distance[s] == (expected[s] == 0 && !leads_on ? -1 : expected[s]));
        }
    }
}

/* In memory of each size, from none to the first that is enough. Each buffer has exactly its size. */
static void check_memory(const textgen_model *model, const void *data, size_t size) {
    textgen_constraint *made = NULL;
    char *memory = allocate(64);
    CHECK_INVALID(textgen_constraint_create(model, data, size, memory + 4, 60, &made, ERROR),
                  "memory is not aligned to 8 bytes");
    size_t memory_size;
    for (memory_size = 0; !made; memory_size += 8) {
        free(memory);
        memory = allocate(memory_size + !memory_size);
        if (textgen_constraint_create(model, data, size, memory, memory_size, &made, ERROR) != TEXTGEN_OK) {
            CHECK_FAILS(textgen_constraint_create(model, data, size, memory, memory_size, &made, ERROR),
                        TEXTGEN_BUFFER_TOO_SMALL, "are needed");
        }
    }
    CHECK((void *)made == (void *)memory && memory_size > 500);
    textgen_constraint_destroy(made);
    free(memory);
}

/* Print texts, each in two calls of random lengths. The texts match in the shortest length, too. */
static void print_texts(const textgen_model *model, const textgen_constraint *constraint, size_t texts) {
    const size_t shortest = (size_t)constraint->distance[0];
    textgen_lane lane = TEXTGEN_LANE_DEFAULT;
    const size_t size = textgen_workspace_size(model, 1);
    void *workspace = allocate(size);
    char text[TEXT_SIZE];
    uint64_t state = 1;
    CHECK(shortest > 2);
    lane.text = text;
    lane.size = sizeof text;
    for (uint64_t i = 0; i < texts; i++) {
        const size_t length = shortest + random_up_to(&state, 3);
        lane.stream = start_constrained(model, constraint, i, "b");
        lane.length = shortest - 1;
        lane.finish = 1;
        CHECK_INVALID(textgen_generate(&lane, 1, workspace, size, ERROR), "tokens, but length is");
        lane.finish = 0;
        lane.length = 1;
        if (i % 2) {
            CHECK_OK(textgen_generate(&lane, 1, workspace, size, ERROR));
            CHECK(lane.ending == TEXTGEN_REACHED_LENGTH && lane.drawn == 1);
            printf("%s", text);
        }
        lane.finish = 1;
        /* The first token of TABLE is always on a shortest way. */
        lane.length = length - i % 2;
        CHECK_OK(textgen_generate(&lane, 1, workspace, size, ERROR));
        printf("%s\n", text);
        free(lane.stream);
    }
    free(workspace);
}

/* A text that matches does not go on before a feed begins another one. */
static void check_end(const textgen_model *model) {
    textgen_constraint *once =
        table_of(model, "{\"states\": [{\"accepting\": false, \"next\": {\"a\": 1}},"
                        " {\"next\": {\"b\": 2}, \"accepting\": false}, {\"accepting\": true, \"next\": {}}]}");
    textgen_constraint *maybe = table_of(model, "{\"states\": [{\"accepting\": true, \"next\": {\"a\": 0}}]}");
    textgen_stream *stream = start_constrained(model, once, 1, "b");
    textgen_next_token next[MOST_TOKENS];
    textgen_sampling sampling = TEXTGEN_SAMPLING_DEFAULT;
    char text[TEXT_SIZE];
    size_t written;
    CHECK_OK(textgen_stream_next(stream, next, 2, &written, ERROR));
    CHECK(next[0].draw_probability == 1.0 && next[0].probability < 1.0 && next[1].draw_probability == 0.0);
    CHECK_OK(textgen_stream_generate(stream, LENGTH, text, TEXT_SIZE, NULL, ERROR));
    CHECK(!strcmp(text, "ab") && textgen_stream_ending(stream) == TEXTGEN_CONSTRAINT_END);
    CHECK_OK(textgen_stream_generate(stream, LENGTH, text, TEXT_SIZE, &written, ERROR));
    CHECK(written == 0 && textgen_stream_ending(stream) == TEXTGEN_CONSTRAINT_END);
    CHECK_OK(textgen_stream_next(stream, next, 2, &written, ERROR));
    CHECK(written == 0);
    CHECK_OK(textgen_stream_feed(stream, NULL, 0, ERROR));
    CHECK(textgen_stream_ending(stream) == TEXTGEN_CONTINUES);
    CHECK_OK(textgen_stream_generate(stream, 1, text, TEXT_SIZE, NULL, ERROR));
    CHECK(!strcmp(text, "a"));
    /* Another constraint begins with the next token, and so does none. */
    sampling.constraint = maybe;
    CHECK_OK(textgen_stream_set_sampling(stream, &sampling, ERROR));
    CHECK_OK(textgen_stream_generate(stream, LENGTH, text, TEXT_SIZE, NULL, ERROR));
    CHECK(strspn(text, "a") == strlen(text) && textgen_stream_ending(stream) == TEXTGEN_CONSTRAINT_END);
    sampling.constraint = NULL;
    CHECK_OK(textgen_stream_set_sampling(stream, &sampling, ERROR));
    CHECK_OK(textgen_stream_generate(stream, LENGTH, text, TEXT_SIZE, NULL, ERROR));
    CHECK(textgen_stream_ending(stream) == TEXTGEN_REACHED_LENGTH);
    free(stream);
    textgen_constraint_destroy(once);
    textgen_constraint_destroy(maybe);
}

static void check_wrong_samplings(const textgen_model *model, const textgen_model *records) {
    static const char table[] = "{\"states\": [{\"accepting\": true, \"next\": {}}]}";
    static const char *const stop[] = {"a"};
    textgen_sampling sampling = TEXTGEN_SAMPLING_DEFAULT;
    textgen_constraint *constraint = table_of(model, table), *other = table_of(records, table);
    textgen_stream *stream = start(model, 1.0, 1, 0, "a"), *record = start(records, 1.0, 1, 0, "a");
    textgen_spans *spans;
    sampling.constraint = other;
    CHECK_INVALID(textgen_stream_set_sampling(stream, &sampling, ERROR), "constraint is of another model");
    sampling.min_length = 2;
    CHECK_INVALID(textgen_stream_set_sampling(record, &sampling, ERROR),
                  "use constraint or min_length, not both");
    sampling.min_length = 0;
    sampling.constraint = constraint;
    sampling.stop = stop;
    sampling.stop_count = 1;
    CHECK_INVALID(textgen_stream_set_sampling(stream, &sampling, ERROR), "use constraint or stop, not both");
    sampling.stop_count = 0;
    CHECK_OK(textgen_spans_create(model, "a", 1, 1, NULL, 0, &spans, ERROR));
    sampling.spans = spans;
    CHECK_INVALID(textgen_stream_set_sampling(stream, &sampling, ERROR), "use constraint or spans, not both");
    textgen_spans_destroy(spans);
    free(stream), free(record);
    textgen_constraint_destroy(constraint);
    textgen_constraint_destroy(other);
    textgen_constraint_destroy(NULL);
}

static void check_wrong_arguments(const textgen_model *model) {
    textgen_constraint *made = NULL;
    CHECK_INVALID(textgen_constraint_create(NULL, "", 0, NULL, 0, &made, ERROR), "model is NULL");
    CHECK_INVALID(textgen_constraint_create(model, NULL, 0, NULL, 0, &made, ERROR), "data is NULL");
    CHECK_INVALID(textgen_constraint_create(model, "", 0, NULL, 0, NULL, ERROR), "constraint is NULL");
    CHECK_INVALID(textgen_constraint_create(model, "", SIZE_MAX, NULL, 0, &made, ERROR),
                  "larger than any buffer");
}

int main(int count, char **arguments) {
    CHECK(count == 5);
    loaded model = load(arguments[1], NULL);
    loaded records = load(arguments[2], NULL);
    size_t size;
    void *data = read_file(arguments[3], &size);
    check_links();
    check_damaged(model.model);
    check_changed_bytes(model.model, "{\"states\": [{\"accepting\": false, \"next\": {\"a\": 1, \"b\": 0}},"
                                     " {\"accepting\": true, \"next\": {\"c\": 0}}]}");
    check_memory(model.model, data, size);
    textgen_constraint *constraint;
    CHECK_OK(textgen_constraint_create(model.model, data, size, NULL, 0, &constraint, ERROR));
    free(data);
    print_texts(model.model, constraint, strtoul(arguments[4], NULL, 10));
    textgen_constraint_destroy(constraint);
    check_end(model.model);
    check_wrong_samplings(model.model, records.model);
    check_wrong_arguments(model.model);
    unload(&model), unload(&records);
    return 0;
}
