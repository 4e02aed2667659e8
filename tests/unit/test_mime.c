// SPDX-License-Identifier: Apache-2.0
// Content types: the table's parser, the look-up, and files that are not there.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "fs/mime.h"

static const char table[] = "# a comment\n"
                            "text/plain\t\tasc txt text\n"
                            "text/html html htm # trailing\n"
                            "application/gzip gz\r\n"
                            "application/x-gtar tgz tar.gz .TAZ\n"
                            "application/json\n"
                            "  image/png   png\n"
                            "video/other txt\n"
                            "not-a-type foo\n"
                            "a/b/c foo\n"
                            "/x foo\n"
                            "x/ foo\n"
                            "image/svg+xml svg svgz";

static struct mime *parse(const char *text, size_t n)
{
    struct mime *mime;
    assert_int_equal(mime_parse(text, n, &mime), 0);
    return mime;
}

static void test_lookup(void **state)
{
    static const struct {
        const char *key;
        const char *type;
    } cases[] = {
        {"a.txt", "text/plain"},
        {"dir.txt/a", "application/octet-stream"},
        {"A.TXT", "text/plain"},
        {"x/y/z.Html", "text/html"},
        {"a.b.png", "image/png"},
        {"a.tar.gz", "application/x-gtar"},
        {"a.b.tar.gz", "application/x-gtar"},
        {"a.TAR.GZ", "application/x-gtar"},
        {"a.gz", "application/gzip"},
        {"a.taz", "application/x-gtar"},
        {"a.svgz", "image/svg+xml"},
        {".txt", "application/octet-stream"}, /* hidden, no suffix */
        {"d/.txt", "application/octet-stream"},
        {".a.txt", "text/plain"},
        {"txt", "application/octet-stream"},
        {"a.", "application/octet-stream"},
        {"a.foo", "application/octet-stream"},
        {"a.json", "application/octet-stream"},
        {"", "application/octet-stream"},
        {"d/", "application/x-directory"},
        {"d.txt/", "application/x-directory"},
        {"a.\xff", "application/octet-stream"},
    };
    struct mime *mime = parse(table, sizeof(table) - 1);
    assert_int_equal(mime_count(mime), 12);
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        if (strcmp(mime_type(mime, cases[i].key), cases[i].type) != 0)
            fail_msg("'%s': %s", cases[i].key, mime_type(mime, cases[i].key));
    }
    mime_free(mime);
}

static void test_empty(void **state)
{
    struct mime *mime = parse("", 0);
    assert_int_equal(mime_count(mime), 0);
    assert_string_equal(mime_type(mime, "a.txt"), "application/octet-stream");
    assert_string_equal(mime_type(NULL, "a.txt"), "application/octet-stream");
    assert_string_equal(mime_type(NULL, "d/"), "application/x-directory");
    mime_free(mime);
    mime_free(NULL);
}

static void test_hostile(void **state)
{
    static const char zeros[] = "text/plain t\0xt\ntext/html ht\nte\0xt/q q\n";
    struct mime *mime = parse(zeros, sizeof(zeros) - 1);
    assert_string_equal(mime_type(mime, "a.ht"), "text/html");
    assert_string_equal(mime_type(mime, "a.t"), "text/plain");
    assert_string_equal(mime_type(mime, "a.xt"), "application/octet-stream");
    mime_free(mime);

    static const char odd[] = "te\x01xt/x a\ntext/\xff b\ntext/c c/d \xff e\n#\n\n\t\n";
    mime = parse(odd, sizeof(odd) - 1);
    assert_int_equal(mime_count(mime), 1);
    assert_string_equal(mime_type(mime, "a.e"), "text/c");
    mime_free(mime);

    /* a type and a suffix that are too long, then more suffixes and more bytes than are taken */
    enum { BIG = 6 << 20 };
    char *big = malloc(BIG);
    assert_non_null(big);
    memset(big, 'a', BIG);
    memcpy(big, "text/", 5);
    memcpy(big + 200, " long\n", 6);
    memcpy(big + 206, "text/x ", 7);
    memcpy(big + 300, " ok\n", 4);
    mime = parse(big, 304);
    assert_int_equal(mime_count(mime), 1);
    assert_string_equal(mime_type(mime, "f.ok"), "text/x");
    mime_free(mime);

    size_t n = (size_t)snprintf(big, BIG, "text/many");
    for (int i = 0; i < 200000; i++)
        n += (size_t)snprintf(big + n, BIG - n, " s%d", i);
    mime = parse(big, n);
    assert_int_equal(mime_count(mime), 65536);
    assert_string_equal(mime_type(mime, "f.s65535"), "text/many");
    assert_string_equal(mime_type(mime, "f.s65536"), "application/octet-stream");
    mime_free(mime);

    memset(big, '\n', BIG);
    memcpy(big, "text/in in\n", 11);
    memcpy(big + (5 << 20), "text/out out\n", 13);
    mime = parse(big, BIG);
    assert_int_equal(mime_count(mime), 1);
    mime_free(mime);
    free(big);
}

static void test_files(void **state)
{
    char path[] = "/tmp/test_mime.XXXXXX";
    struct mime *mime;
    struct err err = {0};

    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, table, sizeof(table) - 1), sizeof(table) - 1);
    close(fd);
    assert_int_equal(mime_load(path, &mime, &err), 0);
    assert_string_equal(mime_type(mime, "a.htm"), "text/html");
    mime_free(mime);
    unlink(path);

    static const char *const missing[] = {"/nonexistent/mime.types", "/dev/null/x", "", NULL};
    for (size_t i = 0; i < sizeof(missing) / sizeof(*missing); i++) {
        assert_int_equal(mime_load(missing[i], &mime, &err), 0);
        assert_int_equal(mime_count(mime), 0);
        mime_free(mime);
    }

    static const char *const bad[] = {"/", "/dev/zero"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        assert_int_equal(mime_load(bad[i], &mime, &err), -EINVAL);
        assert_null(mime);
        assert_non_null(strstr(err.msg, bad[i]));
    }
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(mime_load(path, &mime, &err), -EINVAL);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lookup),
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_hostile),
        cmocka_unit_test(test_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
