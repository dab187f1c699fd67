// SPDX-License-Identifier: Apache-2.0
// YAML through the events of libyaml. The plain core of YAML only: no anchors, aliases and tags, keys are text.
#include <string.h>
#include <yaml.h>

#include "base/assert.h"
#include "base/err.h"
#include "codec/doc.h"

struct yaml_reader {
    yaml_parser_t parser;
    const char *text;
    struct arena *arena;
    struct spec_errors *errors;
    size_t doubles; // keys that stood twice
    bool broken; // the thread is lost: stop reading
};

static void yaml_bad(struct yaml_reader *in, yaml_mark_t mark, const char *problem)
{
    spec_errors_add(in->errors, (uint32_t)mark.line + 1, (uint32_t)mark.column + 1, "", NULL, "%s", problem);
}

// What is wrong with bytes is told by their offset.
static yaml_mark_t yaml_mark_at(const struct yaml_reader *in, size_t offset)
{
    yaml_mark_t mark = {0};
    for (const char *p = in->text; p < in->text + offset; p++) {
        mark.column += ((unsigned char)*p & 0xc0) != 0x80;
        if (*p == '\n') {
            mark.line++;
            mark.column = 0;
        }
    }
    return mark;
}

// The next event; the caller deletes it. False when the text is broken.
static bool yaml_next(struct yaml_reader *in, yaml_event_t *ret)
{
    if (yaml_parser_parse(&in->parser, ret) != 0)
        return true;
    in->broken = true;
    const char *problem = in->parser.problem != NULL ? in->parser.problem : "it cannot be read";
    yaml_mark_t mark = in->parser.error == YAML_READER_ERROR ? yaml_mark_at(in, in->parser.problem_offset) : in->parser.problem_mark;
    spec_errors_add(in->errors, (uint32_t)mark.line + 1, (uint32_t)mark.column + 1, "", NULL, "this is not YAML: %s%s%s", problem,
                    in->parser.context != NULL ? ", " : "", in->parser.context != NULL ? in->parser.context : "");
    return false;
}

static bool is_null(const char *text)
{
    return text[0] == '\0' || strcmp(text, "~") == 0 || strcmp(text, "null") == 0 || strcmp(text, "Null") == 0 ||
           strcmp(text, "NULL") == 0;
}

static void yaml_scalar(struct yaml_reader *in, const yaml_event_t *event, struct doc_node *ret)
{
    const char *text = (const char *)event->data.scalar.value;
    size_t len = event->data.scalar.length;
    if (memchr(text, '\0', len) != NULL)
        yaml_bad(in, event->start_mark, "a text cannot hold the character NUL");
    bool plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    ret->kind = plain && is_null(text) ? DOC_NULL : DOC_SCALAR;
    ret->text = arena_strndup(in->arena, text, len);
}

static void yaml_refuse_extras(struct yaml_reader *in, const yaml_event_t *event)
{
    const yaml_char_t *anchor = NULL;
    const yaml_char_t *tag = NULL;
    if (event->type == YAML_SCALAR_EVENT) {
        anchor = event->data.scalar.anchor;
        tag = event->data.scalar.tag;
    } else if (event->type == YAML_SEQUENCE_START_EVENT) {
        anchor = event->data.sequence_start.anchor;
        tag = event->data.sequence_start.tag;
    } else if (event->type == YAML_MAPPING_START_EVENT) {
        anchor = event->data.mapping_start.anchor;
        tag = event->data.mapping_start.tag;
    }
    if (anchor != NULL)
        yaml_bad(in, event->start_mark, "anchors (&name) are not allowed; write the value where it is used");
    if (tag != NULL)
        yaml_bad(in, event->start_mark, "tags (!name) are not allowed");
}

static void yaml_node(struct yaml_reader *in, const yaml_event_t *event, int depth, struct doc_node *ret);

static void yaml_list(struct yaml_reader *in, int depth, struct doc_node *ret)
{
    struct doc_items items = {0};
    while (!in->broken) {
        yaml_event_t event;
        if (!yaml_next(in, &event))
            break;
        bool end = event.type == YAML_SEQUENCE_END_EVENT;
        if (!end)
            yaml_node(in, &event, depth, &doc_items_add(&items, in->arena)->value);
        yaml_event_delete(&event);
        if (end)
            break;
    }
    ret->kind = DOC_LIST;
    ret->items = items.item;
    ret->n = items.n;
}

static void yaml_map(struct yaml_reader *in, int depth, struct doc_node *ret)
{
    struct doc_items items = {0};
    struct doc_item *item = NULL; // its key is read, its value comes next
    while (!in->broken) {
        yaml_event_t event;
        if (!yaml_next(in, &event))
            break;
        bool end = event.type == YAML_MAPPING_END_EVENT;
        if (!end && item == NULL) {
            item = doc_items_add(&items, in->arena);
            struct doc_node key = {0};
            yaml_node(in, &event, depth, &key);
            if (event.type != YAML_SCALAR_EVENT)
                yaml_bad(in, event.start_mark, "a key must be text");
            item->key = key.text != NULL ? key.text : "";
            item->line = key.line;
            item->column = key.column;
        } else if (!end) {
            yaml_node(in, &event, depth, &item->value);
            item = NULL;
        }
        yaml_event_delete(&event);
        if (end)
            break;
    }
    ret->kind = DOC_MAP;
    ret->items = items.item;
    ret->n = items.n;
    if (!in->broken)
        in->doubles += doc_drop_doubles(ret, in->errors);
}

// Reads what begins with event.
static void yaml_node(struct yaml_reader *in, const yaml_event_t *event, int depth, struct doc_node *ret)
{
    *ret = (struct doc_node){
        .line = (uint32_t)event->start_mark.line + 1,
        .column = (uint32_t)event->start_mark.column + 1,
    };
    if (depth == DOC_DEPTH_MAX) {
        yaml_bad(in, event->start_mark, "it is nested too deeply");
        in->broken = true;
        return;
    }
    yaml_refuse_extras(in, event);
    switch (event->type) {
    case YAML_SCALAR_EVENT:
        yaml_scalar(in, event, ret);
        break;
    case YAML_SEQUENCE_START_EVENT:
        yaml_list(in, depth + 1, ret);
        break;
    case YAML_MAPPING_START_EVENT:
        yaml_map(in, depth + 1, ret);
        break;
    case YAML_ALIAS_EVENT:
        yaml_bad(in, event->start_mark, "aliases (*name) are not allowed; write the value itself");
        break;
    default:
        unreachable();
    }
}

// The documents of the stream, up to its end or until the thread is lost.
static void yaml_stream(struct yaml_reader *in, struct doc_items *docs)
{
    bool end = false;
    while (!end && !in->broken) {
        yaml_event_t event;
        if (!yaml_next(in, &event))
            return;
        switch (event.type) {
        case YAML_STREAM_START_EVENT:
        case YAML_DOCUMENT_END_EVENT:
            break;
        case YAML_STREAM_END_EVENT:
            end = true;
            break;
        case YAML_DOCUMENT_START_EVENT:
            if (event.data.document_start.tag_directives.start != event.data.document_start.tag_directives.end)
                yaml_bad(in, event.start_mark, "%TAG is not allowed");
            break;
        default: {
            struct doc_item *item = doc_items_add(docs, in->arena);
            yaml_node(in, &event, 0, &item->value);
            if (item->value.kind == DOC_NULL)
                docs->n--;
        }
        }
        yaml_event_delete(&event);
    }
}

int doc_yaml(const char *text, size_t len, struct arena *arena, struct doc_node ***ret_docs, size_t *ret_n, struct spec_errors *errors)
{
    must(text != NULL || len == 0);
    text = text != NULL ? text : "";
    struct yaml_reader in = {.text = text, .arena = arena, .errors = errors};
    if (yaml_parser_initialize(&in.parser) == 0)
        return ERR_NO_MEMORY;
    yaml_parser_set_encoding(&in.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&in.parser, (const unsigned char *)text, len);
    struct doc_items docs = {0};
    size_t n_errors = errors->n + errors->n_more;
    yaml_stream(&in, &docs);
    yaml_parser_delete(&in.parser);
    if (errors->n + errors->n_more > n_errors + in.doubles)
        return ERR_INVALID;
    struct doc_node **list = arena_array(arena, struct doc_node *, docs.n);
    for (size_t i = 0; i < docs.n; i++)
        list[i] = &docs.item[i].value;
    *ret_docs = list;
    *ret_n = docs.n;
    return 0;
}
