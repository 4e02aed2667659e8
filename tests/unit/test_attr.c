// SPDX-License-Identifier: Apache-2.0
// Attributes in metadata: ours, those of other tools, and nonsense.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <cmocka.h>

#include "fs/attr.h"

static const struct attr_defaults defaults = {.umask = 022, .uid = 1000, .gid = 1001};

enum { WHEN = 1700000000 }; /* Last-Modified in all cases, seconds */

struct pair {
    const char *name;
    const char *value;
};

/* Reads an object with up to six metadata; "Content-Type" goes where it belongs. */
static struct posix_attr read_attr(const char *key, uint64_t size, const struct pair *pairs)
{
    struct obs_props props = {0};
    struct posix_attr attr;
    for (size_t i = 0; pairs && pairs[i].name; i++) {
        bool raw = strcmp(pairs[i].name, "Content-Type") == 0;
        assert_int_equal(obs_props_set(&props, raw ? OBS_PROP_RAW : OBS_PROP_META, pairs[i].name,
                                       pairs[i].value),
                         0);
    }
    attr_from_props(&props, key, size, (int64_t)WHEN * 1000 + 250, &defaults, &attr);
    obs_props_clear(&props);
    return attr;
}

#define READ(key, size, ...) read_attr(key, size, (const struct pair[]){__VA_ARGS__{NULL, NULL}})

static void test_nothing_stated(void **state)
{
    struct posix_attr a = READ("d/f", 10, );
    assert_int_equal(a.mode, S_IFREG | 0644);
    assert_int_equal(a.uid, 1000);
    assert_int_equal(a.gid, 1001);
    assert_int_equal(a.mtime.tv_sec, WHEN);
    assert_int_equal(a.mtime.tv_nsec, 250000000);
    assert_int_equal(a.atime.tv_sec, WHEN);
    assert_int_equal(a.ctime.tv_nsec, 250000000);
    assert_int_equal(a.present, 0);

    a = READ("d/", 0, );
    assert_int_equal(a.mode, S_IFDIR | 0755);
    assert_int_equal(a.present, ATTR_TYPE);

    struct posix_attr b;
    attr_default(true, -1, &defaults, &b);
    assert_int_equal(b.mode, S_IFDIR | 0755);
    assert_int_equal(b.mtime.tv_sec, -1);
    assert_int_equal(b.mtime.tv_nsec, 999000000);
    attr_from_props(NULL, "f", 0, 0, &defaults, &b);
    assert_int_equal(b.mode, S_IFREG | 0644);
}

static void test_s3fs(void **state)
{
    struct posix_attr a =
        READ("f", 1, {"mode", "33188"}, {"uid", "0"}, {"gid", "4294967294"},
             {"mtime", "1600000000.000000005"}, {"atime", "1600000001"}, {"ctime", "-5.25"}, );
    assert_int_equal(a.mode, S_IFREG | 0644);
    assert_int_equal(a.uid, 0);
    assert_int_equal(a.gid, UINT32_MAX - 1);
    assert_int_equal(a.mtime.tv_sec, 1600000000);
    assert_int_equal(a.mtime.tv_nsec, 5);
    assert_int_equal(a.atime.tv_sec, 1600000001);
    assert_int_equal(a.ctime.tv_sec, -5);
    assert_int_equal(a.ctime.tv_nsec, 250000000);
    assert_int_equal(a.present, ATTR_MODE | ATTR_TYPE | ATTR_UID | ATTR_GID | ATTR_MTIME |
                                    ATTR_ATIME | ATTR_CTIME);

    /* atime and ctime follow mtime, not Last-Modified */
    a = READ("f", 1, {"mtime", "5"}, );
    assert_int_equal(a.atime.tv_sec, 5);
    assert_int_equal(a.ctime.tv_sec, 5);
    assert_int_equal(a.present, ATTR_MTIME);
}

static void test_types(void **state)
{
    static const struct {
        const char *key;
        uint64_t size;
        struct pair pairs[3];
        mode_t mode;
    } cases[] = {
        {"l", 7, {{"mode", "41471"}}, S_IFLNK | 0777},
        {"l", 0, {{"mode", "41471"}}, S_IFREG | 0777},    /* a link to nowhere at all */
        {"l", 5000, {{"mode", "41471"}}, S_IFREG | 0777}, /* too long for a target */
        {"p", 0, {{"mode", "4516"}}, S_IFIFO | 0644},
        {"p", 9, {{"mode", "4516"}}, S_IFREG | 0644}, /* data must stay reachable */
        {"s", 0, {{"mode", "49645"}}, S_IFSOCK | 0755},
        {"b", 0, {{"mode", "25008"}}, S_IFBLK | 0660},
        {"d", 0, {{"mode", "16877"}}, S_IFDIR | 0755}, /* old s3fs, no slash */
        {"d", 3, {{"mode", "16877"}}, S_IFREG | 0755},
        {"d/", 0, {{"mode", "16832"}}, S_IFDIR | 0700},
        {"d/", 0, {{"mode", "33188"}}, S_IFDIR | 0644}, /* the slash decides */
        {"d/", 0, {{"mode", "41471"}}, S_IFDIR | 0777},
        {"d/", 0, {{"Content-Type", "text/plain"}}, S_IFDIR | 0755},
        {"d", 0, {{"Content-Type", "application/x-directory"}}, S_IFDIR | 0755},
        {"d", 0, {{"Content-Type", "Application/X-Directory; charset=UTF-8"}}, S_IFDIR | 0755},
        {"d", 0, {{"Content-Type", "httpd/unix-directory"}}, S_IFDIR | 0755},
        {"d", 4, {{"Content-Type", "application/x-directory"}}, S_IFREG | 0644},
        {"d", 0, {{"Content-Type", "application/x-directoryish"}}, S_IFREG | 0644},
        {"d", 0, {{"Content-Type", "application/x-directory"}, {"mode", "448"}}, S_IFDIR | 0700},
        {"l", 0, {{"symlink-target", "a/b"}}, S_IFLNK | 0777},
        {"l", 0, {{"--symlink-target", "a/b"}, {"mode", "511"}}, S_IFLNK | 0777},
        {"l", 0, {{"symlink-target", ""}}, S_IFREG | 0644},
        {"f", 3, {{"symlink-target", "x"}, {"mode", "33188"}}, S_IFREG | 0644},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct posix_attr a = read_attr(cases[i].key, cases[i].size, cases[i].pairs);
        if (a.mode != cases[i].mode)
            fail_msg("case %zu: 0%o, not 0%o", i, a.mode, cases[i].mode);
    }
}

static void test_device(void **state)
{
    char rdev[32];
    snprintf(rdev, sizeof(rdev), "%llu", (unsigned long long)makedev(8, 17));
    struct posix_attr a = READ("b", 0, {"mode", "25008"}, {"rdev", rdev}, );
    assert_int_equal(major(a.rdev), 8);
    assert_int_equal(minor(a.rdev), 17);
    assert_true(a.present & ATTR_RDEV);
    a = READ("f", 0, {"mode", "33188"}, {"rdev", rdev}, );
    assert_int_equal(a.rdev, 0);
    a = READ("c", 0, {"mode", "8630"}, {"rdev", "x"}, );
    assert_int_equal(a.mode, S_IFCHR | 0666);
    assert_int_equal(a.rdev, 0);
}

static void test_other_tools(void **state)
{
    /* s3sync */
    struct posix_attr a = READ("f", 1, {"permissions", "416"}, {"owner", "7"}, {"group", "8"}, );
    assert_int_equal(a.mode, S_IFREG | 0640);
    assert_int_equal(a.uid, 7);
    assert_int_equal(a.gid, 8);

    /* Google */
    a = READ("f", 1, {"goog-reserved-posix-mode", "600"}, {"goog-reserved-posix-uid", "9"},
             {"goog-reserved-posix-gid", "10"}, {"goog-reserved-file-mtime", "1234"}, );
    assert_int_equal(a.mode, S_IFREG | 0600);
    assert_int_equal(a.uid, 9);
    assert_int_equal(a.gid, 10);
    assert_int_equal(a.mtime.tv_sec, 1234);

    /* s3cmd */
    a = READ("f", 1,
             {"s3cmd-attrs", "atime:11/ctime:12/gid:13/gname:users/md5:d41d8cd98f00b204/mode:33152/"
                             "mtime:14/uid:15/uname:joe"}, );
    assert_int_equal(a.mode, S_IFREG | 0600);
    assert_int_equal(a.uid, 15);
    assert_int_equal(a.gid, 13);
    assert_int_equal(a.mtime.tv_sec, 14);
    assert_int_equal(a.atime.tv_sec, 11);
    assert_int_equal(a.ctime.tv_sec, 12);

    /* rclone: zeros cut from the fraction, octal mode */
    a = READ("f", 1, {"mtime", "1600000000.5"}, {"mode", "0100640"}, );
    assert_int_equal(a.mtime.tv_nsec, 500000000);
    assert_int_equal(a.mode, S_IFREG | 0640);

    /* ours first, and a malformed one of ours gives way */
    a = READ("f", 1, {"uid", "1"}, {"owner", "2"}, {"gid", "-1"}, {"group", "3"}, );
    assert_int_equal(a.uid, 1);
    assert_int_equal(a.gid, 3);
}

static void test_nonsense(void **state)
{
    static const char *const numbers[] = {
        "",
        " ",
        "-1",
        "+1",
        "1 ",
        " 1",
        "0x10",
        "1e3",
        "4294967295",
        "4294967296",
        "18446744073709551616",
        "99999999999999999999999999",
        "1.0",
        "\xff",
        "1\n",
    };
    static const char *const modes[] = {
        "", "-1", "rw-r--r--", "65536", "4294967296", "0999", "12288", "61440", "33188x", "0200000",
    };
    static const char *const times[] = {
        "",
        "-",
        ".5",
        "1e9",
        "1600000000,5",
        "1.5.5",
        "1.5x",
        "2023-01-01T00:00:00Z",
        "0x1",
        " 1",
        "1 ",
        "--1",
        "1099511627777",
        "99999999999999999999",
        "nan",
    };
    for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++) {
        struct posix_attr a = READ("f", 1, {"uid", numbers[i]}, {"gid", numbers[i]}, );
        if (a.uid != 1000 || a.gid != 1001 || a.present)
            fail_msg("number '%s'", numbers[i]);
    }
    for (size_t i = 0; i < sizeof(modes) / sizeof(*modes); i++) {
        struct posix_attr a = READ("f", 1, {"mode", modes[i]}, );
        if (a.mode != (S_IFREG | 0644) || a.present)
            fail_msg("mode '%s'", modes[i]);
    }
    for (size_t i = 0; i < sizeof(times) / sizeof(*times); i++) {
        struct posix_attr a = READ("f", 1, {"mtime", times[i]}, {"atime", times[i]}, );
        if (a.mtime.tv_sec != WHEN || a.atime.tv_sec != WHEN || a.present)
            fail_msg("time '%s'", times[i]);
    }

    static const char *const s3cmd[] = {
        "",       "/",
        "///",    "uid",
        "uid:",   "uid:/gid:",
        ":::",    "xuid:5",
        "uid:5x", "uid:00000000000000000000000000000000000000000000000000000000000000000000000005",
    };
    for (size_t i = 0; i < sizeof(s3cmd) / sizeof(*s3cmd); i++) {
        struct posix_attr a = READ("f", 1, {"s3cmd-attrs", s3cmd[i]}, );
        if (a.uid != 1000 || a.present)
            fail_msg("s3cmd-attrs '%s'", s3cmd[i]);
    }
}

static void test_times(void **state)
{
    static const struct {
        const char *text;
        int64_t sec;
        long nsec;
        const char *written;
    } cases[] = {
        {"0", 0, 0, "0.000000000"},
        {"1.000000001", 1, 1, "1.000000001"},
        {"1.1", 1, 100000000, "1.100000000"},
        {"1.", 1, 0, "1.000000000"},
        {"1.999999999999", 1, 999999999, "1.999999999"},
        {"-3.25", -3, 250000000, "-3.250000000"},
        {"1099511627776", INT64_C(1) << 40, 0, "1099511627776.000000000"},
        {"000000000000000000000007", 7, 0, "7.000000000"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct timespec ts;
        char text[ATTR_TIME_MAX];
        assert_int_equal(attr_parse_time(cases[i].text, &ts), 0);
        assert_int_equal(ts.tv_sec, cases[i].sec);
        assert_int_equal(ts.tv_nsec, cases[i].nsec);
        attr_format_time(&ts, text);
        assert_string_equal(text, cases[i].written);
    }
}

static void test_written(void **state)
{
    struct obs_props props = {0};
    struct posix_attr a = {
        .mode = S_IFREG | 04755,
        .uid = 12,
        .gid = 34,
        .mtime = {1600000000, 5},
        .atime = {1, 0},
        .ctime = {-2, 999999999},
    };
    assert_int_equal(obs_props_set(&props, OBS_PROP_META, "colour", "blue"), 0);
    assert_int_equal(attr_to_props(&a, &props), 0);
    assert_string_equal(obs_props_get(&props, OBS_PROP_META, "mode"), "35309");
    assert_string_equal(obs_props_get(&props, OBS_PROP_META, "uid"), "12");
    assert_string_equal(obs_props_get(&props, OBS_PROP_META, "gid"), "34");
    assert_string_equal(obs_props_get(&props, OBS_PROP_META, "mtime"), "1600000000.000000005");
    assert_string_equal(obs_props_get(&props, OBS_PROP_META, "atime"), "1.000000000");
    assert_string_equal(obs_props_get(&props, OBS_PROP_META, "ctime"), "-2.999999999");
    assert_null(obs_props_get(&props, OBS_PROP_META, "rdev"));
    assert_string_equal(obs_props_get(&props, OBS_PROP_META, "colour"), "blue");
    assert_int_equal(props.n, 7);
    for (size_t i = 0; i < props.n; i++)
        assert_int_equal(attr_owns_meta(props.v[i].name), strcmp(props.v[i].name, "colour") != 0);

    struct posix_attr b;
    attr_from_props(&props, "f", 1, 0, &defaults, &b);
    assert_int_equal(b.mode, a.mode);
    assert_int_equal(b.ctime.tv_sec, -2);
    assert_int_equal(b.ctime.tv_nsec, 999999999);

    assert_int_equal(obs_props_set(&props, OBS_PROP_RAW, "mtime", "no metadata"), 0);
    attr_drop_times(&props);
    assert_int_equal(props.n, 5);
    assert_null(obs_props_get(&props, OBS_PROP_META, "mtime"));
    assert_null(obs_props_get(&props, OBS_PROP_META, "ctime"));
    assert_non_null(obs_props_get(&props, OBS_PROP_RAW, "mtime"));
    assert_string_equal(obs_props_get(&props, OBS_PROP_META, "gid"), "34");
    attr_from_props(&props, "f", 1, 7000, &defaults, &b);
    assert_int_equal(b.atime.tv_sec, 7);

    a.mode = S_IFCHR | 0600;
    a.rdev = makedev(1, 3);
    assert_int_equal(attr_to_props(&a, &props), 0);
    attr_from_props(&props, "f", 0, 0, &defaults, &b);
    assert_int_equal(b.rdev, a.rdev);
    assert_int_equal(b.mode, a.mode);
    obs_props_clear(&props);
}

static void test_names(void **state)
{
    assert_true(attr_owns_meta("MTIME"));
    assert_true(attr_owns_meta("xattr"));
    assert_true(attr_owns_meta("rdev"));
    assert_true(attr_owns_meta("obsmount-upload"));
    assert_false(attr_owns_meta("md5chksum"));
    assert_false(attr_owns_meta("owner"));
    assert_false(attr_owns_meta(""));
    assert_true(attr_is_dir_type(ATTR_DIR_TYPE));
    assert_false(attr_is_dir_type(NULL));
    assert_false(attr_is_dir_type(""));
    assert_null(attr_link_target(NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_stated), cmocka_unit_test(test_s3fs),
        cmocka_unit_test(test_types),          cmocka_unit_test(test_device),
        cmocka_unit_test(test_other_tools),    cmocka_unit_test(test_nonsense),
        cmocka_unit_test(test_times),          cmocka_unit_test(test_written),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
