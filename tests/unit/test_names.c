// SPDX-License-Identifier: Apache-2.0
// Keys and names: what can be shown, what can be created, inode numbers.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fs/names.h"

static void fill(char *p, char c, size_t n)
{
    memset(p, c, n);
    p[n] = 0;
}

static void test_utf8(void **state)
{
    static const char *const good[] = {"",
                                       "plain",
                                       "\xc3\xa9",
                                       "\xe4\xb8\xad",
                                       "\xed\x9f\xbf",
                                       "\xf0\x9f\x98\x80",
                                       "\xf4\x8f\xbf\xbf"};
    static const char *const bad[] = {
        "\x80",             /* a continuation alone */
        "a\xc3",            /* cut */
        "\xc0\xaf",         /* '/' in two bytes */
        "\xe0\x80\xaf",     /* in three */
        "\xf0\x80\x80\xaf", /* in four */
        "\xed\xa0\x80",     /* a surrogate */
        "\xf4\x90\x80\x80", /* over U+10FFFF */
        "\xff",
        "\xe4\xb8",
        "\xf0\x9f\x98",
        "\xe4\x28\xad",
    };
    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
        assert_true(names_utf8(good[i], strlen(good[i])));
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        assert_false(names_utf8(bad[i], strlen(bad[i])));
}

static void test_check(void **state)
{
    char name[300];
    assert_int_equal(names_check("a.txt", 5), 0);
    assert_int_equal(names_check("...", 3), 0);
    assert_int_equal(names_check("\n", 1), 0);
    assert_int_equal(names_check("", 0), -ENOENT);
    assert_int_equal(names_check(".", 1), -EEXIST);
    assert_int_equal(names_check("..", 2), -EEXIST);
    assert_int_equal(names_check("a/b", 3), -EINVAL);
    assert_int_equal(names_check("a\0b", 3), -EINVAL);
    assert_int_equal(names_check("a\xff", 2), -EILSEQ);
    fill(name, 'x', 255);
    assert_int_equal(names_check(name, 255), 0);
    fill(name, 'x', 256);
    assert_int_equal(names_check(name, 256), -ENAMETOOLONG);
}

static void test_shown(void **state)
{
    static const struct {
        const char *key;
        bool ok;
    } cases[] = {
        {"a", true},     {"a/", true},   {"a/b/c", true}, {"a/b/c/", true},  {".a/..b", true},
        {"a/...", true}, {"\xff", true}, {"", false},     {"/", false},      {"/a", false},
        {"a//b", false}, {"a//", false}, {".", false},    {"./a", false},    {"a/.", false},
        {"a/./", false}, {"..", false},  {"../a", false}, {"a/../b", false}, {"a/b/..", false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        if (names_key_ok(cases[i].key, strlen(cases[i].key)) != cases[i].ok)
            fail_msg("'%s'", cases[i].key);
    }
    char key[1100];
    memcpy(key, "d/", 2);
    fill(key + 2, 'x', 255);
    assert_true(names_key_ok(key, 257));
    fill(key + 2, 'x', 256);
    assert_false(names_key_ok(key, 258));
    assert_false(names_key_ok("a\0b", 3));
    for (size_t i = 0; i < 1024; i++)
        key[i] = i % 2 ? '/' : 'a';
    assert_true(names_key_ok(key, 1024));
    key[1024] = 'a';
    assert_false(names_key_ok(key, 1025));
}

static void test_split(void **state)
{
    struct names_key k;
    assert_int_equal(names_split("a/b/c.txt", 9, &k), 0);
    assert_int_equal(k.parent_len, 4);
    assert_int_equal(k.name_len, 5);
    assert_memory_equal(k.name, "c.txt", 5);
    assert_false(k.is_dir);
    assert_int_equal(names_split("a/b/", 4, &k), 0);
    assert_int_equal(k.parent_len, 2);
    assert_int_equal(k.name_len, 1);
    assert_memory_equal(k.name, "b", 1);
    assert_true(k.is_dir);
    assert_int_equal(names_split("top", 3, &k), 0);
    assert_int_equal(k.parent_len, 0);
    assert_int_equal(k.name_len, 3);
    assert_int_equal(names_split("a//b", 4, &k), -EINVAL);
    assert_int_equal(names_split("", 0, &k), -EINVAL);
}

static void test_child(void **state)
{
    struct names_key k;
    assert_int_equal(names_child("d/", "d/x", &k), 0);
    assert_int_equal(k.name_len, 1);
    assert_false(k.is_dir);
    assert_int_equal(names_child("d/", "d/sub/deep", &k), 0);
    assert_int_equal(k.name_len, 3);
    assert_memory_equal(k.name, "sub", 3);
    assert_true(k.is_dir);
    assert_int_equal(names_child("", "sub/", &k), 0);
    assert_int_equal(k.name_len, 3);
    assert_true(k.is_dir);
    assert_int_equal(names_child("d/", "d/", &k), -ENOENT);
    assert_int_equal(names_child("d/", "e/x", &k), -ENOENT);
    assert_int_equal(names_child("d/", "d", &k), -ENOENT);
    assert_int_equal(names_child("d/", "d//x", &k), -EINVAL);
    assert_int_equal(names_child("d/", "d/../x", &k), -EINVAL);
}

static void test_make_key(void **state)
{
    char out[OBS_KEY_MAX + 1];
    char path[1100];
    assert_int_equal(names_make_key("p/", "a/b", false, out), 0);
    assert_string_equal(out, "p/a/b");
    assert_int_equal(names_make_key("p/", "a/b", true, out), 0);
    assert_string_equal(out, "p/a/b/");
    assert_int_equal(names_make_key("p/", "", true, out), 0);
    assert_string_equal(out, "p/");
    assert_int_equal(names_make_key("", "", true, out), 0);
    assert_string_equal(out, "");
    fill(path, 'a', 1022);
    assert_int_equal(names_make_key("p/", path, false, out), 0);
    assert_int_equal(strlen(out), 1024);
    assert_int_equal(names_make_key("p/", path, true, out), -ENAMETOOLONG);
    assert_string_equal(out, "");
    fill(path, 'a', 1023);
    assert_int_equal(names_make_key("p/", path, false, out), -ENAMETOOLONG);
}

static void test_prefix(void **state)
{
    static const struct {
        const char *text;
        int rc;
        const char *want;
    } cases[] = {
        {"", 0, ""},
        {"/", 0, ""},
        {"///", 0, ""},
        {"a", 0, "a/"},
        {"/a/b/", 0, "a/b/"},
        {"a//b", 0, "a/b/"},
        {"/a/b", 0, "a/b/"},
        {"...", 0, ".../"},
        {"/a/../b", -EINVAL, NULL},
        {"./a", -EINVAL, NULL},
        {"a/..", -EINVAL, NULL},
        {"a\xff", -EINVAL, NULL},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct err err = {0};
        char *got;
        assert_int_equal(names_prefix(cases[i].text, &got, &err), cases[i].rc);
        if (cases[i].want)
            assert_string_equal(got, cases[i].want);
        else
            assert_true(got == NULL && err.eno == -EINVAL && err.msg[0]);
        free(got);
    }

    char text[1200];
    char *got;
    fill(text, 'x', 256);
    assert_int_equal(names_prefix(text, &got, NULL), -ENAMETOOLONG);
    for (size_t i = 0; i < 1026; i++)
        text[i] = i % 2 ? '/' : 'a';
    text[1026] = 0;
    assert_int_equal(names_prefix(text, &got, NULL), -ENAMETOOLONG);
    assert_null(got);
}

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static void test_ino(void **state)
{
    enum { N = 20000 };
    static uint64_t v[N];

    assert_true(names_ino("a/b") == names_ino("/a/b/"));
    assert_true(names_ino("a/b") != names_ino("a/c"));
    assert_true(names_ino("a/b") != names_ino("ab"));
    assert_true(names_ino("") > 1);
    /* Kept in the kernel, in backups, in find's memory: the number must not change. */
    uint64_t first = names_ino("a");
    for (size_t i = 0; i < N; i++) {
        char path[32];
        snprintf(path, sizeof(path), "dir/%zu", i);
        v[i] = names_ino(path);
        assert_true(v[i] > 1);
    }
    assert_true(first == names_ino("a"));
    qsort(v, N, sizeof(*v), by_value);
    for (size_t i = 1; i < N; i++)
        assert_true(v[i - 1] != v[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_utf8),   cmocka_unit_test(test_check),
        cmocka_unit_test(test_shown),  cmocka_unit_test(test_split),
        cmocka_unit_test(test_child),  cmocka_unit_test(test_make_key),
        cmocka_unit_test(test_prefix), cmocka_unit_test(test_ino),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
