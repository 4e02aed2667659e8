// SPDX-License-Identifier: Apache-2.0
// Temporary names: what rsync, sed, Python and others make, and what people make.
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "fs/tempname.h"

static const struct {
    const char *name;
    enum temp_kind plain;   /* created in any way */
    enum temp_kind mkstemp; /* created as mkstemp(3) does */
    const char *first, *second;
} cases[] = {
    /* rsync */
    {".data.bin.A1b2C3", TEMP_RSYNC, TEMP_RSYNC, "data.bin", ".data.bin"},
    {".bashrc.xK9mQ2", TEMP_RSYNC, TEMP_RSYNC, "bashrc", ".bashrc"},
    {".foo.tar.gz.Zq3LpX", TEMP_RSYNC, TEMP_RSYNC, "foo.tar.gz", ".foo.tar.gz"},
    {".a.b1C2d3", TEMP_RSYNC, TEMP_RSYNC, "a", ".a"},
    {".with blank \xe4\xb8\xad.4RtYu7", TEMP_RSYNC, TEMP_RSYNC, "with blank \xe4\xb8\xad",
     ".with blank \xe4\xb8\xad"},
    {"..hidden.A1b2C3", TEMP_RSYNC, TEMP_RSYNC, "..hidden", ".hidden"},
    {"...A1b2C3", TEMP_RSYNC, TEMP_RSYNC, NULL, NULL},
    {".foo.backup", TEMP_NONE, TEMP_RSYNC, "foo", ".foo"},
    {".foo.123456", TEMP_NONE, TEMP_RSYNC, "foo", ".foo"},
    {".foo.Backup", TEMP_NONE, TEMP_RSYNC, "foo", ".foo"},
    {".foo.test01", TEMP_NONE, TEMP_RSYNC, "foo", ".foo"},
    {".foo.README", TEMP_NONE, TEMP_RSYNC, "foo", ".foo"},
    {".foo.a1b2c", TEMP_NONE, TEMP_NONE, NULL, NULL},
    {".foo.A1b2C3d", TEMP_NONE, TEMP_NONE, NULL, NULL},
    {".foo.A1b2-3", TEMP_NONE, TEMP_NONE, NULL, NULL},
    {".fooA1b2C3", TEMP_NONE, TEMP_NONE, NULL, NULL},
    {"foo.A1b2C3", TEMP_NONE, TEMP_MKSTEMP, NULL, NULL}, /* --temp-dir, or Qt */
    {".A1b2C3", TEMP_NONE, TEMP_MKSTEMP, NULL, NULL},    /* a name of rsync cut to nothing */
    /* mkstemp and its friends */
    {"sedAbCdEf", TEMP_NONE, TEMP_MKSTEMP, NULL, NULL},
    {"sedabcdef", TEMP_NONE, TEMP_MKSTEMP, NULL, NULL},
    {"sedation", TEMP_NONE, TEMP_NONE, NULL, NULL},
    {"tmpa1b2c3_z", TEMP_NONE, TEMP_MKSTEMP, NULL, NULL},
    {"tmp.aB3dE5gH7j", TEMP_NONE, TEMP_MKSTEMP, NULL, NULL},
    {"tmpQwErTy", TEMP_NONE, TEMP_MKSTEMP, NULL, NULL},
    {".tmpQwErTy", TEMP_NONE, TEMP_MKSTEMP, NULL, NULL},
    {"report.pdf.kT4vW9", TEMP_NONE, TEMP_MKSTEMP, NULL, NULL},
    {"cache-9fKd2L", TEMP_NONE, TEMP_MKSTEMP, NULL, NULL},
    {".goutputstream-7XQ2Z0", TEMP_MKSTEMP, TEMP_MKSTEMP, NULL, NULL},
    {".goutputstream-7xq2z0", TEMP_NONE, TEMP_MKSTEMP, NULL, NULL},
    {"libc.so.6.dpkg-new", TEMP_NONE, TEMP_MKSTEMP, NULL, NULL},
    {"libc.so.6.dpkg-tmp", TEMP_NONE, TEMP_MKSTEMP, NULL, NULL},
    {".dpkg-new", TEMP_NONE, TEMP_NONE, NULL, NULL},
    {"notes.txt~", TEMP_NONE, TEMP_MKSTEMP, NULL, NULL},
    {"#notes.txt#", TEMP_NONE, TEMP_MKSTEMP, NULL, NULL},
    {".#notes.txt", TEMP_NONE, TEMP_MKSTEMP, NULL, NULL},
    /* Python's imports, Go (restic), tempfile with a suffix (borg) */
    {"a.cpython-311.pyc.140234", TEMP_MKSTEMP, TEMP_MKSTEMP, NULL, NULL},
    {"a.pyc.1402", TEMP_NONE, TEMP_NONE, NULL, NULL},
    {".pyc.140234", TEMP_NONE, TEMP_RSYNC, "pyc", ".pyc"},
    {"123456", TEMP_NONE, TEMP_NONE, NULL, NULL},
    {"0a1b-tmp-3846519912", TEMP_NONE, TEMP_MKSTEMP, NULL, NULL},
    {"hints.5-k2_x9q0a.tmp", TEMP_NONE, TEMP_MKSTEMP, NULL, NULL},
    /* git, which creates with the mode that the file is to have; zip */
    {"tmp_obj_x7Yz9K", TEMP_MKSTEMP, TEMP_MKSTEMP, NULL, NULL},
    {"tmp_pack_abcdef", TEMP_MKSTEMP, TEMP_MKSTEMP, NULL, NULL},
    {"tmp_obj_x7Yz9", TEMP_NONE, TEMP_NONE, NULL, NULL},
    {"tmp_object", TEMP_NONE, TEMP_NONE, NULL, NULL},
    {"ziA1b2C3", TEMP_NONE, TEMP_MKSTEMP, NULL, NULL},
    /* people's files */
    {".bashrc", TEMP_NONE, TEMP_NONE, NULL, NULL},
    {".foo.tar.gz", TEMP_NONE, TEMP_NONE, NULL, NULL},
    {"README.md", TEMP_NONE, TEMP_NONE, NULL, NULL},
    {"photo.abcdef", TEMP_NONE, TEMP_NONE, NULL, NULL},
    {"backup-202401", TEMP_NONE, TEMP_NONE, NULL, NULL},
    {"dump.sqlite", TEMP_NONE, TEMP_NONE, NULL, NULL},
    {"movie.part", TEMP_NONE, TEMP_NONE, NULL, NULL},
    {"tmp", TEMP_NONE, TEMP_NONE, NULL, NULL},
    {"4913", TEMP_NONE, TEMP_NONE, NULL, NULL},
    {"~", TEMP_NONE, TEMP_NONE, NULL, NULL},
    {"##", TEMP_NONE, TEMP_NONE, NULL, NULL},
    {".", TEMP_NONE, TEMP_NONE, NULL, NULL},
    {"..", TEMP_NONE, TEMP_NONE, NULL, NULL},
    {"", TEMP_NONE, TEMP_NONE, NULL, NULL},
    {"a/.b.A1b2C3", TEMP_NONE, TEMP_NONE, NULL, NULL},
    {"\xff\xfe", TEMP_NONE, TEMP_NONE, NULL, NULL},
};

static void test_table(void **state)
{
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct temp_guess guess;
        enum temp_kind kind = tempname_classify(cases[i].name, false, NULL, NULL);
        if (kind != cases[i].plain)
            fail_msg("'%s': %s", cases[i].name, temp_kind_name(kind));
        kind = tempname_classify(cases[i].name, true, NULL, &guess);
        if (kind != cases[i].mkstemp)
            fail_msg("'%s' by mkstemp: %s", cases[i].name, temp_kind_name(kind));
        assert_int_equal(guess.n_finals, !!cases[i].first + !!cases[i].second);
        if (cases[i].first)
            assert_string_equal(guess.finals[0], cases[i].first);
        if (cases[i].second)
            assert_string_equal(guess.finals[1], cases[i].second);
    }
}

/* What rsync makes of a name, restated from its rules; `random` has six characters. */
static void rsync_name(const char *final, const char *random, char out[256])
{
    const char *f = final + (final[0] == '.');
    size_t n = strlen(f);
    if (n > 246) {
        n = 246;
        if ((unsigned char)f[n] & 0x80) {
            while (n > 0 && (unsigned char)f[n - 1] & 0x80)
                n--;
        }
    }
    if (n == 0 || f[n - 1] == '.')
        n -= n > 0;
    snprintf(out, 256, ".%.*s.%s", (int)n, f, random);
}

static void test_rsync_round_trip(void **state)
{
    static const char *const finals[] = {"a",      "data.csv", ".profile", "..x",
                                         "x.y.z",  "-",        "A1b2C3",   ".A1b2C3.d4E5f6",
                                         "\xff.b", "a b",      "README.md"};
    for (size_t i = 0; i < sizeof(finals) / sizeof(*finals); i++) {
        char name[256];
        struct temp_guess guess;
        rsync_name(finals[i], "zY8xW7", name);
        assert_int_equal(tempname_classify(name, false, NULL, &guess), TEMP_RSYNC);
        assert_int_equal(guess.n_finals, 2);
        if (strcmp(guess.finals[0], finals[i]) != 0 && strcmp(guess.finals[1], finals[i]) != 0)
            fail_msg("'%s' stands for '%s' or '%s', not for '%s'", name, guess.finals[0],
                     guess.finals[1], finals[i]);
    }
}

static void test_rsync_long(void **state)
{
    for (size_t len = 240; len <= 255; len++) {
        char final[256];
        char name[256];
        struct temp_guess guess;
        memset(final, 'n', len);
        final[len] = 0;
        rsync_name(final, "zY8xW7", name);
        assert_int_equal(tempname_classify(name, false, NULL, &guess), TEMP_RSYNC);
        /* From 246 on it may be the beginning of something longer. */
        assert_int_equal(guess.n_finals, len < 246 ? 2 : 0);
        if (len < 246)
            assert_string_equal(guess.finals[0], final);
    }

    char name[300];
    memset(name, 'n', sizeof(name));
    name[0] = '.';
    memcpy(name + 248, ".zY8xW7", 8); /* 255 bytes, a stem of 247: not rsync's */
    assert_int_equal(strlen(name), 255);
    assert_int_equal(tempname_classify(name, false, NULL, NULL), TEMP_NONE);
    memset(name, 'n', 299);
    name[299] = 0;
    assert_int_equal(tempname_classify(name, true, NULL, NULL), TEMP_NONE);
}

/* Of what mkstemp(3) draws, nearly all must be seen as random. */
static void test_looks_random(void **state)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    unsigned seed = 20240229;
    int seen = 0;
    enum { N = 10000 };
    for (int i = 0; i < N; i++) {
        char name[] = ".file.XXXXXX";
        for (size_t k = 6; k < 12; k++)
            name[k] = letters[(unsigned)rand_r(&seed) % 62];
        seen += tempname_classify(name, false, NULL, NULL) == TEMP_RSYNC;
        assert_int_equal(tempname_classify(name, true, NULL, NULL), TEMP_RSYNC);
    }
    assert_in_range(seen, N * 96 / 100, N * 995 / 1000);
}

static void test_creation(void **state)
{
    assert_true(tempname_like_mkstemp(O_RDWR | O_CREAT | O_EXCL, 0600));
    assert_true(tempname_like_mkstemp(O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, S_IFREG | 0600));
    assert_true(tempname_like_mkstemp(O_WRONLY | O_CREAT | O_EXCL, 0));     /* dpkg */
    assert_false(tempname_like_mkstemp(O_WRONLY | O_CREAT | O_EXCL, 0600)); /* cp -p */
    assert_false(tempname_like_mkstemp(O_RDWR | O_CREAT, 0600));
    assert_false(tempname_like_mkstemp(O_RDWR | O_CREAT | O_EXCL, 0644));
    assert_false(tempname_like_mkstemp(O_RDWR | O_CREAT | O_EXCL, 04600));
}

static void test_patterns(void **state)
{
    struct tempname_patterns p;
    struct err err = {0};

    assert_int_equal(tempname_patterns_parse("*.part::[.]~tmp~*:", &p, &err), 0);
    assert_int_equal(p.n, 2);
    assert_int_equal(tempname_classify("movie.part", false, &p, NULL), TEMP_PATTERN);
    assert_int_equal(tempname_classify(".part", false, &p, NULL), TEMP_PATTERN);
    assert_int_equal(tempname_classify(".~tmp~x", false, &p, NULL), TEMP_PATTERN);
    assert_int_equal(tempname_classify("movie.parts", false, &p, NULL), TEMP_NONE);
    assert_int_equal(tempname_classify(".x.A1b2C3", false, &p, NULL), TEMP_RSYNC);
    tempname_patterns_done(&p);
    assert_int_equal(p.n, 0);

    assert_int_equal(tempname_patterns_parse(NULL, &p, &err), 0);
    assert_int_equal(p.n, 0);
    assert_int_equal(tempname_patterns_parse("", &p, &err), 0);
    assert_int_equal(p.n, 0);
    assert_int_equal(tempname_patterns_parse("ok:a/b", &p, &err), -EINVAL);
    assert_int_equal(p.n, 0);
    assert_non_null(strstr(err.msg, "a/b"));

    char text[600];
    memset(text, 'x', 256);
    text[256] = 0;
    assert_int_equal(tempname_patterns_parse(text, &p, &err), -EINVAL);
    for (size_t i = 0; i < 2 * (TEMP_PATTERNS_MAX + 1); i++)
        text[i] = i % 2 ? ':' : 'x';
    text[2 * (TEMP_PATTERNS_MAX + 1)] = 0;
    assert_int_equal(tempname_patterns_parse(text, &p, &err), -EINVAL);
    text[2 * TEMP_PATTERNS_MAX] = 0;
    assert_int_equal(tempname_patterns_parse(text, &p, &err), 0);
    assert_int_equal(p.n, TEMP_PATTERNS_MAX);
    tempname_patterns_done(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),      cmocka_unit_test(test_rsync_round_trip),
        cmocka_unit_test(test_rsync_long), cmocka_unit_test(test_looks_random),
        cmocka_unit_test(test_creation),   cmocka_unit_test(test_patterns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
