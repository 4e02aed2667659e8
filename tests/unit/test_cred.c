// SPDX-License-Identifier: Apache-2.0
// Access keys: files, environment, rotation.
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

#include "net/base/clock.h"
#include "net/cred.h"

static int parse(const char *text, struct cred *ret)
{
    struct err err = {0};
    int rc = cred_parse(text, strlen(text), ret, &err);
    assert_true(rc == 0 || err.msg[0]);
    return rc;
}

static void parses(const char *text, const char *ak, const char *sk, const char *token)
{
    struct cred c;
    if (parse(text, &c) != 0)
        fail_msg("refused: %s", text);
    assert_string_equal(c.ak, ak);
    assert_string_equal(c.sk, sk);
    assert_string_equal(c.token, token);
    assert_int_equal(c.expires, 0);
}

static void test_parse(void **state)
{
    parses("AK1:SK1", "AK1", "SK1", "");
    parses("AK1:SK1\n", "AK1", "SK1", "");
    parses("# comment\r\n\r\n  AK1:SK/+1= \r\n", "AK1", "SK/+1=", "");
    parses("AK1:SK1:TOK==\n# end", "AK1", "SK1", "TOK==");
    parses("AK1:SK1:\n", "AK1", "SK1", "");
    parses("AK1:SK1:a:b\n", "AK1", "SK1", "a:b");
    parses("AWSAccessKeyId=AK1\nAWSSecretKey=SK1==\n", "AK1", "SK1==", "");
    parses("[obs]\nendpoint=https://obs.x:443\nak=AK1\nsk = SK1\ntoken=T\nconnectTimeout=30\n",
           "AK1", "SK1", "T");
    parses("endpoint=x\nak=AK1\nsk=SK1\ntoken=\nakCrr=other\nskCrr=other\n", "AK1", "SK1", "");
}

static void test_parse_refuses(void **state)
{
    static const char *const bad[] = {
        "",
        "\n\n",
        "# only",
        "AK1",
        "AK1:",
        ":SK1",
        "AK 1:SK1",
        "AK1:S K1",
        "AK1:SK\x01",
        "AK1:SK1\nA:B",
        "ak=AK1\n",
        "sk=SK1\n",
        "ak=\nsk=S",
        "AK1:SK\xc3\xa9",
        "ak=A\nsk=B\nnonsense",
    };
    struct cred c;
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        if (parse(bad[i], &c) == 0)
            fail_msg("taken: %s", bad[i]);
        assert_string_equal(c.ak, "");
        assert_string_equal(c.sk, "");
    }
    char text[CRED_FILE_MAX + 2];
    memset(text, 'A', sizeof(text));
    assert_int_equal(cred_parse(text, sizeof(text), &c, NULL), -EFBIG);
    text[10] = ':';
    assert_int_equal(cred_parse(text, 1000, &c, NULL), -EINVAL);
    assert_int_equal(cred_parse("A\0:B", 4, &c, NULL), -EINVAL);
    memset(&text[11], 'B', 255);
    assert_int_equal(cred_parse(text, 11 + 255, &c, NULL), 0);
    assert_int_equal(cred_parse(text, 11 + 256, &c, NULL), -EINVAL);

    /* A message never repeats what stands in the file. */
    struct err err = {0};
    (void)cred_parse("SECRETSECRET", 12, &c, &err);
    assert_null(strstr(err.msg, "SECRET"));
}

/* Pairs of name and value. */
static const char *test_env(void *arg, const char *name)
{
    const char *const *v = arg;
    for (; v[0]; v += 2) {
        if (strcmp(v[0], name) == 0)
            return v[1];
    }
    return NULL;
}

static void test_environment(void **state)
{
    const char *all[] = {"HW_ACCESS_KEY",
                         "a4",
                         "HW_SECRET_KEY",
                         "s4",
                         "AccessKeyID",
                         "a2",
                         "SecretAccessKey",
                         "s2",
                         "SecurityToken",
                         "t2",
                         "OBS_ACCESS_KEY_ID",
                         "a1",
                         "OBS_SECRET_ACCESS_KEY",
                         "s1",
                         NULL,
                         NULL};
    const char *half[] = {
        "OBS_ACCESS_KEY_ID", "a1", "OTCCLOUD_SDK_AK", "a5", "OTCCLOUD_SDK_SK", "s5", NULL, NULL};
    const char *none[] = {NULL, NULL};
    const char *bad[] = {"AccessKeyID", "a b", "SecretAccessKey", "s2", NULL, NULL};
    struct cred c;
    const char *name;

    assert_int_equal(cred_from_env(test_env, all, &c, &name, NULL), 0);
    assert_string_equal(c.ak, "a1");
    assert_string_equal(c.sk, "s1");
    assert_string_equal(c.token, "");
    assert_string_equal(name, "OBS_ACCESS_KEY_ID");
    all[10] = "X";
    assert_int_equal(cred_from_env(test_env, all, &c, &name, NULL), 0);
    assert_string_equal(c.ak, "a2");
    assert_string_equal(c.token, "t2");
    assert_int_equal(cred_from_env(test_env, half, &c, NULL, NULL), 0);
    assert_string_equal(c.ak, "a5");
    assert_int_equal(cred_from_env(test_env, none, &c, NULL, NULL), -ENOENT);
    assert_int_equal(cred_from_env(test_env, bad, &c, NULL, NULL), -EINVAL);
}

static char path[64];

static void put_file(const char *text, mode_t mode)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(chmod(path, mode), 0);
}

static int setup(void **state)
{
    strcpy(path, "/tmp/obsm-test-cred-XXXXXX");
    int fd = mkstemp(path);
    if (fd < 0)
        return -1;
    close(fd);
    return 0;
}

static int teardown(void **state)
{
    return unlink(path);
}

static void test_file_modes(void **state)
{
    struct cred c;
    for (mode_t bit = 1; bit <= 0100; bit <<= 1) {
        struct err err = {0};
        put_file("AK:SK\n", 0600);
        assert_int_equal(chmod(path, 0600 | bit), 0);
        int rc = cred_from_file(path, &c, &err);
        if (bit == 0100) {
            assert_int_equal(rc, 0);
            continue;
        }
        assert_int_equal(rc, -EACCES);
        assert_non_null(strstr(err.msg, "chmod 600"));
        assert_string_equal(c.ak, "");
    }
    put_file("AK:SK\n", 0600);
    assert_int_equal(chmod(path, 0400), 0);
    assert_int_equal(cred_from_file(path, &c, NULL), 0);
    assert_string_equal(c.sk, "SK");
    assert_int_equal(chmod(path, 0600), 0);
}

static void test_file_kinds(void **state)
{
    struct cred c;
    struct err err = {0};
    assert_int_equal(cred_from_file("/nonexistent/file", &c, &err), -ENOENT);
    assert_non_null(strstr(err.msg, "/nonexistent/file"));
    assert_int_equal(cred_from_file("/tmp", &c, NULL), -EINVAL);
    assert_int_equal(cred_from_file("/dev/null", &c, NULL), -EINVAL);

    char big[CRED_FILE_MAX + 2];
    memset(big, '#', sizeof(big) - 1);
    big[sizeof(big) - 1] = 0;
    put_file(big, 0600);
    assert_int_equal(cred_from_file(path, &c, NULL), -EFBIG);
    put_file("broken", 0600);
    assert_int_equal(cred_from_file(path, &c, &err), -EINVAL);
    assert_non_null(strstr(err.msg, path));
    assert_non_null(strstr(err.msg, "line 1"));
}

static void test_file_owner(void **state)
{
    struct cred c;
    struct err err = {0};
    if (geteuid() != 0)
        skip();
    put_file("AK:SK\n", 0600);
    assert_int_equal(chown(path, 12345, 0), 0);
    assert_int_equal(cred_from_file(path, &c, &err), -EACCES);
    assert_non_null(strstr(err.msg, "12345"));
    assert_int_equal(chown(path, 0, 0), 0);
}

static void test_source_file(void **state)
{
    struct cred_source *s;
    struct cred c, used;
    put_file("AK1:SK1\n", 0600);
    const struct cred_config config = {.file = path, .env = true};
    assert_int_equal(cred_source_new(&config, &s, NULL), 0);
    assert_non_null(strstr(cred_source_name(s), path));
    assert_int_equal(cred_get(s, &used, NULL), 0);
    assert_string_equal(used.ak, "AK1");
    assert_int_equal(cred_reload(s, &used, NULL), 0); /* the same: give up */

    put_file("AK2:SK2:T2\n", 0600);
    assert_int_equal(cred_reload(s, &used, NULL), 1);
    assert_int_equal(cred_get(s, &c, NULL), 0);
    assert_string_equal(c.ak, "AK2");
    assert_string_equal(c.token, "T2");
    assert_int_equal(cred_reload(s, &used, NULL), 1); /* others were read already */
    assert_int_equal(cred_reload(s, &c, NULL), 0);

    /* A broken file leaves the old keys. */
    put_file("oops", 0600);
    assert_int_equal(cred_reload(s, &c, NULL), -EINVAL);
    assert_int_equal(cred_get(s, &c, NULL), 0);
    assert_string_equal(c.ak, "AK2");
    cred_source_free(s);
    cred_source_free(NULL);
}

/* A change of the file is seen without a reload. */
static void test_source_rotation(void **state)
{
    struct cred_source *s;
    struct cred c;
    put_file("AK1:SK1\n", 0600);
    const struct cred_config config = {.file = path};
    assert_int_equal(cred_source_new(&config, &s, NULL), 0);
    put_file("AK2:SK2\n", 0600);
    int64_t until = clock_ms() + 10000;
    do {
        usleep(50000);
        assert_int_equal(cred_get(s, &c, NULL), 0);
    } while (strcmp(c.ak, "AK2") != 0 && clock_ms() < until);
    assert_string_equal(c.ak, "AK2");
    cred_source_free(s);
}

static void test_source_missing(void **state)
{
    struct cred_source *s;
    struct err err = {0};
    struct cred_config config = {0};
    assert_int_equal(cred_source_new(&config, &s, &err), -EINVAL);
    assert_int_not_equal(strlen(err.msg), 0);
    config.file = "/nonexistent/file";
    assert_int_equal(cred_source_new(&config, &s, NULL), -ENOENT);
}

static void count(void *arg)
{
    (*(int *)arg)++;
}

static void test_source_put(void **state)
{
    struct cred_source *s;
    struct cred c = {.ak = "A", .sk = "S", .token = "T"}, got;
    int asked = 0;
    const struct cred_config config = {.refresh = count, .refresh_arg = &asked};
    assert_int_equal(cred_source_new(&config, &s, NULL), 0);
    assert_string_equal(cred_source_name(s), "metadata service");
    assert_int_equal(cred_get(s, &got, NULL), -EAGAIN);
    assert_int_equal(asked, 1);
    assert_int_equal(cred_get(s, &got, NULL), -EAGAIN); /* asked for already */
    assert_int_equal(asked, 1);

    c.expires = clock_real().tv_sec + 3600;
    cred_put(s, &c);
    assert_int_equal(cred_get(s, &got, NULL), 0);
    assert_memory_equal(&got, &c, sizeof(c));
    assert_int_equal(asked, 1);
    c.expires = clock_real().tv_sec + 60;
    cred_put(s, &c);
    assert_int_equal(cred_get(s, &got, NULL), 0); /* still good, but ends soon */
    assert_int_equal(asked, 2);

    cred_put(s, &c);
    assert_int_equal(cred_reload(s, &got, NULL), -EAGAIN);
    assert_int_equal(asked, 3);
    strcpy(c.ak, "B");
    cred_put(s, &c);
    assert_int_equal(cred_reload(s, &got, NULL), 1);
    cred_source_free(s);
}

/* Keys that end soon are asked for at once, but not again and again while the same ones come. */
static void test_source_asks_early(void **state)
{
    struct cred_source *s;
    struct cred c = {.ak = "A", .sk = "S", .token = "T"}, got;
    int asked = 0;
    const struct cred_config config = {.refresh = count, .refresh_arg = &asked};
    assert_int_equal(cred_source_new(&config, &s, NULL), 0);
    c.expires = clock_real().tv_sec + 500;
    cred_put(s, &c);
    assert_int_equal(cred_get(s, &got, NULL), 0);
    assert_int_equal(asked, 1);
    cred_put(s, &c);
    assert_int_equal(cred_get(s, &got, NULL), 0);
    assert_int_equal(asked, 1);
    c.expires = clock_real().tv_sec;
    cred_put(s, &c);
    cred_put(s, &c);
    assert_int_equal(cred_get(s, &got, NULL), 0);
    assert_int_equal(asked, 2);
    c.expires = 0;
    cred_put(s, &c);
    assert_int_equal(cred_get(s, &got, NULL), 0);
    assert_int_equal(asked, 2);
    cred_source_free(s);
}

static void test_wipe(void **state)
{
    struct cred c, zero;
    memset(&c, 'x', sizeof(c));
    memset(&zero, 0, sizeof(zero));
    cred_wipe(&c);
    assert_memory_equal(&c, &zero, sizeof(c));
}

/* The kept keys lie in a mapping that core dumps leave out. */
static void test_not_dumped(void **state)
{
    struct cred_source *s;
    put_file("AK1:SK1\n", 0600);
    const struct cred_config config = {.file = path};
    assert_int_equal(cred_source_new(&config, &s, NULL), 0);
    FILE *f = fopen("/proc/self/smaps", "r");
    if (!f)
        skip();
    char line[512];
    unsigned long size = 0;
    bool found = false;
    while (fgets(line, sizeof(line), f)) {
        (void)sscanf(line, "Size: %lu kB", &size);
        if (strncmp(line, "VmFlags:", 8) == 0 && strstr(line, " dd") &&
            size * 1024 >= sizeof(struct cred) && size <= 64)
            found = true;
    }
    fclose(f);
    cred_source_free(s);
    assert_true(found);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse),
        cmocka_unit_test(test_parse_refuses),
        cmocka_unit_test(test_environment),
        cmocka_unit_test_setup_teardown(test_file_modes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_file_kinds, setup, teardown),
        cmocka_unit_test_setup_teardown(test_file_owner, setup, teardown),
        cmocka_unit_test_setup_teardown(test_source_file, setup, teardown),
        cmocka_unit_test_setup_teardown(test_source_rotation, setup, teardown),
        cmocka_unit_test(test_source_missing),
        cmocka_unit_test(test_source_put),
        cmocka_unit_test(test_source_asks_early),
        cmocka_unit_test(test_wipe),
        cmocka_unit_test_setup_teardown(test_not_dumped, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
