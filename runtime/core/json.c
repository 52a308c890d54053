#include "json.h"

#include <string.h>

/* The functions below remove what they match from the start of `rest`. */

static void skip(textgen_view *rest, size_t size) {
    rest->data += size;
    rest->size -= size;
}

/* Return the next byte, or 0 at the end. */
static unsigned char peek(const textgen_view *rest) { return rest->size > 0 ? *rest->data : 0; }

static void skip_space(textgen_view *rest) {
    while (peek(rest) == ' ' || peek(rest) == '\t' || peek(rest) == '\n' || peek(rest) == '\r') {
        skip(rest, 1);
    }
}

static bool accept(textgen_view *rest, const char *text) {
    const size_t size = strlen(text);
    const bool found = rest->size >= size && memcmp(rest->data, text, size) == 0;
    if (found) {
        skip(rest, size);
    }
    return found;
}

/* Read the four digits of a \u escape. Return -1 if they are invalid. */
static int32_t code_unit(textgen_view *rest) {
    static const char digits[] = "0123456789abcdef0123456789ABCDEF";
    int32_t unit = 0;
    for (int i = 0; i < 4; i++) {
        const char *found = peek(rest) ? strchr(digits, peek(rest)) : NULL;
        if (!found) {
            return -1;
        }
        unit = unit * 16 + (int32_t)(found - digits) % 16;
        skip(rest, 1);
    }
    return unit;
}

/* Read an escape after its backslash and return its character. A surrogate pair is one character. Return -1 if
 * it is not a valid escape. */
static int32_t escape(textgen_view *rest) {
    static const char letters[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
    const char *found = peek(rest) ? strchr(letters, peek(rest)) : NULL;
    if (found) {
        skip(rest, 1);
        return meanings[found - letters];
    }
    const int32_t unit = accept(rest, "u") ? code_unit(rest) : -1;
    if (unit >= 0xD800 && unit < 0xDC00) {
        textgen_view after = *rest;
        const int32_t low = accept(&after, "\\u") ? code_unit(&after) : -1;
        if (low >= 0xDC00 && low < 0xE000) {
            *rest = after;
            return 0x10000 + (unit - 0xD800) * 0x400 + (low - 0xDC00);
        }
    }
    return unit;
}

/* Read the next character of a string. Return -1 at the end or if it is not valid. Lone surrogates are returned
 * unchanged. */
static int32_t next_character(textgen_view *string) {
    size_t offset = 0;
    if (peek(string) < ' ') {
        return -1;
    }
    if (peek(string) == '\\') {
        skip(string, 1);
        return escape(string);
    }
    const int32_t character = textgen_utf8_next(*string, &offset);
    skip(string, offset);
    return character;
}

static bool skip_string(textgen_view *rest) {
    bool valid = accept(rest, "\"");
    while (valid && peek(rest) != '"') {
        valid = next_character(rest) >= 0;
    }
    return valid && accept(rest, "\"");
}

static bool skip_digits(textgen_view *rest) {
    const size_t before = rest->size;
    while (peek(rest) >= '0' && peek(rest) <= '9') {
        skip(rest, 1);
    }
    return rest->size < before;
}

static bool skip_number(textgen_view *rest) {
    const size_t before = rest->size;
    (void)accept(rest, "-");
    bool valid = accept(rest, "0") || skip_digits(rest);
    if (accept(rest, ".")) {
        valid = skip_digits(rest) && valid;
    }
    if (accept(rest, "e") || accept(rest, "E")) {
        (void)(accept(rest, "-") || accept(rest, "+"));
        valid = skip_digits(rest) && valid;
    }
    return valid && before - rest->size <= TEXTGEN_JSON_DIGITS;
}

static bool skip_key(textgen_view *rest) {
    skip_space(rest);
    const bool found = skip_string(rest);
    skip_space(rest);
    return found && accept(rest, ":");
}

/* Skip one complete value in `depth` brackets. Return false if there is no valid value. */
static bool skip_value(textgen_view *rest, int depth) {
    skip_space(rest);
    const unsigned char first = peek(rest);
    if (first != '{' && first != '[') {
        return first == '"'   ? skip_string(rest)
               : first == 'n' ? accept(rest, "null")
               : first == 'f' ? accept(rest, "false")
               : first == 't' ? accept(rest, "true")
                              : skip_number(rest);
    }
    const char *end = first == '{' ? "}" : "]";
    skip(rest, 1);
    skip_space(rest);
    if (depth == TEXTGEN_JSON_DEPTH || accept(rest, end)) {
        return depth < TEXTGEN_JSON_DEPTH;
    }
    do {
        if ((first == '{' && !skip_key(rest)) || !skip_value(rest, depth + 1)) {
            return false;
        }
        skip_space(rest);
    } while (accept(rest, ","));
    return accept(rest, end);
}

static bool read_value(textgen_view *rest, textgen_json *value) {
    skip_space(rest);
    value->text = *rest;
    if (!skip_value(rest, 0)) {
        return false;
    }
    value->text.size -= rest->size;
    /* In the order of the kinds; other numbers begin with another digit, or with a sign. */
    static const char firsts[] = "nft0\"[{";
    const char *found = strchr(firsts, *value->text.data);
    value->kind = found ? (textgen_json_kind)(found - firsts) : TEXTGEN_JSON_NUMBER;
    if (value->kind >= TEXTGEN_JSON_STRING) {
        value->text.data++;
        value->text.size -= 2;
    }
    return true;
}

bool textgen_json_read(textgen_view text, textgen_json *value) {
    const bool found = read_value(&text, value);
    skip_space(&text);
    return found && text.size == 0;
}

bool textgen_json_item(textgen_view *items, textgen_json *value) {
    skip_space(items);
    (void)accept(items, ",");
    return read_value(items, value);
}

bool textgen_json_member(textgen_view *members, textgen_json *key, textgen_json *value) {
    const bool found = textgen_json_item(members, key);
    skip_space(members);
    return found && accept(members, ":") && read_value(members, value);
}

bool textgen_json_members(const textgen_json *object, const char *const *names, size_t count,
                          textgen_json *values) {
    const bool is_object = object->kind == TEXTGEN_JSON_OBJECT;
    bool known = is_object;
    textgen_view members = object->text;
    textgen_json key, value;
    for (size_t i = 0; i < count; i++) {
        values[i] = (textgen_json){TEXTGEN_JSON_NULL, {NULL, 0}};
    }
    while (is_object && textgen_json_member(&members, &key, &value)) {
        bool found = false;
        for (size_t i = 0; i < count; i++) {
            if (textgen_json_is(&key, names[i])) {
                values[i] = value;
                found = true;
            }
        }
        known = known && found;
    }
    return known;
}

size_t textgen_json_count(const textgen_json *array) {
    textgen_view items = array->text;
    textgen_json item;
    size_t count = 0;
    while (array->kind == TEXTGEN_JSON_ARRAY && textgen_json_item(&items, &item)) {
        count++;
    }
    return count;
}

bool textgen_json_utf8(const textgen_json *value, char *text, size_t *size) {
    textgen_view rest = value->text;
    int32_t character;
    *size = 0;
    while (value->kind == TEXTGEN_JSON_STRING && (character = next_character(&rest)) >= 0) {
        if (character >= 0xD800 && character < 0xE000) {
            return false;
        }
        *size += textgen_utf8_write((uint32_t)character, text + *size);
    }
    return value->kind == TEXTGEN_JSON_STRING;
}

bool textgen_json_is(const textgen_json *value, const char *text) {
    textgen_view rest = value->text;
    int32_t character;
    while (value->kind == TEXTGEN_JSON_STRING && (character = next_character(&rest)) >= 0) {
        if (*text == '\0' || character != (unsigned char)*text++) {
            return false;
        }
    }
    return value->kind == TEXTGEN_JSON_STRING && *text == '\0';
}

bool textgen_json_integer(const textgen_json *value, int64_t *integer) {
    if (value->kind != TEXTGEN_JSON_NUMBER) {
        return false;
    }
    const bool negative = value->text.data[0] == '-';
    int64_t result = 0;
    for (size_t i = negative; i < value->text.size; i++) {
        const int digit = value->text.data[i] - '0';
        if (digit < 0 || digit > 9) {
            return false;
        }
        result = result > (INT64_MAX - digit) / 10 ? INT64_MAX : result * 10 + digit;
    }
    *integer = negative ? -result : result;
    return true;
}
