// SPDX-License-Identifier: Apache-2.0
// What the signatures share: header lines and canonical headers; see sign.h and sign_impl.h.
#include "net/sign_impl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

void sign_lines_clear(struct sign_lines *lines)
{
    for (size_t i = 0; i < lines->n; i++) {
        explicit_bzero(lines->v[i], strlen(lines->v[i]));
        free(lines->v[i]);
    }
    *lines = (struct sign_lines){0};
}

void sign_buf_wipe(struct buf *b)
{
    if (b->p)
        explicit_bzero(b->p, b->cap);
    buf_done(b);
}

const char *sign_find_header(const struct sign_request *r, const char *name)
{
    for (size_t i = 0; i < r->n_headers; i++) {
        if (strcasecmp(r->headers[i].name, name) == 0)
            return r->headers[i].value;
    }
    return NULL;
}

static bool has_control(const char *text)
{
    for (const char *p = text; *p; p++) {
        if (((unsigned char)*p < 0x20 && *p != '\t') || *p == 0x7f)
            return true;
    }
    return false;
}

int sign_begin(struct sign_draft *d, const struct sign_request *r)
{
    if (r->n_headers > SIGN_HEADERS_MAX || r->n_query > SIGN_QUERY_MAX)
        return -E2BIG;
    if (r->path[0] != '/' || has_control(r->path))
        return -EINVAL;

    *d = (struct sign_draft){.r = *r};
    for (size_t i = 0; i < r->n_headers; i++) {
        if (has_control(r->headers[i].value) || has_control(r->headers[i].name))
            return -EINVAL;
        d->headers[i] = r->headers[i];
    }
    d->r.headers = d->headers;
    return 0;
}

int sign_add_line(struct sign_draft *d, struct sign_lines *lines, const char *name,
                  const char *value)
{
    size_t n_name = strlen(name);
    size_t size = n_name + 2 + strlen(value) + 1;
    if (has_control(value))
        return -EINVAL;
    if (lines->n == SIGN_LINES_MAX)
        return -E2BIG;
    char *line = malloc(size);
    if (!line)
        return -ENOMEM;
    (void)snprintf(line, size, "%s: %s", name, value);
    lines->v[lines->n++] = line;
    /* The line keeps the value alive: the draft is used up before the lines are cleared. */
    d->headers[d->r.n_headers++] = (struct sign_header){.name = name, .value = line + n_name + 2};
    return 0;
}

int sign_finish(int rc, struct sign_lines *lines)
{
    if (rc < 0)
        sign_lines_clear(lines);
    return rc == -EMSGSIZE ? -E2BIG : rc;
}

static int compare_headers(const void *a, const void *b)
{
    const struct sign_header *x = *(const struct sign_header *const *)a;
    const struct sign_header *y = *(const struct sign_header *const *)b;
    int c = strcasecmp(x->name, y->name);
    if (c)
        return c;
    /* Same name: in the order of the request, which is the order in memory. */
    return x < y ? -1 : x > y;
}

size_t sign_select(const struct sign_request *r, sign_covers_fn *covers, const void *arg,
                   const struct sign_header *ret[SIGN_ALL_MAX])
{
    size_t n = 0;
    for (size_t i = 0; i < r->n_headers && n < SIGN_ALL_MAX; i++) {
        if (covers(r->headers[i].name, arg))
            ret[n++] = &r->headers[i];
    }
    qsort(ret, n, sizeof(*ret), compare_headers);
    return n;
}

/* The value without blanks around it. */
static int add_trimmed(struct buf *out, const char *value)
{
    size_t n = strlen(value);
    while (n && (*value == ' ' || *value == '\t')) {
        value++;
        n--;
    }
    while (n && (value[n - 1] == ' ' || value[n - 1] == '\t'))
        n--;
    return buf_add(out, value, n);
}

static int add_lower(struct buf *out, const char *name)
{
    int rc = 0;
    for (const char *p = name; *p && rc == 0; p++)
        rc = buf_addc(out, (char)(*p >= 'A' && *p <= 'Z' ? *p + 32 : *p));
    return rc;
}

void sign_add_headers(struct buf *out, const struct sign_header *const *v, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        bool repeated = i > 0 && strcasecmp(v[i - 1]->name, v[i]->name) == 0;
        if (repeated) {
            buf_addc(out, ',');
        } else {
            if (i > 0)
                buf_addc(out, '\n');
            add_lower(out, v[i]->name);
            buf_addc(out, ':');
        }
        add_trimmed(out, v[i]->value);
    }
    if (n)
        buf_addc(out, '\n');
}

void sign_add_names(struct buf *out, const struct sign_header *const *v, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (i > 0 && strcasecmp(v[i - 1]->name, v[i]->name) == 0)
            continue;
        if (i > 0)
            buf_addc(out, ';');
        add_lower(out, v[i]->name);
    }
}

/* A parameter as it is signed. */
struct pair {
    const char *name;
    const char *value;
};

static int compare_pairs(const void *a, const void *b)
{
    const struct pair *x = a, *y = b;
    int c = strcmp(x->name, y->name);
    return c ? c : strcmp(x->value, y->value);
}

void sign_add_query(struct buf *out, const struct url_param *query, size_t n)
{
    struct pair v[SIGN_QUERY_MAX];
    for (size_t i = 0; i < n; i++)
        v[i] = (struct pair){.name = query[i].name, .value = query[i].value ? query[i].value : ""};
    qsort(v, n, sizeof(*v), compare_pairs);
    for (size_t i = 0; i < n; i++) {
        if (i > 0)
            buf_addc(out, '&');
        url_encode(out, v[i].name, strlen(v[i].name), URL_VALUE);
        buf_addc(out, '=');
        url_encode(out, v[i].value, strlen(v[i].value), URL_VALUE);
    }
}

int sign_hash_hex(const char *text, size_t n, char out[2 * DIGEST_SHA256_SIZE + 1])
{
    unsigned char hash[DIGEST_SHA256_SIZE];
    int rc = digest_once(DIGEST_SHA256, text, n, hash);
    if (rc == 0)
        hex_encode(hash, sizeof(hash), out);
    return rc;
}

void sign_time(time_t t, char out[SIGN_TIME_MAX])
{
    struct tm tm;
    gmtime_r(&t, &tm);
    (void)snprintf(out, SIGN_TIME_MAX, "%04d%02d%02dT%02d%02d%02dZ", (tm.tm_year + 1900) % 10000,
                   (tm.tm_mon + 1) % 100, tm.tm_mday % 100, tm.tm_hour % 100, tm.tm_min % 100,
                   tm.tm_sec % 100);
}
