/* Tests constraints from tables: tables MODEL TABLE TEXTS. Prints TEXTS texts that match TABLE, one on each
 * line. The vocabulary of MODEL contains "ab", and not "x". */
#include "check.h"

#include "tables.h"

#include <math.h>

enum { LENGTH = 30, TEXT_SIZE = LENGTH * 4 + 1, MOST_TOKENS = 300, TOO_MANY = TEXTGEN_MAX_STATES + 1 };

static int32_t create(const textgen_model *model, const char *table, textgen_constraint **made) {
    const size_t size = strlen(table);
    /* A sanitizer sees what is read beyond the end. */
    void *data = memcpy(allocate(size + !size), table, size);
    const int32_t code =
        textgen_constraint_create(model, data, size, NULL, 0, (textgen_memory){0}, made, &error);
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
    static const char *const tables[] = {
        "",
        "{\"states\": [",
        "[]",
        "{\"states\": {}}",
        "{\"states\": []}",
        "{\"states\": [1]}",
        "{\"states\": [{\"accepting\": true}]}",
        "{\"states\": [{\"next\": {}}]}",
        "{\"states\": [{\"accepting\": 1, \"next\": {}}]}",
        "{\"states\": [{\"accepting\": true, \"next\": []}]}",
        "{\"states\": [{\"accepting\": true, \"next\": {}}, {}]}",
        "{\"states\": [{\"accepting\": true, \"next\": {\"x\": 0}}]}",
        "{\"states\": [{\"accepting\": true, \"next\": {\"ab\": 0}}]}",
        "{\"states\": [{\"accepting\": true, \"next\": {\"\": 0}}]}",
        "{\"states\": [{\"accepting\": true, \"next\": {\"a\": 1}}]}",
        "{\"states\": [{\"accepting\": true, \"next\": {\"a\": -1}}]}",
        "{\"states\": [{\"accepting\": true, \"next\": {\"a\": 65536}}]}",
        "{\"states\": [{\"accepting\": true, \"next\": {\"a\": 0.5}}]}",
        "{\"states\": [{\"accepting\": true, \"next\": {\"a\": \"0\"}}]}",
        "{\"states\": [{\"accepting\": false, \"next\": {\"a\": 0}}]}",
        /* No UTF-8, in a key and elsewhere. */
        "{\"states\": [{\"accepting\": true, \"next\": {\"a\xff\": 0, \"b\": 0}}]}",
        "{\"states\": [{\"accepting\": true, \"next\": {}}], \"other\": \"\xc3\"}",
    };
    textgen_constraint *made = NULL;
    char *large = allocate(TOO_MANY * 2 + 20), *end = large + sprintf(large, "{\"states\": [0");
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        CHECK_FAILS(create(model, tables[i], &made), TEXTGEN_INVALID_ARGUMENT);
    }
    for (size_t i = 1; i < TOO_MANY; i++) {
        end += sprintf(end, ",0");
    }
    sprintf(end, "]}");
    CHECK_FAILS(create(model, large, &made), TEXTGEN_INVALID_ARGUMENT);
    CHECK_FAILS(textgen_constraint_create_table(NULL, NULL, 1, 0, NULL, 0, (textgen_memory){0}, &made, &error),
                TEXTGEN_INVALID_ARGUMENT);
    CHECK(!made);
    free(large);
}

/* The states of (ab|cd)[a-d]{2}. */
static const char two_ways[] =
    "{\"states\": [{\"accepting\": false, \"next\": {\"a\": 1, \"c\": 2}},"
    "{\"accepting\": false, \"next\": {\"b\": 3}}, {\"accepting\": false, \"next\": {\"d\": 3}},"
    "{\"accepting\": false, \"next\": {\"a\": 4, \"b\": 4, \"c\": 4, \"d\": 4}},"
    "{\"accepting\": false, \"next\": {\"a\": 5, \"b\": 5, \"c\": 5, \"d\": 5}},"
    "{\"accepting\": true, \"next\": {}}]}";

/* No text begins that needs a banned token, and the table is still the same one. */
static void check_banned(const textgen_model *model) {
    const textgen_memory heap = {0};
    const int64_t banned[] = {token_of(model, "b", 1), token_of(model, "c", 1),
                              (int64_t)textgen_model_get_info(model)->vocabulary};
    double bias[MOST_TOKENS] = {0};
    textgen_constraint *whole = table_of(model, two_ways), *without, *made = NULL;
#define BAN(tokens, count, made)                                                                               \
    textgen_constraint_create(model, two_ways, sizeof two_ways - 1, tokens, count, heap, made, &error)
    CHECK_OK(BAN(banned, 1, &without));
    CHECK(!memcmp(whole->digest, without->digest, sizeof whole->digest));
    bias[banned[0]] = -INFINITY;
    for (uint64_t seed = 0; seed < 20; seed++) {
        const textgen_sampling sampling = {
            .seed = seed, .temperature = 2.0, .constraint = without, .logit_bias = bias};
        textgen_stream *stream = start_with(model, &sampling, "a");
        size_t written;
        char *text = generate(stream, LENGTH, &written);
        CHECK(written == 4 && !strncmp(text, "cd", 2) && strspn(text, "acd") == 4);
        free(text), free(stream);
    }
    CHECK_FAILS(BAN(banned, 2, &made), TEXTGEN_INVALID_ARGUMENT);
    CHECK_FAILS(BAN(banned + 2, 1, &made), TEXTGEN_INVALID_ARGUMENT);
    textgen_constraint_destroy(whole);
    textgen_constraint_destroy(without);
}

/* Every change of one byte is refused, or gives a constraint that can be used. */
static void check_changed_bytes(const textgen_model *model, const char *table) {
    char *changed = allocate(strlen(table) + 1);
    size_t refused = 0, written;
    for (size_t i = 0; i < strlen(table); i++) {
        for (size_t bit = 0; bit < 8; bit++) {
            textgen_constraint *made = NULL;
            strcpy(changed, table);
            changed[i] = (char)((unsigned char)changed[i] ^ 1u << bit);
            const int32_t code = create(model, changed, &made);
            CHECK(code == TEXTGEN_OK || code == TEXTGEN_INVALID_ARGUMENT);
            if (code == TEXTGEN_OK) {
                textgen_stream *stream = start_constrained(model, made, i, "a");
                free(generate(stream, LENGTH, &written));
                free(stream);
            }
            refused += code < 0;
            textgen_constraint_destroy(made);
        }
    }
    CHECK(refused > 0);
    free(changed);
}

/* Random tables with random banned tokens. The distances are those of the definition. */
static void check_links(void) {
    enum { STATES = 12, TOKENS = 5, ROUNDS = 2000 };
    uint64_t state = 3;
    size_t refused = 0;
    for (size_t round = 0; round < ROUNDS; round++) {
        int16_t next[STATES * TOKENS], given[STATES * TOKENS];
        int32_t expected[STATES];
        uint8_t accepting[STATES];
        const int64_t banned[] = {(int64_t)random_up_to(&state, TOKENS - 1), 0};
        const size_t count = random_up_to(&state, 2);
        size_t s;
        for (size_t i = 0; i < (size_t)STATES * TOKENS; i++) {
            const int drawn = (int)random_up_to(&state, 2 * STATES) - STATES - 1;
            next[i] = given[i] = (int16_t)(drawn < -1 ? -1 : drawn);
            for (size_t j = 0; j < count; j++) {
                next[i] = (int64_t)(i % TOKENS) == banned[j] ? -1 : next[i];
            }
        }
        for (s = 0; s < STATES; s++) {
            accepting[s] = !random_up_to(&state, 5);
            expected[s] = accepting[s] ? 0 : INT32_MAX;
        }
        for (size_t i = 0; i < (size_t)STATES * STATES * TOKENS; i++) {
            const int16_t to = next[i % (STATES * TOKENS)];
            s = i % (STATES * TOKENS) / TOKENS;
            if (to >= 0 && expected[to] < INT32_MAX && expected[to] + 1 < expected[s]) {
                expected[s] = expected[to] + 1;
            }
        }
        textgen_constraint *made;
        const int32_t code = textgen_constraint_create_table(given, accepting, STATES, TOKENS, banned, count,
                                                             (textgen_memory){0}, &made, NULL);
        CHECK(code == (expected[0] == INT32_MAX ? TEXTGEN_INVALID_ARGUMENT : TEXTGEN_OK));
        if (code < 0) {
            refused++;
            continue;
        }
        for (s = 0; s < STATES; s++) {
            bool leads_on = false;
            for (size_t t = s * TOKENS; t < (s + 1) * TOKENS; t++) {
                const bool matches = next[t] >= 0 && expected[next[t]] < INT32_MAX;
                CHECK(made->next[t] == (matches ? next[t] : -1));
                leads_on |= matches;
            }
            CHECK(made->distance[s] == (expected[s] == 0 && !leads_on ? -1 : expected[s]));
        }
        textgen_constraint_destroy(made);
    }
    CHECK(refused > 0 && refused < ROUNDS / 2);
}

/* In memory of each size, from none to the first that is enough. Each buffer has exactly its size. */
static void check_memory(const textgen_model *model, const void *data, size_t size) {
    textgen_constraint *made = NULL;
    char *memory = allocate(64);
#define CREATE(data_size, memory, memory_size)                                                                 \
    textgen_constraint_create(model, data, data_size, NULL, 0, (textgen_memory){memory, memory_size}, &made,   \
                              &error)
    CHECK_INVALID(CREATE(size, memory + 4, 60), "memory", -1);
    size_t memory_size;
    for (memory_size = 0; !made; memory_size += 8) {
        free(memory);
        memory = allocate(memory_size);
        if (CREATE(size, memory, memory_size) != TEXTGEN_OK) {
            CHECK(error.code == TEXTGEN_BUFFER_TOO_SMALL && !strcmp(error.parameter, "memory"));
        }
    }
    CHECK((void *)made == (void *)memory && memory_size > 500);
    textgen_constraint_destroy(made);
    free(memory);
}

/* Print texts, each in two calls of random lengths. The texts match in the shortest length, too. */
static void print_texts(const textgen_model *model, const textgen_constraint *constraint, size_t texts) {
    const size_t shortest = (size_t)constraint->distance[0];
    char text[TEXT_SIZE];
    uint64_t state = 1;
    CHECK(shortest > 2);
    for (uint64_t i = 0; i < texts; i++) {
        const size_t length = shortest + random_up_to(&state, 3);
        textgen_lane lane = {.stream = start_constrained(model, constraint, i, "b"), .text = text, .finish = 1};
        CHECK(textgen_stream_get_info(lane.stream).needed == shortest);
        lane.length = shortest - 1;
        CHECK_INVALID(textgen_generate(&lane, 1, 0, work, NULL, &error), "length", 0);
        lane.length = length;
        if (i % 2) {
            CHECK_OK(textgen_generate(&lane, 1, 1, work, NULL, &error));
            CHECK(lane.ending == TEXTGEN_CONTINUES && lane.drawn == 1);
            printf("%s", text);
            lane.length--;
        }
        CHECK_OK(textgen_generate(&lane, 1, 0, work, NULL, &error));
        printf("%s\n", text);
        free(lane.stream);
    }
}

int main(int count, char **arguments) {
    CHECK(count == 4);
    loaded model = load(arguments[1], NULL);
    size_t size;
    void *data = read_file(arguments[2], &size);
    check_links();
    check_damaged(model.model);
    check_banned(model.model);
    check_changed_bytes(model.model, "{\"states\": [{\"accepting\": false, \"next\": {\"a\": 1, \"b\": 0}},"
                                     " {\"accepting\": true, \"next\": {\"c\": 0}}]}");
    check_memory(model.model, data, size);
    textgen_constraint *constraint;
    CHECK_OK(
        textgen_constraint_create(model.model, data, size, NULL, 0, (textgen_memory){0}, &constraint, &error));
    free(data);
    print_texts(model.model, constraint, strtoul(arguments[3], NULL, 10));
    textgen_constraint_destroy(constraint);
    unload(&model);
    return 0;
}
