/* Tests that texts copy no spans of a corpus: spans MODEL RECORDS. RECORDS is a model of words, with another
 * number of tokens. The vocabulary of MODEL contains "ab" and a line end, and not "x". */
#include "check.h"

#include <math.h>

enum { TOKENS = 4, CORPUS = 300, TEXT = 400, ROUNDS = 300, LONG = 5000, MOST_TOKENS = 64, LONGEST = 1000 };

static const textgen_memory heap;

/* Random tokens that repeat in parts, and some that no text can have. */
static void fill(int32_t *corpus, size_t count, uint64_t *state) {
    for (size_t i = 0; i < count; i++) {
        const size_t kind = random_up_to(state, 19);
        corpus[i] = kind == 0             ? -1
                    : kind < 12 && i > 40 ? corpus[i - 37]
                                          : (int32_t)random_up_to(state, TOKENS - 1);
    }
}

/* Whether the last `length` tokens of a text are in the corpus. */
static bool stands(const int32_t *corpus, size_t count, const int64_t *text, size_t size, size_t length) {
    size_t start, i;
    for (start = 0; size >= length && start + length <= count; start++) {
        for (i = 0; i < length && corpus[start + i] == text[size - length + i]; i++) {
        }
        if (i == length) {
            return true;
        }
    }
    return false;
}

static textgen_spans *spans_of_tokens(const loaded *file, const int32_t *corpus, size_t count,
                                      size_t max_copy) {
    textgen_spans *spans;
    CHECK_OK(
        textgen_spans_create_tokens(corpus, count, file->info->vocabulary, max_copy, heap, &spans, &error));
    return spans;
}

static textgen_stream *start_without(const textgen_model *model, const textgen_spans *spans,
                                     double temperature) {
    const textgen_sampling sampling = {.temperature = temperature, .spans = spans};
    return start_with(model, &sampling, "a");
}

/* Draw a token from logits of the first tokens; return -1 if none is left. */
static int64_t draw(textgen_stream *stream, const loaded *file, const float logits[TOKENS]) {
    float *all = textgen_stream_get_info(stream).logits;
    int64_t token = -1;
    textgen_lane lane = {.stream = stream, .length = 1, .tokens = &token};
    for (size_t i = 0; i < file->info->vocabulary; i++) {
        all[i] = i < TOKENS ? logits[i] : -INFINITY;
    }
    const int32_t code = textgen_generate(&lane, 1, 0, work, NULL, &error);
    CHECK(code == TEXTGEN_OK || lane.result == TEXTGEN_NO_TOKEN);
    return token;
}

/* A token is drawn if, and only if, it completes no span. */
static void check_draws(const loaded *file) {
    uint64_t state = 1;
    size_t refused = 0;
    for (size_t round = 0; round < ROUNDS; round++) {
        const size_t max_copy = 1 + random_up_to(&state, 7), count = random_up_to(&state, CORPUS);
        int32_t *corpus = allocate((count + 1) * sizeof *corpus);
        int64_t drawn[TEXT];
        fill(corpus, count, &state);
        textgen_spans *spans = spans_of_tokens(file, corpus, count, max_copy);
        textgen_stream *stream = start_without(file->model, spans, 0.0);
        for (size_t i = 0; i < TEXT; i++) {
            float logits[TOKENS];
            int64_t wanted = -1;
            for (size_t t = 0; t < TOKENS; t++) {
                logits[t] = (float)random_below(&state, 1.0);
            }
            for (size_t t = 0; t < TOKENS; t++) {
                drawn[i] = (int64_t)t;
                const bool copies = stands(corpus, count, drawn, i + 1, max_copy + 1);
                wanted = !copies && (wanted < 0 || logits[t] > logits[wanted]) ? (int64_t)t : wanted;
                refused += copies;
            }
            CHECK(draw(stream, file, logits) == wanted);
            if (wanted < 0) {
                break;
            }
            drawn[i] = wanted;
        }
        textgen_spans_destroy(spans);
        free(stream), free(corpus);
    }
    CHECK(refused > ROUNDS);
}

/* The longest spans, in a text that is longer than what is kept of it. Fed text begins another one. */
static void check_long_texts(const loaded *file) {
    static int32_t corpus[LONG];
    static const float logits[TOKENS] = {0.0f, -1.0f, -2.0f, -3.0f};
    textgen_sampling greedy = TEXTGEN_SAMPLING_DEFAULT;
    textgen_spans *spans = spans_of_tokens(file, corpus, LONG, LONGEST);
    greedy.temperature = 0.0;
    textgen_stream *stream = start_without(file->model, spans, 0.0);
    for (size_t i = 0; i < LONG; i++) {
        CHECK(draw(stream, file, logits) == (i % (LONGEST + 1) == LONGEST));
    }
    for (int other = 0; other < 2; other++) {
        if (other) { /* Nor is what was drawn without spans copied. */
            CHECK_OK(textgen_stream_set_sampling(stream, &greedy, &error));
            CHECK(draw(stream, file, logits) == 0);
            greedy.spans = spans;
            CHECK_OK(textgen_stream_set_sampling(stream, &greedy, &error));
        } else {
            feed(stream, "a");
        }
        for (size_t i = 0; i < LONGEST; i++) {
            CHECK(draw(stream, file, logits) == 0);
        }
    }
    textgen_spans_destroy(spans);
    free(stream);
}

/* The tokens that may follow keep their ratios: 3 to 2. At 4 standard deviations, 1 of 16,000 seeds fails. */
static void check_ratios(const loaded *file) {
    const int draws = 20000;
    static const int32_t corpus[] = {0, 0, -1, 1, 0, -1, 2, 0};
    const float logits[TOKENS] = {logf(0.5f), logf(0.3f), logf(0.2f), -INFINITY};
    const double variance = draws * 0.6 * 0.4;
    textgen_spans *spans = spans_of_tokens(file, corpus, sizeof corpus / sizeof *corpus, 1);
    textgen_stream *stream = start_without(file->model, spans, 1.0);
    double ones = 0.0;
    CHECK(draw(stream, file, logits) >= 0);
    for (int i = 0; i < draws; i++) {
        const int64_t token = draw(stream, file, logits);
        CHECK(token == 1 || token == 2);
        ones += token == 1;
    }
    const double difference = ones - draws * 0.6;
    CHECK(difference * difference < 4.0 * 4.0 * variance);
    textgen_spans_destroy(spans);
    free(stream);
}

static size_t count_copied(const textgen_spans *spans, const int64_t tokens[TEXT], size_t count) {
    int32_t narrow[TEXT];
    for (size_t i = 0; i < count; i++) {
        narrow[i] = (int32_t)tokens[i];
    }
    return textgen_spans_count(spans, narrow, count);
}

/* A stream avoids its most likely text, of which it copies max_copy characters and no more. What is not in the
 * vocabulary separates. */
static void check_streams(const textgen_model *model) {
    char corpus[TEXT * 4 + 20];
    textgen_spans *spans;
    textgen_stream *stream = start_without(model, NULL, 0.0);
    double probabilities[MOST_TOKENS];
    int64_t likely[TEXT], tokens[TEXT], token;
    int32_t narrow[TEXT];
    size_t written, count, longest = 0;
    char *text = generate(stream, TEXT, &written);
    sprintf(corpus, "\xEF\xBB\xBFx%sx\r\nab", text);
    CHECK_OK(textgen_encode(model, text, written, 0, likely, &count, &error));
    CHECK_OK(textgen_spans_create(model, corpus, strlen(corpus), 5, heap, &spans, &error));
    free(text), free(stream);
    stream = start_without(model, spans, 0.0);
    text = generate(stream, TEXT, &written);
    CHECK_OK(textgen_encode(model, text, written, 0, tokens, &count, &error));
    for (size_t i = 0; i < TEXT; i++) {
        narrow[i] = (int32_t)likely[i];
    }
    for (size_t i = 1; i <= TEXT; i++) {
        for (size_t length = 1; length <= i && stands(narrow, TEXT, tokens, i, length); length++) {
            longest = length > longest ? length : longest;
        }
    }
    CHECK(longest == 5 && count_copied(spans, tokens, TEXT) == 0);
    free(text), free(stream);
    stream = start_without(model, spans, 0.0);
    for (size_t i = 0; i < TEXT; i++) {
        textgen_lane lane = {.stream = stream, .length = 1, .tokens = &token};
        CHECK_OK(textgen_stream_probabilities(stream, 1, probabilities, work, &error));
        CHECK_OK(textgen_generate(&lane, 1, 0, work, NULL, &error));
        CHECK(token == tokens[i] && probabilities[token] == 1.0);
    }
    CHECK(textgen_stream_get_info(stream).recent == TEXT);
    CHECK(count_copied(spans, likely, TEXT) == TEXT && count_copied(spans, likely, 5) == 0);
    CHECK(count_copied(spans, likely, 6) == 6);
    free(stream);
    textgen_spans_destroy(spans);
}

/* Where no token may follow, nothing is drawn. */
static void check_nothing_left(const loaded *file) {
    const size_t vocabulary = file->info->vocabulary;
    int32_t corpus[3 * MOST_TOKENS * MOST_TOKENS];
    double probabilities[MOST_TOKENS];
    char text[2 * 4 + 1];
    size_t written;
    for (size_t pair = 0; pair < vocabulary * vocabulary; pair++) {
        corpus[3 * pair] = (int32_t)(pair / vocabulary);
        corpus[3 * pair + 1] = (int32_t)(pair % vocabulary);
        corpus[3 * pair + 2] = -1;
    }
    textgen_spans *spans = spans_of_tokens(file, corpus, 3 * vocabulary * vocabulary, 1);
    textgen_stream *stream = start_without(file->model, spans, 0.0);
    free(generate(stream, 1, &written));
    CHECK_FAILS(textgen_stream_probabilities(stream, 1, probabilities, work, &error), TEXTGEN_NO_TOKEN);
    CHECK_FAILS(textgen_stream_generate(stream, 1, text, sizeof text, &written, work, &error),
                TEXTGEN_NO_TOKEN);
    free(stream);
    textgen_spans_destroy(spans);
}

/* In memory of each size, from none to the first that is enough, and with wrong arguments. */
static void check_creation(const textgen_model *model, const textgen_model *words) {
    textgen_spans *made = NULL;
    char *memory = allocate(4096);
    size_t size = 0;
    int32_t code;
#define CREATE(model, text, max_copy, memory, size)                                                            \
    textgen_spans_create(model, text, strlen(text), max_copy, (textgen_memory){memory, size}, &made, &error)
    while ((code = CREATE(model, "abab", 1, memory, size)) == TEXTGEN_BUFFER_TOO_SMALL) {
        CHECK(!made && size < 4096);
        size += 8;
    }
    CHECK(code == TEXTGEN_OK && made && size > 0);
    textgen_spans_destroy(made);
    CHECK_INVALID(CREATE(model, "ab", 0, NULL, 0), "max_copy", -1);
    CHECK_INVALID(CREATE(model, "ab", 1001, NULL, 0), "max_copy", -1);
    CHECK_FAILS(CREATE(words, "ab", 1, NULL, 0), TEXTGEN_INVALID_ARGUMENT);
    CHECK_REFUSES(CREATE(model, "a\xFF", 1, NULL, 0), TEXTGEN_INVALID_UTF8, "text", 1);
    for (int32_t token = -2; token <= TOKENS; token += TOKENS + 2) {
        CHECK_INVALID(textgen_spans_create_tokens((int32_t[]){-1, 3, token}, 3, TOKENS, 1, heap, &made, &error),
                      "tokens", 2);
    }
    textgen_spans_destroy(NULL);
    free(memory);
}

int main(int argc, char **argv) {
    CHECK(argc == 3);
    loaded file = load(argv[1], NULL), other = load(argv[2], NULL);
    CHECK(file.info->vocabulary <= MOST_TOKENS);
    check_draws(&file);
    check_long_texts(&file);
    check_ratios(&file);
    check_streams(file.model);
    check_nothing_left(&file);
    check_creation(file.model, other.model);
    unload(&file), unload(&other);
    return 0;
}
