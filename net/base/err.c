// SPDX-License-Identifier: Apache-2.0
// Error values; see err.h.
#include "net/base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int err_set(struct err *e, int eno, const char *fmt, ...)
{
    if (!e)
        return eno;

    err_clear(e);
    e->eno = eno;
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(e->msg, sizeof(e->msg), fmt, ap);
    va_end(ap);
    return eno;
}

int err_prefix(struct err *e, const char *fmt, ...)
{
    if (!e)
        return 0;

    char outer[sizeof(e->msg)];
    char whole[2 * sizeof(e->msg) + 2];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(outer, sizeof(outer), fmt, ap);
    va_end(ap);
    (void)snprintf(whole, sizeof(whole), "%s: %s", outer, e->msg);
    (void)snprintf(e->msg, sizeof(e->msg), "%.*s", (int)sizeof(e->msg) - 1, whole);
    return e->eno;
}

void err_clear(struct err *e)
{
    *e = (struct err){0};
}

const char *err_text(int eno)
{
    const char *text = strerrordesc_np(abs(eno));
    return text ? text : "Unknown error";
}

const char *err_name(int eno)
{
    const char *name = strerrorname_np(abs(eno));
    return name ? name : "E?";
}

const char *err_class_name(enum err_class cls)
{
    static const char *const names[] = {
        [ERR_FATAL] = "fatal",       [ERR_RETRY] = "retry",      [ERR_THROTTLED] = "throttled",
        [ERR_REAUTH] = "reauth",     [ERR_CLOCK_SKEW] = "clock", [ERR_REDIRECT] = "redirect",
        [ERR_REKEY] = "rekey",       [ERR_GONE] = "gone",        [ERR_DENIED] = "denied",
        [ERR_CONFLICT] = "conflict",
    };
    return (unsigned)cls < sizeof(names) / sizeof(names[0]) ? names[cls] : "?";
}
