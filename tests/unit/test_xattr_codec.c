// SPDX-License-Identifier: Apache-2.0
// Extended attributes: the set, its limits, and s3fs's form of it.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>

#include <cmocka.h>

#include "fs/xattr_codec.h"
#include "net/base/buf.h"
#include "net/base/cleanup.h"
#include "net/props.h"

static void assert_value(const struct xattr_set *set, const char *name, const void *want, size_t n)
{
    char got[8192];
    assert_int_equal(xattr_set_get(set, name, got, sizeof(got)), n);
    assert_memory_equal(got, want, n);
}

static void test_set(void **state)
{
    struct xattr_set set = {0};
    char out[64];

    assert_int_equal(xattr_set_list(&set, NULL, 0), 0);
    assert_int_equal(xattr_set_put(&set, "user.a", "one", 3, 0), 0);
    assert_int_equal(xattr_set_put(&set, "user.b", "\0\xff", 2, XATTR_CREATE), 0);
    assert_int_equal(xattr_set_put(&set, "user.c", NULL, 0, 0), 0);
    assert_int_equal(xattr_set_put(&set, "user.a", "x", 1, XATTR_CREATE), -EEXIST);
    assert_int_equal(xattr_set_put(&set, "user.z", "x", 1, XATTR_REPLACE), -ENODATA);
    assert_value(&set, "user.a", "one", 3);
    assert_value(&set, "user.b", "\0\xff", 2);
    assert_value(&set, "user.c", "", 0);

    assert_int_equal(xattr_set_get(&set, "user.a", NULL, 0), 3);
    assert_int_equal(xattr_set_get(&set, "user.a", out, 2), -ERANGE);
    assert_int_equal(xattr_set_get(&set, "user.", out, 2), -ENODATA);
    assert_int_equal(xattr_set_list(&set, NULL, 0), 21);
    assert_int_equal(xattr_set_list(&set, out, 20), -ERANGE);
    assert_int_equal(xattr_set_list(&set, out, 21), 21);
    assert_memory_equal(out, "user.a\0user.b\0user.c\0", 21);

    struct xattr_set copy = {0};
    assert_int_equal(xattr_set_copy(&copy, &set), 0);
    assert_int_equal(xattr_set_put(&set, "user.a", "two!", 4, XATTR_REPLACE), 0);
    assert_value(&set, "user.a", "two!", 4);
    assert_value(&copy, "user.a", "one", 3);
    assert_int_equal(xattr_set_remove(&set, "user.b"), 0);
    assert_int_equal(xattr_set_remove(&set, "user.b"), -ENODATA);
    assert_int_equal(xattr_set_list(&set, out, sizeof(out)), 14);
    assert_memory_equal(out, "user.a\0user.c\0", 14);
    xattr_set_clear(&copy);
    xattr_set_clear(&set);
    assert_int_equal(set.n, 0);
}

static void test_limits(void **state)
{
    struct xattr_set set = {0};
    char name[300];
    static char value[XATTR_WIRE_MAX + 1];

    memset(name, 'n', sizeof(name));
    name[255] = 0;
    assert_int_equal(xattr_set_put(&set, name, "v", 1, 0), 0);
    name[255] = 'n';
    name[256] = 0;
    assert_int_equal(xattr_set_put(&set, name, "v", 1, 0), -ERANGE);
    assert_int_equal(xattr_set_put(&set, "", "v", 1, 0), -ERANGE);
    assert_int_equal(xattr_set_put(&set, "user.\xff", "v", 1, 0), -EILSEQ);

    assert_int_equal(xattr_set_put(&set, "user.big", value, sizeof(value), 0), -ENOSPC);
    assert_int_equal(xattr_set_put(&set, "user.big", value, SIZE_MAX / 2, 0), -ENOSPC);
    assert_int_equal(xattr_set_put(&set, "user.big", value, 5500, 0), -ENOSPC);
    assert_int_equal(set.n, 1);

    int rc = 0;
    unsigned n = 0;
    while (rc == 0) {
        snprintf(name, sizeof(name), "user.%u", n++);
        rc = xattr_set_put(&set, name, value, 100, 0);
    }
    assert_int_equal(rc, -ENOSPC);
    assert_in_range(n, 20, 60);

    /* What fits the set fits the header. */
    CLEANUP_FREE char *text = NULL;
    CLEANUP_BUF struct buf wire = BUF_INIT(1 << 20);
    assert_int_equal(xattr_set_encode(&set, &text), 0);
    assert_int_equal(props_encode_value(&wire, text), 0);
    assert_in_range(wire.n, XATTR_WIRE_MAX - 200, XATTR_WIRE_MAX - strlen(XATTR_META));
    xattr_set_clear(&set);
}

/* The text and what goes out, which is what s3fs writes for the same attributes. */
static void test_s3fs_form(void **state)
{
    struct xattr_set set = {0};
    CLEANUP_FREE char *text = NULL;
    CLEANUP_FREE char *empty = NULL;
    CLEANUP_BUF struct buf wire = BUF_INIT(4096);

    assert_int_equal(xattr_set_encode(&set, &empty), 0);
    assert_string_equal(empty, "{}");
    assert_int_equal(xattr_set_put(&set, "user.name", "hello", 5, 0), 0);
    assert_int_equal(xattr_set_put(&set, "user.b", "\xfb\xff", 2, 0), 0);
    assert_int_equal(xattr_set_encode(&set, &text), 0);
    assert_string_equal(text, "{\"user.name\":\"aGVsbG8=\",\"user.b\":\"+/8=\"}");
    assert_int_equal(props_encode_value(&wire, text), 0);
    assert_string_equal(buf_str(&wire),
                        "%7B%22user.name%22:%22aGVsbG8=%22,%22user.b%22:%22+/8=%22%7D");
    xattr_set_clear(&set);

    assert_int_equal(xattr_set_decode(&set, text), 0);
    assert_value(&set, "user.name", "hello", 5);
    assert_value(&set, "user.b", "\xfb\xff", 2);
    assert_int_equal(set.n, 2);
    assert_int_equal(xattr_set_decode(&set, "%7B%22user.q%22%3A%22aGVsbG8%3D%22%7D"), 0);
    assert_value(&set, "user.q", "hello", 5);
    assert_int_equal(set.n, 1);
    assert_int_equal(xattr_set_decode(&set, "{}"), 0);
    assert_int_equal(set.n, 0);
}

static void test_names_survive(void **state)
{
    static const char *const names[] = {
        "user.\"quoted\"", "user.a:b,c{}", "user.\\", "user.\xe4\xb8\xad",
        "user.%41",        "user. ",       "user.\n"};
    struct xattr_set set = {0};
    struct xattr_set back = {0};
    CLEANUP_FREE char *text = NULL;
    size_t n = sizeof(names) / sizeof(*names);

    for (size_t i = 0; i < n; i++)
        assert_int_equal(xattr_set_put(&set, names[i], &i, sizeof(i), 0), 0);
    assert_int_equal(xattr_set_encode(&set, &text), 0);
    assert_int_equal(xattr_set_decode(&back, text), 0);
    assert_int_equal(back.n, n);
    for (size_t i = 0; i < n; i++)
        assert_value(&back, names[i], &i, sizeof(i));
    xattr_set_clear(&set);
    xattr_set_clear(&back);
}

static void test_hostile(void **state)
{
    static const char *const bad[] = {
        "",
        "[]",
        "\"x\"",
        "null",
        "{",
        "{\"a\":\"YQ==\"",
        "{\"a\":\"YQ==\"} x",
        "%",
        "%zz",
        "%7B",
        "{\"a\\u0000b\":\"YQ==\"}",
        "{\"a\":\"\xff\"}",
        "\xff",
    };
    struct xattr_set set = {0};
    assert_int_equal(xattr_set_put(&set, "user.keep", "1", 1, 0), 0);
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        if (xattr_set_decode(&set, bad[i]) != -EINVAL)
            fail_msg("'%s'", bad[i]);
        assert_value(&set, "user.keep", "1", 1);
    }

    /* Single entries that are wrong do not take the others along. */
    assert_int_equal(xattr_set_decode(&set, "{\"n\":1,\"o\":{\"x\":\"y\"},\"l\":[],\"\":\"YQ==\","
                                            "\"bad\":\"Y===\",\"odd\":\"YQ\",\"ok\":\"YQ==\","
                                            "\"twice\":\"YQ==\",\"twice\":\"Yg==\"}"),
                     0);
    assert_value(&set, "ok", "a", 1);
    assert_value(&set, "twice", "b", 1);
    assert_int_equal(set.n, 2);

    /* deep, long, and many */
    enum { BIG = 70000 };
    CLEANUP_FREE char *text = malloc(BIG + 1);
    assert_non_null(text);
    memset(text, '[', BIG);
    text[BIG] = 0;
    assert_int_equal(xattr_set_decode(&set, text), -EINVAL);
    text[60000] = 0;
    assert_int_equal(xattr_set_decode(&set, text), -EINVAL);
    size_t n = 0;
    text[n++] = '{';
    for (int i = 0; n < 60000; i++)
        n += (size_t)snprintf(text + n, BIG - n, "%s\"k%d\":\"YQ==\"", i ? "," : "", i);
    snprintf(text + n, BIG - n, "}");
    assert_int_equal(xattr_set_decode(&set, text), -ENOSPC);
    assert_int_equal(set.n, 2);
    xattr_set_clear(&set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_set),       cmocka_unit_test(test_limits),
        cmocka_unit_test(test_s3fs_form), cmocka_unit_test(test_names_survive),
        cmocka_unit_test(test_hostile),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
