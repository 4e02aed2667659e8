// SPDX-License-Identifier: Apache-2.0
// What refusals of the cloud services mean, and the client's configuration.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "net/cloud.h"
#include "net/cred.h"
#include "net/engine.h"

static struct err meaning(int status, const char *code, const char *msg)
{
    struct svc_error fault = {0};
    struct err err;
    (void)snprintf(fault.code, sizeof(fault.code), "%s", code);
    (void)snprintf(fault.msg, sizeof(fault.msg), "%s", msg);
    (void)cloud_error(status, &fault, "dli:resource:getResource", &err);
    return err;
}

static void test_errno(void **state)
{
    static const struct {
        int status;
        const char *code;
        int eno;
        enum err_class cls;
    } rows[] = {
        {200, "", 0, ERR_FATAL},
        {201, "", 0, ERR_FATAL},
        {400, "DLI.0001", -EINVAL, ERR_FATAL},
        {400, "DLI.0002", -ENOENT, ERR_GONE},
        {400, "DLI.0003", -EACCES, ERR_DENIED},
        {400, "DLI.0006", -EEXIST, ERR_CONFLICT},
        {400, "DLI.9999", -EINVAL, ERR_FATAL},
        {400, "DLI.1028", -EDQUOT, ERR_FATAL},
        {404, "DLI.0023", -ENOENT, ERR_GONE},
        {500, "DLI.0999", -EIO, ERR_RETRY},
        {400, "ModelArts.4355", -EBUSY, ERR_CONFLICT},
        {400, "ModelArts.4352", -ENOENT, ERR_GONE},
        {200, "ModelArts.4104", -EINVAL, ERR_FATAL},
        {200, "ModelArts.0001", -EIO, ERR_FATAL},
        {401, "ModelArts.4826", -EOPNOTSUPP, ERR_FATAL},
        {429, "ModelArts.4395", -EAGAIN, ERR_THROTTLED},
        {401, "APIGW.0301", -EACCES, ERR_REAUTH},
        {401, "APIG.0307", -EACCES, ERR_REAUTH},
        {404, "APIGW.0101", -ENOENT, ERR_GONE},
        {429, "APIGW.0308", -EAGAIN, ERR_THROTTLED},
        {504, "APIGW.0201", -ETIMEDOUT, ERR_RETRY},
        {403, "", -EACCES, ERR_DENIED},
        {413, "", -EFBIG, ERR_FATAL},
        {501, "", -EOPNOTSUPP, ERR_FATAL},
        {502, "", -EIO, ERR_RETRY},
        {503, "", -EIO, ERR_THROTTLED},
        {507, "", -EIO, ERR_FATAL},
        {418, "", -EINVAL, ERR_FATAL},
        {302, "", -EIO, ERR_FATAL},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct err e = meaning(rows[i].status, rows[i].code, "words");
        if (e.eno != rows[i].eno || (e.eno && e.cls != rows[i].cls))
            fail_msg("%d %s: %d %d", rows[i].status, rows[i].code, e.eno, (int)e.cls);
        assert_string_equal(e.code, rows[i].code);
        assert_int_equal(e.http, rows[i].status);
        assert_true(e.eno == 0 || strstr(e.msg, "(words)"));
    }
}

static void test_words(void **state)
{
    char longest[256];
    memset(longest, 'w', sizeof(longest));
    longest[255] = 0;
    struct err e = meaning(403, "", "no right. ");
    assert_string_equal(e.msg,
                        "access denied: the right dli:resource:getResource is missing (no right)");
    e = meaning(400, "DLI.0001", longest);
    assert_true(strlen(e.msg) < sizeof(e.msg));
    e = meaning(400, "DLI.0001", "");
    assert_null(strchr(e.msg, '('));
}

static void test_rows(void **state)
{
    struct cloud_error_row row;
    size_t n = 0;
    for (; cloud_error_row(n, &row); n++) {
        assert_true(row.eno < 0);
        assert_true(row.code || row.status);
        assert_true(row.advice || row.cls == ERR_DENIED);
        assert_true(!row.advice || strlen(row.advice) <= 120);
    }
    assert_true(n > 40);
}

static int make(const struct cloud_config *config, struct engine *engine, struct err *err)
{
    struct cloud *cloud = NULL;
    /* never used here: what it is for is not opened */
    int rc = cloud_new(config, engine, (struct cred_source *)(uintptr_t)64, NULL, &cloud, err);
    cloud_free(cloud);
    return rc;
}

static void test_config(void **state)
{
    struct engine_config ec = {.threads = 1};
    struct engine *engine;
    struct err err;
    assert_int_equal(engine_new(&ec, &engine, &err), 0);

    assert_int_equal(make(&(struct cloud_config){.region = "cn-north-4"}, engine, &err), 0);
    assert_int_equal(make(&(struct cloud_config){.region = NULL}, engine, &err), 0);
    assert_int_equal(make(&(struct cloud_config){.endpoint = {"http://127.0.0.1:1"}}, engine, &err),
                     0);
    assert_int_equal(make(&(struct cloud_config){.endpoint = {"https://host/path"}}, engine, &err),
                     -EINVAL);
    assert_int_equal(make(&(struct cloud_config){.project_id = "a/b"}, engine, &err), -EINVAL);
    assert_int_equal(make(&(struct cloud_config){.iam_user = "u"}, engine, &err), -EINVAL);
    struct cloud *cloud;
    assert_int_equal(
        cloud_new(&(struct cloud_config){.region = "r"}, engine, NULL, NULL, &cloud, &err),
        -EINVAL);
    engine_free(engine);
}

/* Without region and endpoint a service cannot be called, and the message says what to set. */
static void test_unreachable(void **state)
{
    struct engine_config ec = {.threads = 1};
    struct engine *engine;
    struct cloud *cloud;
    struct err err;
    assert_int_equal(engine_new(&ec, &engine, &err), 0);
    struct cloud_config config = {.project_id = "p"};
    assert_int_equal(
        cloud_new(&config, engine, (struct cred_source *)(uintptr_t)64, NULL, &cloud, &err), 0);
    struct cloud_call call = {.service = CLOUD_DLI, .method = "GET", .path = "/v2.0/x"};
    assert_int_equal(cloud_run(cloud, &call, NULL), -EINVAL);
    assert_non_null(strstr(call.err.msg, "dli_endpoint"));
    assert_int_equal(call.attempts, 0);
    cloud_call_clear(&call);
    engine_free(engine);
    cloud_free(cloud);
}

static void test_poll(void **state)
{
    struct engine_config ec = {.threads = 1};
    struct engine *engine;
    struct cloud *cloud;
    struct err err;
    assert_int_equal(engine_new(&ec, &engine, &err), 0);
    struct cloud_config config = {.poll_ms = 100};
    assert_int_equal(
        cloud_new(&config, engine, (struct cred_source *)(uintptr_t)64, NULL, &cloud, &err), 0);
    assert_int_equal(cloud_poll_ms(cloud, 1), 0);
    assert_int_equal(cloud_poll_ms(cloud, 2), 100);
    for (unsigned n = 2; n < 100; n++)
        assert_true(cloud_poll_ms(cloud, n + 1) >= cloud_poll_ms(cloud, n));
    assert_int_equal(cloud_poll_ms(cloud, 1000), 1000);
    engine_free(engine);
    cloud_free(cloud);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_errno),       cmocka_unit_test(test_words),
        cmocka_unit_test(test_rows),        cmocka_unit_test(test_config),
        cmocka_unit_test(test_unreachable), cmocka_unit_test(test_poll),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
