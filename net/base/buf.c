// SPDX-License-Identifier: Apache-2.0
// A bounded growing buffer; see buf.h.
#include "net/base/buf.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int fail(struct buf *b, int eno)
{
    if (!b->eno)
        b->eno = eno;
    return eno;
}

/* Room for `more` bytes and the final 0. */
static int reserve(struct buf *b, size_t more)
{
    if (more > b->max - b->n)
        return fail(b, -EMSGSIZE);
    if (b->n + more < b->cap)
        return 0;

    size_t cap = b->cap ? b->cap : 64;
    while (cap <= b->n + more)
        cap *= 2;
    char *p = realloc(b->p, cap);
    if (!p)
        return fail(b, -ENOMEM);
    b->p = p;
    b->cap = cap;
    return 0;
}

int buf_add(struct buf *b, const void *p, size_t n)
{
    int rc = reserve(b, n);
    if (rc < 0)
        return rc;

    if (n)
        memcpy(b->p + b->n, p, n);
    b->n += n;
    b->p[b->n] = 0;
    return 0;
}

int buf_addc(struct buf *b, char c)
{
    return buf_add(b, &c, 1);
}

int buf_adds(struct buf *b, const char *s)
{
    return buf_add(b, s, strlen(s));
}

int buf_addf(struct buf *b, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int need = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (need < 0)
        return fail(b, -EINVAL);

    int rc = reserve(b, (size_t)need);
    if (rc < 0)
        return rc;
    va_start(ap, fmt);
    (void)vsnprintf(b->p + b->n, (size_t)need + 1, fmt, ap);
    va_end(ap);
    b->n += (size_t)need;
    return 0;
}

void buf_reset(struct buf *b)
{
    b->n = 0;
    b->eno = 0;
    if (b->p)
        b->p[0] = 0;
}

void buf_done(struct buf *b)
{
    free(b->p);
    *b = BUF_INIT(b->max);
}

const char *buf_str(const struct buf *b)
{
    return b->n ? b->p : "";
}

char *buf_steal(struct buf *b)
{
    char *p = b->p ? b->p : strdup("");
    *b = BUF_INIT(b->max);
    return p;
}
