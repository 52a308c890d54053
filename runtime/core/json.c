#include "json.h"

#include "json_scan.h"
#include "utf8.h"

#include <string.h>

static bool read_value(textgen_json_cursor *at, textgen_json *value) {
    textgen_json_skip_space(at);
    const unsigned char *start = at->next;
    if (!textgen_json_skip_value(at)) {
        return false;
    }
    value->outer.data = value->text.data = start;
    value->outer.size = value->text.size = (size_t)(at->next - start);
    /* In the order of the kinds; other numbers begin with another digit, or with a sign. */
    static const char firsts[] = "nft0\"[{";
    const char *found = strchr(firsts, *start);
    value->kind = found ? (textgen_json_kind)(found - firsts) : TEXTGEN_JSON_NUMBER;
    if (value->kind >= TEXTGEN_JSON_STRING) {
        value->text.data++;
        value->text.size -= 2;
    }
    return true;
}

static textgen_json_cursor start(textgen_view text) {
    textgen_json_cursor at = {text.data, text.data};
    if (text.size > 0) {
        at.end += text.size;
    }
    return at;
}

static void set_rest(textgen_view *text, const textgen_json_cursor *at) {
    text->data = at->next;
    text->size = (size_t)(at->end - at->next);
}

bool textgen_json_read(textgen_view text, textgen_json *value) {
    textgen_json_cursor at = start(text);
    if (!read_value(&at, value)) {
        return false;
    }
    textgen_json_skip_space(&at);
    return at.next == at.end;
}

bool textgen_json_item(textgen_view *items, textgen_json *value) {
    textgen_json_cursor at = start(*items);
    textgen_json_skip_space(&at);
    (void)textgen_json_accept(&at, ',');
    const bool found = read_value(&at, value);
    set_rest(items, &at);
    return found;
}

bool textgen_json_member(textgen_view *members, textgen_json *key, textgen_json *value) {
    textgen_json_cursor at = start(*members);
    textgen_json_skip_space(&at);
    (void)textgen_json_accept(&at, ',');
    bool found = read_value(&at, key);
    textgen_json_skip_space(&at);
    found = found && textgen_json_accept(&at, ':') && read_value(&at, value);
    set_rest(members, &at);
    return found;
}

bool textgen_json_members(const textgen_json *object, const char *const *names, size_t count,
                          textgen_json *values) {
    const bool is_object = object->kind == TEXTGEN_JSON_OBJECT;
    bool known = is_object;
    textgen_view members = object->text;
    textgen_json key, value;
    for (size_t i = 0; i < count; i++) {
        values[i] = (textgen_json){TEXTGEN_JSON_NULL, {NULL, 0}, {NULL, 0}};
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

int32_t textgen_json_character(textgen_view *string) {
    if (string->size == 0) {
        return -1;
    }
    if (string->data[0] != '\\') {
        size_t offset = 0;
        const int32_t character = textgen_utf8_next(*string, &offset);
        string->data += offset;
        string->size -= offset;
        return character;
    }
    textgen_json_cursor at = start(*string);
    at.next++;
    const int32_t character = textgen_json_escape(&at);
    set_rest(string, &at);
    return character;
}

bool textgen_json_utf8(const textgen_json *value, char *text, size_t *size) {
    if (value->kind != TEXTGEN_JSON_STRING) {
        return false;
    }
    textgen_view rest = value->text;
    *size = 0;
    int32_t character;
    while ((character = textgen_json_character(&rest)) >= 0) {
        if (character >= 0xD800 && character < 0xE000) {
            return false;
        }
        *size += textgen_utf8_write((uint32_t)character, text + *size);
    }
    return true;
}

bool textgen_json_is(const textgen_json *value, const char *text) {
    if (value->kind != TEXTGEN_JSON_STRING) {
        return false;
    }
    textgen_view rest = value->text;
    int32_t character;
    while ((character = textgen_json_character(&rest)) >= 0) {
        if (*text == '\0' || character != (unsigned char)*text++) {
            return false;
        }
    }
    return *text == '\0';
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

const char *textgen_json_quote(const textgen_json *value, char buffer[TEXTGEN_QUOTE_SIZE]) {
    char decoded[TEXTGEN_QUOTE_SIZE];
    if (value->kind != TEXTGEN_JSON_STRING) {
        return textgen_escape(value->outer, buffer);
    }
    textgen_view rest = value->text;
    textgen_view text = {(const unsigned char *)decoded, 0};
    int32_t character;
    while (text.size + TEXTGEN_UTF8_BYTES <= sizeof decoded &&
           (character = textgen_json_character(&rest)) >= 0) {
        text.size += textgen_utf8_write((uint32_t)character, decoded + text.size);
    }
    return textgen_quote(text, buffer);
}
