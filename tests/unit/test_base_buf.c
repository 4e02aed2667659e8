// SPDX-License-Identifier: Apache-2.0
// The bounded buffer.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "net/base/buf.h"

static void test_grows(void **state)
{
    CLEANUP_BUF struct buf b = BUF_INIT(100000);
    assert_string_equal(buf_str(&b), "");
    for (int i = 0; i < 10000; i++)
        assert_int_equal(buf_addf(&b, "%04d", i), 0);
    assert_int_equal(b.n, 40000);
    assert_int_equal(b.p[b.n], 0);
    assert_memory_equal(b.p + 4 * 1234, "1234", 4);
    buf_reset(&b);
    assert_string_equal(buf_str(&b), "");
    assert_int_equal(buf_addc(&b, 'x'), 0);
    assert_int_equal(buf_add(&b, "a\0b", 3), 0);
    assert_int_equal(b.n, 4);
    assert_memory_equal(b.p, "xa\0b", 5);
}

static void test_limit(void **state)
{
    CLEANUP_BUF struct buf b = BUF_INIT(8);
    assert_int_equal(buf_adds(&b, "1234567"), 0);
    assert_int_equal(buf_adds(&b, "89"), -EMSGSIZE);
    assert_string_equal(buf_str(&b), "1234567");
    assert_int_equal(buf_addf(&b, "%d", 89), -EMSGSIZE);
    assert_int_equal(buf_adds(&b, "8"), 0);
    assert_int_equal(b.n, 8);
    assert_int_equal(buf_addc(&b, '9'), -EMSGSIZE);
    assert_int_equal(buf_add(&b, "", 0), 0);
    assert_int_equal(b.eno, -EMSGSIZE); /* sticks */
    buf_reset(&b);
    assert_int_equal(b.eno, 0);
    assert_int_equal(buf_add(&b, "x", SIZE_MAX), -EMSGSIZE);

    CLEANUP_BUF struct buf none = BUF_INIT(0);
    assert_int_equal(buf_addc(&none, 'x'), -EMSGSIZE);
    assert_string_equal(buf_str(&none), "");
}

static void test_steal(void **state)
{
    struct buf b = BUF_INIT(16);
    char *p = buf_steal(&b);
    assert_string_equal(p, "");
    free(p);
    buf_adds(&b, "hello");
    p = buf_steal(&b);
    assert_string_equal(p, "hello");
    assert_int_equal(b.n, 0);
    assert_int_equal(b.max, 16);
    free(p);
    assert_int_equal(buf_adds(&b, "again"), 0);
    buf_done(&b);
    buf_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_grows),
        cmocka_unit_test(test_limit),
        cmocka_unit_test(test_steal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
