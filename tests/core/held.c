/* Tests that a text of bytes is decided in whole characters, and that its chunks are the text: held. The logits
 * of each draw allow one byte. */
#include "check.h"

#include "lane.h"

#include <math.h>

enum { BYTES = 256, MOST_LENGTH = 64 };

/* One bit for each beginning of 1 to 3 bytes of a longer character. */
static unsigned char beginnings[4][1 << 21];

static textgen_shape shape = {.vocabulary = BYTES, .special = {-1, -1, -1}, .is_bytes = true};

static unsigned number_of(const unsigned char *bytes, size_t size) {
    unsigned number = 0;
    while (size > 0) {
        number = number << 8 | bytes[--size];
    }
    return number;
}

static void list_beginnings(void) {
    unsigned char bytes[TEXTGEN_UTF8_BYTES];
    for (uint32_t code = 0; code < TEXTGEN_CODE_POINTS; code++) {
        if (code < 0xD800 || code > 0xDFFF) {
            const size_t all = textgen_utf8_write(code, (char *)bytes);
            for (size_t size = 1; size < all; size++) {
                const unsigned number = number_of(bytes, size);
                beginnings[size][number / 8] |= (unsigned char)(1 << number % 8);
            }
        }
    }
}

/* How many of the last bytes of a text are the beginning of a character. */
static size_t find_beginning(const unsigned char *text, size_t size) {
    size_t longest = 0;
    for (size_t last = 1; last <= 3 && last <= size; last++) {
        const unsigned number = number_of(text + size - last, last);
        longest = beginnings[last][number / 8] >> number % 8 & 1 ? last : longest;
    }
    return longest;
}

static textgen_text *new_text(void) {
    textgen_text *text = allocate(textgen_text_size(&shape));
    textgen_text_init(&shape, text, (textgen_uint128){0, 1}, 0);
    text->parameters.temperature = 0.0;
    textgen_text_feed(&shape, text, true);
    return text;
}

/* Draw bytes, and append those that are decided to `decided`. Return how many. */
static size_t draw(textgen_text *text, const textgen_stop_state *stops, const unsigned char *bytes, size_t size,
                   unsigned char *decided) {
    static int64_t tokens[TEXTGEN_MAX_HELD + MOST_LENGTH];
    static double scratch[16 * BYTES];
    textgen_lane_call lane = {.text = text, .guide = {.stops = stops}, .tokens = tokens};
    float logits[BYTES], masked[BYTES];
    lane.length = (int64_t)size;
    textgen_lane_begin(&shape, &lane);
    for (size_t i = 0; i < BYTES; i++) {
        logits[i] = -INFINITY;
    }
    for (size_t i = 0; i < size; i++) {
        logits[bytes[i]] = 0.0f;
        CHECK(lane.ending == TEXTGEN_CONTINUES);
        CHECK(textgen_lane_draw(&shape, &lane, logits, masked, scratch) == bytes[i]);
        lane.ending = textgen_lane_ending(&shape, &lane);
        logits[bytes[i]] = -INFINITY;
    }
    CHECK(lane.ending == (size ? TEXTGEN_REACHED_LENGTH : TEXTGEN_CONTINUES));
    textgen_lane_finish(&shape, &lane);
    for (size_t i = 0; i < (size_t)lane.decided; i++) {
        decided[i] = (unsigned char)tokens[i];
    }
    return (size_t)lane.decided;
}

/* All texts of three bytes at the limits of UTF-8. */
static void check_limits(void) {
    static const unsigned char limits[] = {0x00, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF,
                                           0xC0, 0xC1, 0xC2, 0xDF, 0xE0, 0xE1, 0xEC, 0xED,
                                           0xEE, 0xEF, 0xF0, 0xF1, 0xF3, 0xF4, 0xF5, 0xFF};
    enum { LIMITS = sizeof limits };
    for (size_t i = 0; i < (size_t)LIMITS * LIMITS * LIMITS; i++) {
        const unsigned char bytes[] = {limits[i % LIMITS], limits[i / LIMITS % LIMITS],
                                       limits[i / LIMITS / LIMITS]};
        unsigned char decided[3];
        textgen_text *text = new_text();
        CHECK(draw(text, NULL, bytes, 3, decided) == 3 - find_beginning(bytes, 3));
        free(text);
    }
}

/* Draw a text in chunks that end at the set bits. pending: how many of the first bytes, at each length, are the
 * beginning of a stop text. */
static void check_chunks(const unsigned char *bytes, size_t size, uint64_t ends,
                         const textgen_stop_state *stops, const size_t *pending) {
    unsigned char decided[MOST_LENGTH];
    textgen_text *text = new_text();
    size_t shown = 0, first = 0, i;
    for (size_t end = 1; end <= size; end++) {
        if (end == size || ends >> end & 1) {
            shown += draw(text, stops, bytes + first, end - first, decided + shown);
            first = end;
            i = end - pending[end];
            CHECK(shown == i - find_beginning(bytes, i) && !memcmp(decided, bytes, shown));
        }
    }
    for (i = shown; i < size; i++) {
        CHECK(textgen_text_find(&shape, text).held[i - shown] == bytes[i]);
    }
    CHECK(text->held == (int64_t)(size - shown));
    free(text);
}

/* A text that its constraint ends within a character holds nothing back, because nothing may follow. */
static void check_complete(void) {
    static int16_t next[2 * BYTES];
    static int32_t distance[] = {1, -1};
    const textgen_constraint constraint = {next, distance, 2, BYTES, {0}, {0}};
    int64_t tokens[TEXTGEN_MAX_HELD + 1];
    textgen_lane_call lane = {.guide = {.constraint = &constraint}, .tokens = tokens, .length = 9};
    float logits[BYTES] = {0.0f};
    double scratch[16 * BYTES];
    for (size_t i = 0; i < 2 * (size_t)BYTES; i++) {
        next[i] = i == 0xC3 ? 1 : -1;
    }
    lane.text = new_text();
    textgen_lane_begin(&shape, &lane);
    logits[0xC3] = 1.0f;
    CHECK(textgen_lane_draw(&shape, &lane, logits, logits, scratch) == 0xC3);
    lane.ending = textgen_lane_ending(&shape, &lane);
    textgen_lane_finish(&shape, &lane);
    CHECK(lane.ending == TEXTGEN_CONSTRAINT_END && lane.decided == 1 && lane.text->held == 0);
    free(lane.text);
}

int main(void) {
    static const unsigned char bytes[] = "a\xC3\xA9\xE2\x82\xAC\xF0\x9D\x84\x9E\xFF\xC3"
                                         "b\xE2\x82\xF0\x9D\x84\x80\x80\xED\xA0\x80\xF4\x90\xC3\xA9\xC3";
    static const int64_t stop[2][3] = {{0xA9, 0xE2, 0x83}, {0x9D, 0x84, 'c'}};
    const size_t size = sizeof bytes - 1;
    size_t pending[MOST_LENGTH] = {0}, none[MOST_LENGTH] = {0}, count = 1;
    textgen_stop_state states[8] = {{0}};
    uint64_t state = 1;
    for (size_t i = 0; i < 2; i++) {
        count = textgen_stops_add(states, count, stop[i], 3);
        for (size_t length = 0; length <= size; length++) {
            for (size_t j = 1; j < 3 && j <= length; j++) {
                const bool begins =
                    bytes[length - j] == stop[i][0] && (j < 2 || bytes[length - 1] == stop[i][1]);
                pending[length] = begins && j > pending[length] ? j : pending[length];
            }
        }
    }
    textgen_stops_link(states);
    shape.exp64 = textgen_find_exp64(NULL);
    list_beginnings();
    check_limits();
    check_complete();
    for (size_t first = 1; first < size; first++) {
        for (size_t second = first; second < size; second++) {
            const uint64_t ends = (uint64_t)1 << first | (uint64_t)1 << second;
            check_chunks(bytes, size, ends, NULL, none);
            check_chunks(bytes, size, ends, states, pending);
        }
    }
    for (size_t i = 0; i < 1000; i++) {
        check_chunks(bytes, size, next_random(&state), states, pending);
    }
    return 0;
}
