/* Makes a corpus of a text: its records, the part that is held out, the vocabulary and the tokens, and what the
 * metadata of a model says of them. */

#include "corpus.h"

#include "sha256.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MIN_TRAINING = 128, MIN_HELD_OUT = 8 /* tokens */ };

/* Bytes of the name of a corpus. */
enum { MAX_NAME = 255 };

/* The default share to hold out, of at most so many characters. */
#define HELD_OUT_SHARE 0.1
#define MAX_HELD_OUT 1e6

/* The share of the training text that consists of its common tokens. */
#define COMMON_SHARE 0.99

/* Default prompts of a model: each is the one of several excerpts that has the most different bytes, which
 * avoids tables and lines of dashes. */
enum { PROMPTS = 10, CANDIDATES = 5, EXCERPT = 60 /* characters */ };

/* What of a text is learned or held out: a record, or a part of a continuous text. */
typedef struct {
    textgen_view text;
    size_t start; /* in the whole text */
    bool is_held_out;
} piece;

/* A text, and where its next piece is. */
typedef struct {
    textgen_view text;
    bool is_bytes, is_lines, has_records;
    bool is_separate; /* whether all of it is held out */
    size_t held_out;  /* the byte at which a continuous text is held out */
    uint64_t hashes;  /* records with a smaller hash are held out */
    size_t offset;
} reader;

/* The text to learn, and another one that is held out, which may be empty. */
typedef struct {
    reader of[2];
} both_texts;

/* ---- Pieces ---- */

/* Return the character at an offset, and move the offset past it. A byte that is not UTF-8 is a character, too:
 * -1. */
static int32_t next_character(textgen_view text, size_t *offset) {
    const int32_t character = textgen_utf8_next(text, offset);
    *offset += character < 0;
    return character;
}

static bool is_space(int32_t character) {
    return (character >= 0x09 && character <= 0x0d) || (character >= 0x1c && character <= 0x20) ||
           character == 0x85 || character == 0xa0 || character == 0x1680 ||
           (character >= 0x2000 && character <= 0x200a) || character == 0x2028 || character == 0x2029 ||
           character == 0x202f || character == 0x205f || character == 0x3000;
}

static bool is_blank(textgen_view line) {
    for (size_t i = 0; i < line.size;) {
        if (!is_space(next_character(line, &i))) {
            return false;
        }
    }
    return true;
}

/* Return the next line with its end; nothing at the end of the text. */
static textgen_view next_line(const reader *from, size_t offset) {
    const unsigned char *start = from->text.data + offset;
    const size_t left = from->text.size - offset;
    const unsigned char *end = left ? memchr(start, '\n', left) : NULL;
    return (textgen_view){start, end ? (size_t)(end - start) + 1 : left};
}

/* Return the first 8 bytes of the digest BLAKE2b-64 as a number: J.-P. Aumasson and others, BLAKE2, RFC 7693.
 */
static uint64_t hash_of(textgen_view text) {
    static const uint64_t initial[8] = {0x6a09e667f3bcc908, 0xbb67ae8584caa73b, 0x3c6ef372fe94f82b,
                                        0xa54ff53a5f1d36f1, 0x510e527fade682d1, 0x9b05688c2b3e6c1f,
                                        0x1f83d9abfb41bd6b, 0x5be0cd19137e2179};
    static const unsigned char order[10][16] = {{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
                                                {14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3},
                                                {11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4},
                                                {7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8},
                                                {9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13},
                                                {2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9},
                                                {12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11},
                                                {13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10},
                                                {6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5},
                                                {10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0}};
    static const unsigned char columns[8][4] = {{0, 4, 8, 12},  {1, 5, 9, 13},  {2, 6, 10, 14}, {3, 7, 11, 15},
                                                {0, 5, 10, 15}, {1, 6, 11, 12}, {2, 7, 8, 13},  {3, 4, 9, 14}};
    static const int rotations[4] = {32, 24, 16, 63};
    uint64_t hash[8];
    memcpy(hash, initial, sizeof hash);
    hash[0] ^= 0x01010000 ^ 8;
    for (size_t start = 0; !start || start < text.size; start += 128) {
        const size_t size = text.size - start < 128 ? text.size - start : 128;
        uint64_t words[16] = {0}, v[16];
        for (size_t i = 0; i < size; i++) {
            words[i / 8] |= (uint64_t)text.data[start + i] << i % 8 * 8;
        }
        memcpy(v, hash, sizeof hash);
        memcpy(v + 8, initial, sizeof initial);
        v[12] ^= start + size;
        v[14] ^= start + size == text.size ? UINT64_MAX : 0;
        for (int round = 0; round < 12; round++) {
            for (int column = 0; column < 8; column++) {
                const unsigned char *at = columns[column];
                for (int half = 0; half < 2; half++) {
                    v[at[0]] += v[at[1]] + words[order[round % 10][2 * column + half]];
                    for (int turn = 0; turn < 2; turn++) {
                        const int to = turn ? 1 : 3, from = turn ? 2 : 0, bits = rotations[2 * half + turn];
                        v[at[2]] += turn ? v[at[3]] : 0;
                        v[at[to]] ^= v[at[from]];
                        v[at[to]] = v[at[to]] >> bits | v[at[to]] << (64 - bits);
                    }
                }
            }
        }
        for (int i = 0; i < 8; i++) {
            hash[i] ^= v[i] ^ v[i + 8];
        }
    }
    uint64_t number = 0;
    for (int i = 0; i < 64; i += 8) {
        number = number << 8 | (hash[0] >> i & 0xff);
    }
    return number;
}

/* Return the next piece, or false at the end. */
static bool next_piece(reader *from, piece *next) {
    const unsigned char *data = from->text.data;
    if (!from->has_records) {
        const size_t start = from->offset, end = start < from->held_out ? from->held_out : from->text.size;
        *next = (piece){{data + start, end - start}, start, start >= from->held_out};
        from->offset = end;
        return start < end;
    }
    size_t start = 0, size = 0;
    for (textgen_view line; (line = next_line(from, from->offset)).size; from->offset += line.size) {
        if (!is_blank(line)) {
            start = size ? start : from->offset;
            size += line.size;
        }
        if (size && (from->is_lines || is_blank(line))) {
            from->offset += from->is_lines ? line.size : 0;
            break;
        }
    }
    const bool is_found = size > 0;
    size -= size && data[start + size - 1] == '\n';
    size -= size && data[start + size - 1] == '\r';
    *next = (piece){{data + start, size}, start, from->is_separate};
    next->is_held_out = next->is_held_out || (is_found && hash_of(next->text) < from->hashes);
    return is_found;
}

static bool next_of_both(both_texts *from, piece *next) {
    return next_piece(&from->of[0], next) || next_piece(&from->of[1], next);
}

/* ---- The held-out part ---- */

static size_t count_characters(textgen_view text) {
    size_t count = 0;
    for (size_t i = 0; i < text.size; count++) {
        next_character(text, &i);
    }
    return count;
}

/* Round to the nearest integer, and a half to an even one. */
static size_t rounded(double number) {
    const size_t floor = (size_t)number;
    const double rest = number - (double)floor;
    return floor + (rest > 0.5 || (rest == 0.5 && floor % 2));
}

/* Return the share to hold out by default: four digits, rounded down, so that a person can type it. */
static double default_share(size_t characters) {
    double scale = 1000.0;
    const double share = MAX_HELD_OUT / (double)characters;
    if (share >= HELD_OUT_SHARE) {
        return HELD_OUT_SHARE;
    }
    while (scale * share < 1000.0) {
        scale *= 10.0;
    }
    return (double)(int64_t)(scale * share) / scale;
}

/* Find where the held-out part is, and return its share. */
static double split(reader *from, double share) {
    size_t characters = 0;
    piece part;
    for (reader copy = *from; next_piece(&copy, &part);) {
        characters += count_characters(part.text);
    }
    share = share > 0.0 ? share : default_share(characters);
    from->hashes = (uint64_t)ceil(share * 18446744073709551616.0);
    const size_t start = characters - rounded((double)characters * share);
    from->held_out = 0;
    for (size_t i = 0; !from->has_records && i < start; i++) {
        next_character(from->text, &from->held_out);
    }
    return share;
}

/* ---- JSON texts ---- */

/* A text that is written, or only counted if `data` is NULL. */
typedef struct {
    char *data;
    size_t size;
} json_output;

static void put(json_output *to, const char *text, size_t size) {
    if (to->data) {
        memcpy(to->data + to->size, text, size);
    }
    to->size += size;
}

static void put_all(json_output *to, const char *text) { put(to, text, strlen(text)); }

static void put_character(json_output *to, uint32_t character) {
    static const char digits[] = "0123456789abcdef";
    char bytes[8] = "\\u00";
    if (character == '"' || character == '\\') {
        bytes[1] = (char)character;
        put(to, bytes, 2);
    } else if (character < 0x20) {
        bytes[4] = digits[character >> 4];
        bytes[5] = digits[character & 15];
        put(to, bytes, 6);
    } else {
        put(to, bytes, textgen_utf8_write(character, bytes));
    }
}

static void put_string(json_output *to, textgen_view text) {
    put_all(to, "\"");
    for (size_t i = 0; i < text.size;) {
        const int32_t character = next_character(text, &i);
        put_character(to, character < 0 ? 0xfffd : (uint32_t)character);
    }
    put_all(to, "\"");
}

/* ---- The vocabulary ---- */

static bool knows(const textgen_vocabulary *vocabulary, size_t code) {
    char text[TEXTGEN_UTF8_BYTES];
    const textgen_view symbol = {(const unsigned char *)text, textgen_utf8_write((uint32_t)code, text)};
    return textgen_vocabulary_find(vocabulary, symbol) >= 0;
}

/* Find the symbols of both texts, which are code points or bytes, without those of a vocabulary, which may be
 * NULL. Return how many there are. has: zeros. codes: set to one more than the largest symbol of the texts. */
static size_t find_symbols(both_texts from, const textgen_vocabulary *known, bool *has, size_t *codes) {
    size_t count = 0;
    *codes = from.of[0].is_bytes ? 256 : 0;
    memset(has, 1, *codes);
    for (piece next; !from.of[0].is_bytes && next_of_both(&from, &next);) {
        for (size_t i = 0; i < next.text.size;) {
            const size_t code = (size_t)next_character(next.text, &i);
            has[code] = true;
            *codes = code < *codes ? *codes : code + 1;
        }
    }
    for (size_t i = 0; i < *codes; i++) {
        has[i] = has[i] && !(known && knows(known, i));
        count += has[i];
    }
    return count;
}

/* Put the symbols in their order after those of a vocabulary; or if it is NULL, before the two special tokens
 * of records. */
static void put_symbols(json_output *to, const char *known, const bool *has, size_t codes, bool has_records) {
    const char *before = known ? ", \"" : "[\"";
    if (known) {
        put(to, known, (size_t)(strrchr(known, ']') - known));
    }
    for (size_t i = 0; i < codes; i++) {
        if (has[i]) {
            put_all(to, before);
            put_character(to, (uint32_t)i);
            put_all(to, "\"");
            before = ", \"";
        }
    }
    put_all(to, has_records && !known ? ", \"\", \"\"]" : "]");
}

/* Write the vocabulary, its special tokens, and what the records are, as JSON. They are in one array, so that
 * errors of the vocabulary have places in it. */
static int32_t write_vocabulary(textgen_corpus *corpus, const textgen_corpus_options *options, const bool *has,
                                size_t codes, const char *special, textgen_error *error) {
    const char *records = options->records;
    json_output to = {NULL, 0};
    size_t starts[2] = {0};
    for (int pass = 0; pass < 2; pass++) {
        to.size = 0;
        if (has) {
            put_symbols(&to, options->vocabulary, has, codes, records != NULL);
        } else {
            put_all(&to, options->vocabulary);
        }
        put(&to, "", 1);
        starts[0] = to.size;
        put(&to, special, strlen(special) + 1);
        starts[1] = to.size;
        put_string(&to, textgen_view_of(records ? records : ""));
        put(&to, "", 1);
        if (!pass && !(to.data = textgen_allocate(&corpus->arena, to.size, 1))) {
            return textgen_out_of_memory(error);
        }
    }
    corpus->vocabulary = to.data;
    corpus->special = *special ? to.data + starts[0] : NULL;
    corpus->records = records ? to.data + starts[1] : NULL;
    corpus->vocabulary_size = to.size;
    return TEXTGEN_OK;
}

/* Read the vocabulary as that of a model file, so that what cannot be written is refused. */
static int32_t read_vocabulary(textgen_corpus *corpus, textgen_vocabulary **vocabulary, textgen_error *error) {
    const char *const entries[][2] = {{"textgen.format", "2"},
                                      {"textgen.level", corpus->level},
                                      {"textgen.normalization", "{\"lowercase\": false, \"unicode\": null}"},
                                      {"textgen.prompts", "[]"},
                                      {"textgen.training", "{}"},
                                      {"textgen.vocabulary", corpus->vocabulary},
                                      {"textgen.special", corpus->special},
                                      {"textgen.records", corpus->records}};
    textgen_property properties[sizeof entries / sizeof *entries];
    textgen_onnx file = {.content = {(const unsigned char *)corpus->vocabulary, corpus->vocabulary_size},
                         .properties = properties,
                         .arena = &corpus->arena};
    for (size_t i = 0; i < sizeof entries / sizeof *entries; i++) {
        if (entries[i][1]) {
            properties[file.property_count++] =
                (textgen_property){textgen_view_of(entries[i][0]), textgen_view_of(entries[i][1])};
        }
    }
    const int32_t code = textgen_vocabulary_create(&file, TEXTGEN_ANY_SIZE, vocabulary, error);
    return code && code != TEXTGEN_OUT_OF_MEMORY
               ? textgen_report_at(error, TEXTGEN_INVALID_ARGUMENT, "vocabulary", -1, "is not valid")
               : code;
}

static int32_t create_vocabulary(textgen_corpus *corpus, const both_texts *from,
                                 const textgen_corpus_options *options, textgen_vocabulary **vocabulary,
                                 textgen_error *error) {
    const bool is_given = options->vocabulary != NULL, is_bytes = from->of[0].is_bytes;
    const char *special = options->special ? options->special : "";
    char of_records[64];
    if (is_given) {
        TEXTGEN_TRY(write_vocabulary(corpus, options, NULL, 0, special, error));
        TEXTGEN_TRY(read_vocabulary(corpus, vocabulary, error));
    }
    if (is_given && (is_bytes || !options->extend)) {
        return TEXTGEN_OK;
    }
    size_t codes;
    bool *has = calloc(TEXTGEN_CODE_POINTS, sizeof *has);
    if (!has) {
        return textgen_out_of_memory(error);
    }
    const size_t symbols = find_symbols(*from, is_given ? *vocabulary : NULL, has, &codes);
    if (options->records && !is_given) {
        snprintf(of_records, sizeof of_records, "{\"begin\": %zu, \"end\": %zu}", symbols, symbols + 1);
        special = of_records;
    }
    int32_t code = symbols < 2 && !is_given ? textgen_report_at(error, TEXTGEN_INVALID_ARGUMENT, "text", -1,
                                                                "must have at least two different characters")
                                            : write_vocabulary(corpus, options, has, codes, special, error);
    free(has);
    return code ? code : read_vocabulary(corpus, vocabulary, error);
}

/* ---- The tokens ---- */

static int compare_counts(const void *a, const void *b) {
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? 1 : x > y ? -1 : 0;
}

/* Write a token, or only count it if there is no data. */
static void put_token(textgen_tokens *tokens, int64_t token) {
    const size_t place = (size_t)tokens->count++;
    if (!tokens->data) {
        return;
    }
    if (tokens->bytes == 1) {
        ((uint8_t *)(uintptr_t)tokens->data)[place] = (uint8_t)token;
    } else if (tokens->bytes == 2) {
        ((uint16_t *)(uintptr_t)tokens->data)[place] = (uint16_t)token;
    } else {
        ((uint32_t *)(uintptr_t)tokens->data)[place] = (uint32_t)token;
    }
}

/* Encode the next symbol of a piece. The encoder has the whole text, so that a byte-order mark within it is a
 * character. */
static textgen_encoder encoder_of(const piece *from) {
    return (textgen_encoder){(const char *)from->text.data - from->start, from->start + from->text.size,
                             from->start, 0};
}

/* Encode both texts, or only count their tokens. */
static int32_t encode(textgen_corpus *corpus, const textgen_vocabulary *vocabulary, both_texts from,
                      textgen_error *error) {
    textgen_tokens *parts[] = {&corpus->training, &corpus->held_out};
    parts[0]->count = parts[1]->count = 0;
    for (piece next; next_of_both(&from, &next);) {
        textgen_encoder encoder = encoder_of(&next);
        int64_t token = 0;
        int32_t code;
        while ((code = textgen_encode_next(vocabulary, &encoder, &token, error)) > 0) {
            put_token(parts[next.is_held_out], token);
        }
        if (code && error && next.is_held_out && from.of[1].is_separate) {
            error->parameter = "held_out_text";
        }
        TEXTGEN_TRY(code);
        if (vocabulary->records) {
            put_token(parts[next.is_held_out], vocabulary->special.end);
        }
    }
    return TEXTGEN_OK;
}

/* Find how many of the tokens are common. */
static int32_t count_common(textgen_corpus *corpus, textgen_error *error) {
    const double most = COMMON_SHARE * (double)corpus->training.count;
    uint64_t *counts = calloc(corpus->info.vocabulary, sizeof *counts);
    if (!counts) {
        return textgen_out_of_memory(error);
    }
    for (int64_t i = 0; i < corpus->training.count; i++) {
        counts[textgen_token_at(&corpus->training, i)]++;
    }
    qsort(counts, corpus->info.vocabulary, sizeof *counts, compare_counts);
    for (double sum = 0.0; sum < most; corpus->info.common++) {
        sum += (double)counts[corpus->info.common];
    }
    free(counts);
    return TEXTGEN_OK;
}

/* Create the tokens. The first token of a continuous text that is held out separately is not scored: it is
 * removed from `from`. */
static int32_t create_tokens(textgen_corpus *corpus, const textgen_vocabulary *vocabulary, both_texts *from,
                             textgen_error *error) {
    textgen_corpus_info *info = &corpus->info;
    const textgen_special *special = &vocabulary->special;
    const int bytes = vocabulary->count <= 1 << 8 ? 1 : vocabulary->count <= 1 << 16 ? 2 : 4;
    textgen_tokens *parts[] = {&corpus->training, &corpus->held_out};
    const bool is_separate = from->of[1].is_separate;
    info->vocabulary = vocabulary->count;
    corpus->training = corpus->held_out =
        (textgen_tokens){NULL, bytes, 0, (int32_t)special->begin, (int32_t)special->end};
    corpus->before = (int32_t)special->begin;
    if (is_separate && !vocabulary->records) {
        reader *other = &from->of[1];
        textgen_encoder first = {(const char *)other->text.data, other->text.size, 0, 0};
        int64_t token = 0;
        const int32_t code = textgen_encode_next(vocabulary, &first, &token, error);
        if (code < 0) {
            if (error) {
                error->parameter = "held_out_text";
            }
            return code;
        }
        corpus->before = (int32_t)token;
        other->offset = first.offset;
    }
    TEXTGEN_TRY(encode(corpus, vocabulary, *from, error));
    info->training_tokens = (size_t)parts[0]->count;
    info->held_out_tokens = (size_t)parts[1]->count;
    if (info->training_tokens < MIN_TRAINING || info->held_out_tokens < MIN_HELD_OUT) {
        return textgen_report_at(
            error, TEXTGEN_INVALID_ARGUMENT,
            is_separate && info->training_tokens >= MIN_TRAINING ? "held_out_text" : "text", -1,
            "must have at least %d tokens to learn and %d that are held out, and has %zu and %zu", MIN_TRAINING,
            MIN_HELD_OUT, info->training_tokens, info->held_out_tokens);
    }
    for (int i = 0; i < 2; i++) {
        parts[i]->data = textgen_allocate(&corpus->arena, (size_t)parts[i]->count, (size_t)bytes);
        if (!parts[i]->data) {
            return textgen_out_of_memory(error);
        }
    }
    TEXTGEN_TRY(encode(corpus, vocabulary, *from, error));
    if (corpus->before < 0) {
        corpus->before = textgen_token_at(parts[0], parts[0]->count - 1);
    }
    both_texts copy = *from;
    for (piece next; next_of_both(&copy, &next);) {
        const bool is_record = vocabulary->records;
        *(next.is_held_out ? &info->held_out_records : &info->training_records) += is_record;
        *(next.is_held_out ? &info->held_out_characters : &info->training_characters) +=
            count_characters(next.text) + is_record;
    }
    return count_common(corpus, error);
}

/* ---- Metadata ---- */

static bool ends_word(unsigned char byte) { return byte == ' ' || byte == '\n'; }

/* Return the excerpt of a text from about `start` on, of complete words if there are spaces. */
static textgen_view excerpt_at(textgen_view text, size_t start) {
    while (start < text.size && (text.data[start] & 0xc0) == 0x80) {
        start++;
    }
    size_t word = start;
    for (size_t i = start; word == start && i < text.size && i < start + EXCERPT; i++) {
        word = ends_word(text.data[i]) ? i + 1 : word;
    }
    size_t end = word;
    for (int i = 0; i < EXCERPT && end < text.size; i++) {
        next_character(text, &end);
    }
    size_t complete = end;
    while (complete < text.size && complete > word && !ends_word(text.data[complete]) &&
           !ends_word(text.data[complete - 1])) {
        complete--;
    }
    return (textgen_view){text.data + word, (complete > word ? complete : end) - word};
}

static int count_bytes(textgen_view text) {
    bool has[256] = {false};
    int count = 0;
    for (size_t i = 0; i < text.size; i++) {
        count += !has[text.data[i]];
        has[text.data[i]] = true;
    }
    return count;
}

/* Whether a part of a text has no unknown characters. */
static bool is_known(const textgen_vocabulary *vocabulary, textgen_view text, textgen_view part) {
    const piece known = {part, (size_t)(part.data - text.data), false};
    textgen_encoder encoder = encoder_of(&known);
    int64_t token = 0;
    while (token >= 0 && textgen_encode_known(vocabulary, &encoder, &token, NULL) > 0) {
    }
    return token >= 0;
}

/* Excerpts of the training text. A record needs no prompt, and bytes that are not UTF-8 are none. */
static void put_prompts(json_output *to, const reader *from, const textgen_vocabulary *vocabulary) {
    const textgen_view text = {from->text.data, from->held_out};
    const bool has_prompts =
        !from->has_records && textgen_utf8_valid(text) && !memchr(text.data, '\0', text.size);
    const char *before = "";
    put_all(to, "[");
    for (size_t i = 0; has_prompts && i < PROMPTS; i++) {
        textgen_view best = {NULL, 0};
        for (size_t k = 0; k < CANDIDATES; k++) {
            const size_t place = text.size / (PROMPTS * CANDIDATES + 1) * (i * CANDIDATES + k);
            const textgen_view found = excerpt_at(text, place);
            best = count_bytes(found) > count_bytes(best) && is_known(vocabulary, text, found) ? found : best;
        }
        if (best.size) {
            put_all(to, before);
            put_string(to, best);
            before = ", ";
        }
    }
    put_all(to, "]");
}

static void put_normalization(json_output *to, const textgen_corpus_options *options) {
    put_all(to, options->lowercase ? "{\"lowercase\": true, \"unicode\": "
                                   : "{\"lowercase\": false, \"unicode\": ");
    put_all(to, options->unicode ? "\"" : "null");
    put_all(to, options->unicode ? options->unicode : "");
    put_all(to, options->unicode ? "\"}" : "}");
}

static int32_t create_metadata(textgen_corpus *corpus, const textgen_corpus_options *options,
                               const reader *from, const textgen_vocabulary *vocabulary, textgen_error *error) {
    char **written[] = {&corpus->name, &corpus->normalization, &corpus->prompts};
    for (size_t i = 0; i < 3; i++) {
        json_output to = {NULL, 0};
        for (int pass = 0; pass < 2; pass++) {
            to.size = 0;
            if (i == 0) {
                put_string(&to, textgen_view_of(options->name));
            } else if (i == 1) {
                put_normalization(&to, options);
            } else {
                put_prompts(&to, from, vocabulary);
            }
            if (!pass && !(to.data = *written[i] = textgen_allocate(&corpus->arena, to.size + 1, 1))) {
                return textgen_out_of_memory(error);
            }
        }
    }
    return TEXTGEN_OK;
}

/* ---- Corpora ---- */

static bool is_one_of(const char *text, const char *a, const char *b) {
    return !text || !strcmp(text, a) || !strcmp(text, b);
}

static int32_t check_options(const textgen_corpus_options *options, textgen_error *error) {
    const char *wrong =
        !options->name || strlen(options->name) > MAX_NAME                                  ? "name"
        : !is_one_of(options->level, "character", "byte") && strcmp(options->level, "word") ? "level"
        : options->level && !strcmp(options->level, "word") && !options->vocabulary         ? "vocabulary"
        : !is_one_of(options->records, "lines", "blank")                                    ? "records"
        : !(options->held_out >= 0.0 && options->held_out < 1.0)                            ? "held_out"
        : !is_one_of(options->unicode, "NFC", "NFD") && !is_one_of(options->unicode, "NFKC", "NFKD") ? "unicode"
                                                                                                     : NULL;
    return wrong ? textgen_report_at(error, TEXTGEN_INVALID_ARGUMENT, wrong, -1, "is not valid") : TEXTGEN_OK;
}

/* Copy a text without a byte-order mark, with the line ends \n. Return its size. */
static size_t normalize(textgen_view text, unsigned char *to) {
    size_t size = 0, i = text.size >= 3 && !memcmp(text.data, "\xef\xbb\xbf", 3) ? 3 : 0;
    for (; i < text.size; i++) {
        const bool is_return = text.data[i] == '\r';
        to[size++] = is_return ? '\n' : text.data[i];
        i += is_return && i + 1 < text.size && text.data[i + 1] == '\n';
    }
    return size;
}

static int32_t check_utf8(textgen_view text, const char *name, textgen_error *error) {
    for (size_t i = 0; i < text.size;) {
        if (textgen_utf8_next(text, &i) < 0) {
            return textgen_report_at(error, TEXTGEN_INVALID_UTF8, name, (int64_t)i, "is not UTF-8 there");
        }
    }
    return TEXTGEN_OK;
}

/* Describe a text. normalized: memory for it, or NULL for bytes. */
static int32_t open_text(reader *from, textgen_view text, const char *name, unsigned char *normalized,
                         textgen_error *error) {
    if (normalized) {
        TEXTGEN_TRY(check_utf8(text, name, error));
        text = (textgen_view){normalized, normalize(text, normalized)};
    }
    from->text = text;
    from->held_out = from->is_separate ? 0 : text.size;
    return TEXTGEN_OK;
}

void textgen_hash(textgen_view content, char digits[TEXTGEN_HASH_DIGITS + 1]) {
    textgen_sha256 sum;
    unsigned char digest[TEXTGEN_SHA256_SIZE];
    textgen_sha256_init(&sum);
    textgen_sha256_add(&sum, content.data, content.size);
    textgen_sha256_end(&sum, digest);
    for (size_t i = 0; i < sizeof digest; i++) {
        digits[2 * i] = "0123456789abcdef"[digest[i] >> 4];
        digits[2 * i + 1] = "0123456789abcdef"[digest[i] & 15];
    }
}

static int32_t fill(textgen_corpus *corpus, textgen_view text, const textgen_corpus_options *options,
                    unsigned char *normalized, textgen_error *error) {
    static const char *const levels[] = {"\"character\"", "\"byte\"", "\"word\""};
    textgen_view other = {options->held_out_text, options->held_out_size};
    textgen_vocabulary *vocabulary;
    size_t level = 0;
    while (options->level && strcmp(options->level, textgen_level_names[level])) {
        level++;
    }
    corpus->level = levels[level];
    both_texts from = {{{.is_bytes = level == TEXTGEN_BYTE_LEVEL,
                         .has_records = options->records != NULL,
                         .is_lines = options->records && !strcmp(options->records, "lines")}}};
    reader *first = &from.of[0], *second = &from.of[1];
    *second = *first;
    second->is_separate = other.data != NULL;
    second->text.data = normalized;
    normalized = first->is_bytes ? NULL : normalized;
    TEXTGEN_TRY(open_text(first, text, "text", normalized, error));
    if (other.data) {
        normalized = normalized ? normalized + first->text.size : NULL;
        TEXTGEN_TRY(open_text(second, other, "held_out_text", normalized, error));
    } else {
        corpus->info.held_out = split(first, options->held_out);
    }
    textgen_hash(text, corpus->sha256);
    TEXTGEN_TRY(create_vocabulary(corpus, &from, options, &vocabulary, error));
    corpus->symbols = vocabulary;
    TEXTGEN_TRY(create_tokens(corpus, vocabulary, &from, error));
    return create_metadata(corpus, options, first, vocabulary, error);
}

int32_t textgen_corpus_create(const void *text, size_t size, const textgen_corpus_options *options,
                              textgen_corpus **corpus, textgen_error *error) {
    void *object;
    TEXTGEN_TRY(check_options(options, error));
    TEXTGEN_TRY(textgen_object_create((textgen_memory){NULL, 0}, sizeof **corpus, &object, error));
    const size_t other = options->held_out_text ? options->held_out_size : 0;
    unsigned char *normalized = size < SIZE_MAX - other ? malloc(size + other + 1) : NULL;
    int32_t code = normalized ? fill(object, (textgen_view){text, size}, options, normalized, error)
                              : textgen_out_of_memory(error);
    free(normalized);
    if (code) {
        textgen_release(object);
        return code;
    }
    *corpus = object;
    return TEXTGEN_OK;
}

void textgen_corpus_destroy(textgen_corpus *corpus) { textgen_release(corpus); }

const textgen_corpus_info *textgen_corpus_get_info(const textgen_corpus *corpus) { return &corpus->info; }

textgen_corpus_content textgen_corpus_get_content(const textgen_corpus *corpus) {
    return (textgen_corpus_content){.training = corpus->training.data,
                                    .held_out = corpus->held_out.data,
                                    .bytes = corpus->training.bytes,
                                    .before = corpus->before,
                                    .vocabulary = corpus->vocabulary,
                                    .special = corpus->special,
                                    .prompts = corpus->prompts,
                                    .sha256 = corpus->sha256};
}
