// SPDX-License-Identifier: Apache-2.0
/* Errors on demand, see fault.h */
#include "tests/obs-local/fault.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "net/base/lock.h"
#include "tests/obs-local/server.h"

enum { RULES_MAX = 256 };

struct rule {
    json_t *spec; /* a reference */
    uint64_t matched, fired;
    int64_t skip;
    int64_t count; /* -1: always */
    double probability;
    uint64_t random;
};

struct faults {
    struct lock lock;
    struct rule *rules; /* under lock */
    size_t n;           /* under lock */
    _Atomic uint64_t gen;
};

struct faults *faults_new(void)
{
    struct faults *f = mem_alloc(sizeof(*f));
    lock_init(&f->lock);
    atomic_init(&f->gen, 1);
    return f;
}

static void rules_free(struct rule *rules, size_t n)
{
    for (size_t i = 0; i < n; i++)
        json_decref(rules[i].spec);
    free(rules);
}

void faults_free(struct faults *f)
{
    if (!f)
        return;
    rules_free(f->rules, f->n);
    lock_done(&f->lock);
    free(f);
}

uint64_t faults_generation(const struct faults *f)
{
    return atomic_load(&f->gen);
}

/* Every name that a rule may have, so that a misspelt one is an error and not a silent nothing. */
static const struct {
    const char *name;
    json_type type;
} fields[] = {
    {"name", JSON_STRING},
    {"operation", JSON_STRING},
    {"key", JSON_STRING},
    {"bucket", JSON_STRING},
    {"query", JSON_STRING},
    {"skip", JSON_INTEGER},
    {"count", JSON_INTEGER},
    {"probability", JSON_REAL},
    {"seed", JSON_INTEGER},
    {"delay_ms", JSON_INTEGER},
    {"stall_ms", JSON_INTEGER},
    {"stall", JSON_TRUE},
    {"stall_after_bytes", JSON_INTEGER},
    {"reset", JSON_STRING},
    {"reset_after_bytes_in", JSON_INTEGER},
    {"cut_after_bytes", JSON_INTEGER},
    {"short_body", JSON_INTEGER},
    {"long_body", JSON_INTEGER},
    {"wrong_etag", JSON_TRUE},
    {"wrong_crc64", JSON_TRUE},
    {"status", JSON_INTEGER},
    {"code", JSON_STRING},
    {"message", JSON_STRING},
    {"after", JSON_TRUE},
    {"in_200", JSON_TRUE},
    {"body", JSON_STRING},
    {"drop_upload", JSON_TRUE},
    {"expired_token", JSON_TRUE},
    {"rate", JSON_INTEGER},
    {"headers", JSON_OBJECT},
};

static bool type_fits(json_type want, const json_t *v)
{
    if (want == JSON_TRUE)
        return json_is_boolean(v);
    if (want == JSON_REAL)
        return json_is_number(v);
    return json_typeof(v) == want;
}

static int check_rule(json_t *spec, size_t at, struct err *err)
{
    const char *name;
    json_t *v;
    if (!json_is_object(spec))
        return err_set(err, -EINVAL, "rule %zu is not an object", at);
    json_object_foreach(spec, name, v)
    {
        size_t i = 0, n = sizeof(fields) / sizeof(fields[0]);
        while (i < n && strcmp(fields[i].name, name) != 0)
            i++;
        if (i == n)
            return err_set(err, -EINVAL, "rule %zu: unknown field '%s'", at, name);
        if (!type_fits(fields[i].type, v))
            return err_set(err, -EINVAL, "rule %zu: '%s' has the wrong type", at, name);
    }
    const char *reset = json_string_value(json_object_get(spec, "reset"));
    if (reset && strcmp(reset, "early") != 0 && strcmp(reset, "before") != 0 &&
        strcmp(reset, "after") != 0)
        return err_set(err, -EINVAL, "rule %zu: 'reset' is not early, before or after", at);
    json_int_t status = json_integer_value(json_object_get(spec, "status"));
    if (json_object_get(spec, "status") && (status < 200 || status > 599))
        return err_set(err, -EINVAL, "rule %zu: 'status' is not 200 to 599", at);
    return 0;
}

static int64_t number_or(const json_t *spec, const char *name, int64_t otherwise)
{
    const json_t *v = json_object_get(spec, name);
    return v ? json_integer_value(v) : otherwise;
}

int faults_set(struct faults *f, const char *json, size_t n, struct err *err)
{
    json_error_t je;
    json_t *list = json_loadb(json, n, 0, &je);
    if (!list)
        return err_set(err, -EINVAL, "not JSON: line %d: %s", je.line, je.text);
    int rc = 0;
    size_t count = json_array_size(list);
    if (!json_is_array(list) || count > RULES_MAX)
        rc = err_set(err, -EINVAL, "not an array of at most %d rules", RULES_MAX);
    for (size_t i = 0; rc == 0 && i < count; i++)
        rc = check_rule(json_array_get(list, i), i, err);
    if (rc == 0) {
        struct rule *rules = mem_alloc((count + 1) * sizeof(*rules));
        for (size_t i = 0; i < count; i++) {
            json_t *spec = json_incref(json_array_get(list, i));
            const json_t *p = json_object_get(spec, "probability");
            rules[i] = (struct rule){
                .spec = spec,
                .skip = number_or(spec, "skip", 0),
                .count = number_or(spec, "count", 1),
                .probability = p ? json_number_value(p) : 1.0,
                .random = (uint64_t)number_or(spec, "seed", 1) * 0x9e3779b97f4a7c15ULL | 1,
            };
        }
        lock_take(&f->lock);
        struct rule *old = f->rules;
        size_t old_n = f->n;
        f->rules = rules;
        f->n = count;
        lock_drop(&f->lock);
        atomic_fetch_add(&f->gen, 1);
        rules_free(old, old_n);
    }
    json_decref(list);
    return rc;
}

static const char *string_of(const json_t *spec, const char *name)
{
    return json_string_value(json_object_get(spec, name));
}

static bool matches(const struct rule *rule, const struct request *r)
{
    const char *op = string_of(rule->spec, "operation");
    const char *key = string_of(rule->spec, "key");
    const char *bucket = string_of(rule->spec, "bucket");
    const char *query = string_of(rule->spec, "query");
    const char *text = strchr(r->uri, '?');
    return (!op || text_glob(op, r->op->name)) && (!key || text_glob(key, r->key ? r->key : "")) &&
           (!bucket || text_glob(bucket, r->bucket ? r->bucket : "")) &&
           (!query || text_glob(query, text ? text + 1 : ""));
}

/* Counts a match; true: it is this rule's turn. */
static bool takes_turn(struct rule *rule)
{
    rule->matched++;
    if (rule->skip > 0) {
        rule->skip--;
        return false;
    }
    if (rule->count == 0)
        return false;
    if (rule->probability < 1.0) {
        rule->random ^= rule->random << 13;
        rule->random ^= rule->random >> 7;
        rule->random ^= rule->random << 17;
        if ((double)(rule->random >> 11) / 9007199254740992.0 >= rule->probability)
            return false;
    }
    if (rule->count > 0)
        rule->count--;
    rule->fired++;
    return true;
}

static const char *copy_of(struct arena *mem, const json_t *spec, const char *name)
{
    const char *text = string_of(spec, name);
    return text ? arena_dup(mem, text) : NULL;
}

static void fill_hit(const json_t *spec, struct arena *mem, struct fault_hit *h)
{
    const char *reset = string_of(spec, "reset");
    h->fired = true;
    h->delay_ms = number_or(spec, "delay_ms", 0);
    h->stall_ms =
        json_is_true(json_object_get(spec, "stall")) ? -1 : number_or(spec, "stall_ms", 0);
    h->stall_at = number_or(spec, "stall_after_bytes", -1);
    if (reset)
        h->reset = strcmp(reset, "early") == 0    ? FAULT_RESET_EARLY
                   : strcmp(reset, "before") == 0 ? FAULT_RESET
                                                  : FAULT_RESET_AFTER;
    h->reset_in = number_or(spec, "reset_after_bytes_in", -1);
    h->cut_at = number_or(spec, "cut_after_bytes", -1);
    h->body_delta = number_or(spec, "long_body", 0) - number_or(spec, "short_body", 0);
    h->wrong_etag = json_is_true(json_object_get(spec, "wrong_etag"));
    h->wrong_crc64 = json_is_true(json_object_get(spec, "wrong_crc64"));
    h->status = (int)number_or(spec, "status", 0);
    h->code = copy_of(mem, spec, "code");
    h->message = copy_of(mem, spec, "message");
    h->after = json_is_true(json_object_get(spec, "after"));
    h->in_200 = json_is_true(json_object_get(spec, "in_200"));
    h->body = copy_of(mem, spec, "body");
    h->raw_body = h->body != NULL;
    h->drop_upload = json_is_true(json_object_get(spec, "drop_upload"));
    h->rate = (uint64_t)number_or(spec, "rate", 0);
    if (json_is_true(json_object_get(spec, "expired_token"))) {
        h->status = 403;
        h->code = "ExpiredToken";
    }
    if (h->status && !h->code)
        h->code = h->status == 503   ? "ServiceUnavailable"
                  : h->status == 429 ? "TooManyRequests"
                  : h->status == 403 ? "AccessDenied"
                  : h->status == 404 ? "NoSuchKey"
                  : h->status >= 500 ? "InternalError"
                                     : "InvalidRequest";
    const char *name;
    json_t *v;
    json_object_foreach(json_object_get(spec, "headers"), name, v)
    {
        if (json_is_string(v))
            arena_pairs_add(mem, &h->headers, name, json_string_value(v));
    }
}

void faults_match(struct faults *f, const struct request *r, struct arena *mem,
                  struct fault_hit *ret)
{
    lock_take(&f->lock);
    for (size_t i = 0; i < f->n; i++) {
        if (!matches(&f->rules[i], r) || !takes_turn(&f->rules[i]))
            continue;
        fill_hit(f->rules[i].spec, mem, ret);
        ret->gen = atomic_load(&f->gen);
        break;
    }
    lock_drop(&f->lock);
}

void faults_json(struct faults *f, struct buf *out)
{
    lock_take(&f->lock);
    buf_adds(out, "[");
    for (size_t i = 0; i < f->n; i++) {
        const struct rule *rule = &f->rules[i];
        char *spec = json_dumps(rule->spec, JSON_COMPACT);
        buf_addf(out, "%s\n{\"matched\":%llu,\"fired\":%llu,\"rule\":%s}", i ? "," : "",
                 (unsigned long long)rule->matched, (unsigned long long)rule->fired,
                 spec ? spec : "{}");
        free(spec);
    }
    buf_adds(out, "\n]\n");
    lock_drop(&f->lock);
}
