// SPDX-License-Identifier: Apache-2.0
// Error values.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "net/base/err.h"

static void test_set(void **state)
{
    struct err e;
    memset(&e, 'x', sizeof(e));
    assert_int_equal(err_set(&e, -EIO, "part %d", 7), -EIO);
    assert_int_equal(e.eno, -EIO);
    assert_int_equal(e.cls, ERR_FATAL);
    assert_int_equal(e.http, 0);
    assert_string_equal(e.code, "");
    assert_string_equal(e.request_id, "");
    assert_string_equal(e.msg, "part 7");
    assert_int_equal(err_set(NULL, -ENOENT, "x"), -ENOENT);
    err_clear(&e);
    assert_int_equal(e.eno, 0);
    assert_string_equal(e.msg, "");
}

static void test_prefix(void **state)
{
    struct err e;
    err_set(&e, -EIO, "inner");
    e.http = 503;
    assert_int_equal(err_prefix(&e, "part %d", 7), -EIO);
    assert_string_equal(e.msg, "part 7: inner");
    assert_int_equal(e.http, 503);
    assert_int_equal(err_prefix(NULL, "x"), 0);
}

static void test_long_messages(void **state)
{
    char text[1000];
    struct err e;
    memset(text, 'a', sizeof(text) - 1);
    text[sizeof(text) - 1] = 0;
    err_set(&e, -EIO, "%s", text);
    assert_int_equal(strlen(e.msg), sizeof(e.msg) - 1);
    err_prefix(&e, "%s", text);
    assert_int_equal(strlen(e.msg), sizeof(e.msg) - 1);
    err_set(&e, -EIO, "%s", "short");
    err_prefix(&e, "%s", text);
    assert_int_equal(strlen(e.msg), sizeof(e.msg) - 1);
}

static void test_names(void **state)
{
    assert_string_equal(err_name(-ENOSPC), "ENOSPC");
    assert_string_equal(err_name(ENOSPC), "ENOSPC");
    assert_string_equal(err_name(99999), "E?");
    assert_string_equal(err_text(-ENOENT), "No such file or directory");
    assert_non_null(err_text(99999));
    assert_string_equal(err_class_name(ERR_THROTTLED), "throttled");
    assert_string_equal(err_class_name(ERR_CONFLICT), "conflict");
    assert_string_equal(err_class_name((enum err_class)99), "?");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_set),
        cmocka_unit_test(test_prefix),
        cmocka_unit_test(test_long_messages),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
