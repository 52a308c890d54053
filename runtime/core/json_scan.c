#include "json_scan.h"

#include "json.h"

#include <string.h>

void textgen_json_skip_space(textgen_json_cursor *at) {
    while (at->next < at->end &&
           (*at->next == ' ' || *at->next == '\t' || *at->next == '\n' || *at->next == '\r')) {
        at->next++;
    }
}

bool textgen_json_accept(textgen_json_cursor *at, char byte) {
    if (at->next < at->end && *at->next == (unsigned char)byte) {
        at->next++;
        return true;
    }
    return false;
}

static bool accept_word(textgen_json_cursor *at, const char *word) {
    const size_t size = strlen(word);
    if ((size_t)(at->end - at->next) < size || memcmp(at->next, word, size) != 0) {
        return false;
    }
    at->next += size;
    return true;
}

static int hexadecimal(unsigned char digit) {
    return digit >= '0' && digit <= '9'   ? digit - '0'
           : digit >= 'a' && digit <= 'f' ? digit - 'a' + 10
           : digit >= 'A' && digit <= 'F' ? digit - 'A' + 10
                                          : -1;
}

/* Read the four digits of a \u escape. Return -1 if they are invalid. */
static int32_t code_unit(textgen_json_cursor *at) {
    int32_t unit = 0;
    if (at->end - at->next < 4) {
        return -1;
    }
    for (int i = 0; i < 4; i++) {
        const int digit = hexadecimal(*at->next++);
        if (digit < 0) {
            return -1;
        }
        unit = unit * 16 + digit;
    }
    return unit;
}

int32_t textgen_json_escape(textgen_json_cursor *at) {
    static const char letters[] = "\"\\/bfnrt";
    static const char meanings[] = "\"\\/\b\f\n\r\t";
    if (at->next >= at->end) {
        return -1;
    }
    const unsigned char letter = *at->next++;
    if (letter != 'u') {
        const char *found = letter == '\0' ? NULL : strchr(letters, letter);
        return found ? meanings[found - letters] : -1;
    }
    const int32_t unit = code_unit(at);
    if (unit >= 0xD800 && unit < 0xDC00) {
        textgen_json_cursor after = *at;
        if (accept_word(&after, "\\u")) {
            const int32_t low = code_unit(&after);
            if (low >= 0xDC00 && low < 0xE000) {
                *at = after;
                return 0x10000 + (unit - 0xD800) * 0x400 + (low - 0xDC00);
            }
        }
    }
    return unit;
}

static bool skip_string(textgen_json_cursor *at) {
    if (!textgen_json_accept(at, '"')) {
        return false;
    }
    while (at->next < at->end) {
        const unsigned char byte = *at->next++;
        if (byte == '"') {
            return true;
        }
        if (byte < 0x20 || (byte == '\\' && textgen_json_escape(at) < 0)) {
            return false;
        }
    }
    return false;
}

static size_t skip_digits(textgen_json_cursor *at) {
    const unsigned char *start = at->next;
    while (at->next < at->end && *at->next >= '0' && *at->next <= '9') {
        at->next++;
    }
    return (size_t)(at->next - start);
}

/* Whether a number is finite as a float64. `digits` are its digits before the point, `fraction` those after. */
static bool is_finite(textgen_view digits, textgen_view fraction, int64_t exponent) {
    /* 2^1024 - 2^970, the smallest number that rounds to infinity. */
    static const char too_large[] =
        "179769313486231580793728971405303415079934132710037826936173778980444968292764750946649017977587"
        "207096330286416692887910946555547851940402630657488671505820681908902000708383676273854845817711"
        "531764475730270069855571366959622842914819860834936475292719074168444365510704342711559699508093"
        "042880177904174497792";
    enum { MAX_POWER = 308, COMPARED = sizeof too_large - 1 };
    size_t zeros = 0;
    if (digits.data[0] == '0') {
        while (zeros < fraction.size && fraction.data[zeros] == '0') {
            zeros++;
        }
        if (zeros == fraction.size) {
            return true;
        }
    }
    const int64_t power = exponent + (digits.data[0] == '0' ? -(int64_t)zeros - 1 : (int64_t)digits.size - 1);
    if (power != MAX_POWER) {
        return power < MAX_POWER;
    }
    for (size_t i = 0; i < COMPARED; i++) {
        const size_t index = digits.data[0] == '0' ? digits.size + zeros + i : i;
        const unsigned char digit = index < digits.size                   ? digits.data[index]
                                    : index - digits.size < fraction.size ? fraction.data[index - digits.size]
                                                                          : '0';
        if (digit != (unsigned char)too_large[i]) {
            return digit < (unsigned char)too_large[i];
        }
    }
    return false;
}

/* Read an exponent, limited so that sums with it cannot overflow. */
static bool skip_exponent(textgen_json_cursor *at, int64_t *exponent) {
    const int64_t maximum = INT64_MAX / 4;
    const bool negative = textgen_json_accept(at, '-');
    if (!negative) {
        (void)textgen_json_accept(at, '+');
    }
    const unsigned char *start = at->next;
    const size_t size = skip_digits(at);
    for (size_t i = 0; i < size; i++) {
        *exponent = *exponent > maximum / 10 - 1 ? maximum : *exponent * 10 + (start[i] - '0');
    }
    *exponent = negative ? -*exponent : *exponent;
    return size > 0;
}

static bool skip_number(textgen_json_cursor *at) {
    (void)textgen_json_accept(at, '-');
    textgen_view digits = {at->next, 0};
    textgen_view fraction = {NULL, 0};
    int64_t exponent = 0;
    digits.size = textgen_json_accept(at, '0') ? 1 : skip_digits(at);
    if (digits.size == 0) {
        return false;
    }
    bool integer = true;
    if (textgen_json_accept(at, '.')) {
        integer = false;
        fraction.data = at->next;
        fraction.size = skip_digits(at);
        if (fraction.size == 0) {
            return false;
        }
    }
    if (textgen_json_accept(at, 'e') || textgen_json_accept(at, 'E')) {
        integer = false;
        if (!skip_exponent(at, &exponent)) {
            return false;
        }
    }
    return integer ? digits.size <= TEXTGEN_JSON_DIGITS : is_finite(digits, fraction, exponent);
}

static bool skip_scalar(textgen_json_cursor *at) {
    if (at->next >= at->end) {
        return false;
    }
    switch (*at->next) {
    case '"':
        return skip_string(at);
    case 'n':
        return accept_word(at, "null");
    case 'f':
        return accept_word(at, "false");
    case 't':
        return accept_word(at, "true");
    default:
        return skip_number(at);
    }
}

static bool skip_key(textgen_json_cursor *at) {
    textgen_json_skip_space(at);
    if (!skip_string(at)) {
        return false;
    }
    textgen_json_skip_space(at);
    return textgen_json_accept(at, ':');
}

bool textgen_json_skip_value(textgen_json_cursor *at) {
    /* One bit for each open bracket, 1 for an object. The innermost bracket is the lowest bit. */
    uint64_t objects = 0;
    unsigned depth = 0;
    for (;;) {
        textgen_json_skip_space(at);
        const bool object = textgen_json_accept(at, '{');
        if (object || textgen_json_accept(at, '[')) {
            if (depth == TEXTGEN_JSON_DEPTH) {
                return false;
            }
            objects = objects << 1 | object;
            depth++;
            textgen_json_skip_space(at);
            if (at->next >= at->end || *at->next != (object ? '}' : ']')) {
                if (object && !skip_key(at)) {
                    return false;
                }
                continue;
            }
        } else if (!skip_scalar(at)) {
            return false;
        }
        /* After a value, or before the end of an empty array or object. */
        for (;;) {
            if (depth == 0) {
                return true;
            }
            textgen_json_skip_space(at);
            if (!textgen_json_accept(at, objects & 1 ? '}' : ']')) {
                break;
            }
            objects >>= 1;
            depth--;
        }
        if (!textgen_json_accept(at, ',') || (objects & 1 && !skip_key(at))) {
            return false;
        }
    }
}
