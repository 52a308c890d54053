/* Tests that texts copy no spans of a corpus: spans MODEL RECORDS. RECORDS is a model of words, with another
 * number of tokens. The vocabulary of MODEL contains "ab" and a line end, and not "x". */
#include "check.h"

#include "text.h"

#include <math.h>

enum { TOKENS = 4, CORPUS = 300, TEXT = 400, ROUNDS = 300, LONG = 5000, MOST_TOKENS = 64 };

static textgen_shape shape = {.vocabulary = TOKENS, .special = {-1, -1, -1}};

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

static textgen_text *new_text(double temperature) {
    textgen_text *text = allocate(textgen_text_size(&shape));
    textgen_text_init(&shape, text);
    text->parameters.temperature = temperature;
    textgen_text_begin(&shape, text, true);
    return text;
}

/* Draw a token; return -1 if none is left. The text goes on with another call each time. */
static int64_t draw(textgen_text *text, const textgen_spans *spans, const float *logits) {
    static int64_t tokens[TEXTGEN_LANE_TOKENS];
    static double scratch[16 * TOKENS];
    float masked[TOKENS];
    textgen_lane_call lane = {.text = text, .guide = {.spans = spans}, .length = 1, .tokens = tokens};
    int64_t token;
    textgen_lane_begin(&shape, &lane);
    token = textgen_lane_draw(&shape, &lane, logits, masked, scratch);
    CHECK(token >= 0 || lane.ending == TEXTGEN_NO_TOKEN);
    if (token >= 0) {
        lane.ending = textgen_lane_ending(&shape, &lane);
        textgen_lane_finish(&shape, &lane);
    }
    return token;
}

/* A token is drawn if, and only if, it completes no span. */
static void check_draws(void) {
    uint64_t state = 1;
    size_t round, i, others, refused = 0;
    for (round = 0; round < ROUNDS; round++) {
        const size_t max_copy = 1 + random_up_to(&state, 7), count = random_up_to(&state, CORPUS);
        int32_t *corpus = allocate((count + 1) * sizeof *corpus);
        int64_t drawn[TEXT];
        textgen_spans spans = {0};
        textgen_text *text = new_text(0.0);
        fill(corpus, count, &state);
        CHECK_OK(textgen_spans_build(&spans, corpus, count, TOKENS, max_copy, NULL));
        for (i = 0; i < TEXT; i++) {
            float logits[TOKENS];
            int64_t wanted = -1;
            for (others = 0; others < TOKENS; others++) {
                logits[others] = (float)random_below(&state, 1.0);
            }
            for (others = 0; others < TOKENS; others++) {
                drawn[i] = (int64_t)others;
                if (!stands(corpus, count, drawn, i + 1, max_copy + 1) &&
                    (wanted < 0 || logits[others] > logits[wanted])) {
                    wanted = (int64_t)others;
                }
                refused += stands(corpus, count, drawn, i + 1, max_copy + 1);
            }
            CHECK(draw(text, &spans, logits) == wanted);
            if (wanted < 0) {
                break;
            }
            drawn[i] = wanted;
        }
        textgen_spans_release(&spans);
        free(text), free(corpus);
    }
    CHECK(refused > ROUNDS);
}

/* The longest spans, in a text that is longer than what is kept of it. */
static void check_long_texts(void) {
    static int32_t corpus[LONG];
    static const float logits[TOKENS] = {0.0f, -1.0f, -2.0f, -3.0f};
    textgen_spans spans = {0};
    textgen_text *text = new_text(0.0);
    size_t i, copied = 0;
    CHECK_OK(textgen_spans_build(&spans, corpus, LONG, TOKENS, TEXTGEN_MAX_COPY, NULL));
    for (i = 0; i < LONG; i++) {
        const int64_t token = draw(text, &spans, logits);
        copied = token == 0 ? copied + 1 : 0;
        CHECK(token == (i % (TEXTGEN_MAX_COPY + 1) == TEXTGEN_MAX_COPY) && copied <= TEXTGEN_MAX_COPY);
    }
    textgen_text_begin(&shape, text, false);
    for (i = 0; i < TEXTGEN_MAX_COPY; i++) {
        CHECK(draw(text, &spans, logits) == 0); /* fed text begins another one */
    }
    textgen_spans_release(&spans);
    free(text);
}

/* The tokens that may follow keep their ratios: 3 to 2. At 4 standard deviations, 1 of 16,000 seeds fails. */
static void check_ratios(void) {
    const int draws = 20000;
    static const int32_t corpus[] = {0, 0, -1, 1, 0, -1, 2, 0};
    const float logits[TOKENS] = {logf(0.5f), logf(0.3f), logf(0.2f), -INFINITY};
    const double variance = draws * 0.6 * 0.4;
    textgen_spans spans = {0};
    textgen_text *text = new_text(1.0);
    double ones = 0.0;
    CHECK_OK(textgen_spans_build(&spans, corpus, sizeof corpus / sizeof *corpus, TOKENS, 1, NULL));
    CHECK(draw(text, &spans, logits) >= 0);
    for (int i = 0; i < draws; i++) {
        const int64_t token = draw(text, &spans, logits);
        CHECK(token == 1 || token == 2);
        ones += token == 1;
    }
    const double difference = ones - draws * 0.6;
    CHECK(difference * difference < 4.0 * 4.0 * variance);
    textgen_spans_release(&spans);
    free(text);
}

static textgen_spans *spans_of(const textgen_model *model, const char *corpus, size_t max_copy) {
    textgen_spans *spans;
    CHECK_OK(
        textgen_spans_create(model, corpus, strlen(corpus), max_copy, (textgen_memory){0}, &spans, &error));
    return spans;
}

/* Return the length in characters of the longest part of a text that is also in a corpus. */
static size_t longest_copy(const char *text, const char *corpus) {
    size_t longest = 0, bytes, next, characters;
    char *part = allocate(strlen(text) + 1);
    for (; *text; text++) {
        characters = bytes = 0;
        while (text[bytes] && (*text & 0xC0) != 0x80) {
            for (next = bytes + 1; (text[next] & 0xC0) == 0x80; next++) {
            }
            memcpy(part, text, next);
            part[next] = '\0';
            if (!strstr(corpus, part)) {
                break;
            }
            bytes = next;
            characters++;
        }
        longest = characters > longest ? characters : longest;
    }
    free(part);
    return longest;
}

static textgen_stream *start_without(const textgen_model *model, const textgen_spans *spans) {
    textgen_sampling sampling = TEXTGEN_SAMPLING_DEFAULT;
    sampling.temperature = 0.0;
    sampling.spans = spans;
    return start_with(model, &sampling, "a");
}

/* A stream avoids its most likely text, also in parts. */
static size_t count_copied(const textgen_spans *spans, const int64_t *tokens, size_t count) {
    int32_t narrow[TEXT];
    for (size_t i = 0; i < count; i++) {
        narrow[i] = (int32_t)tokens[i];
    }
    return textgen_spans_count(spans, narrow, count);
}

static void check_streams(const textgen_model *model) {
    char corpus[TEXT * 4 + 20];
    textgen_stream *stream = start_without(model, NULL);
    double probabilities[MOST_TOKENS];
    int64_t tokens[TEXT], token;
    size_t written, count;
    char *likely = generate(stream, TEXT, &written);
    free(stream);
    /* What is not in the vocabulary separates. */
    sprintf(corpus, "\xEF\xBB\xBFx%sx\r\nab", likely);
    textgen_spans *spans = spans_of(model, corpus, 5);
    stream = start_without(model, spans);
    char *text = generate(stream, TEXT, &written);
    CHECK(longest_copy(text, likely) == 5);
    CHECK_OK(textgen_encode(model, text, written, 0, tokens, &count, &error));
    CHECK(count_copied(spans, tokens, count) == 0);
    free(stream);
    stream = start_without(model, spans);
    for (size_t i = 0; i < TEXT; i++) {
        textgen_lane lane = {.stream = stream, .length = 1, .tokens = &token};
        CHECK_OK(textgen_stream_probabilities(stream, 1, probabilities, work, &error));
        CHECK_OK(textgen_generate(&lane, 1, 0, work, NULL, &error));
        CHECK(token == tokens[i] && probabilities[token] == 1.0);
    }
    CHECK(textgen_stream_get_info(stream).recent == TEXT);
    /* All of the corpus but what is not in the vocabulary is in it; of two tokens that are not, neither is. */
    CHECK_OK(textgen_encode(model, likely, strlen(likely), 0, tokens, &count, &error));
    CHECK(count_copied(spans, tokens, count) == TEXT && count_copied(spans, tokens, 5) == 0);
    CHECK(count_copied(spans, tokens, 6) == 6);
    free(text), free(likely), free(stream);
    textgen_spans_destroy(spans);
}

/* Where each pair of tokens is in the corpus, no token may follow the first one. */
static void check_nothing_left(const textgen_model *model) {
    char *corpus = allocate(9 * MOST_TOKENS * MOST_TOKENS), *end = corpus, text[2 * 4 + 1];
    double probabilities[MOST_TOKENS];
    size_t written;
    for (int64_t pair = 0; pair < (int64_t)MOST_TOKENS * MOST_TOKENS; pair++) {
        end += textgen_model_get_symbol(model, pair / MOST_TOKENS, end);
        end += textgen_model_get_symbol(model, pair % MOST_TOKENS, end);
        *end++ = 'x';
    }
    *end = '\0';
    textgen_spans *spans = spans_of(model, corpus, 1);
    textgen_stream *stream = start_without(model, spans);
    free(generate(stream, 1, &written));
    CHECK_FAILS(textgen_stream_probabilities(stream, 1, probabilities, work, &error), TEXTGEN_NO_TOKEN);
    CHECK_FAILS(textgen_stream_generate(stream, 1, text, sizeof text, &written, work, &error),
                TEXTGEN_NO_TOKEN);
    free(corpus), free(stream);
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
    textgen_spans_destroy(NULL);
    free(memory);
}

int main(int argc, char **argv) {
    loaded file, other;
    CHECK(argc == 3);
    shape.exp64 = textgen_find_exp64(NULL);
    file = load(argv[1], NULL);
    other = load(argv[2], NULL);
    check_draws();
    check_long_texts();
    check_ratios();
    check_streams(file.model);
    check_nothing_left(file.model);
    check_creation(file.model, other.model);
    unload(&file), unload(&other);
    return 0;
}
