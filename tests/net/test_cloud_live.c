// SPDX-License-Identifier: Apache-2.0
// The client of the cloud services against obs-local: signatures, logins, the project, refused
// keys, failures and what is repeated, keys of the metadata service.
#include <errno.h>
#include <pthread.h>
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

#include "net/agency.h"
#include "net/base/clock.h"
#include "net/dli.h"
#include "tests/lib/cloudtest.h"

static const struct cloud_config with_project = {.project_id = CLOUDTEST_PROJECT};

static int set_up(void **state)
{
    *state = cloudtest_start(OBS_LOCAL, NULL, &with_project);
    return *state ? 0 : -1;
}

static int set_up_region(void **state)
{
    *state = cloudtest_start(OBS_LOCAL, NULL, NULL);
    return *state ? 0 : -1;
}

/* The service's clock is an hour ahead. */
static int set_up_ahead(void **state)
{
    static const char *const more[] = {"--clock-offset", "3600", NULL};
    *state = cloudtest_start(OBS_LOCAL, more, &with_project);
    return *state ? 0 : -1;
}

static int tear_down(void **state)
{
    return cloudtest_stop(*state);
}

static int run(struct cloud *cloud, struct cloud_call *call, int want)
{
    int rc = cloud_run(cloud, call, NULL);
    if (rc != want)
        print_error("%s %s: %d (http=%d code=%s) %s\n", call->method, call->path, rc,
                    call->err.http, call->err.code, call->err.msg);
    assert_int_equal(rc, want);
    return rc;
}

/* Lists the packages: the simplest call that needs keys and project. */
static unsigned list(struct cloud *cloud, int want)
{
    struct cloud_call call;
    assert_int_equal(dli_list_call(&call, NULL, NULL), 0);
    run(cloud, &call, want);
    unsigned attempts = call.attempts;
    cloud_call_clear(&call);
    return attempts;
}

static struct cloud_call upload_call(void)
{
    static const char body[] = "{\"paths\":[\"https://other.example.com/a.py\"],\"group\":\"g\"}";
    return (struct cloud_call){.service = CLOUD_DLI,
                               .method = "POST",
                               .path = "/v2.0/{project_id}/resources/pyfiles",
                               .body = body,
                               .n_body = sizeof(body) - 1};
}

static void fault(struct cloudtest *t, const char *json)
{
    cloudtest_post(t, "/-/faults", json);
    cloudtest_post(t, "/-/reset", "");
}

/* --- every kind of call --- */

static void test_calls(void **state)
{
    struct cloudtest *t = *state;
    struct cloud_call call = upload_call();

    run(t->cloud, &call, 0);
    assert_int_equal(call.status, 200);
    assert_non_null(strstr(call.text, "\"group_name\":\"g\""));
    assert_int_equal(strlen(call.text), call.n_text);
    assert_true(call.request_id[0]);
    assert_true(call.server_time > 0);
    cloud_call_clear(&call);

    assert_int_equal(dli_list_call(&call, "pyFile", NULL), 0);
    run(t->cloud, &call, 0);
    assert_non_null(strstr(call.text, "a.py"));
    cloud_call_clear(&call);
    assert_int_equal(dli_list_call(&call, "jar", NULL), 0);
    run(t->cloud, &call, 0);
    assert_null(strstr(call.text, "a.py"));
    cloud_call_clear(&call);

    assert_int_equal(dli_get_call(&call, "a.py", "g", NULL), 0);
    run(t->cloud, &call, 0);
    struct dli_answer one;
    assert_int_equal(json_parse_dli(call.text, call.n_text, &one, NULL), 0);
    assert_int_equal(one.v[0].state, DLI_STATE_READY);
    dli_answer_clear(&one);
    cloud_call_clear(&call);

    assert_int_equal(dli_delete_call(&call, "a.py", "g", NULL), 0);
    run(t->cloud, &call, 0);
    cloud_call_clear(&call);
    run(t->cloud, &call, -ENOENT);
    assert_string_equal(call.fault.code, "DLI.0023");
    assert_true(call.fault.msg[0]);
    assert_string_equal(call.err.code, "DLI.0023");
    assert_true(call.err.request_id[0]);
    assert_int_equal(call.attempts, 1);
    assert_false(call.uncertain);
    cloud_call_clear(&call);
}

/* --- failures --- */

static void test_failures(void **state)
{
    static const struct {
        const char *fault;
        int eno;
        unsigned attempts;
        const char *code;
    } rows[] = {
        {"\"status\":400,\"code\":\"DLI.0001\"", -EINVAL, 1, "DLI.0001"},
        {"\"status\":400,\"code\":\"DLI.0003\"", -EACCES, 1, "DLI.0003"},
        {"\"status\":403,\"code\":\"APIGW.0310\"", -EACCES, 1, "APIGW.0310"},
        {"\"status\":404,\"code\":\"APIGW.0101\"", -ENOENT, 1, "APIGW.0101"},
        {"\"status\":413,\"code\":\"APIGW.0201\"", -EFBIG, 1, "APIGW.0201"},
        {"\"status\":501,\"code\":\"DLI.0007\"", -EOPNOTSUPP, 1, "DLI.0007"},
        {"\"status\":400,\"code\":\"DLI.1028\"", -EDQUOT, 1, "DLI.1028"},
        {"\"status\":400,\"code\":\"Some.New\"", -EINVAL, 1, "Some.New"},
        {"\"status\":401,\"code\":\"APIGW.0301\"", -EACCES, 1, "APIGW.0301"},
        {"\"status\":429,\"code\":\"APIGW.0308\"", 0, 2, ""},
        {"\"status\":502,\"code\":\"APIGW.0201\"", 0, 2, ""},
        {"\"status\":503,\"code\":\"APIGW.0613\"", 0, 2, ""},
        {"\"status\":500,\"code\":\"DLI.0999\"", 0, 2, ""},
        {"\"status\":500,\"code\":\"DLI.0999\",\"count\":2", -EIO, 2, "DLI.0999"},
        {"\"status\":504,\"code\":\"APIGW.0201\"", -ETIMEDOUT, 1, "APIGW.0201"},
    };
    struct cloudtest *t = *state;
    char json[256];
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct cloud_call call = upload_call();
        (void)snprintf(json, sizeof(json), "[{\"operation\":\"DliUploadPythonFiles\",%s}]",
                       rows[i].fault);
        fault(t, json);
        run(t->cloud, &call, rows[i].eno);
        assert_int_equal(call.attempts, rows[i].attempts);
        assert_int_equal(cloudtest_count(t, "DliUploadPythonFiles"), rows[i].attempts);
        assert_string_equal(call.fault.code, rows[i].code);
        assert_int_equal(call.uncertain, rows[i].eno == -ETIMEDOUT);
        cloud_call_clear(&call);
    }
}

/* Bodies that are not the service's own, as gateways send them. */
static void test_odd_bodies(void **state)
{
    struct cloudtest *t = *state;
    struct cloud_call call = upload_call();

    fault(t, "[{\"operation\":\"DliUploadPythonFiles\",\"status\":403,\"body\":\"<html>no"
             "\\u0001</html>\"}]");
    run(t->cloud, &call, -EACCES);
    assert_string_equal(call.fault.code, "403");
    assert_string_equal(call.fault.msg, "<html>no </html>");
    assert_string_equal(call.err.code, "");
    cloud_call_clear(&call);

    fault(t, "[{\"operation\":\"DliUploadPythonFiles\",\"status\":400,\"body\":"
             "\"{\\\"error\\\":{\\\"code\\\":7,\\\"message\\\":\\\"seven\\\"}}\"}]");
    run(t->cloud, &call, -EINVAL);
    assert_string_equal(call.fault.code, "7");
    assert_string_equal(call.fault.msg, "seven");
    cloud_call_clear(&call);

    fault(t, "[{\"operation\":\"DliUploadPythonFiles\",\"body\":"
             "\"{\\\"is_success\\\":\\\"false\\\"}\"}]");
    run(t->cloud, &call, -EIO);
    assert_int_equal(call.attempts, 1);
    assert_int_equal(call.status, 200);
    cloud_call_clear(&call);
}

/* An answer that got lost: a question is asked again, a change is not. */
static void test_lost(void **state)
{
    static const char *const faults[] = {
        "[{\"operation\":\"Dli*\",\"reset\":\"after\"}]",
        "[{\"operation\":\"Dli*\",\"status\":504,\"after\":true}]",
        "[{\"operation\":\"Dli*\",\"cut_after_bytes\":3}]",
    };
    struct cloudtest *t = *state;
    for (size_t i = 0; i < sizeof(faults) / sizeof(*faults); i++) {
        struct cloud_call call = upload_call();
        list(t->cloud, 0); /* leaves a connection behind */
        fault(t, faults[i]);
        assert_true(cloud_run(t->cloud, &call, NULL) < 0);
        assert_true(call.uncertain);
        assert_int_equal(call.attempts, 1);
        assert_int_equal(cloudtest_count(t, "DliUploadPythonFiles"), 1);
        cloud_call_clear(&call);

        fault(t, faults[i]);
        assert_true(list(t->cloud, 0) <= 2);

        fault(t, faults[i]);
        assert_int_equal(dli_delete_call(&call, "a.py", "g", NULL), 0);
        run(t->cloud, &call, 0);
        assert_false(call.uncertain);
        cloud_call_clear(&call);
    }
}

static void test_gives_up(void **state)
{
    struct cloudtest *t = *state;
    struct cloud_call call = upload_call();
    call.give_up_ms = 200;
    fault(t, "[{\"operation\":\"*\",\"status\":503,\"count\":-1}]");
    run(t->cloud, &call, -EIO);
    assert_true(call.attempts > 1);
    cloud_call_clear(&call);
}

static void *interrupt(void *arg)
{
    usleep(50 * 1000);
    intr_interrupt(arg);
    return NULL;
}

static void test_interrupt(void **state)
{
    struct cloudtest *t = *state;
    struct cloud_call call = upload_call();
    struct intr intr;
    pthread_t thread;

    fault(t, "[{\"operation\":\"*\",\"stall\":true}]");
    intr_init(&intr);
    assert_int_equal(pthread_create(&thread, NULL, interrupt, &intr), 0);
    assert_int_equal(cloud_run(t->cloud, &call, &intr), -EINTR);
    pthread_join(thread, NULL);
    intr_done(&intr);
    cloud_call_clear(&call);
    fault(t, "[]");

    /* one that has not been sent yet */
    call.delay_ms = 60 * 60 * 1000;
    intr_init(&intr);
    assert_int_equal(pthread_create(&thread, NULL, interrupt, &intr), 0);
    assert_int_equal(cloud_run(t->cloud, &call, &intr), -EINTR);
    assert_int_equal(call.attempts, 0);
    assert_false(call.uncertain);
    pthread_join(thread, NULL);
    intr_done(&intr);
    cloud_call_clear(&call);
}

static void test_delay(void **state)
{
    struct cloudtest *t = *state;
    struct cloud_call call;
    assert_int_equal(dli_list_call(&call, NULL, NULL), 0);
    call.delay_ms = 150;
    call.give_up_ms = 5000;
    int64_t start = clock_ms();
    run(t->cloud, &call, 0);
    assert_true(clock_ms() - start >= 150);
    cloud_call_clear(&call);
}

static void test_clock(void **state)
{
    struct cloudtest *t = *state;
    assert_int_equal(list(t->cloud, 0), 2);
    assert_int_equal(list(t->cloud, 0), 1);
}

/* --- refused keys --- */

static struct cred_source *keys_of(struct cloudtest *t, const char *text)
{
    char path[128];
    struct cred_source *source;
    (void)snprintf(path, sizeof(path), "%s/other-keys", t->service.dir);
    cloudtest_write(path, text);
    struct cred_config cc = {.file = path};
    assert_int_equal(cred_source_new(&cc, &source, NULL), 0);
    return source;
}

struct crowd {
    struct cloud_call calls[12];
    struct intr done[12];
};

static void crowd_done(struct cloud_call *call)
{
    intr_finish(call->arg);
}

/* Wrong keys are sent three times at most, however many ask, and never by one call twice. */
static void test_wrong_keys(void **state)
{
    enum { N = 12 };
    struct cloudtest *t = *state;
    struct cred_source *wrong = keys_of(t, "AK0:geheim-wrong\n");
    struct cloud *cloud = cloudtest_client(t, with_project, wrong);
    struct crowd crowd = {0};

    assert_int_equal(list(cloud, -EACCES), 1);
    for (int i = 0; i < N; i++) {
        assert_int_equal(dli_list_call(&crowd.calls[i], NULL, NULL), 0);
        intr_init(&crowd.done[i]);
        crowd.calls[i].done = crowd_done;
        crowd.calls[i].arg = &crowd.done[i];
        cloud_submit(cloud, &crowd.calls[i]);
    }
    for (int i = 0; i < N; i++) {
        assert_int_equal(intr_wait(&crowd.done[i], -1, true), 0);
        intr_done(&crowd.done[i]);
        assert_int_equal(crowd.calls[i].err.eno, -EACCES);
        assert_true(crowd.calls[i].attempts <= 1);
        cloud_call_clear(&crowd.calls[i]);
    }
    struct cloud_call call;
    assert_int_equal(dli_list_call(&call, NULL, NULL), 0);
    run(cloud, &call, -EACCES);
    assert_int_equal(call.attempts, 0);
    assert_non_null(strstr(call.err.msg, "not sent again"));
    assert_string_equal(call.err.code, "APIGW.0301");
    cloud_call_clear(&call);
    assert_int_equal(cloudtest_count(t, "DliListResources"), 3);

    /* the service has not locked the key, so the right one works at once */
    list(t->cloud, 0);
    cloud_free(cloud);
    cred_source_free(wrong);
}

/* New keys that come when the old ones are refused are tried once. */
static void deliver(void *arg)
{
    struct cred_source **source = arg;
    struct cred fresh = {.ak = "AK0", .sk = "sk0-geheim"};
    if (*source)
        cred_put(*source, &fresh);
}

static void test_new_keys(void **state)
{
    struct cloudtest *t = *state;
    struct cred_source *source = NULL;
    struct cred_config cc = {.refresh = deliver, .refresh_arg = &source};
    struct cred_source *made;
    struct cred old = {.ak = "AK0", .sk = "geheim-old"};
    assert_int_equal(cred_source_new(&cc, &made, NULL), 0);
    cred_put(made, &old);
    source = made;
    struct cloud *cloud = cloudtest_client(t, with_project, made);
    assert_int_equal(list(cloud, 0), 2);
    assert_int_equal(list(cloud, 0), 1);
    cloud_free(cloud);
    cred_source_free(made);
}

/* When the service says that the key is locked already, nothing more is sent. */
static void test_locked(void **state)
{
    struct cloudtest *t = *state;
    fault(t, "[{\"operation\":\"*\",\"status\":401,\"code\":\"APIGW.0301\",\"message\":"
             "\"AK access failed to reach the limit,forbidden\",\"count\":-1}]");
    assert_int_equal(list(t->cloud, -EACCES), 1);
    assert_int_equal(list(t->cloud, -EACCES), 0);
    assert_int_equal(cloudtest_count(t, "DliListResources"), 1);
    fault(t, "[]");
    /* other keys are free */
    cloudtest_post(t, "/-/credentials", "{\"add\":[\"AK1:sk1-geheim\"]}");
    struct cred_source *other = keys_of(t, "AK1:sk1-geheim\n");
    struct cloud *cloud = cloudtest_client(t, with_project, other);
    list(cloud, 0);
    cloud_free(cloud);
    cred_source_free(other);
}

/* --- the project --- */

static void test_project(void **state)
{
    struct cloudtest *t = *state;

    list(t->cloud, 0);
    list(t->cloud, 0);
    assert_int_equal(cloudtest_count(t, "IamListProjects"), 1);

    struct cloud *cloud = cloudtest_client(t, with_project, NULL);
    fault(t, "[]");
    list(cloud, 0);
    assert_int_equal(cloudtest_count(t, "IamListProjects"), 0);
    cloud_free(cloud);

    /* who may not list all projects sees his own */
    cloud = cloudtest_client(t, (struct cloud_config){.region = "local"}, NULL);
    fault(t, "[{\"operation\":\"IamListProjects\",\"status\":403,\"code\":\"Forbidden\"}]");
    list(cloud, 0);
    assert_int_equal(cloudtest_count(t, "IamListOwnProjects"), 1);
    cloud_free(cloud);
}

static void test_no_project(void **state)
{
    struct cloudtest *t = *state;
    struct cloud_call call;
    struct cloud *cloud = cloudtest_client(t, (struct cloud_config){.region = "nowhere"}, NULL);

    assert_int_equal(dli_list_call(&call, NULL, NULL), 0);
    run(cloud, &call, -ENOENT);
    assert_non_null(strstr(call.err.msg, "set project_id"));
    assert_int_equal(call.attempts, 0);
    cloud_call_clear(&call);
    assert_int_equal(cloudtest_count(t, "IamListProjects"), 1);
    /* the next call looks again */
    cloudtest_post(t, "/-/cloud",
                   "{\"config\":{\"projects\":["
                   "{\"id\":\"p1\",\"name\":\"nowhere\"},"
                   "{\"id\":\"p2\",\"name\":\"nowhere\"}]}}");
    run(cloud, &call, -EINVAL);
    assert_non_null(strstr(call.err.msg, "p1, p2"));
    cloud_call_clear(&call);
    cloudtest_post(t, "/-/cloud",
                   "{\"config\":{\"projects\":[{\"id\":\"p2\",\"name\":\"nowhere\"}]}}");
    list(cloud, 0);
    cloud_free(cloud);

    cloud = cloudtest_client(t, (struct cloud_config){.region = NULL}, NULL);
    list(cloud, -EINVAL);
    cloud_free(cloud);
}

/* --- tokens --- */

static struct cloud *user_client(struct cloudtest *t)
{
    cloudtest_post(t, "/-/cloud",
                   "{\"config\":{\"users\":[{\"name\":\"anna\",\"domain\":\"acc\","
                   "\"password\":\"" CLOUDTEST_PASSWORD "\"}]}}");
    cloudtest_post(t, "/-/reset", "");
    struct cloud_config config = {.region = "local",
                                  .iam_user = "anna",
                                  .iam_domain = "acc",
                                  .iam_password_file = t->password};
    return cloudtest_client(t, config, NULL);
}

static void test_token(void **state)
{
    struct cloudtest *t = *state;
    struct cloud *cloud = user_client(t);

    list(cloud, 0);
    assert_int_equal(list(cloud, 0), 1);
    assert_int_equal(cloudtest_count(t, "IamCreateToken"), 1);
    /* it brought the project along */
    assert_int_equal(cloudtest_count(t, "IamListProjects"), 0);

    /* the service forgets the token: one new login, one repetition */
    cloudtest_post(t, "/-/cloud", "{\"reset\":true}");
    assert_int_equal(list(cloud, 0), 2);
    assert_int_equal(cloudtest_count(t, "IamCreateToken"), 2);

    /* a token that is refused however new it is: one login, one repetition, then an error */
    fault(t, "[{\"operation\":\"DliListResources\",\"status\":401,\"code\":\"APIGW.0307\","
             "\"count\":-1}]");
    assert_int_equal(list(cloud, -EACCES), 2);
    assert_int_equal(cloudtest_count(t, "IamCreateToken"), 1);
    cloud_free(cloud);
}

/* Of many calls at once one logs in. */
static void test_one_login(void **state)
{
    enum { N = 12 };
    struct cloudtest *t = *state;
    struct cloud *cloud = user_client(t);
    struct crowd crowd = {0};
    for (int i = 0; i < N; i++) {
        assert_int_equal(dli_list_call(&crowd.calls[i], NULL, NULL), 0);
        intr_init(&crowd.done[i]);
        crowd.calls[i].done = crowd_done;
        crowd.calls[i].arg = &crowd.done[i];
        cloud_submit(cloud, &crowd.calls[i]);
    }
    for (int i = 0; i < N; i++) {
        assert_int_equal(intr_wait(&crowd.done[i], -1, true), 0);
        intr_done(&crowd.done[i]);
        assert_int_equal(crowd.calls[i].err.eno, 0);
        cloud_call_clear(&crowd.calls[i]);
    }
    assert_int_equal(cloudtest_count(t, "IamCreateToken"), 1);
    cloud_free(cloud);
}

static void test_wrong_password(void **state)
{
    struct cloudtest *t = *state;
    struct cloud *cloud = user_client(t);
    struct cloud_call call;

    assert_int_equal(chmod(t->password, 0644), 0);
    list(cloud, -EACCES);
    assert_int_equal(cloudtest_count(t, "IamCreateToken"), 0);
    cloudtest_write(t->password, "geheim-wrong\n");
    for (int i = 0; i < 6; i++) {
        assert_int_equal(dli_list_call(&call, NULL, NULL), 0);
        run(cloud, &call, -EACCES);
        assert_non_null(strstr(call.err.msg, "logging in"));
        assert_int_equal(call.attempts, 0);
        cloud_call_clear(&call);
    }
    assert_int_equal(cloudtest_count(t, "IamCreateToken"), 3);
    cloudtest_write(t->password, CLOUDTEST_PASSWORD "\n");
    list(cloud, 0);
    cloud_free(cloud);
}

/* --- keys of the metadata service --- */

static void with_agency(struct cloudtest *t, const char *config, int want)
{
    struct agency *agency;
    struct cred_source *source;
    struct err err = {0};

    cloudtest_post(t, "/-/cloud", config);
    cloudtest_post(t, "/-/reset", "");
    assert_int_equal(agency_new(t->endpoint, t->log, &agency, &err), 0);
    struct cred_config cc = {.refresh = agency_refresh, .refresh_arg = agency};
    assert_int_equal(cred_source_new(&cc, &source, &err), 0);
    struct cloud *cloud = cloudtest_client(t, with_project, source);
    agency_start(agency, t->engine, source);
    list(cloud, want);
    assert_false(agency_failure(agency, &err));
    assert_true(cloudtest_count(t, "MetadataSecurityKey") >= 1);
    /* all requests of the agency end before it does */
    engine_stop(t->engine, 0);
    agency_free(agency);
    cloud_free(cloud);
    cred_source_free(source);
}

static void test_agency(void **state)
{
    with_agency(*state, "{}", 0);
}

static void test_agency_required(void **state)
{
    with_agency(*state, "{\"config\":{\"metadata\":{\"token\":\"required\"}}}", 0);
}

static void test_agency_unsupported(void **state)
{
    with_agency(*state, "{\"config\":{\"metadata\":{\"token\":\"unsupported\"}}}", 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
#define TEST_REGION(f) cmocka_unit_test_setup_teardown(f, set_up_region, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_calls),
        TEST(test_failures),
        TEST(test_odd_bodies),
        TEST(test_lost),
        TEST(test_gives_up),
        TEST(test_interrupt),
        TEST(test_delay),
        cmocka_unit_test_setup_teardown(test_clock, set_up_ahead, tear_down),
        TEST(test_wrong_keys),
        TEST(test_new_keys),
        TEST(test_locked),
        TEST_REGION(test_project),
        TEST_REGION(test_no_project),
        TEST_REGION(test_token),
        TEST_REGION(test_one_login),
        TEST_REGION(test_wrong_password),
        TEST(test_agency),
        TEST(test_agency_required),
        TEST(test_agency_unsupported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
