// SPDX-License-Identifier: Apache-2.0
// Answers of DLI, ModelArts, IAM and the metadata service; see json.h.
#include "net/json.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "net/base/clock.h"

static void cleanup_json(json_t **j)
{
    json_decref(*j);
}
#define CLEANUP_JSON __attribute__((cleanup(cleanup_json)))

/* A bounded document whose top is an object; NULL with *err set. Jansson bounds the depth (2048),
 * refuses NUL in strings and text that is not UTF-8. */
static json_t *load(const void *p, size_t n, struct err *err)
{
    json_error_t why;
    if (n > JSON_BODY_MAX) {
        err_set(err, -EBADMSG, "the answer is longer than %d bytes", JSON_BODY_MAX);
        return NULL;
    }
    json_t *top = json_loadb(p, n, 0, &why);
    if (!top) {
        bool memory = json_error_code(&why) == json_error_out_of_memory;
        err_set(err, memory ? -ENOMEM : -EBADMSG, "the answer is not JSON (line %d)", why.line);
        return NULL;
    }
    if (!json_is_object(top)) {
        json_decref(top);
        err_set(err, -EBADMSG, "the answer is not a JSON object");
        return NULL;
    }
    return top;
}

/* The errno of a failed load(): `err` may be NULL. */
static json_t *load_rc(const void *p, size_t n, struct err *err, int *ret_rc)
{
    struct err own = {0};
    json_t *top = load(p, n, &own);
    *ret_rc = own.eno;
    if (!top && err)
        *err = own;
    return top;
}

/* Text of a string or a number; false if it is neither or does not fit. Control characters become
 * blanks. */
static bool get_text(const json_t *j, char *out, size_t size)
{
    int n = -1;
    if (json_is_string(j))
        n = snprintf(out, size, "%s", json_string_value(j));
    else if (json_is_integer(j))
        n = snprintf(out, size, "%lld", (long long)json_integer_value(j));
    for (char *p = out; n >= 0 && *p; p++) {
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            *p = ' ';
    }
    return n >= 0;
}

static void get_field(const json_t *object, const char *name, char *out, size_t size)
{
    if (!get_text(json_object_get(object, name), out, size))
        out[0] = 0;
}

static bool get_bool(const json_t *object, const char *name)
{
    const json_t *j = json_object_get(object, name);
    if (json_is_string(j))
        return strcasecmp(json_string_value(j), "true") == 0;
    return json_is_true(j);
}

static int64_t get_int(const json_t *object, const char *name, int64_t otherwise)
{
    const json_t *j = json_object_get(object, name);
    if (json_is_integer(j))
        return json_integer_value(j);
    if (json_is_string(j)) {
        char *end;
        const char *text = json_string_value(j);
        errno = 0;
        long long v = strtoll(text, &end, 10);
        if (end != text && *end == 0 && errno == 0)
            return v;
    }
    return otherwise;
}

/* --- errors --- */

/* One level: true if the object has one of the known pairs. */
static bool error_here(const json_t *object, struct svc_error *ret)
{
    static const struct {
        const char *code, *msg;
    } pairs[] = {
        {"error_code", "error_msg"}, {"error_code", "error_message"}, {"errorCode", "errorMsg"},
        {"code", "message"},         {"code", "error_message"},
    };
    for (size_t i = 0; i < sizeof(pairs) / sizeof(*pairs); i++) {
        char code[sizeof(ret->code)] = "", msg[sizeof(ret->msg)] = "";
        get_field(object, pairs[i].code, code, sizeof(code));
        get_field(object, pairs[i].msg, msg, sizeof(msg));
        if (!code[0] && !msg[0])
            continue;
        if (!msg[0] && i == 0)
            get_field(object, "error_message", msg, sizeof(msg));
        memcpy(ret->code, code, sizeof(code));
        memcpy(ret->msg, msg, sizeof(msg));
        return true;
    }
    return false;
}

static bool find_error(json_t *top, struct svc_error *ret)
{
    const char *key;
    json_t *value;

    if (error_here(top, ret))
        return true;
    json_object_foreach(top, key, value)
    {
        if (json_is_object(value) && error_here(value, ret))
            return true;
    }
    return false;
}

int json_parse_error(const void *p, size_t n, struct svc_error *ret)
{
    int rc;
    *ret = (struct svc_error){0};
    CLEANUP_JSON json_t *top = load_rc(p, n, NULL, &rc);
    if (!top)
        return rc;
    get_field(top, "request_id", ret->request_id, sizeof(ret->request_id));
    return find_error(top, ret) ? 0 : -ENOENT;
}

/* True only if the field is there and says no. */
static bool says_false(const json_t *object, const char *name)
{
    const json_t *j = json_object_get(object, name);
    if (json_is_string(j))
        return strcasecmp(json_string_value(j), "false") == 0;
    return json_is_false(j);
}

int json_parse_refusal(const void *p, size_t n, struct svc_error *ret)
{
    int rc;
    *ret = (struct svc_error){0};
    CLEANUP_JSON json_t *top = load_rc(p, n, NULL, &rc);
    if (!top || (!says_false(top, "is_success") && !says_false(top, "success")))
        return 0;
    get_field(top, "request_id", ret->request_id, sizeof(ret->request_id));
    (void)find_error(top, ret);
    return 1;
}

int json_quote(struct buf *out, const char *s)
{
    (void)buf_addc(out, '"');
    for (; *s; s++) {
        unsigned char c = (unsigned char)*s;
        if (c == '"' || c == '\\')
            (void)buf_addc(out, '\\');
        if (c < 0x20 || c == 0x7f)
            (void)buf_addf(out, "\\u%04x", c);
        else
            (void)buf_addc(out, *s);
    }
    (void)buf_addc(out, '"');
    return out->eno;
}

/* --- DLI --- */

static enum dli_state get_state(const json_t *object)
{
    const json_t *j = json_object_get(object, "status");
    const char *word = json_is_string(j) ? json_string_value(j) : "";
    if (strcasecmp(word, "READY") == 0)
        return DLI_STATE_READY;
    if (strcasecmp(word, "UPLOADING") == 0)
        return DLI_STATE_UPLOADING;
    if (strcasecmp(word, "FAILED") == 0)
        return DLI_STATE_FAILED;
    return DLI_STATE_UNKNOWN;
}

/* One package: an object, or only its name. False if it has no name. */
static bool get_resource(const json_t *j, struct dli_resource *ret)
{
    *ret = (struct dli_resource){0};
    if (json_is_string(j))
        return get_text(j, ret->name, sizeof(ret->name));
    if (!json_is_object(j))
        return false;
    get_field(j, "resource_name", ret->name, sizeof(ret->name));
    get_field(j, "resource_type", ret->type, sizeof(ret->type));
    ret->state = get_state(j);
    ret->update_ms = get_int(j, "update_time", 0);
    return ret->name[0] != 0;
}

/* The packages of an array; what has no name is passed over. */
static int get_resources(const json_t *array, struct dli_answer *ret)
{
    size_t n = json_array_size(array);
    if (n > JSON_ITEMS_MAX)
        return -EBADMSG;
    ret->v = calloc(n, sizeof(*ret->v));
    if (!ret->v)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++) {
        if (get_resource(json_array_get(array, i), &ret->v[ret->n]))
            ret->n++;
    }
    return 0;
}

/* The one package that a query for a package answers with. */
static int get_single(const json_t *top, struct dli_answer *ret)
{
    struct dli_resource one;
    if (!get_resource(top, &one))
        return -EBADMSG;
    ret->v = calloc(1, sizeof(*ret->v));
    if (!ret->v)
        return -ENOMEM;
    ret->v[ret->n++] = one;
    return 0;
}

void dli_answer_clear(struct dli_answer *a)
{
    free(a->v);
    *a = (struct dli_answer){0};
}

int json_parse_dli(const void *p, size_t n, struct dli_answer *ret, struct err *err)
{
    static const char *const arrays[] = {"details", "resources", "resource_names"};
    int rc;
    *ret = (struct dli_answer){0};
    CLEANUP_JSON json_t *top = load_rc(p, n, err, &rc);
    if (!top)
        return rc;

    get_field(top, "group_name", ret->group, sizeof(ret->group));
    ret->state = get_state(top);
    ret->is_async = get_bool(top, "is_async");
    const json_t *array = NULL;
    for (size_t i = 0; i < sizeof(arrays) / sizeof(*arrays) && !json_array_size(array); i++)
        array = json_object_get(top, arrays[i]);
    if (json_array_size(array))
        rc = get_resources(array, ret);
    else if (!ret->group[0])
        rc = get_single(top, ret);
    if (rc < 0) {
        dli_answer_clear(ret);
        return err_set(err, rc, rc == -ENOMEM ? "out of memory" : "the answer names no package");
    }
    return 0;
}

/* --- ModelArts --- */

static enum sync_state sync_word(const char *word)
{
    static const struct {
        const char *word;
        enum sync_state state;
    } words[] = {
        {"NOT_EXIST", SYNC_NOT_STARTED}, {"QUEUING", SYNC_RUNNING}, {"STARTING", SYNC_RUNNING},
        {"RUNNING", SYNC_RUNNING},       {"COMPLETED", SYNC_DONE},  {"FAILED", SYNC_FAILED},
    };
    for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
        if (strcasecmp(word, words[i].word) == 0)
            return words[i].state;
    }
    return SYNC_UNKNOWN;
}

/* The older interface counts. */
static enum sync_state sync_number(int64_t v)
{
    static const enum sync_state states[] = {SYNC_NOT_STARTED, SYNC_DONE, SYNC_FAILED,
                                             SYNC_RUNNING};
    return v >= 0 && v < 4 ? states[v] : SYNC_UNKNOWN;
}

int json_parse_sync(const void *p, size_t n, struct sync_answer *ret, struct err *err)
{
    int rc;
    *ret = (struct sync_answer){0};
    CLEANUP_JSON json_t *top = load_rc(p, n, err, &rc);
    if (!top)
        return rc;

    const json_t *status = json_object_get(top, "status");
    if (json_is_string(status))
        ret->state = sync_word(json_string_value(status));
    else if (json_object_get(top, "sync_status"))
        ret->state = sync_number(get_int(top, "sync_status", -1));
    else if (json_object_get(top, "is_success"))
        ret->state = get_bool(top, "is_success") ? SYNC_UNKNOWN : SYNC_FAILED;
    else
        return err_set(err, -EBADMSG, "the answer has no state");
    get_field(top, "task_id", ret->task_id, sizeof(ret->task_id));
    ret->create_time = get_int(top, "create_time", 0);
    ret->added = get_int(top, "add_sample_count", -1);
    ret->deleted = get_int(top, "deleted_sample_count", -1);
    ret->total = get_int(top, "total_sample_count", -1);
    (void)error_here(top, &ret->error);
    return 0;
}

/* --- IAM and the metadata service --- */

int json_parse_projects(const void *p, size_t n, struct project **ret, size_t *ret_n,
                        struct err *err)
{
    int rc;
    *ret = NULL;
    *ret_n = 0;
    CLEANUP_JSON json_t *top = load_rc(p, n, err, &rc);
    if (!top)
        return rc;

    const json_t *array = json_object_get(top, "projects");
    size_t count = json_array_size(array);
    if (!json_is_array(array) || count > JSON_ITEMS_MAX)
        return err_set(err, -EBADMSG, "the answer has no list of projects");
    struct project *v = calloc(count + 1, sizeof(*v));
    if (!v)
        return err_set(err, -ENOMEM, "out of memory");
    for (size_t i = 0; i < count; i++) {
        const json_t *j = json_array_get(array, i);
        get_field(j, "id", v[*ret_n].id, sizeof(v->id));
        get_field(j, "name", v[*ret_n].name, sizeof(v->name));
        if (v[*ret_n].id[0])
            (*ret_n)++;
    }
    *ret = v;
    return 0;
}

int json_parse_token(const void *p, size_t n, struct token_answer *ret, struct err *err)
{
    int rc;
    int64_t ms;
    char when[64];
    *ret = (struct token_answer){0};
    CLEANUP_JSON json_t *top = load_rc(p, n, err, &rc);
    if (!top)
        return rc;

    const json_t *token = json_object_get(top, "token");
    const json_t *project = json_object_get(token, "project");
    get_field(token, "expires_at", when, sizeof(when));
    if (clock_parse_iso(when, &ms) < 0)
        return err_set(err, -EBADMSG, "the answer does not say until when the token is valid");
    ret->expires = ms / 1000;
    get_field(token, "issued_at", when, sizeof(when));
    if (clock_parse_iso(when, &ms) == 0)
        ret->issued = ms / 1000;
    get_field(project, "id", ret->project.id, sizeof(ret->project.id));
    get_field(project, "name", ret->project.name, sizeof(ret->project.name));
    return 0;
}

/* A key under either of its names: present, complete, printable. */
static bool get_key(const json_t *object, const char *name, const char *other, char *out,
                    size_t size)
{
    const json_t *j = json_object_get(object, name);
    if (!j)
        j = json_object_get(object, other);
    const char *text = json_is_string(j) ? json_string_value(j) : "";
    size_t len = strlen(text);
    if (len == 0 || len >= size)
        return false;
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)text[i] <= 0x20 || (unsigned char)text[i] >= 0x7f)
            return false;
    }
    memcpy(out, text, len + 1);
    return true;
}

int json_parse_securitykey(const void *p, size_t n, struct cred *ret, struct err *err)
{
    int rc;
    *ret = (struct cred){0};
    CLEANUP_JSON json_t *top = load_rc(p, n, err, &rc);
    if (!top)
        return rc;

    const json_t *c = json_object_get(top, "credential");
    if (!c)
        c = json_object_get(top, "credentials");
    char expires[64] = "";
    int64_t ms;
    bool ok = get_key(c, "access", "accessKeyId", ret->ak, sizeof(ret->ak)) &&
              get_key(c, "secret", "secretAccessKey", ret->sk, sizeof(ret->sk)) &&
              get_key(c, "securitytoken", "securityToken", ret->token, sizeof(ret->token)) &&
              (get_key(c, "expires_at", "expiration", expires, sizeof(expires)) &&
               clock_parse_iso(expires, &ms) == 0);
    if (!ok) {
        cred_wipe(ret);
        return err_set(err, -EBADMSG, "the answer has no complete set of temporary keys");
    }
    ret->expires = ms / 1000;
    return 0;
}
