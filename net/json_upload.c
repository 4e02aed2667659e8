// SPDX-License-Identifier: Apache-2.0
// A user's own request to register packages: dli_upload_parse(), see dli.h.
#include "net/dli.h"

#include <errno.h>
#include <jansson.h>
#include <string.h>
#include <strings.h>

enum { TAGS_MAX = 20, TAG_KEY_MAX = 128, TAG_VALUE_MAX = 255 };

static void cleanup_json(json_t **j)
{
    json_decref(*j);
}
#define CLEANUP_JSON __attribute__((cleanup(cleanup_json)))

static int read_paths(struct dli_upload *u, const json_t *array, struct err *err)
{
    size_t n = json_array_size(array);
    if (n == 0)
        return err_set(err, -EINVAL, "'paths' is not a list of at least one path");
    if (n > DLI_PATHS_MAX)
        return err_set(err, -E2BIG, "more than %d paths", DLI_PATHS_MAX);
    for (size_t i = 0; i < n; i++) {
        const json_t *j = json_array_get(array, i);
        if (!json_is_string(j))
            return err_set(err, -EINVAL, "entry %zu of 'paths' is not a text", i + 1);
        int rc = dli_upload_add(u, json_string_value(j), err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* The group that is written in the request, blanks around it cut off, is the one of the file. */
static int read_group(const struct dli_upload *u, const json_t *value, struct err *err)
{
    const char *text = json_string_value(value);
    if (!text)
        return err_set(err, -EINVAL, "'group' is not a text");
    while (*text == ' ' || *text == '\t')
        text++;
    size_t n = strlen(text);
    while (n && (text[n - 1] == ' ' || text[n - 1] == '\t'))
        n--;
    if (!u->group[0])
        return err_set(err, -EINVAL, "the request names the group '%.*s', but this is without one",
                       n < 80 ? (int)n : 80, text);
    if (strlen(u->group) != n || strncmp(text, u->group, n) != 0)
        return err_set(err, -EINVAL, "the request names the group '%.*s', not '%s'",
                       n < 80 ? (int)n : 80, text, u->group);
    return 0;
}

static int read_async(struct dli_upload *u, const json_t *value, struct err *err)
{
    const char *text = json_string_value(value);
    bool yes = json_is_true(value) || (text && strcasecmp(text, "true") == 0);
    bool no = json_is_false(value) || (text && strcasecmp(text, "false") == 0);
    if (!yes && !no)
        return err_set(err, -EINVAL, "'is_async' is neither true nor false");
    u->is_async = yes;
    u->has_async = true;
    u->generic = true;
    return 0;
}

static int read_kind(struct dli_upload *u, const json_t *value, struct err *err)
{
    const char *text = json_string_value(value);
    if (!text || dli_kind_parse(text, &u->kind) < 0)
        return err_set(err, -EINVAL, "'kind' is not one of jar, pyFile, file, modelFile");
    u->generic = true;
    return 0;
}

static bool tag_valid(const json_t *tag)
{
    const char *key = json_string_value(json_object_get(tag, "key"));
    const char *value = json_string_value(json_object_get(tag, "value"));
    return json_object_size(tag) == 2 && key && value && key[0] && strlen(key) <= TAG_KEY_MAX &&
           strlen(value) <= TAG_VALUE_MAX;
}

static int read_tags(struct dli_upload *u, const json_t *value, struct err *err)
{
    size_t n = json_array_size(value);
    if (!json_is_array(value) || n > TAGS_MAX)
        return err_set(err, -EINVAL, "'tags' is not a list of at most %d tags", TAGS_MAX);
    for (size_t i = 0; i < n; i++) {
        if (!tag_valid(json_array_get(value, i)))
            return err_set(err, -EINVAL,
                           "tag %zu is not {\"key\": .., \"value\": ..} of at most %d and %d bytes",
                           i + 1, TAG_KEY_MAX, TAG_VALUE_MAX);
    }
    u->tags = json_dumps(value, JSON_COMPACT);
    if (!u->tags)
        return err_set(err, -ENOMEM, "out of memory");
    u->generic = true;
    return 0;
}

static int read_field(struct dli_upload *u, const char *name, const json_t *value, struct err *err)
{
    if (strcmp(name, "paths") == 0)
        return read_paths(u, value, err);
    if (strcmp(name, "group") == 0)
        return read_group(u, value, err);
    if (strcmp(name, "is_async") == 0)
        return read_async(u, value, err);
    if (strcmp(name, "kind") == 0)
        return read_kind(u, value, err);
    if (strcmp(name, "tags") == 0)
        return read_tags(u, value, err);
    return err_set(err, -EINVAL, "the service has no field '%.80s'", name);
}

int dli_upload_parse(const char *text, size_t n, enum dli_kind kind, const char *group,
                     struct dli_upload *ret, struct err *err)
{
    json_error_t why;
    const char *name;
    json_t *value;

    int rc = dli_upload_set(ret, kind, group, err);
    if (rc < 0)
        return rc;
    if (n > DLI_BODY_MAX)
        return err_set(err, -E2BIG, "the request is longer than %d bytes", DLI_BODY_MAX);
    CLEANUP_JSON json_t *top = json_loadb(text, n, JSON_REJECT_DUPLICATES, &why);
    if (!json_is_object(top))
        return err_set(err, -EINVAL, "the request is not a JSON object%s%.100s", top ? "" : ": ",
                       top ? "" : why.text);
    json_object_foreach(top, name, value)
    {
        if (rc == 0)
            rc = read_field(ret, name, value, err);
    }
    if (rc == 0 && !ret->n_paths)
        rc = err_set(err, -EINVAL, "the request has no 'paths'");
    if (rc < 0)
        dli_upload_clear(ret);
    return rc;
}
