// SPDX-License-Identifier: Apache-2.0
// Clocks and dates; see clock.h.
#include "net/base/clock.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

static const char days[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                   "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

int64_t clock_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (CLOCK_START_S + t.tv_sec) * 1000000000 + t.tv_nsec;
}

int64_t clock_ms(void)
{
    return clock_ns() / 1000000;
}

struct timespec clock_deadline(int64_t ms)
{
    int64_t since_start = ms - CLOCK_START_S * 1000;
    if (since_start < 0)
        since_start = 0;
    return (struct timespec){.tv_sec = since_start / 1000, .tv_nsec = since_start % 1000 * 1000000};
}

struct timespec clock_real(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return t;
}

/* Not strftime: the names must not follow the locale. */
void clock_http_date(time_t t, char out[30])
{
    struct tm tm;
    gmtime_r(&t, &tm);
    (void)snprintf(out, 30, "%.3s, %02u %.3s %04u %02u:%02u:%02u GMT", days[tm.tm_wday % 7],
                   (unsigned)tm.tm_mday % 100, months[tm.tm_mon % 12],
                   (unsigned)(tm.tm_year + 1900) % 10000, (unsigned)tm.tm_hour % 100,
                   (unsigned)tm.tm_min % 100, (unsigned)tm.tm_sec % 100);
}

int clock_parse_http_date(const char *text, time_t *ret_t)
{
    struct tm tm = {0};
    char mon[4];
    int used = 0;

    if (sscanf(text, "%*3[A-Za-z], %2d %3[A-Za-z] %4d %2d:%2d:%2d GMT%n", &tm.tm_mday, mon,
               &tm.tm_year, &tm.tm_hour, &tm.tm_min, &tm.tm_sec, &used) != 6 ||
        used == 0)
        return -EINVAL;
    for (tm.tm_mon = 0; tm.tm_mon < 12; tm.tm_mon++) {
        if (strcmp(months[tm.tm_mon], mon) == 0)
            break;
    }
    if (tm.tm_mon == 12 || tm.tm_mday < 1 || tm.tm_mday > 31 || tm.tm_hour > 23 || tm.tm_min > 59 ||
        tm.tm_sec > 60)
        return -EINVAL;
    tm.tm_year -= 1900;
    *ret_t = timegm(&tm);
    return 0;
}

int clock_parse_iso(const char *text, int64_t *ret_ms)
{
    struct tm tm = {0};
    int used = 0;

    if (sscanf(text, "%4d-%2d-%2dT%2d:%2d:%2d%n", &tm.tm_year, &tm.tm_mon, &tm.tm_mday, &tm.tm_hour,
               &tm.tm_min, &tm.tm_sec, &used) != 6)
        return -EINVAL;
    if (tm.tm_mon < 1 || tm.tm_mon > 12 || tm.tm_mday < 1 || tm.tm_mday > 31 || tm.tm_hour > 23 ||
        tm.tm_min > 59 || tm.tm_sec > 60)
        return -EINVAL;
    const char *p = text + used;
    int64_t ms = 0;
    if (*p == '.') {
        int64_t unit = 100;
        for (p++; isdigit((unsigned char)*p); p++) {
            ms += unit * (*p - '0');
            unit /= 10;
        }
    }
    if (*p != 'Z' && *p != 0)
        return -EINVAL;
    tm.tm_year -= 1900;
    tm.tm_mon -= 1;
    *ret_ms = (int64_t)timegm(&tm) * 1000 + ms;
    return 0;
}
