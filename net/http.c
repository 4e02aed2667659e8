// SPDX-License-Identifier: Apache-2.0
// Header fields, redaction and ranges; see http.h.
#include "net/http.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "net/base/cleanup.h"

enum { FIELDS_STEP = 16 };

static bool clean(const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)s[i];
        if ((c < 0x20 && c != '\t') || c == 0x7f)
            return false;
    }
    return true;
}

static int add(struct http_fields *f, const char *name, size_t n_name, const char *value,
               size_t n_value)
{
    if (n_name == 0 || !clean(name, n_name) || !clean(value, n_value))
        return -EINVAL;
    if (n_name + n_value > HTTP_FIELDS_MAX - f->bytes)
        return -EMSGSIZE;
    if (f->n % FIELDS_STEP == 0) {
        struct http_field *v = realloc(f->v, (f->n + FIELDS_STEP) * sizeof(*v));
        if (!v)
            return -ENOMEM;
        f->v = v;
    }

    CLEANUP_FREE char *copy = strndup(name, n_name);
    char *text = strndup(value, n_value);
    if (!copy || !text) {
        free(text);
        return -ENOMEM;
    }
    f->v[f->n++] = (struct http_field){.name = steal_ptr(&copy), .value = text};
    f->bytes += n_name + n_value;
    return 0;
}

int http_fields_add(struct http_fields *fields, const char *name, const char *value)
{
    return add(fields, name, strlen(name), value, strlen(value));
}

int http_fields_add_line(struct http_fields *fields, const char *line, size_t n)
{
    while (n && isspace((unsigned char)line[n - 1]))
        n--;
    const char *colon = memchr(line, ':', n);
    if (!colon || colon == line)
        return 0;

    const char *value = colon + 1;
    const char *end = line + n;
    while (value < end && (*value == ' ' || *value == '\t'))
        value++;
    return add(fields, line, (size_t)(colon - line), value, (size_t)(end - value));
}

const char *http_fields_get(const struct http_fields *fields, const char *name)
{
    for (size_t i = 0; i < fields->n; i++) {
        if (strcasecmp(fields->v[i].name, name) == 0)
            return fields->v[i].value;
    }
    return NULL;
}

void http_fields_clear(struct http_fields *fields)
{
    for (size_t i = 0; i < fields->n; i++) {
        free(fields->v[i].name);
        free(fields->v[i].value);
    }
    free(fields->v);
    *fields = (struct http_fields){0};
}

/* True if the n bytes at `name` contain `word`, compared without case. */
static bool contains(const char *name, size_t n, const char *word)
{
    size_t len = strlen(word);
    for (size_t i = 0; i + len <= n; i++) {
        if (strncasecmp(name + i, word, len) == 0)
            return true;
    }
    return false;
}

static bool secret_name(const char *name, size_t n)
{
    static const char *const words[] = {"authorization", "token",      "cookie",     "signature",
                                        "customer-key",  "credential", "accesskeyid"};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (contains(name, n, words[i]))
            return true;
    }
    return false;
}

/* Copies a text that may hold a URL; parameter values of secret names are replaced. */
static void redact_query(const char *p, size_t n, struct buf *out)
{
    size_t i = 0;
    while (i < n) {
        size_t start = i;
        while (i < n && p[i] != '?' && p[i] != '&')
            i++;
        if (i < n)
            i++;
        (void)buf_add(out, p + start, i - start);

        size_t name = i;
        while (i < n && (isalnum((unsigned char)p[i]) || strchr("-_.%", p[i])))
            i++;
        (void)buf_add(out, p + name, i - name);
        if (i == n || p[i] != '=' || i == name || !secret_name(p + name, i - name))
            continue;
        (void)buf_adds(out, "=[hidden]");
        while (i < n && p[i] != '&' && p[i] != ' ' && p[i] != '\r' && p[i] != '\n')
            i++;
    }
}

void http_redact(const char *line, size_t n, struct buf *out)
{
    size_t i = 0;
    while (i < n && (isalnum((unsigned char)line[i]) || line[i] == '-' || line[i] == '_'))
        i++;
    if (i && i < n && line[i] == ':' && secret_name(line, i)) {
        (void)buf_add(out, line, i);
        (void)buf_adds(out, ": [hidden]");
        return;
    }
    redact_query(line, n, out);
}

static int number(const char **p, char stop, uint64_t *ret)
{
    if (!isdigit((unsigned char)**p))
        return -EINVAL;
    char *end;
    errno = 0;
    unsigned long long v = strtoull(*p, &end, 10);
    if (errno || *end != stop)
        return -EINVAL;
    *ret = v;
    *p = stop ? end + 1 : end;
    return 0;
}

int http_content_range(const char *value, uint64_t *ret_first, uint64_t *ret_last,
                       uint64_t *ret_total)
{
    if (strncasecmp(value, "bytes", 5) != 0)
        return -EINVAL;
    const char *p = value + 5;
    while (*p == ' ')
        p++;

    int rc = number(&p, '-', ret_first);
    if (rc == 0)
        rc = number(&p, '/', ret_last);
    if (rc == 0)
        rc = number(&p, 0, ret_total);
    if (rc == 0 && (*ret_last < *ret_first || *ret_total <= *ret_last))
        rc = -EINVAL;
    return rc;
}

void http_call_clear(struct http_call *call)
{
    http_fields_clear(&call->response.fields);
    buf_done(&call->response.body);
    call->response = (struct http_response){0};
    err_clear(&call->err);
    err_clear(&call->wire);
    call->attempts = call->sent = 0;
    call->retry_after_ms = 0;
    call->priv.prev = call->priv.next = NULL;
    call->priv.thread = NULL;
    call->priv.attempt = NULL;
    atomic_store(&call->priv.cancelled, false);
    call->priv.has_slot = call->priv.started = call->priv.immediate = false;
    call->priv.wake_ms = call->priv.give_up_at = 0;
    call->priv.repeats = 0;
    call->priv.redirects = call->priv.reauths = call->priv.skews = 0;
}
