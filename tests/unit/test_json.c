// SPDX-License-Identifier: Apache-2.0
// Answers in JSON.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "net/json.h"

static void error_is(const char *text, const char *code, const char *msg, const char *id)
{
    struct svc_error e;
    if (json_parse_error(text, strlen(text), &e) != 0)
        fail_msg("not read: %s", text);
    assert_string_equal(e.code, code);
    assert_string_equal(e.msg, msg);
    assert_string_equal(e.request_id, id);
}

static void test_errors(void **state)
{
    struct svc_error e;
    error_is("{\"error_code\":\"DLI.0001\",\"error_msg\":\"no\"}", "DLI.0001", "no", "");
    error_is("{\"error_msg\":\"x\",\"error_code\":\"APIGW.0301\",\"request_id\":\"r\"}",
             "APIGW.0301", "x", "r");
    error_is("{\"error_code\":\"AS.0001\",\"error_message\":\"y\"}", "AS.0001", "y", "");
    error_is("{\"errorCode\":\"c\",\"errorMsg\":\"m\"}", "c", "m", "");
    error_is("{\"code\":\"c\",\"message\":\"a\\nb\"}", "c", "a b", "");
    error_is("{\"error\":{\"code\":401,\"message\":\"m\",\"title\":\"t\"}}", "401", "m", "");
    error_is("{\"error_code\":7}", "7", "", "");
    assert_int_equal(json_parse_error("{\"a\":1}", 7, &e), -ENOENT);
    assert_int_equal(json_parse_error("{", 1, &e), -EBADMSG);
    assert_int_equal(json_parse_error("", 0, &e), -EBADMSG);
    assert_int_equal(json_parse_error("[1]", 3, &e), -EBADMSG);
    assert_int_equal(json_parse_error("<html>", 6, &e), -EBADMSG);
}

static int dli(const char *text, struct dli_answer *a)
{
    struct err err = {0};
    int rc = json_parse_dli(text, strlen(text), a, &err);
    assert_true(rc == 0 || err.msg[0]);
    return rc;
}

static void test_dli(void **state)
{
    struct dli_answer a;
    assert_int_equal(dli("{\"group_name\":\"g1\",\"status\":\"READY\",\"resources\":[\"a.py\"],"
                         "\"details\":[{\"create_time\":1,\"update_time\":1700000000000,"
                         "\"resource_type\":\"pyFile\",\"resource_name\":\"a.py\","
                         "\"status\":\"uploading\",\"underlying_name\":\"a.py\"}],"
                         "\"is_async\":\"true\",\"owner\":\"u1\"}",
                         &a),
                     0);
    assert_string_equal(a.group, "g1");
    assert_int_equal(a.state, DLI_STATE_READY);
    assert_true(a.is_async);
    assert_int_equal(a.n, 1);
    assert_string_equal(a.v[0].name, "a.py");
    assert_string_equal(a.v[0].type, "pyFile");
    assert_int_equal(a.v[0].state, DLI_STATE_UPLOADING);
    assert_true(a.v[0].update_ms == 1700000000000);
    dli_answer_clear(&a);

    assert_int_equal(dli("{\"resource_names\":[\"kmeans-2.0.0.jar\",7]}", &a), 0);
    assert_int_equal(a.n, 1);
    assert_string_equal(a.v[0].name, "kmeans-2.0.0.jar");
    assert_int_equal(a.state, DLI_STATE_UNKNOWN);
    dli_answer_clear(&a);

    assert_int_equal(
        dli("{\"resource_name\":\"a\",\"status\":\"Failed\",\"update_time\":\"12\"}", &a), 0);
    assert_int_equal(a.n, 1);
    assert_int_equal(a.v[0].state, DLI_STATE_FAILED);
    assert_int_equal(a.v[0].update_ms, 12);
    dli_answer_clear(&a);

    assert_int_equal(dli("{\"group_name\":\"g\",\"resources\":\"odd\",\"is_async\":false}", &a), 0);
    assert_int_equal(a.n, 0);
    assert_false(a.is_async);
    dli_answer_clear(&a);
    assert_int_equal(dli("{}", &a), -EBADMSG);
    assert_int_equal(dli("{\"details\":", &a), -EBADMSG);
    assert_int_equal(dli("{\"group_name\":\"a\\u0000b\"}", &a), -EBADMSG);
}

static enum sync_state sync_state_of(const char *text)
{
    struct sync_answer a;
    if (json_parse_sync(text, strlen(text), &a, NULL) != 0)
        fail_msg("not read: %s", text);
    return a.state;
}

static void test_sync(void **state)
{
    struct sync_answer a;
    const char *text = "{\"status\":\"FAILED\",\"task_id\":\"t\",\"create_time\":5,"
                       "\"add_sample_count\":\"3\",\"error_code\":\"ModelArts.4360\","
                       "\"error_msg\":\"m\"}";
    assert_int_equal(json_parse_sync(text, strlen(text), &a, NULL), 0);
    assert_int_equal(a.state, SYNC_FAILED);
    assert_string_equal(a.task_id, "t");
    assert_int_equal(a.create_time, 5);
    assert_int_equal(a.added, 3);
    assert_int_equal(a.deleted, -1);
    assert_string_equal(a.error.code, "ModelArts.4360");

    assert_int_equal(sync_state_of("{\"status\":\"queuing\",\"dataset_id\":\"d\"}"), SYNC_RUNNING);
    assert_int_equal(sync_state_of("{\"status\":\"COMPLETED\"}"), SYNC_DONE);
    assert_int_equal(sync_state_of("{\"status\":\"NOT_EXIST\"}"), SYNC_NOT_STARTED);
    assert_int_equal(sync_state_of("{\"status\":\"NEW_WORD\"}"), SYNC_UNKNOWN);
    assert_int_equal(sync_state_of("{\"is_success\":true,\"sync_status\":0}"), SYNC_NOT_STARTED);
    assert_int_equal(sync_state_of("{\"sync_status\":\"1\"}"), SYNC_DONE);
    assert_int_equal(sync_state_of("{\"sync_status\":2}"), SYNC_FAILED);
    assert_int_equal(sync_state_of("{\"sync_status\":3}"), SYNC_RUNNING);
    assert_int_equal(sync_state_of("{\"sync_status\":-9}"), SYNC_UNKNOWN);
    assert_int_equal(sync_state_of("{\"is_success\":\"false\"}"), SYNC_FAILED);
    assert_int_equal(json_parse_sync("{}", 2, &a, NULL), -EBADMSG);
}

static void test_projects(void **state)
{
    struct project *v;
    size_t n;
    const char *text = "{\"projects\":[{\"id\":\"p1\",\"name\":\"cn-north-4\"},{\"name\":\"x\"},"
                       "{\"id\":\"p2\",\"name\":\"MOS\"},3],\"links\":{}}";
    assert_int_equal(json_parse_projects(text, strlen(text), &v, &n, NULL), 0);
    assert_int_equal(n, 2);
    assert_string_equal(v[0].id, "p1");
    assert_string_equal(v[1].name, "MOS");
    free(v);
    assert_int_equal(json_parse_projects("{\"projects\":[]}", 15, &v, &n, NULL), 0);
    assert_int_equal(n, 0);
    free(v);
    assert_int_equal(json_parse_projects("{}", 2, &v, &n, NULL), -EBADMSG);
    assert_null(v);
}

static int key(const char *text, struct cred *c)
{
    return json_parse_securitykey(text, strlen(text), c, NULL);
}

static void test_securitykey(void **state)
{
    struct cred c;
    assert_int_equal(key("{\"credential\":{\"access\":\"A\",\"secret\":\"S\",\"securitytoken\":"
                         "\"T\",\"expires_at\":\"2026-01-01T00:00:00.000000Z\"}}",
                         &c),
                     0);
    assert_string_equal(c.ak, "A");
    assert_string_equal(c.sk, "S");
    assert_string_equal(c.token, "T");
    assert_true(c.expires == 1767225600);
    assert_int_equal(key("{\"credentials\":{\"accessKeyId\":\"A\",\"secretAccessKey\":\"S\","
                         "\"securityToken\":\"T\",\"expiration\":\"2026-01-01T00:00:00Z\"}}",
                         &c),
                     0);
    assert_int_equal(key("{\"credential\":{\"access\":\"A\",\"secret\":\"S\"}}", &c), -EBADMSG);
    assert_string_equal(c.ak, "");
    assert_int_equal(key("{\"credential\":{\"access\":\"A\\r\\n\",\"secret\":\"S\","
                         "\"securitytoken\":\"T\",\"expires_at\":\"2026-01-01T00:00:00Z\"}}",
                         &c),
                     -EBADMSG);
    assert_int_equal(key("{\"credential\":[]}", &c), -EBADMSG);
    assert_int_equal(key("{}", &c), -EBADMSG);
}

static void test_bounds(void **state)
{
    struct svc_error e;
    char *deep = malloc(JSON_BODY_MAX + 2);
    assert_non_null(deep);
    memset(deep, '[', JSON_BODY_MAX + 2);
    assert_int_equal(json_parse_error(deep, JSON_BODY_MAX + 1, &e), -EBADMSG);
    assert_int_equal(json_parse_error(deep, JSON_BODY_MAX, &e), -EBADMSG);
    free(deep);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_errors),      cmocka_unit_test(test_dli),
        cmocka_unit_test(test_sync),        cmocka_unit_test(test_projects),
        cmocka_unit_test(test_securitykey), cmocka_unit_test(test_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
