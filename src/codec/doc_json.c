// SPDX-License-Identifier: Apache-2.0
// JSON (RFC 8259), strictly, with positions. jansson does not tell where a value stood, so it only writes JSON here.
#include <string.h>

#include "base/assert.h"
#include "base/buf.h"
#include "base/err.h"
#include "codec/doc.h"
#include "codec/utf8.h"

struct json_reader {
    const char *p, *end;
    uint32_t line;
    const char *column_at; // a place in this line and its column, so that columns are counted once
    uint32_t column;
    struct arena *arena;
    struct spec_errors *errors;
    size_t doubles; // keys that stood twice
    bool broken;
};

// Columns count characters: continuation bytes of UTF-8 are not counted.
static uint32_t json_column(struct json_reader *in, const char *at)
{
    for (; in->column_at < at; in->column_at++)
        in->column += ((unsigned char)*in->column_at & 0xc0) != 0x80;
    for (; in->column_at > at; in->column_at--)
        in->column -= ((unsigned char)in->column_at[-1] & 0xc0) != 0x80;
    return in->column;
}

static void json_bad(struct json_reader *in, const char *at, const char *problem)
{
    if (!in->broken)
        spec_errors_add(in->errors, in->line, json_column(in, at), "", NULL, "this is not JSON: %s", problem);
    in->broken = true;
}

static void json_skip_space(struct json_reader *in)
{
    for (; in->p < in->end; in->p++) {
        if (*in->p == '\n') {
            in->line++;
            in->column_at = in->p + 1;
            in->column = 1;
        } else if (*in->p != ' ' && *in->p != '\t' && *in->p != '\r') {
            return;
        }
    }
}

static bool json_take(struct json_reader *in, char c)
{
    if (in->p == in->end || *in->p != c)
        return false;
    in->p++;
    return true;
}

// Four hexadecimal digits at p; -1 when they are not there.
static int32_t json_hex4(const struct json_reader *in, const char *p)
{
    if (in->end - p < 4)
        return -1;
    int32_t value = 0;
    for (int i = 0; i < 4; i++) {
        char c = p[i];
        int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
        if (digit < 0)
            return -1;
        value = value * 16 + digit;
    }
    return value;
}

static void put_utf8(struct buf *out, uint32_t rune)
{
    must(rune > 0 && rune < 0x110000);
    if (rune < 0x80) {
        buf_addc(out, (char)rune);
    } else if (rune < 0x800) {
        buf_addc(out, (char)(0xc0 | rune >> 6));
        buf_addc(out, (char)(0x80 | (rune & 0x3f)));
    } else if (rune < 0x10000) {
        buf_addc(out, (char)(0xe0 | rune >> 12));
        buf_addc(out, (char)(0x80 | (rune >> 6 & 0x3f)));
        buf_addc(out, (char)(0x80 | (rune & 0x3f)));
    } else {
        buf_addc(out, (char)(0xf0 | rune >> 18));
        buf_addc(out, (char)(0x80 | (rune >> 12 & 0x3f)));
        buf_addc(out, (char)(0x80 | (rune >> 6 & 0x3f)));
        buf_addc(out, (char)(0x80 | (rune & 0x3f)));
    }
}

// Behind "\u". Two halves of a surrogate pair are one character.
static void json_unicode(struct json_reader *in, struct buf *out)
{
    int32_t rune = json_hex4(in, in->p);
    if (rune < 0) {
        json_bad(in, in->p, "\\u needs four hexadecimal digits");
        return;
    }
    const char *start = in->p;
    in->p += 4;
    if (rune >= 0xd800 && rune < 0xdc00 && in->end - in->p >= 6 && in->p[0] == '\\' && in->p[1] == 'u') {
        int32_t low = json_hex4(in, in->p + 2);
        if (low >= 0xdc00 && low < 0xe000) {
            rune = 0x10000 + ((rune - 0xd800) << 10) + (low - 0xdc00);
            in->p += 6;
        }
    }
    if (rune == 0)
        json_bad(in, start, "a text cannot hold the character NUL");
    else if (rune >= 0xd800 && rune < 0xe000)
        json_bad(in, start, "half of a surrogate pair is missing");
    else
        put_utf8(out, (uint32_t)rune);
}

static void json_escape(struct json_reader *in, struct buf *out)
{
    static const char from[] = "\"\\/bfnrt";
    static const char to[] = "\"\\/\b\f\n\r\t";
    if (in->p == in->end)
        return;
    char c = *in->p;
    const char *found = c != '\0' ? strchr(from, c) : NULL;
    if (found != NULL) {
        in->p++;
        buf_addc(out, to[found - from]);
    } else if (c == 'u') {
        in->p++;
        json_unicode(in, out);
    } else {
        json_bad(in, in->p - 1, "an unknown escape follows the backslash");
    }
}

// Behind the opening quote.
static const char *json_string(struct json_reader *in)
{
    const char *opening = in->p - 1;
    struct buf out = {0};
    while (!in->broken) {
        if (in->p == in->end) {
            json_bad(in, opening, "the text that begins here has no closing quote");
        } else if (*in->p == '"') {
            in->p++;
            break;
        } else if (*in->p == '\\') {
            in->p++;
            json_escape(in, &out);
        } else if ((unsigned char)*in->p < 0x20) {
            json_bad(in, in->p, "a control character in a text must be escaped");
        } else {
            size_t len = utf8_len(in->p, in->end);
            if (len == 0)
                json_bad(in, in->p, "these bytes are not UTF-8");
            buf_add(&out, in->p, len);
            in->p += len;
        }
    }
    const char *text = arena_strndup(in->arena, out.data != NULL ? out.data : "", out.len);
    buf_release(&out);
    return text;
}

static bool is_number(const char *text)
{
    const char *p = text + (*text == '-');
    if (*p == '0')
        p++;
    else if (*p >= '1' && *p <= '9')
        p += strspn(p, "0123456789");
    else
        return false;
    if (*p == '.') {
        size_t digits = strspn(++p, "0123456789");
        if (digits == 0)
            return false;
        p += digits;
    }
    if (*p == 'e' || *p == 'E') {
        p++;
        p += *p == '+' || *p == '-';
        size_t digits = strspn(p, "0123456789");
        if (digits == 0)
            return false;
        p += digits;
    }
    return *p == '\0';
}

// A number, true, false or null.
static void json_word(struct json_reader *in, struct doc_node *ret)
{
    const char *start = in->p;
    while (in->p < in->end && *in->p != '\0' && strchr("+-.0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", *in->p) != NULL)
        in->p++;
    ret->kind = DOC_SCALAR;
    ret->text = arena_strndup(in->arena, start, (size_t)(in->p - start));
    if (strcmp(ret->text, "null") == 0)
        ret->kind = DOC_NULL;
    else if (strcmp(ret->text, "true") != 0 && strcmp(ret->text, "false") != 0 && !is_number(ret->text))
        json_bad(in, start, "a value is expected here");
}

static void json_value(struct json_reader *in, int depth, struct doc_node *ret);

static void json_list(struct json_reader *in, int depth, struct doc_node *ret)
{
    struct doc_items items = {0};
    json_skip_space(in);
    bool more = !json_take(in, ']');
    while (more && !in->broken) {
        json_value(in, depth, &doc_items_add(&items, in->arena)->value);
        json_skip_space(in);
        more = json_take(in, ',');
        if (!more && !json_take(in, ']'))
            json_bad(in, in->p, "a comma or ] is expected here");
    }
    ret->kind = DOC_LIST;
    ret->items = items.item;
    ret->n = items.n;
}

static void json_map(struct json_reader *in, int depth, struct doc_node *ret)
{
    struct doc_items items = {0};
    json_skip_space(in);
    bool more = !json_take(in, '}');
    while (more && !in->broken) {
        json_skip_space(in);
        struct doc_item *item = doc_items_add(&items, in->arena);
        item->line = in->line;
        item->column = json_column(in, in->p);
        item->key = "";
        if (!json_take(in, '"')) {
            json_bad(in, in->p, "a key in quotes is expected here");
            break;
        }
        item->key = json_string(in);
        json_skip_space(in);
        if (!json_take(in, ':'))
            json_bad(in, in->p, "a colon is expected here");
        if (!in->broken)
            json_value(in, depth, &item->value);
        json_skip_space(in);
        more = json_take(in, ',');
        if (!more && !json_take(in, '}'))
            json_bad(in, in->p, "a comma or } is expected here");
    }
    ret->kind = DOC_MAP;
    ret->items = items.item;
    ret->n = items.n;
    if (!in->broken)
        in->doubles += doc_drop_doubles(ret, in->errors);
}

static void json_value(struct json_reader *in, int depth, struct doc_node *ret)
{
    json_skip_space(in);
    *ret = (struct doc_node){.line = in->line, .column = json_column(in, in->p)};
    if (depth == DOC_DEPTH_MAX)
        json_bad(in, in->p, "it is nested too deeply");
    if (in->broken)
        return;
    if (json_take(in, '{')) {
        json_map(in, depth + 1, ret);
    } else if (json_take(in, '[')) {
        json_list(in, depth + 1, ret);
    } else if (json_take(in, '"')) {
        ret->kind = DOC_SCALAR;
        ret->text = json_string(in);
    } else {
        json_word(in, ret);
    }
}

int doc_json(const char *text, size_t len, struct arena *arena, struct doc_node ***ret_docs, size_t *ret_n, struct spec_errors *errors)
{
    must(text != NULL || len == 0);
    if (text == NULL)
        text = "";
    struct json_reader in = {.p = text, .end = text + len, .line = 1, .column_at = text, .column = 1, .arena = arena, .errors = errors};
    size_t n_errors = errors->n + errors->n_more;
    struct doc_node **list = arena_array(arena, struct doc_node *, 1);
    list[0] = arena_new(arena, struct doc_node);
    json_value(&in, 0, list[0]);
    json_skip_space(&in);
    if (in.p < in.end)
        json_bad(&in, in.p, "something follows the end of the document");
    if (errors->n + errors->n_more > n_errors + in.doubles)
        return ERR_INVALID;
    *ret_docs = list;
    *ret_n = 1;
    return 0;
}
