// SPDX-License-Identifier: Apache-2.0
// Logging in and finding the project: the pure parts.
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

#include "net/iam.h"

static void body_is(struct iam_login login, const char *want)
{
    struct buf out = BUF_INIT(4096);
    assert_int_equal(iam_login_body(&out, &login, NULL), 0);
    assert_string_equal(buf_str(&out), want);
    buf_done(&out);
}

static void test_body(void **state)
{
    body_is((struct iam_login){.user = "u", .domain = "d", .password = "p\"\\\n", .project = "r-1"},
            "{\"auth\":{\"identity\":{\"methods\":[\"password\"],\"password\":{\"user\":{\"name\":"
            "\"u\",\"password\":\"p\\\"\\\\\\u000a\",\"domain\":{\"name\":\"d\"}}}},\"scope\":"
            "{\"project\":{\"name\":\"r-1\"}}}}");
    body_is(
        (struct iam_login){
            .user = "u", .domain = "", .password = "p", .project_id = "0a", .project = "r-1"},
        "{\"auth\":{\"identity\":{\"methods\":[\"password\"],\"password\":{\"user\":{\"name\":"
        "\"u\",\"password\":\"p\",\"domain\":{\"name\":\"u\"}}}},\"scope\":{\"project\":{"
        "\"id\":\"0a\"}}}}");
}

static void test_body_refuses(void **state)
{
    struct buf out = BUF_INIT(64);
    struct err err;
    struct iam_login login = {.user = "u", .password = "secret", .project = "r"};
    struct iam_login no_user = login, no_password = login, no_project = login;
    no_user.user = "";
    no_password.password = NULL;
    no_project.project = NULL;
    assert_int_equal(iam_login_body(&out, &no_user, &err), -EINVAL);
    assert_int_equal(iam_login_body(&out, &no_password, &err), -EINVAL);
    assert_int_equal(iam_login_body(&out, &no_project, &err), -EINVAL);
    assert_int_equal(iam_login_body(&out, &login, &err), -EMSGSIZE);
    assert_null(strstr(err.msg, "secret"));
    buf_done(&out);
}

static int read_file(const char *text, size_t n, mode_t mode, char out[IAM_PASSWORD_MAX],
                     struct err *err)
{
    char path[] = "/tmp/obsm-iam-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, n), (ssize_t)n);
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
    int rc = iam_read_password(path, out, err);
    unlink(path);
    return rc;
}

static void test_password(void **state)
{
    char out[IAM_PASSWORD_MAX];
    char longest[2 * IAM_PASSWORD_MAX];
    struct err err = {0};

    assert_int_equal(read_file("a b#c\n", 6, 0600, out, &err), 0);
    assert_string_equal(out, "a b#c");
    assert_int_equal(read_file("x\r\n", 3, 0400, out, &err), 0);
    assert_string_equal(out, "x");
    assert_int_equal(read_file("geheim", 6, 0644, out, &err), -EACCES);
    assert_int_equal(read_file("", 0, 0600, out, &err), -EINVAL);
    assert_int_equal(read_file("\n", 1, 0600, out, &err), -EINVAL);
    assert_int_equal(read_file("geheim\nmore\n", 12, 0600, out, &err), -EINVAL);
    assert_null(strstr(err.msg, "geheim"));
    assert_int_equal(read_file("geheim\0x\n", 9, 0600, out, &err), -EINVAL);
    memset(longest, 'p', sizeof(longest));
    assert_int_equal(read_file(longest, IAM_PASSWORD_MAX - 1, 0600, out, &err), 0);
    assert_int_equal(strlen(out), IAM_PASSWORD_MAX - 1);
    assert_int_equal(read_file(longest, IAM_PASSWORD_MAX, 0600, out, &err), -EFBIG);
    assert_int_equal(iam_read_password("/nowhere/at/all", out, &err), -ENOENT);
}

static void test_project(void **state)
{
    static const struct project list[] = {
        {"id1", "r-1"},   {"id2", "r-1_sub"}, {"id3", "MOS"},
        {"id4", "twice"}, {"id5", "twice"},   {"a/b", "bad"},
    };
    enum { N = sizeof(list) / sizeof(list[0]) };
    char id[IAM_PROJECT_ID_MAX + 1];
    struct err err;

    assert_int_equal(iam_pick_project(list, N, "r-1", id, &err), 0);
    assert_string_equal(id, "id1");
    assert_int_equal(iam_pick_project(list, N, "r-2", id, &err), -ENOENT);
    assert_int_equal(iam_pick_project(NULL, 0, "r-1", id, &err), -ENOENT);
    assert_int_equal(iam_pick_project(list, N, "twice", id, &err), -EINVAL);
    assert_non_null(strstr(err.msg, "id4, id5"));
    assert_int_equal(iam_pick_project(list, N, "bad", id, &err), -EINVAL);
}

static void test_project_id(void **state)
{
    char longest[IAM_PROJECT_ID_MAX + 2];
    memset(longest, 'a', sizeof(longest));
    longest[IAM_PROJECT_ID_MAX + 1] = 0;
    assert_int_equal(iam_check_project_id("0123456789abcdef0123456789abcdef", NULL), 0);
    assert_int_equal(iam_check_project_id("", NULL), -EINVAL);
    assert_int_equal(iam_check_project_id("a/b", NULL), -EINVAL);
    assert_int_equal(iam_check_project_id("a?b", NULL), -EINVAL);
    assert_int_equal(iam_check_project_id(longest, NULL), -EINVAL);
    assert_int_equal(iam_check_project_id(longest + 1, NULL), 0);
}

static int token(const char *text, struct token_answer *ret)
{
    return json_parse_token(text, strlen(text), ret, NULL);
}

static void test_token(void **state)
{
    struct token_answer t;
    assert_int_equal(token("{\"token\":{\"expires_at\":\"2019-02-13T06:52:13.855000Z\","
                           "\"issued_at\":\"2019-02-12T06:52:13.855000Z\",\"project\":{"
                           "\"id\":\"aa\",\"name\":\"r-1\",\"domain\":{\"id\":\"d\"}},\"x\":1}}",
                           &t),
                     0);
    assert_int_equal(t.expires, 1550040733);
    assert_int_equal(t.expires - t.issued, 86400);
    assert_string_equal(t.project.id, "aa");
    assert_int_equal(token("{\"token\":{\"expires_at\":\"2019-02-13T06:52:13Z\"}}", &t), 0);
    assert_string_equal(t.project.id, "");
    assert_int_equal(t.issued, 0);
    assert_int_equal(token("{\"token\":{}}", &t), -EBADMSG);
    assert_int_equal(token("{\"token\":[]}", &t), -EBADMSG);
    assert_int_equal(token("{\"token\":{\"expires_at\":7}}", &t), -EBADMSG);
    assert_int_equal(token("<html>", &t), -EBADMSG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_body),       cmocka_unit_test(test_body_refuses),
        cmocka_unit_test(test_password),   cmocka_unit_test(test_project),
        cmocka_unit_test(test_project_id), cmocka_unit_test(test_token),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
