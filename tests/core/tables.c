/* Tests constraints from tables: tables MODEL TABLE TEXTS. Prints TEXTS texts that match TABLE, one on each
 * line. The vocabulary of MODEL contains "abcd", and not "x". What a constraint does is tested in endings.c,
 * and damaged tables by the fuzzer. */
#include "check.h"

#include "tables.h"

enum { LENGTH = 30, TEXT_SIZE = LENGTH * 4 + 1 };

static int32_t create(const textgen_model *model, const char *table, const int64_t *banned, size_t count,
                      textgen_constraint **made) {
    const size_t size = strlen(table);
    /* A sanitizer sees what is read beyond the end. */
    void *data = memcpy(allocate(size), table, size);
    const int32_t code = textgen_constraint_create(model, data, size, banned, count, made, &error);
    free(data);
    return code;
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
    const size_t too_many = TEXTGEN_MAX_STATES + 1;
    textgen_constraint *made = NULL;
    char *large = allocate(too_many * 2 + 20), *end = large + sprintf(large, "{\"states\": [0");
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        CHECK_FAILS(create(model, tables[i], NULL, 0, &made), TEXTGEN_INVALID_ARGUMENT);
    }
    for (size_t i = 1; i < too_many; i++) {
        end += sprintf(end, ",0");
    }
    sprintf(end, "]}");
    CHECK_FAILS(create(model, large, NULL, 0, &made), TEXTGEN_INVALID_ARGUMENT);
    CHECK_FAILS(textgen_constraint_create_table(NULL, NULL, 1, 0, NULL, 0, &made, &error),
                TEXTGEN_INVALID_ARGUMENT);
    CHECK(!made);
    free(large);
}

/* A table of (ab|cd)[a-d] is the same one without "b", of which (ab|cd)c is left. */
static void check_banned(const textgen_model *model) {
    static const char table[] =
        "{\"states\": [{\"accepting\": false, \"next\": {\"a\": 1, \"c\": 2}},"
        "{\"accepting\": false, \"next\": {\"b\": 3}}, {\"accepting\": false, \"next\": {\"d\": 3}},"
        "{\"accepting\": false, \"next\": {\"a\": 4, \"b\": 4, \"c\": 4, \"d\": 4}},"
        "{\"accepting\": true, \"next\": {}}]}";
    const int64_t b = token_of(model, "b", 1), c = token_of(model, "c", 1);
    const int64_t both[] = {b, c}, no_token = (int64_t)textgen_model_get_info(model)->vocabulary;
    textgen_constraint *whole, *without, *made = NULL;
    CHECK_OK(create(model, table, NULL, 0, &whole));
    CHECK_OK(create(model, table, &b, 1, &without));
    CHECK(!memcmp(whole->digest, without->digest, sizeof whole->digest));
    CHECK(without->distance[0] == 3 && textgen_constraint_next(without, 0, c, 3) == 2);
    CHECK(textgen_constraint_next(without, 0, token_of(model, "a", 1), 9) == -1);
    CHECK_FAILS(create(model, table, both, 2, &made), TEXTGEN_INVALID_ARGUMENT);
    CHECK_INVALID(create(model, table, &no_token, 1, &made), "banned", 0);
    textgen_constraint_destroy(whole), textgen_constraint_destroy(without);
}

/* Print texts, each in two calls of random lengths. The texts match in the shortest length, too. */
static void print_texts(const textgen_model *model, const textgen_constraint *constraint, size_t texts) {
    textgen_sampling sampling = {.temperature = 1.5, .constraint = constraint};
    const size_t shortest = (size_t)constraint->distance[0];
    char text[TEXT_SIZE];
    uint64_t state = 1;
    CHECK(shortest > 2);
    for (; sampling.seed < texts; sampling.seed++) {
        textgen_lane lane = {.stream = start_with(model, &sampling, "b"), .text = text, .finish = 1};
        CHECK(textgen_stream_get_info(lane.stream).needed == shortest);
        lane.length = shortest - 1;
        CHECK_INVALID(textgen_generate(&lane, 1, 0, work, NULL, &error), "length", 0);
        lane.length = shortest + random_up_to(&state, 3);
        if (sampling.seed % 2) {
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
    textgen_constraint *constraint;
    size_t size;
    void *data = read_file(arguments[2], &size);
    check_damaged(model.model);
    check_banned(model.model);
    CHECK_OK(textgen_constraint_create(model.model, data, size, NULL, 0, &constraint, &error));
    free(data);
    print_texts(model.model, constraint, strtoul(arguments[3], NULL, 10));
    textgen_constraint_destroy(constraint);
    unload(&model);
    return 0;
}
