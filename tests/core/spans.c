/* Tests that texts copy no spans of a corpus: spans MODEL RECORDS. RECORDS is a model of words. The vocabulary
 * of MODEL contains "ab" and a line end, and not "x". */
#include "check.h"

#include <math.h>

enum { TOKENS = 4, CORPUS = 300, TEXT = 400, ROUNDS = 300, LONG = 5000, MOST_TOKENS = 64, LONGEST = 1000 };

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
static bool stands(const int32_t *corpus, size_t count, const int32_t *text, size_t size, size_t length) {
    for (size_t start = 0; size >= length && start + length <= count; start++) {
        if (!memcmp(corpus + start, text + size - length, length * sizeof *text)) {
            return true;
        }
    }
    return false;
}

/* Return how many tokens of a text are in a span of so many tokens that the corpus has. */
static size_t count_copied(const int32_t *corpus, size_t count, const int32_t *text, size_t size,
                           size_t length) {
    size_t copied = 0;
    for (size_t i = 0; i < size; i++) {
        bool any = false;
        for (size_t end = i + 1; end <= size && end < i + 1 + length; end++) {
            any = any || stands(corpus, count, text, end, length);
        }
        copied += any;
    }
    return copied;
}

static textgen_spans *spans_of_tokens(const loaded *file, const int32_t *corpus, size_t count,
                                      size_t max_copy) {
    textgen_spans *spans;
    CHECK_OK(textgen_spans_create_tokens(corpus, count, file->info->vocabulary, max_copy, &spans, &error));
    return spans;
}

static textgen_stream *start_without(const textgen_model *model, const textgen_spans *spans) {
    /* A temperature of 0. */
    const textgen_sampling sampling = {.spans = spans};
    return start_with(model, &sampling, "a");
}

/* Draw a token from logits of the first tokens; return -1 if none is left. The next draw has its probability.
 */
static int32_t draw(textgen_stream *stream, const loaded *file, const float logits[TOKENS]) {
    float *all = textgen_stream_get_info(stream).logits;
    double probabilities[MOST_TOKENS];
    int64_t token = -1;
    textgen_lane lane = {.stream = stream, .length = 1, .tokens = &token};
    for (size_t i = 0; i < file->info->vocabulary; i++) {
        all[i] = i < TOKENS ? logits[i] : -INFINITY;
    }
    const int32_t shown = textgen_stream_probabilities(stream, 1, probabilities, work, &error);
    const int32_t code = textgen_generate(&lane, 1, 0, work, NULL, &error);
    CHECK(code == TEXTGEN_OK ? !shown && probabilities[token] == 1.0
                             : lane.result == TEXTGEN_NO_TOKEN && shown == TEXTGEN_NO_TOKEN);
    return (int32_t)token;
}

/* A token is drawn if, and only if, it completes no span. */
static void check_draws(const loaded *file) {
    uint64_t state = 1;
    size_t refused = 0, ended = 0;
    for (size_t round = 0; round < ROUNDS; round++) {
        const size_t max_copy = 1 + random_up_to(&state, 7), count = random_up_to(&state, CORPUS);
        int32_t *corpus = allocate((count + 1) * sizeof *corpus), drawn[TEXT];
        fill(corpus, count, &state);
        textgen_spans *spans = spans_of_tokens(file, corpus, count, max_copy);
        textgen_stream *stream = start_without(file->model, spans);
        for (size_t i = 0; i < TEXT; i++) {
            float logits[TOKENS];
            int32_t wanted = -1;
            for (size_t t = 0; t < TOKENS; t++) {
                logits[t] = (float)random_below(&state, 1.0);
            }
            for (int32_t t = 0; t < TOKENS; t++) {
                drawn[i] = t;
                const bool copies = stands(corpus, count, drawn, i + 1, max_copy + 1);
                wanted = !copies && (wanted < 0 || logits[t] > logits[wanted]) ? t : wanted;
                refused += copies;
            }
            CHECK(draw(stream, file, logits) == wanted);
            if (wanted < 0) {
                ended++;
                break;
            }
            drawn[i] = wanted;
        }
        fill(drawn, TEXT, &state);
        for (size_t i = 0; i < TEXT; i++) {
            drawn[i] = drawn[i] < 0 ? 0 : drawn[i];
        }
        CHECK(textgen_spans_count(spans, drawn, TEXT) ==
              count_copied(corpus, count, drawn, TEXT, max_copy + 1));
        textgen_spans_destroy(spans);
        free(stream), free(corpus);
    }
    CHECK(refused > ROUNDS && ended > 10);
}

/* The longest spans, in a text that is longer than what is kept of it. Fed text begins another one. */
static void check_long_texts(const loaded *file) {
    static int32_t corpus[LONG];
    static const float logits[TOKENS] = {0.0f, -1.0f, -2.0f, -3.0f};
    textgen_spans *spans = spans_of_tokens(file, corpus, LONG, LONGEST);
    textgen_sampling sampling = {.spans = NULL};
    textgen_stream *stream = start_without(file->model, spans);
    for (size_t i = 0; i < LONG; i++) {
        CHECK(draw(stream, file, logits) == (i % (LONGEST + 1) == LONGEST));
    }
    for (int other = 0; other < 2; other++) {
        if (other) { /* Nor is what was drawn without spans copied. */
            CHECK_OK(textgen_stream_set_sampling(stream, &sampling, &error));
            CHECK(draw(stream, file, logits) == 0);
            sampling.spans = spans;
            CHECK_OK(textgen_stream_set_sampling(stream, &sampling, &error));
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

/* The corpus is encoded as a prompt is, and a character that is not in the vocabulary separates. */
static void check_corpus(const textgen_model *model, const textgen_model *words) {
    static const char corpus[] = "\xEF\xBB\xBF"
                                 "ab\rbaxab\r\nx";
    static const char *const texts[] = {"ab\n", "b\nb", "\nba", "bab", "a\nb", "baa"};
    textgen_spans *spans;
    CHECK_OK(textgen_spans_create(model, corpus, strlen(corpus), 2, &spans, &error));
    for (size_t i = 0; i < 6; i++) {
        int64_t tokens[3];
        size_t count;
        CHECK_OK(textgen_encode(model, texts[i], 3, 0, tokens, &count, &error));
        const int32_t narrow[] = {(int32_t)tokens[0], (int32_t)tokens[1], (int32_t)tokens[2]};
        CHECK(textgen_spans_count(spans, narrow, 3) == (i < 3 ? 3 : 0));
    }
    textgen_spans_destroy(spans);
    textgen_spans_destroy(NULL);
    CHECK_INVALID(textgen_spans_create(model, "ab", 2, 0, &spans, &error), "max_copy", -1);
    CHECK_INVALID(textgen_spans_create(model, "ab", 2, LONGEST + 1, &spans, &error), "max_copy", -1);
    CHECK_FAILS(textgen_spans_create(words, "ab", 2, 1, &spans, &error), TEXTGEN_INVALID_ARGUMENT);
    CHECK_REFUSES(textgen_spans_create(model, "a\xFF", 2, 1, &spans, &error), TEXTGEN_INVALID_UTF8, "text", 1);
    for (int32_t token = -2; token <= TOKENS; token += TOKENS + 2) {
        const int32_t wrong[] = {-1, 3, token};
        CHECK_INVALID(textgen_spans_create_tokens(wrong, 3, TOKENS, 1, &spans, &error), "tokens", 2);
    }
}

int main(int argc, char **argv) {
    CHECK(argc == 3);
    loaded file = load(argv[1], NULL), other = load(argv[2], NULL);
    CHECK(file.info->vocabulary <= MOST_TOKENS);
    check_draws(&file);
    check_long_texts(&file);
    check_corpus(file.model, other.model);
    unload(&file), unload(&other);
    return 0;
}
