// SPDX-License-Identifier: Apache-2.0
// The last failures; see errors.h.
#include "fs/errors.h"

#include <stdio.h>
#include <stdlib.h>

#include "net/base/clock.h"

struct errors {
    uint64_t count; /* the next one goes to v[count % ERRORS_MAX] */
    struct error_entry v[ERRORS_MAX];
};

struct errors *errors_new(void)
{
    return calloc(1, sizeof(struct errors));
}

void errors_free(struct errors *errors)
{
    free(errors);
}

void errors_add(struct errors *errors, const char *op, const char *path, const struct err *err)
{
    if (!errors || !err->eno)
        return;
    struct error_entry *e = &errors->v[errors->count++ % ERRORS_MAX];
    e->when = clock_real();
    e->err = *err;
    (void)snprintf(e->op, sizeof(e->op), "%s", op);
    (void)snprintf(e->path, sizeof(e->path), "%s", path);
}

uint64_t errors_count(const struct errors *errors)
{
    return errors ? errors->count : 0;
}

void errors_time(const struct timespec *when, char out[32])
{
    struct tm tm;
    char text[24];
    gmtime_r(&when->tv_sec, &tm);
    if (strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm) == 0)
        text[0] = '\0';
    (void)snprintf(out, 32, "%s.%03dZ", text, (int)(when->tv_nsec / 1000000) % 1000);
}

int errors_quote(struct buf *out, const char *text)
{
    buf_addc(out, '"');
    for (const char *p = text; *p; p++) {
        unsigned char c = (unsigned char)*p;
        if (c == '"' || c == '\\')
            buf_addf(out, "\\%c", c);
        else if (c < 0x20 || c == 0x7f)
            buf_addf(out, "\\u%04x", c);
        else
            buf_addc(out, (char)c);
    }
    buf_addc(out, '"');
    return out->eno;
}

static void add_field(struct buf *out, const char *name, const char *value)
{
    if (!value[0])
        return;
    buf_addf(out, " %s=", name);
    (void)errors_quote(out, value);
}

static void add_line(struct buf *out, const struct error_entry *e)
{
    char when[32];
    errors_time(&e->when, when);
    buf_addf(out, "%s %s %s", when, e->op, err_name(e->err.eno));
    add_field(out, "path", e->path);
    if (e->err.http)
        buf_addf(out, " http_status=%d", e->err.http);
    add_field(out, "error_code", e->err.code);
    add_field(out, "error_msg", e->err.msg[0] ? e->err.msg : err_text(e->err.eno));
    add_field(out, "request_id", e->err.request_id);
    buf_addc(out, '\n');
}

int errors_dump(const struct errors *errors, struct buf *out)
{
    uint64_t n = errors_count(errors);
    for (uint64_t i = n > ERRORS_MAX ? n - ERRORS_MAX : 0; i < n; i++)
        add_line(out, &errors->v[i % ERRORS_MAX]);
    return out->eno;
}
