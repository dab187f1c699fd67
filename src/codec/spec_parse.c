// SPDX-License-Identifier: Apache-2.0
// Reading a job file from its first byte to finished specs.
#include "codec/spec_parse.h"

#include "base/assert.h"
#include "base/map.h"
#include "base/str.h"
#include "codec/spec_read.h"

static const struct resource_need default_needs[] = {{"cpu", 1000}};

// A text of the document's top, whatever order its fields have; the fallback when there is none.
static const char *top_text(const struct doc_node *document, const char *key, const char *fallback)
{
    for (size_t i = 0; document->kind == DOC_MAP && i < document->n; i++)
        if (str_eq(document->items[i].key, key) && document->items[i].value.kind == DOC_SCALAR)
            return document->items[i].value.text;
    return fallback;
}

static struct job_spec *parse_document(const struct doc_node *document, enum spec_purpose purpose, const struct limits *limits,
                                       struct arena *arena, struct spec_errors *errors)
{
    struct spec_reader reader = {
        .arena = arena,
        .limits = limits,
        .purpose = purpose,
        .errors = errors,
        .spec = arena_new(arena, struct job_spec),
    };
    reader.hash_key = arena_printf(arena, "%s/%s", top_text(document, "namespace", "default"), top_text(document, "name", ""));
    job_spec_init(reader.spec);
    reader.spec->needs = default_needs;
    reader.spec->n_needs = 1;
    if (document->kind != DOC_MAP) {
        spec_errors_add(errors, document->line, document->column, "", "a map of fields, such as \"command: [echo, hello]\"",
                        "this is not a job");
        return reader.spec;
    }
    struct place whole = {document, "", FIELD_NAME};
    spec_read_map(&reader, &whole, "");
    spec_check(&reader, document);
    return reader.spec;
}

// Two documents for one job would leave it to chance which of them counts.
static void check_same_names(struct doc_node *const *docs, struct job_spec *const *specs, size_t n, struct spec_errors *errors)
{
    struct strmap names = {0};
    for (size_t i = 0; i < n; i++) {
        if (specs[i]->name == NULL)
            continue;
        const char *key = arena_printf(errors->arena, "%s/%s", specs[i]->namespace_name, specs[i]->name);
        const struct doc_node *first = strmap_get(&names, key);
        if (first != NULL)
            spec_errors_add(errors, docs[i]->line, docs[i]->column, "name", NULL, "the job %s is given twice, first in line %u", key,
                            first->line);
        else
            (void)strmap_put(&names, key, docs[i]);
    }
    strmap_release(&names);
}

static int parse_documents(struct doc_node *const *docs, size_t n, enum spec_purpose purpose, const struct limits *limits,
                           struct arena *arena, struct job_spec ***ret_specs, struct spec_errors *errors)
{
    if (n == 0)
        spec_errors_add(errors, 1, 1, "", NULL, "it is empty");
    if (n > 1 && purpose == SPEC_RUN)
        spec_errors_add(errors, docs[1]->line, docs[1]->column, "", NULL, "a second document; a run is one piece of work");
    struct job_spec **specs = arena_array(arena, struct job_spec *, n);
    for (size_t i = 0; i < n; i++)
        specs[i] = parse_document(docs[i], purpose, limits, arena, errors);
    if (purpose == SPEC_JOB)
        check_same_names(docs, specs, n, errors);
    if (errors->n > 0)
        return ERR_INVALID;
    *ret_specs = specs;
    return 0;
}

int spec_parse(const char *text, size_t len, enum spec_format format, enum spec_purpose purpose, const struct limits *limits,
               struct arena *arena, struct job_spec ***ret_specs, size_t *ret_n, struct spec_errors *errors)
{
    must(limits != NULL && arena != NULL);
    must(ret_specs != NULL && ret_n != NULL && errors != NULL);
    spec_errors_init(errors, arena);
    struct err err = {0};
    if (limits_check(limits, LIMIT_SPEC_BYTES, len > INT64_MAX ? INT64_MAX : (int64_t)len, "the text", &err) < 0) {
        spec_errors_add(errors, 1, 1, "", NULL, "%s", err.text);
        return ERR_TOO_LARGE;
    }
    struct doc_node **docs = NULL;
    size_t n = 0;
    int rc = format == SPEC_JSON ? doc_json(text, len, arena, &docs, &n, errors) : doc_yaml(text, len, arena, &docs, &n, errors);
    if (rc == 0)
        rc = parse_documents(docs, n, purpose, limits, arena, ret_specs, errors);
    if (rc == 0)
        *ret_n = n;
    else
        spec_errors_sort(errors);
    must((rc == 0) == (errors->n == 0));
    return rc;
}
