// SPDX-License-Identifier: Apache-2.0
/* Ranges and conditions, see range.h */
#include "tests/obs-local/range.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "net/base/clock.h"

/* Digits at *s, moved past; false if there is none or it is too large. */
static bool number(const char **s, uint64_t *ret)
{
    uint64_t v = 0;
    const char *p = *s;
    for (; *p >= '0' && *p <= '9'; p++) {
        if (v > (UINT64_MAX - 9) / 10)
            return false;
        v = v * 10 + (uint64_t)(*p - '0');
    }
    bool some = p != *s;
    *s = p;
    *ret = v;
    return some;
}

enum range_kind range_parse(const char *text, uint64_t size, uint64_t *ret_off, uint64_t *ret_len)
{
    uint64_t a = 0, b = 0;
    if (!text || !text_starts(text, "bytes="))
        return RANGE_WHOLE;
    const char *s = text + 6;
    bool has_a = number(&s, &a);
    if (*s != '-')
        return RANGE_WHOLE;
    s++;
    bool has_b = number(&s, &b);
    if (*s != '\0' || (!has_a && !has_b))
        return RANGE_WHOLE;
    if (!has_a) {
        if (b == 0 || size == 0)
            return RANGE_INVALID;
        *ret_len = b < size ? b : size;
        *ret_off = size - *ret_len;
        return RANGE_PART;
    }
    if (has_b && b < a)
        return RANGE_WHOLE;
    if (a >= size)
        return RANGE_INVALID;
    if (!has_b || b >= size)
        b = size - 1;
    *ret_off = a;
    *ret_len = b - a + 1;
    return RANGE_PART;
}

bool range_parse_exact(const char *text, uint64_t size, uint64_t *ret_off, uint64_t *ret_len)
{
    uint64_t a, b;
    if (!text_starts(text, "bytes="))
        return false;
    const char *s = text + 6;
    if (!number(&s, &a) || *s++ != '-' || !number(&s, &b) || *s != '\0')
        return false;
    if (b < a || b >= size)
        return false;
    *ret_off = a;
    *ret_len = b - a + 1;
    return true;
}

static const char *condition(const struct pairs *headers, const char *prefix, const char *name)
{
    char full[64];
    snprintf(full, sizeof(full), "%s%s", prefix, name);
    return pairs_get(headers, full);
}

/* One of a list of tags, each quoted or not, or "*". */
static bool tag_matches(const char *list, const char *etag)
{
    const char *s = list;
    while (*s) {
        size_t n = strcspn(s, ",");
        const char *p = s;
        size_t k = n;
        while (k && (*p == ' ' || *p == '"')) {
            p++;
            k--;
        }
        while (k && (p[k - 1] == ' ' || p[k - 1] == '"'))
            k--;
        if ((k == 1 && *p == '*') || (k == strlen(etag) && strncmp(p, etag, k) == 0))
            return true;
        s += n;
        if (*s == ',')
            s++;
    }
    return false;
}

static bool date_of(const char *text, int64_t now_s, int64_t *ret)
{
    time_t t;
    if (!text || clock_parse_http_date(text, &t) != 0 || t > now_s)
        return false;
    *ret = t;
    return true;
}

int range_condition(const struct pairs *headers, const char *prefix, const char *etag,
                    int64_t mtime_s, int64_t now_s)
{
    bool copy = prefix[0] != '\0';
    const char *match = condition(headers, prefix, "if-match");
    const char *none = condition(headers, prefix, "if-none-match");
    int64_t t;
    if (match && !tag_matches(match, etag))
        return 412;
    if (!match && date_of(condition(headers, prefix, "if-unmodified-since"), now_s, &t) &&
        mtime_s > t)
        return 412;
    if (none && tag_matches(none, etag))
        return copy ? 412 : 304;
    if (!none && date_of(condition(headers, prefix, "if-modified-since"), now_s, &t) &&
        mtime_s <= t)
        return copy ? 412 : 304;
    return 0;
}
