/* Tests tokens, scores and the next tokens: inspect MODEL EQUAL UNKNOWN BROKEN.
 *
 * The vocabulary of MODEL contains "abc", and not "x". EQUAL has the same logits for all tokens. The vocabulary
 * of UNKNOWN is "a" and a symbol for unknown characters. The logits of BROKEN become infinite. */
#include "check.h"

#include "handles.h"

#include <math.h>

enum { LENGTH = 100, TEXT_SIZE = LENGTH * 4 + 1, MOST_TOKENS = 300, MORE = 5 };

static textgen_stream *copy_of(const textgen_model *model, const textgen_stream *stream) {
    const size_t size = textgen_stream_size(model);
    textgen_stream *copy;
    CHECK_OK(textgen_stream_copy(stream, allocate(size), size, &copy, ERROR));
    return copy;
}

static double exponential(double x) {
    double result;
    (void)textgen_find_exp64(NULL)->exponentials(&x, 1, 0.0, 1.0, false, &result);
    return result;
}

/* Each symbol is that of its token. Return how many tokens have no symbol. */
static size_t check_symbols(const textgen_model *model) {
    textgen_model_info info = TEXTGEN_MODEL_INFO_DEFAULT;
    size_t without = 0;
    CHECK_OK(textgen_model_get_info(model, &info, ERROR));
    char *symbol = allocate(info.symbol_bytes);
    for (size_t i = 0; i < info.vocabulary; i++) {
        const size_t size = textgen_model_get_symbol(model, (int64_t)i, symbol);
        CHECK(size <= info.symbol_bytes);
        CHECK(!size || textgen_model_get_token(model, symbol, size) == (int64_t)i);
        without += !size;
    }
    CHECK(textgen_model_get_symbol(model, -1, symbol) == 0 && textgen_model_get_symbol(NULL, 0, symbol) == 0);
    CHECK(textgen_model_get_symbol(model, (int64_t)info.vocabulary, symbol) == 0);
    CHECK(textgen_model_get_symbol(model, 0, NULL) == 0);
    CHECK(textgen_model_get_token(model, "\xC3", 1) == -1 && textgen_model_get_token(model, "", 0) == -1);
    CHECK(textgen_model_get_token(NULL, "a", 1) == -1 && textgen_model_get_token(model, NULL, 1) == -1);
    free(symbol);
    return without;
}

/* The log-probabilities of drawn tokens are the scores of the same text. */
static void check_scores(const textgen_model *model) {
    const size_t size = textgen_workspace_size(model, 1);
    textgen_stream *scored = start(model, 1.3, 3, 0, "abc"), *fed = start(model, 1.3, 3, 0, "abc");
    double drawn[LENGTH], scores[LENGTH];
    char text[TEXT_SIZE];
    textgen_lane lane = TEXTGEN_LANE_DEFAULT;
    void *workspace = allocate(size);
    size_t count = 9;
    lane.stream = start(model, 1.3, 3, 0, "abc");
    lane.length = LENGTH;
    lane.text = text;
    lane.size = sizeof text;
    lane.logprobs = drawn;
    CHECK_OK(textgen_generate(&lane, 1, workspace, size, ERROR));
    CHECK(lane.drawn == LENGTH);
    CHECK_FAILS(textgen_stream_score(scored, text, lane.written, scores, LENGTH - 1, &count, ERROR),
                TEXTGEN_BUFFER_TOO_SMALL, "logprobs has 99 elements; 100 are needed");
    CHECK_FAILS(textgen_stream_score(scored, "abx", 3, scores, LENGTH, &count, ERROR),
                TEXTGEN_UNKNOWN_CHARACTER, "'x'");
    CHECK_INVALID(textgen_stream_score(NULL, "a", 1, scores, LENGTH, &count, ERROR), "stream is NULL");
    CHECK_INVALID(textgen_stream_score(scored, "a", 1, NULL, LENGTH, &count, ERROR), "logprobs is NULL");
    CHECK_INVALID(textgen_stream_score(scored, "a", 1, scores, LENGTH, NULL, ERROR), "count is NULL");
    CHECK(count == 9);
    CHECK_OK(textgen_stream_score(scored, text, lane.written, scores, LENGTH, &count, ERROR));
    CHECK(count == LENGTH && !memcmp(scores, drawn, sizeof drawn));
    CHECK_OK(textgen_stream_score(scored, NULL, 0, scores, 0, &count, ERROR));
    CHECK(count == 0);
    CHECK_OK(textgen_stream_feed(fed, text, lane.written, ERROR));
    check_same_text(scored, fed);
    free(scored), free(fed), free(lane.stream), free(workspace);
}

static bool is_in_order(const textgen_next_token *one, const textgen_next_token *other) {
    if (one->draw_probability != other->draw_probability) {
        return one->draw_probability > other->draw_probability;
    }
    return one->probability > other->probability ||
           (one->probability == other->probability && one->token < other->token);
}

/* Check the lists of all lengths, and return the longest one. The stream goes on as before. */
static const textgen_next_token *check_lists(const textgen_model *model, textgen_stream *stream,
                                             size_t vocabulary) {
    static textgen_next_token all[MOST_TOKENS], some[MOST_TOKENS + MORE];
    textgen_stream *copy = copy_of(model, stream);
    size_t written;
    CHECK_OK(textgen_stream_next(stream, all, vocabulary, &written, ERROR));
    CHECK(written == vocabulary);
    for (size_t i = 1; i < vocabulary; i++) {
        CHECK(is_in_order(&all[i - 1], &all[i]));
    }
    for (size_t count = 0; count <= vocabulary + MORE; count++) {
        CHECK_OK(textgen_stream_next(stream, some, count, &written, ERROR));
        CHECK(written == (count < vocabulary ? count : vocabulary));
        CHECK(!memcmp(some, all, written * sizeof *all));
    }
    check_same_text(stream, copy);
    free(copy);
    return all;
}

/* The probabilities are those of scores, and of the temperature after top_k. */
static void check_next(const textgen_model *model, size_t top_k) {
    textgen_sampling sampling = TEXTGEN_SAMPLING_DEFAULT;
    const size_t vocabulary = model->shape.vocabulary;
    double scores[MOST_TOKENS], sum = 0.0, drawn_sum = 0.0, weights = 0.0;
    sampling.temperature = 0.7;
    sampling.top_k = top_k;
    textgen_stream *stream = start_with(model, &sampling, "abcab");
    textgen_stream *before = copy_of(model, stream);
    const textgen_next_token *all = check_lists(model, stream, vocabulary);
    for (size_t i = 0; i < vocabulary; i++) {
        textgen_stream *copy = copy_of(model, before);
        char symbol[4];
        const size_t size = textgen_model_get_symbol(model, all[i].token, symbol);
        size_t count;
        CHECK_OK(textgen_stream_score(copy, symbol, size, &scores[i], 1, &count, ERROR));
        CHECK(fabs(all[i].probability - exponential(scores[i])) < 1e-12);
        weights += !top_k || i < top_k ? exponential(scores[i] / 0.7) : 0.0;
        sum += all[i].probability;
        drawn_sum += all[i].draw_probability;
        free(copy);
    }
    for (size_t i = 0; i < vocabulary; i++) {
        const double weight = !top_k || i < top_k ? exponential(scores[i] / 0.7) : 0.0;
        CHECK(fabs(all[i].draw_probability - weight / weights) < 1e-12);
    }
    CHECK(fabs(sum - 1.0) < 1e-12 && fabs(drawn_sum - 1.0) < 1e-12);
    free(stream), free(before);
}

static void check_wrong_arguments(const textgen_model *model, const textgen_model *broken) {
    textgen_stream *stream = start(model, 1.0, 1, 0, NULL), *failing = start(broken, 1.0, 1, 0, "abc");
    char text[TEXT_SIZE];
    size_t written = 9;
    CHECK_FAILS(textgen_stream_generate(failing, LENGTH, text, TEXT_SIZE, NULL, ERROR), TEXTGEN_INVALID_LOGITS,
                "logits");
    textgen_next_token token;
    CHECK_FAILS(textgen_stream_next(stream, &token, 1, &written, ERROR), TEXTGEN_NO_PROMPT, "feed");
    double score;
    CHECK_FAILS(textgen_stream_score(stream, "a", 1, &score, 1, &written, ERROR), TEXTGEN_NO_PROMPT, "feed");
    CHECK_INVALID(textgen_stream_next(NULL, &token, 1, &written, ERROR), "stream is NULL");
    CHECK_INVALID(textgen_stream_next(stream, NULL, 1, &written, ERROR), "tokens is NULL");
    CHECK_INVALID(textgen_stream_next(stream, &token, 1, NULL, ERROR), "written is NULL");
    CHECK_FAILS(textgen_stream_next(failing, &token, 1, &written, ERROR), TEXTGEN_INVALID_LOGITS, "logits");
    CHECK(written == 9);
    CHECK_OK(textgen_stream_score(failing, "a", 1, &score, 1, &written, ERROR));
    CHECK(isnan(score) && written == 1);
    free(stream), free(failing);
}

/* The symbol of unknown characters is never drawn. */
static void check_unknown(const textgen_model *model) {
    textgen_stream *stream = start(model, 1.0, 1, 0, "a");
    double scores[2];
    CHECK(check_symbols(model) == 1);
    size_t count;
    CHECK_OK(textgen_stream_score(stream, "ax", 2, scores, 2, &count, ERROR));
    CHECK(count == 2 && scores[0] == 0.0 && scores[1] == -INFINITY);
    free(stream);
}

int main(int count, char **arguments) {
    CHECK(count == 5);
    loaded model = load(arguments[1], NULL);
    loaded equal = load(arguments[2], NULL);
    loaded unknown = load(arguments[3], NULL);
    loaded broken = load(arguments[4], NULL);
    CHECK(check_symbols(model.model) == 0);
    check_scores(model.model);
    check_next(model.model, 0);
    check_next(model.model, 4);
    textgen_stream *stream = start(equal.model, 0.0, 1, 0, "abc");
    const textgen_next_token *tokens = check_lists(equal.model, stream, equal.model->shape.vocabulary);
    for (size_t i = 0; i < equal.model->shape.vocabulary; i++) {
        CHECK(tokens[i].token == (int64_t)i);
    }
    free(stream);
    check_wrong_arguments(model.model, broken.model);
    check_unknown(unknown.model);
    unload(&model), unload(&equal), unload(&unknown), unload(&broken);
    return 0;
}
