// SPDX-License-Identifier: Apache-2.0
// Dates and clocks.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "net/base/clock.h"

static void test_http_date(void **state)
{
    static const struct {
        time_t t;
        const char *text;
    } v[] = {
        {0, "Thu, 01 Jan 1970 00:00:00 GMT"},
        {1728976809, "Tue, 15 Oct 2024 07:20:09 GMT"},
        {951782399, "Mon, 28 Feb 2000 23:59:59 GMT"},
        {951782400, "Tue, 29 Feb 2000 00:00:00 GMT"},
        {4102444799, "Thu, 31 Dec 2099 23:59:59 GMT"},
    };
    for (size_t i = 0; i < sizeof(v) / sizeof(*v); i++) {
        char text[30];
        time_t t;
        clock_http_date(v[i].t, text);
        assert_string_equal(text, v[i].text);
        assert_int_equal(clock_parse_http_date(text, &t), 0);
        assert_true(t == v[i].t);
    }
}

static void test_bad_http_dates(void **state)
{
    static const char *const bad[] = {
        "",
        "yesterday",
        "Tue, 15 Oct 2024 07:20:09",
        "Tue, 15 Oct 2024 07:20:09 PST",
        "Tue, 15 Okt 2024 07:20:09 GMT",
        "Tue, 32 Oct 2024 07:20:09 GMT",
        "Tue, 00 Oct 2024 07:20:09 GMT",
        "Tue, 15 Oct 2024 24:20:09 GMT",
        "Tue, 15 Oct 2024 07:60:09 GMT",
        "Tue, 15 Oct 2024 07:20:61 GMT",
        "2024-10-15T07:20:09Z",
    };
    time_t t;
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        if (clock_parse_http_date(bad[i], &t) != -EINVAL)
            fail_msg("taken: %s", bad[i]);
    }
}

static void test_iso(void **state)
{
    int64_t ms;
    assert_int_equal(clock_parse_iso("2024-10-15T07:20:09.123Z", &ms), 0);
    assert_true(ms == 1728976809123);
    assert_int_equal(clock_parse_iso("2024-10-15T07:20:09Z", &ms), 0);
    assert_true(ms == 1728976809000);
    assert_int_equal(clock_parse_iso("2024-10-15T07:20:09.123456Z", &ms), 0);
    assert_true(ms == 1728976809123);
    assert_int_equal(clock_parse_iso("2024-10-15T07:20:09.5Z", &ms), 0);
    assert_true(ms == 1728976809500);

    static const char *const bad[] = {
        "",
        "2024-10-15",
        "2024-13-15T07:20:09Z",
        "2024-10-32T07:20:09Z",
        "2024-10-15T25:20:09Z",
        "2024-10-15T07:20:09+02:00",
        "2024-10-15T07:20:09.1x",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        if (clock_parse_iso(bad[i], &ms) != -EINVAL)
            fail_msg("taken: %s", bad[i]);
    }
}

static void test_clocks(void **state)
{
    int64_t ns = clock_ns();
    int64_t ms = clock_ms();
    assert_true(ms >= ns / 1000000);
    assert_true(clock_ns() >= ns);
    assert_true(ms > (int64_t)365 * 86400 * 1000); /* 0 is longer ago than any option can say */
    struct timespec until = clock_deadline(ms + 1500), now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    assert_in_range(until.tv_sec, now.tv_sec, now.tv_sec + 2);
    assert_in_range(until.tv_nsec, 0, 999999999);
    assert_int_equal(clock_deadline(0).tv_sec, 0);
    struct timespec real = clock_real();
    assert_true(real.tv_sec > 1700000000);
    assert_in_range(real.tv_nsec, 0, 999999999);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_http_date),
        cmocka_unit_test(test_bad_http_dates),
        cmocka_unit_test(test_iso),
        cmocka_unit_test(test_clocks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
