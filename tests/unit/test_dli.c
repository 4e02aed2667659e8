// SPDX-License-Identifier: Apache-2.0
// What is to be registered with DLI: names, requests, bodies.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "net/dli.h"

static void repeated(char *out, char c, size_t n)
{
    memset(out, c, n);
    out[n] = 0;
}

static void test_names(void **state)
{
    char text[200];
    struct err err;

    repeated(text, 'g', DLI_GROUP_MAX);
    assert_int_equal(dli_check_group(text, NULL), 0);
    repeated(text, 'g', DLI_GROUP_MAX + 1);
    assert_int_equal(dli_check_group(text, NULL), -EINVAL);
    assert_int_equal(dli_check_group("a.B_c-9", NULL), 0);
    static const char *const bad_groups[] = {"", " gatk", "a b", "a/b", "a!", "\xc3\xa9", "a\n"};
    for (size_t i = 0; i < sizeof(bad_groups) / sizeof(*bad_groups); i++)
        assert_int_equal(dli_check_group(bad_groups[i], &err), -EINVAL);

    repeated(text, 'p', DLI_PACKAGE_MAX);
    assert_int_equal(dli_check_package(text, NULL), 0);
    repeated(text, 'p', DLI_PACKAGE_MAX + 1);
    assert_int_equal(dli_check_package(text, NULL), -EINVAL);
    assert_int_equal(dli_check_package("my!lib_1.0-a.py", NULL), 0);
    static const char *const bad_names[] = {"", ".a", "a b", "a/b", "a%20b", "a+b", "a?b"};
    for (size_t i = 0; i < sizeof(bad_names) / sizeof(*bad_names); i++)
        assert_int_equal(dli_check_package(bad_names[i], &err), -EINVAL);
}

static void test_urls(void **state)
{
    static const char *const good[] = {
        "https://b.obs.cn-north-4.myhuaweicloud.com/pkg/dli_tf.py",
        "https://b.obs.r.example.com:8443/a%20dir/x.jar",
        "http://127.0.0.1:8080/b/x.jar",
    };
    static const char *const bad[] = {
        "",
        "a.py",
        "obs://b/a.py",
        "https: //test.obs.xxx.com/test_dli.jar", /* as the service's page prints it */
        "https://",
        "https://host",
        "https://host/",
        "https://host/dir/",
        "https://host/a b.py",
        "https://host/\xc3\xa9.py",
        "https://host/a.py?x=1",
        "https://user:word@host/a.py",
        "https://host/.hidden",
    };
    struct err err;
    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
        assert_int_equal(dli_check_url(good[i], NULL), 0);
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        err_clear(&err);
        assert_int_equal(dli_check_url(bad[i], &err), -EINVAL);
        assert_non_null(strstr(err.msg, bad[i]));
    }
    assert_string_equal(dli_package_of(good[1]), "x.jar");
}

static void test_kinds(void **state)
{
    enum dli_kind k;
    for (int i = 0; i < DLI_KINDS; i++) {
        assert_int_equal(dli_kind_parse(dli_kind_name((enum dli_kind)i), &k), 0);
        assert_int_equal(k, i);
    }
    assert_int_equal(dli_kind_parse("PYFILE", &k), 0);
    assert_int_equal(k, DLI_PYFILE);
    assert_int_equal(dli_kind_parse("pyfiles", &k), -EINVAL);
}

static void body_is(const struct dli_upload *u, const char *path, const char *want)
{
    struct buf out = BUF_INIT(DLI_BODY_MAX);
    struct err err = {0};
    if (dli_upload_body(u, &out, &err) != 0)
        fail_msg("%s", err.msg);
    assert_string_equal(buf_str(&out), want);
    assert_string_equal(dli_upload_path(u), path);
    buf_done(&out);
}

static void test_body(void **state)
{
    struct dli_upload u;
    struct err err;
    struct buf out = BUF_INIT(4096);

    /* the body of the signature guide's example */
    assert_int_equal(dli_upload_set(&u, DLI_PYFILE, "gatk", &err), 0);
    assert_int_equal(dli_upload_body(&u, &out, &err), -EINVAL); /* no path */
    assert_int_equal(
        dli_upload_add(&u, "https://mybucket.obs.cn-north-4.myhuaweicloud.com/pkg/dli_tf.py", &err),
        0);
    body_is(&u, "/v2.0/{project_id}/resources/pyfiles",
            "{\"paths\":[\"https://mybucket.obs.cn-north-4.myhuaweicloud.com/pkg/dli_tf.py\"],"
            "\"group\":\"gatk\"}");
    /* the same again is dropped, another of the same name refused */
    assert_int_equal(dli_upload_add(&u, u.paths[0], &err), 0);
    assert_int_equal(u.n_paths, 1);
    assert_int_equal(dli_upload_add(&u, "https://h.com/other/dli_tf.py", &err), 0);
    assert_int_equal(dli_upload_body(&u, &out, &err), -EINVAL);
    assert_non_null(strstr(err.msg, "dli_tf.py"));
    assert_int_equal(dli_upload_set_path(&u, 1, "not-a-url", &err), 0);
    assert_int_equal(dli_upload_body(&u, &out, &err), -EINVAL);
    assert_non_null(strstr(err.msg, "not-a-url"));
    assert_int_equal(dli_upload_set_path(&u, 1, "https://h.com/b.py", &err), 0);
    assert_int_equal(dli_upload_body(&u, &out, &err), 0);
    buf_done(&out);
    dli_upload_clear(&u);

    /* without a group, the key is left out */
    assert_int_equal(dli_upload_set(&u, DLI_FILE, NULL, &err), 0);
    assert_int_equal(dli_upload_add(&u, "https://h.com/x", &err), 0);
    body_is(&u, "/v2.0/{project_id}/resources/files", "{\"paths\":[\"https://h.com/x\"]}");
    dli_upload_clear(&u);

    assert_int_equal(dli_upload_set(&u, DLI_MODELFILE, "g", &err), 0);
    assert_int_equal(dli_upload_add(&u, "https://h.com/m.pb", &err), 0);
    body_is(&u, "/v2.0/{project_id}/resources",
            "{\"paths\":[\"https://h.com/m.pb\"],\"kind\":\"modelFile\",\"group\":\"g\"}");
    dli_upload_clear(&u);
}

static void test_bounds(void **state)
{
    struct dli_upload u;
    struct err err;
    char text[DLI_URL_MAX + 2];
    struct buf small = BUF_INIT(64);

    assert_int_equal(dli_upload_set(&u, DLI_FILE, "a b", &err), -EINVAL);
    assert_int_equal(dli_upload_set(&u, DLI_KINDS, "g", &err), -EINVAL);
    assert_int_equal(dli_upload_set(&u, DLI_FILE, "g", &err), 0);
    assert_int_equal(dli_upload_add(&u, "", &err), -EINVAL);
    repeated(text, 'a', DLI_URL_MAX + 1);
    assert_int_equal(dli_upload_add(&u, text, &err), -EINVAL);
    for (int i = 0; i < 1000; i++) {
        (void)snprintf(text, sizeof(text), "https://h.com/p%d", i);
        assert_int_equal(dli_upload_add(&u, text, &err), 0);
    }
    assert_int_equal(dli_upload_body(&u, &small, &err), -EMSGSIZE);
    buf_done(&small);
    dli_upload_clear(&u);
}

static int parse(const char *text, const char *group, struct dli_upload *u, struct err *err)
{
    err_clear(err);
    return dli_upload_parse(text, strlen(text), DLI_PYFILE, group, u, err);
}

static void test_parse(void **state)
{
    struct dli_upload u;
    struct err err;

    assert_int_equal(parse("{ \"paths\": [ \"https://test.obs.huawei.com/dli_tf.py\" ],\n"
                           " \"group\": \" gatk\" }",
                           "gatk", &u, &err),
                     0);
    body_is(&u, "/v2.0/{project_id}/resources/pyfiles",
            "{\"paths\":[\"https://test.obs.huawei.com/dli_tf.py\"],\"group\":\"gatk\"}");
    dli_upload_clear(&u);

    assert_int_equal(parse("{\"paths\":[\"jobs/a.py\",\"jobs/b.py\"]}", "g", &u, &err), 0);
    assert_int_equal(u.n_paths, 2);
    assert_string_equal(u.paths[1], "jobs/b.py");
    assert_string_equal(u.group, "g");
    assert_false(u.generic);
    dli_upload_clear(&u);

    assert_int_equal(parse("{\"paths\":[\"https://h.com/a.py\"],\"is_async\":\"true\","
                           "\"tags\":[{\"key\":\"k\",\"value\":\"v\\\"\"}]}",
                           "g", &u, &err),
                     0);
    body_is(&u, "/v2.0/{project_id}/resources",
            "{\"paths\":[\"https://h.com/a.py\"],\"kind\":\"pyFile\",\"group\":\"g\","
            "\"is_async\":true,\"tags\":[{\"key\":\"k\",\"value\":\"v\\\"\"}]}");
    dli_upload_clear(&u);

    assert_int_equal(
        parse("{\"paths\":[\"https://h.com/a\"],\"kind\":\"modelfile\",\"is_async\":false}", "", &u,
              &err),
        0);
    body_is(&u, "/v2.0/{project_id}/resources",
            "{\"paths\":[\"https://h.com/a\"],\"kind\":\"modelFile\",\"is_async\":false}");
    dli_upload_clear(&u);
}

static void test_parse_refuses(void **state)
{
    static const struct {
        const char *text, *group, *says;
    } rows[] = {
        {"", "g", "JSON"},
        {"[]", "g", "JSON"},
        {"{\"paths\":[\"a\"]", "g", "JSON"},
        {"{\"paths\":[\"a\"],\"paths\":[\"b\"]}", "g", "JSON"},
        {"{}", "g", "paths"},
        {"{\"paths\":[]}", "g", "paths"},
        {"{\"paths\":\"a\"}", "g", "paths"},
        {"{\"paths\":[1]}", "g", "paths"},
        {"{\"paths\":[\"\"]}", "g", "empty"},
        {"{\"paths\":[\"a\"],\"group\":\"other\"}", "g", "other"},
        {"{\"paths\":[\"a\"],\"group\":\"g\"}", "", "without"},
        {"{\"paths\":[\"a\"],\"group\":7}", "g", "group"},
        {"{\"paths\":[\"a\"],\"is_async\":1}", "g", "is_async"},
        {"{\"paths\":[\"a\"],\"kind\":\"zip\"}", "g", "kind"},
        {"{\"paths\":[\"a\"],\"tags\":{}}", "g", "tags"},
        {"{\"paths\":[\"a\"],\"tags\":[{\"key\":\"\",\"value\":\"v\"}]}", "g", "tag 1"},
        {"{\"paths\":[\"a\"],\"isasync\":true}", "g", "isasync"},
    };
    struct dli_upload u;
    struct err err;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        int rc = parse(rows[i].text, rows[i].group, &u, &err);
        if (rc != -EINVAL || !strstr(err.msg, rows[i].says))
            fail_msg("%s: %d %s", rows[i].text, rc, err.msg);
    }
}

static void test_calls(void **state)
{
    struct cloud_call call;
    assert_int_equal(dli_list_call(&call, NULL, NULL), 0);
    assert_string_equal(call.path, "/v2.0/{project_id}/resources");
    assert_int_equal(call.n_query, 0);
    assert_int_equal(dli_list_call(&call, "PYFILE", NULL), 0);
    assert_string_equal(call.query[0].value, "pyFile");
    assert_int_equal(dli_list_call(&call, "x", NULL), -EINVAL);

    assert_int_equal(dli_get_call(&call, "a!.py", "g", NULL), 0);
    assert_string_equal(call.method, "GET");
    assert_string_equal(call.path, "/v2.0/{project_id}/resources/a!.py");
    assert_string_equal(call.query[0].value, "g");
    assert_int_equal(dli_get_call(&call, "a", "", NULL), 0);
    assert_int_equal(call.n_query, 0);
    assert_int_equal(dli_get_call(&call, "a/../b", "g", NULL), -EINVAL);
    assert_int_equal(dli_delete_call(&call, "a", "g g", NULL), -EINVAL);
    assert_int_equal(dli_delete_call(&call, "a", "g", NULL), 0);
    assert_string_equal(call.method, "DELETE");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),         cmocka_unit_test(test_urls),
        cmocka_unit_test(test_kinds),         cmocka_unit_test(test_body),
        cmocka_unit_test(test_bounds),        cmocka_unit_test(test_parse),
        cmocka_unit_test(test_parse_refuses), cmocka_unit_test(test_calls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
