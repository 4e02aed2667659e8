// SPDX-License-Identifier: Apache-2.0
// Options: escaping, types, ranges, suggestions, source names, the words for libfuse.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "fs/option_value.h"
#include "fs/options.h"
#include "net/base/log.h"
#include "net/obs.h"

static int setup(void **state)
{
    struct options *opt = calloc(1, sizeof(*opt));
    if (!opt || options_init(opt) < 0)
        return -1;
    *state = opt;
    return 0;
}

static int teardown(void **state)
{
    options_done(*state);
    free(*state);
    return 0;
}

static void accept(struct options *opt, const char *text)
{
    struct err err = {0};
    int rc = options_parse(opt, text, false, &err);
    if (rc < 0)
        fail_msg("'%s' was refused: %s", text, err.msg);
}

/* The refusal's sentence must hold `expected`. */
static void refuse(struct options *opt, const char *text, const char *expected)
{
    struct err err = {0};
    assert_int_equal(options_parse(opt, text, false, &err), -EINVAL);
    if (!strstr(err.msg, expected))
        fail_msg("'%s' gave \"%s\", expected \"%s\"", text, err.msg, expected);
}

static void test_defaults(void **state)
{
    const struct options *opt = *state;
    assert_int_equal(opt->part_size, 9 << 20);
    assert_int_equal(opt->parallel, 8);
    assert_int_equal(opt->meta_ttl, 5000);
    assert_int_equal(opt->retry_time, 600000);
    assert_int_equal(opt->dialect, OBS_DIALECT_OBS);
    assert_int_equal(opt->attr, OPTION_ATTR_GATHER);
    assert_int_equal(LOG_LEVEL_ERROR + opt->log_level, LOG_LEVEL_NOTICE);
    assert_int_equal(opt->umask, 022);
    assert_int_equal(opt->uid, getuid());
    assert_true(opt->default_permissions);
    assert_false(opt->ro);
    assert_null(opt->endpoint);
    assert_int_equal(opt->header.n, 0);
}

/* What the driver shows as its options is accepted as options and means the same. */
static void test_dump_is_input(void **state)
{
    struct options *opt = *state;
    accept(opt, "part_size=100K,meta_ttl=1500ms,umask=077,dialect=s3,region=x,ro,open_ttl=0");
    CLEANUP_BUF struct buf first = BUF_INIT(65536);
    assert_int_equal(options_dump(opt, &first), 0);
    assert_non_null(strstr(buf_str(&first), "part_size=100K\n"));
    assert_non_null(strstr(buf_str(&first), "meta_ttl=1500ms\n"));
    assert_non_null(strstr(buf_str(&first), "umask=0077\n"));
    assert_non_null(strstr(buf_str(&first), "dialect=s3\n"));

    struct options again;
    assert_int_equal(options_init(&again), 0);
    char *text = buf_steal(&first);
    char *rest = NULL;
    for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        if (line[strlen(line) - 1] != '=')
            accept(&again, line);
    }
    CLEANUP_BUF struct buf second = BUF_INIT(65536);
    CLEANUP_BUF struct buf third = BUF_INIT(65536);
    assert_int_equal(options_dump(&again, &second), 0);
    assert_int_equal(options_dump(opt, &third), 0);
    assert_string_equal(buf_str(&second), buf_str(&third));
    options_done(&again);
    free(text);
}

static void test_sizes(void **state)
{
    uint64_t n = 0;
    assert_int_equal(option_parse_size("0", &n), 0);
    assert_int_equal(n, 0);
    assert_int_equal(option_parse_size("3g", &n), 0);
    assert_true(n == 3ull << 30);
    assert_int_equal(option_parse_size("1T", &n), 0);
    assert_true(n == 1ull << 40);
    static const char *const bad[] = {
        "",
        "K",
        "-1",
        "+1",
        " 1",
        "1 ",
        "1KK",
        "1.5M",
        "0x10",
        "16777216T",
        "9223372036854775808",
        "99999999999999999999",
        "1P",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (option_parse_size(bad[i], &n) != -EINVAL)
            fail_msg("'%s' was taken as a size", bad[i]);
    }
}

static void test_times(void **state)
{
    static const struct {
        const char *text;
        int64_t ms;
    } good[] = {{"0", 0},        {"7", 7000},     {"250ms", 250},        {"30s", 30000},
                {"10m", 600000}, {"2h", 7200000}, {"7d", 7 * 86400000ll}};
    int64_t ms = -1;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_int_equal(option_parse_time(good[i].text, &ms), 0);
        assert_true(ms == good[i].ms);
    }
    assert_int_equal(option_parse_time("5 s", &ms), -EINVAL);
    assert_int_equal(option_parse_time("5w", &ms), -EINVAL);
    assert_int_equal(option_parse_time("106751991168d", &ms), -EINVAL);
}

static void test_switches(void **state)
{
    struct options *opt = *state;
    accept(opt, "path_style");
    assert_true(opt->path_style);
    accept(opt, "path_style=No");
    assert_false(opt->path_style);
    accept(opt, "ro,rw");
    assert_false(opt->ro);
    accept(opt, "rw,ro");
    assert_true(opt->ro);
    refuse(opt, "path_style=perhaps", "on or off");
    refuse(opt, "path_style=", "on or off");
}

static void test_ranges_are_not_clamped(void **state)
{
    struct options *opt = *state;
    accept(opt, "part_size=100K");
    accept(opt, "part_size=5G");
    assert_true(opt->part_size == 5ull << 30);
    refuse(opt, "part_size=102399", "100K..5G");
    refuse(opt, "part_size=5368709121", "100K..5G");
    refuse(opt, "parallel=0", "1..10000");
    refuse(opt, "parallel=10001", "1..10000");
    refuse(opt, "parallel=eight", "a whole number");
    refuse(opt, "parallel", "needs a value");
    refuse(opt, "umask=888", "octal");
    refuse(opt, "umask=1000", "0..0777");
    refuse(opt, "dialect=swift", "obs|s3");
    refuse(opt, "log_level", "error|warning");
    assert_true(opt->part_size == 5ull << 30);
}

static void test_escapes(void **state)
{
    struct options *opt = *state;
    accept(opt, "region=a\\,b\\\\c\\054d\\");
    assert_string_equal(opt->region, "a,b\\c,d\\");
    accept(opt, ",,region=plain,,");
    assert_string_equal(opt->region, "plain");
    accept(opt, "");
    accept(opt, "region=a=b");
    assert_string_equal(opt->region, "a=b");
    refuse(opt, "region=a\\000b", "zero byte");

    size_t n = 20000;
    char *longest = malloc(n + 1);
    assert_non_null(longest);
    memset(longest, 'a', n);
    longest[n] = '\0';
    refuse(opt, longest, "too long");
    free(longest);
}

static void test_unknown_words(void **state)
{
    struct options *opt = *state;
    refuse(opt, "endpont=x", "unknown option 'endpont': did you mean 'endpoint'?");
    refuse(opt, "partsize=9M", "did you mean 'part_size'?");
    refuse(opt, "meta_tll=9", "did you mean 'meta_ttl'?");
    refuse(opt, "zzzzzzzz", "unknown option 'zzzzzzzz'");
    refuse(opt, "passwd_file=/x", "credential_file");
    refuse(opt, "sk=abc", "keys belong into a file");
    assert_null(option_nearest("zzzzzzzz"));
    assert_null(option_nearest(""));

    struct err err = {0};
    assert_int_equal(options_parse(opt, "endpont=x,parallel=2", true, &err), 0);
    assert_int_equal(opt->skipped.n, 1);
    assert_string_equal(opt->skipped.v[0], "endpont");
    assert_int_equal(opt->parallel, 2);
    assert_int_equal(options_parse(opt, "parallel=0", true, &err), -EINVAL);
}

static void test_words_of_mount(void **state)
{
    struct options *opt = *state;
    accept(opt, "rw,_netdev,nofail,auto,noauto,defaults,user,user=me,users,nouser,owner,group,"
                "uhelper=hal,helper=obsmount,x-systemd.automount,x-systemd.idle-timeout=10min,"
                "X-mount.mkdir,comment=none,relatime,nodiratime,lazytime");
    assert_int_equal(opt->pass_on.n, 0);
    accept(opt, "nodev,nosuid,noexec,noatime,dirsync,sync,max_read=65536");
    assert_int_equal(opt->pass_on.n, 7);
}

static void test_headers(void **state)
{
    struct options *opt = *state;
    accept(opt, "header=Cache-Control: max-age=60,header=x-obs-persistent-headers:a:b");
    assert_int_equal(opt->header.n, 2);
    assert_string_equal(opt->header.v[0], "Cache-Control: max-age=60");
    assert_string_equal(opt->header.v[1], "x-obs-persistent-headers: a:b");
    assert_null(opt->header.v[2]);
    refuse(opt, "header=novalue", "NAME:VALUE");
    refuse(opt, "header=:v", "NAME:VALUE");
    refuse(opt, "header=a b:v", "header name");
    refuse(opt, "header=a:v\\012Host: evil", "control characters");
    refuse(opt, "header=AUTHORIZATION:x", "set by obsmount itself");

    CLEANUP_BUF struct buf dump = BUF_INIT(65536);
    assert_int_equal(options_dump(opt, &dump), 0);
    assert_null(strstr(buf_str(&dump), "max-age"));
}

static void test_paths_become_absolute(void **state)
{
    struct options *opt = *state;
    accept(opt, "credential_file=keys/a");
    assert_int_equal(opt->credential_file[0], '/');
    assert_non_null(strstr(opt->credential_file, "/keys/a"));
    accept(opt, "credential_file=/etc/keys");
    assert_string_equal(opt->credential_file, "/etc/keys");
    refuse(opt, "credential_file=", "needs a path");
}

static void test_ids(void **state)
{
    struct options *opt = *state;
    accept(opt, "uid=0,gid=4294967294");
    assert_int_equal(opt->uid, 0);
    assert_true(opt->gid == 4294967294u);
    accept(opt, "uid=root,gid=root");
    assert_int_equal(opt->gid, 0);
    refuse(opt, "uid=4294967295", "not a valid id");
    refuse(opt, "uid=no-such-user-here", "no such user");
    refuse(opt, "gid=no-such-group-here", "no such group");
}

static void source_ok(struct options *opt, const char *source, const char *bucket,
                      const char *prefix)
{
    struct err err = {0};
    int rc = options_set_source(opt, source, &err);
    if (rc < 0)
        fail_msg("'%s' was refused: %s", source, err.msg);
    assert_string_equal(opt->bucket, bucket);
    assert_string_equal(opt->prefix, prefix);
}

static void test_sources(void **state)
{
    struct options *opt = *state;
    source_ok(opt, "data", "data", "");
    source_ok(opt, "my.data-1:", "my.data-1", "");
    source_ok(opt, "data:/", "data", "");
    source_ok(opt, "data:/a", "data", "a/");
    source_ok(opt, "data:a/b c/", "data", "a/b c/");
    source_ok(opt, "data:/a:b/#c", "data", "a:b/#c/");
    source_ok(opt, "obsmount#data:/x", "data", "x/");
    assert_string_equal(opt->source, "data:/x");
    source_ok(opt, "/usr/bin/obsmount#data", "data", "");

    static const char *const bad[] = {
        "",           "ab",        "Data",       "da_ta",          "-data",  "data-",
        "da..ta",     "da.-ta",    "da-.ta",     "1.2.3.4",        "data/a", "da ta",
        "data:/a//b", "data:/./a", "data:/a/..", "xobsmount#data", "#data",  "obsmount#",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct err err = {0};
        if (options_set_source(opt, bad[i], &err) != -EINVAL)
            fail_msg("'%s' was accepted", bad[i]);
        assert_true(err.msg[0]);
    }
    assert_string_equal(opt->bucket, "data");
}

static void test_bucket_length(void **state)
{
    struct options *opt = *state;
    char name[65];
    memset(name, 'a', sizeof(name));
    name[63] = '\0';
    source_ok(opt, name, name, "");
    name[63] = 'a';
    name[64] = '\0';
    assert_int_equal(options_set_source(opt, name, NULL), -EINVAL);
}

static void check_refuses(struct options *opt, const char *expected)
{
    struct err err = {0};
    assert_int_equal(options_check(opt, &err), -EINVAL);
    assert_non_null(strstr(err.msg, expected));
}

static void test_cross_checks(void **state)
{
    struct options *opt = *state;
    check_refuses(opt, "no endpoint");
    accept(opt, "region=cn-north-4");
    assert_int_equal(options_check(opt, NULL), 0);
    assert_string_equal(opt->endpoint, "obs.cn-north-4.myhuaweicloud.com");
    accept(opt, "allow_other,allow_root");
    check_refuses(opt, "exclude each other");
    accept(opt, "allow_other=off,credential_source=file");
    check_refuses(opt, "needs 'credential_file'");
    accept(opt, "credential_source=metadata,credential_file=/keys");
    check_refuses(opt, "exclude each other");
    accept(opt, "credential_source=auto,metadata_endpoint=http://x");
    check_refuses(opt, "needs credential_source=metadata");
    accept(opt, "credential_source=metadata");
    free(opt->credential_file);
    opt->credential_file = NULL;
    assert_int_equal(options_check(opt, NULL), 0);
    accept(opt, "allow_root=off,dialect=s3,part_size=1M");
    check_refuses(opt, "5M or more");
}

static void test_region_of_the_endpoint(void **state)
{
    struct options *opt = *state;
    accept(opt, "endpoint=https://obs.cn-north-4.myhuaweicloud.com");
    assert_int_equal(options_check(opt, NULL), 0);
    assert_string_equal(opt->region, "cn-north-4");
    accept(opt, "endpoint=obs.other.myhuaweicloud.com"); /* what was given holds */
    assert_int_equal(options_check(opt, NULL), 0);
    assert_string_equal(opt->region, "cn-north-4");
}

static void test_fuse_words(void **state)
{
    struct options *opt = *state;
    source_ok(opt, "data:/a,b", "data", "a,b/");
    char *words = options_fuse_words(opt);
    assert_string_equal(words,
                        "rw,fsname=data:/a\\,b,subtype=obsmount,nodev,nosuid,default_permissions");
    free(words);

    accept(opt, "ro,dev,suid,allow_other,default_permissions=off,noatime,fsname=me");
    words = options_fuse_words(opt);
    assert_string_equal(words, "ro,subtype=obsmount,allow_other,dev,suid,noatime,fsname=me");
    free(words);
}

static void test_help_names_all(void **state)
{
    CLEANUP_BUF struct buf help = BUF_INIT(65536);
    assert_int_equal(options_help(&help), 0);
    for (size_t i = 0; option_name(i); i++) {
        char line[80];
        snprintf(line, sizeof(line), "\n  %s", option_name(i));
        if (!strstr(buf_str(&help), line))
            fail_msg("'%s' is missing in --help", option_name(i));
    }
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_defaults),
        TEST(test_dump_is_input),
        TEST(test_sizes),
        TEST(test_times),
        TEST(test_switches),
        TEST(test_ranges_are_not_clamped),
        TEST(test_escapes),
        TEST(test_unknown_words),
        TEST(test_words_of_mount),
        TEST(test_headers),
        TEST(test_paths_become_absolute),
        TEST(test_ids),
        TEST(test_sources),
        TEST(test_bucket_length),
        TEST(test_cross_checks),
        TEST(test_region_of_the_endpoint),
        TEST(test_fuse_words),
        TEST(test_help_names_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
