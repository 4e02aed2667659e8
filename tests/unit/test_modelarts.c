// SPDX-License-Identifier: Apache-2.0
// Names of what is synchronised, and answers that say no with a status that says yes.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "net/modelarts.h"

static void test_id(void **state)
{
    static const char *const bad[] = {"", "a/b", "..", "a b", "a%2fb", "a?b", "\xc3\xa9", "a\n"};
    char text[MODELARTS_ID_MAX + 2];
    assert_int_equal(modelarts_check_id("282", NULL), 0);
    assert_int_equal(modelarts_check_id("gfghHSokody6AJigS5A", NULL), 0);
    assert_int_equal(modelarts_check_id("a-b_c", NULL), 0);
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        assert_int_equal(modelarts_check_id(bad[i], NULL), -EINVAL);
    memset(text, 'x', sizeof(text));
    text[MODELARTS_ID_MAX + 1] = 0;
    assert_int_equal(modelarts_check_id(text, NULL), -EINVAL);
    assert_int_equal(modelarts_check_id(text + 1, NULL), 0);
}

static void test_calls(void **state)
{
    struct cloud_call call;
    assert_int_equal(modelarts_status_call(&call, MODELARTS_ANNOTATION, "282", NULL), 0);
    assert_string_equal(call.path, "/v1/{project_id}/data-annotations/282/obs/sync-status");
    assert_int_equal(modelarts_status_call(&call, MODELARTS_DATASET, "gfgh", NULL), 0);
    assert_string_equal(call.path, "/v2/{project_id}/datasets/gfgh/sync-data/status");
    assert_string_equal(call.right, "modelarts:dataset:getDataset");
    assert_int_equal(modelarts_status_call(&call, MODELARTS_DATASET, "a/b", NULL), -EINVAL);
}

static int refused(const char *text, struct svc_error *e)
{
    return json_parse_refusal(text, strlen(text), e);
}

static void test_refusal(void **state)
{
    struct svc_error e;
    assert_int_equal(refused("{\"is_success\":false,\"error_code\":\"ModelArts.4104\","
                             "\"error_msg\":\"m\"}",
                             &e),
                     1);
    assert_string_equal(e.code, "ModelArts.4104");
    assert_string_equal(e.msg, "m");
    assert_int_equal(refused("{\"is_success\":\"False\"}", &e), 1);
    assert_string_equal(e.code, "");
    assert_int_equal(refused("{\"success\":false}", &e), 1);
    assert_int_equal(refused("{\"is_success\":true}", &e), 0);
    assert_int_equal(refused("{\"is_success\":\"true\"}", &e), 0);
    assert_int_equal(refused("{}", &e), 0);
    assert_int_equal(refused("", &e), 0);
    assert_int_equal(refused("false", &e), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_id),
        cmocka_unit_test(test_calls),
        cmocka_unit_test(test_refusal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
