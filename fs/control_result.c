// SPDX-License-Identifier: Apache-2.0
// Answers to uploads; see result.h.
#include "fs/control_result.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <uthash.h>

#include "fs/control_json.h"
#include "fs/options.h"
#include "net/base/cleanup.h"

struct entry {
    UT_hash_handle hh; /* the oldest first */
    char *key;
    char *fields;
    char *version_id;
    int status;
    struct err err;
    bool multipart;
    bool redirect;
    char etag[OBS_ETAG_MAX];
    char host_id[128];
    char resource[256];
};

struct results {
    struct entry *table;
};

static void free_entry(struct entry *e)
{
    free(e->key);
    free(e->fields);
    free(e->version_id);
    free(e);
}

static void drop(struct results *r, struct entry *e)
{
    HASH_DEL(r->table, e);
    free_entry(e);
}

void results_free(struct results *results)
{
    while (results && results->table)
        drop(results, results->table);
    free(results);
}

static struct entry *make_entry(const struct obs_call *call)
{
    struct entry *e = calloc(1, sizeof(*e));
    if (!e)
        return NULL;
    e->key = strdup(call->key);
    e->fields = call->fields ? strdup(call->fields) : NULL;
    e->version_id = strdup(call->object.version_id);
    if (!e->key || !e->version_id) {
        free_entry(e);
        return NULL;
    }
    e->status = call->status;
    e->err = call->err;
    e->multipart = call->op != OBS_PUT;
    memcpy(e->etag, call->object.etag, sizeof(e->etag));
    memcpy(e->host_id, call->host_id, sizeof(e->host_id));
    memcpy(e->resource, call->resource, sizeof(e->resource));
    return e;
}

void result_note_locked(struct fs *fs, const struct obs_call *call, bool redirect)
{
    if (!fs->results && !(fs->results = calloc(1, sizeof(*fs->results))))
        return;
    struct results *r = fs->results;
    struct entry *old = NULL, *e = make_entry(call);
    HASH_FIND_STR(r->table, call->key, old);
    if (old)
        drop(r, old);
    if (!e)
        return;
    e->redirect = redirect;
    if (HASH_COUNT(r->table) >= RESULTS_MAX)
        drop(r, r->table);
    HASH_ADD_KEYPTR(hh, r->table, e->key, strlen(e->key), e);
}

static const char *reason_of(int status)
{
    static const struct {
        int status;
        const char *reason;
    } v[] = {{200, "OK"},
             {203, "Non-Authoritative Information"},
             {204, "No Content"},
             {303, "See Other"},
             {307, "Temporary Redirect"},
             {400, "Bad Request"},
             {401, "Unauthorized"},
             {403, "Forbidden"},
             {404, "Not Found"},
             {405, "Method Not Allowed"},
             {408, "Request Timeout"},
             {409, "Conflict"},
             {412, "Precondition Failed"},
             {429, "Too Many Requests"},
             {500, "Internal Server Error"},
             {501, "Not Implemented"},
             {503, "Service Unavailable"}};
    for (size_t i = 0; i < sizeof(v) / sizeof(*v); i++) {
        if (v[i].status == status)
            return v[i].reason;
    }
    return NULL;
}

static json_t *given(const char *s)
{
    return s && *s ? control_json_text(s) : json_null();
}

/* The fields as pairs, in their order. */
static json_t *pairs_of(const char *fields)
{
    json_t *list = json_array();
    while (list && fields && *fields) {
        size_t n = strcspn(fields, "\n");
        const char *colon = memchr(fields, ':', n);
        if (colon) {
            CLEANUP_FREE char *name = strndup(fields, (size_t)(colon - fields));
            size_t skip = (size_t)(colon + 1 - fields);
            skip += skip < n && fields[skip] == ' ';
            CLEANUP_FREE char *value = strndup(fields + skip, n - skip);
            if (name && value)
                json_array_append_new(
                    list, json_pack("[o, o]", control_json_text(name), control_json_text(value)));
        }
        fields += n + (fields[n] == '\n');
    }
    return list;
}

/* The value of x-obs-NAME or x-amz-NAME, or of NAME itself if it begins with '='. */
static json_t *field_of(const json_t *pairs, const char *name)
{
    size_t i;
    const json_t *pair;
    json_array_foreach(pairs, i, pair)
    {
        const char *have = json_string_value(json_array_get(pair, 0));
        bool plain = name[0] == '=';
        bool prefixed =
            have && (strncasecmp(have, "x-obs-", 6) == 0 || strncasecmp(have, "x-amz-", 6) == 0);
        if (have &&
            (plain ? strcasecmp(have, name + 1) == 0 : prefixed && strcasecmp(have + 6, name) == 0))
            return json_incref(json_array_get(pair, 1));
    }
    return json_null();
}

static json_t *body_of(const struct result *r, const json_t *pairs)
{
    json_t *kms = field_of(pairs, "server-side-encryption");
    json_t *location = field_of(pairs, "=Location");
    if (json_is_null(location) && r->multipart)
        location = given(r->url);
    return json_pack(
        "{s:o, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "etag", given(r->etag), "bucket",
        r->bucket, "key", given(r->key), "location", location, "versionId", given(r->version_id),
        "sseKms", kms, "sseKmsKey", field_of(pairs, "server-side-encryption-kms-key-id"), "sseC",
        field_of(pairs, "server-side-encryption-customer-algorithm"), "sseCKeyMd5",
        field_of(pairs, "server-side-encryption-customer-key-md5"), "objectUrl", given(r->url));
}

static void add_failure(const struct result *r, const json_t *pairs, json_t *all)
{
    json_object_set_new(all, "errorCode", given(r->err.code));
    json_object_set_new(all, "errorMessage", given(r->err.msg));
    json_object_set_new(all, "hostId",
                        r->host_id && *r->host_id ? control_json_text(r->host_id)
                                                  : field_of(pairs, "id-2"));
    json_object_set_new(all, "resource", given(r->resource));
}

int result_format(const struct result *r, struct buf *out)
{
    json_t *pairs = pairs_of(r->fields);
    const char *reason = reason_of(r->status);
    json_t *id = pairs ? field_of(pairs, "request-id") : NULL;
    if (id && json_is_null(id))
        id = given(r->err.request_id);
    bool body = !r->err.eno && r->status < 300;
    json_t *all = json_pack("{s:o, s:o, s:o, s:o, s:O, s:o}", "status",
                            r->status ? json_integer(r->status) : json_null(), "reason",
                            given(reason), "requestId", id, "indicator",
                            pairs ? field_of(pairs, "=x-reserved-indicator") : NULL, "header",
                            pairs, "body", body ? body_of(r, pairs) : json_null());
    if (all && r->err.eno)
        add_failure(r, pairs, all);
    if (all && r->multipart && r->redirect)
        json_object_set_new(
            all, "note", json_string("success_action_redirect is not sent with multipart uploads"));
    CLEANUP_FREE char *text = all ? json_dumps(all, JSON_INDENT(2)) : NULL;
    json_decref(all);
    json_decref(pairs);
    return text ? buf_adds(out, text) : -ENOMEM;
}

int result_get_locked(struct fs *fs, const char *key, struct buf *out)
{
    struct entry *e = NULL;
    if (fs->results)
        HASH_FIND_STR(fs->results->table, key, e);
    if (!e)
        return -ENODATA;
    CLEANUP_FREE char *url = obs_url(fs->obs, key);
    const struct result r = {.bucket = fs->opt->bucket,
                             .key = key,
                             .url = url,
                             .status = e->status,
                             .err = e->err,
                             .multipart = e->multipart,
                             .redirect = e->redirect,
                             .etag = e->etag,
                             .version_id = e->version_id,
                             .host_id = e->host_id,
                             .resource = e->resource,
                             .fields = e->fields};
    return result_format(&r, out);
}
