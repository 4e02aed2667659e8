// SPDX-License-Identifier: Apache-2.0
// Registering packages with DLI and synchronising with ModelArts, against obs-local; and against a
// server of the test's own where the bytes on the wire or a particular answer matter.
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "net/dli.h"
#include "net/modelarts.h"
#include "tests/lib/cloudtest.h"
#include "tests/lib/webserver.h"

static const struct cloud_config with_project = {.project_id = CLOUDTEST_PROJECT};

static int set_up(void **state)
{
    *state = cloudtest_start(OBS_LOCAL, NULL, &with_project);
    return *state ? 0 : -1;
}

static int tear_down(void **state)
{
    return cloudtest_stop(*state);
}

static void fault(struct cloudtest *t, const char *json)
{
    cloudtest_post(t, "/-/faults", json);
    cloudtest_post(t, "/-/reset", "");
}

/* Interrupts when the service has been asked for the state so often. */
struct interrupter {
    struct cloudtest *t;
    const char *op;
    unsigned count;
    struct intr intr;
    pthread_t thread;
};

static void *interrupt(void *arg)
{
    struct interrupter *i = arg;
    while (cloudtest_count(i->t, i->op) < i->count)
        usleep(20 * 1000);
    intr_interrupt(&i->intr);
    return NULL;
}

static void interrupter_start(struct interrupter *i, struct cloudtest *t, const char *op,
                              unsigned more)
{
    *i = (struct interrupter){.t = t, .op = op, .count = cloudtest_count(t, op) + more};
    intr_init(&i->intr);
    assert_int_equal(pthread_create(&i->thread, NULL, interrupt, i), 0);
}

static void interrupter_end(struct interrupter *i)
{
    pthread_join(i->thread, NULL);
    intr_done(&i->intr);
}

/* --- DLI --- */

static const char url_a[] = "https://other.example.com/pkg/a.py";
static const char url_b[] = "https://other.example.com/pkg/b.py";

static struct dli_upload upload_of(const char *group, bool is_async, const char *first,
                                   const char *second)
{
    struct dli_upload u;
    assert_int_equal(dli_upload_set(&u, DLI_PYFILE, group, NULL), 0);
    assert_int_equal(dli_upload_add(&u, first, NULL), 0);
    if (second)
        assert_int_equal(dli_upload_add(&u, second, NULL), 0);
    u.is_async = u.has_async = u.generic = is_async;
    return u;
}

static void run_job(struct cloud *cloud, struct dli_job *job, int want)
{
    int rc = dli_run(cloud, job, NULL);
    if (rc != want)
        print_error("%d (http=%d code=%s) %s\n", rc, job->err.http, job->err.code, job->err.msg);
    assert_int_equal(rc, want);
}

static void count_accepted(struct dli_job *job)
{
    struct svc_error *seen = &job->fault; /* the answer half may be read */
    assert_string_equal(seen->code, "");
    assert_int_equal(job->state, DLI_STATE_UPLOADING);
    assert_int_equal(job->polls, 0);
    assert_non_null(job->text);
    job->attempts += 100;
}

static void test_register(void **state)
{
    struct cloudtest *t = *state;
    struct dli_upload u = upload_of("gatk", false, url_a, url_b);
    struct dli_job job = {.upload = &u, .accepted = count_accepted};

    run_job(t->cloud, &job, 0);
    assert_int_equal(job.status, 200);
    assert_int_equal(job.attempts, 1);
    assert_int_equal(job.state, DLI_STATE_READY);
    assert_int_equal(job.polls, 0);
    assert_string_equal(job.answer.group, "gatk");
    assert_int_equal(job.answer.n, 2);
    assert_string_equal(job.answer.v[0].type, "pyFile");
    assert_non_null(strstr(job.text, "\"details\""));
    assert_true(job.request_id[0]);
    dli_job_clear(&job);
    dli_upload_clear(&u);

    /* without a group, another kind */
    assert_int_equal(dli_upload_set(&u, DLI_FILE, NULL, NULL), 0);
    assert_int_equal(dli_upload_add(&u, "https://other.example.com/data.bin", NULL), 0);
    run_job(t->cloud, &job, 0);
    assert_int_equal(job.status, 201);
    assert_string_equal(job.text, "{\"resource_names\":[\"data.bin\"]}");
    assert_int_equal(job.state, DLI_STATE_READY);
    dli_job_clear(&job);
    dli_upload_clear(&u);
    assert_int_equal(cloudtest_count(t, "DliUploadPythonFiles"), 1);
    assert_int_equal(cloudtest_count(t, "DliUploadFiles"), 1);
    assert_int_equal(cloudtest_count(t, "DliUploadResources"), 0);
}

static void test_register_refused(void **state)
{
    struct cloudtest *t = *state;
    struct dli_upload u =
        upload_of("g", false, "https://test-bucket.obs.example.com/absent.py", NULL);
    struct dli_job job = {.upload = &u};

    run_job(t->cloud, &job, -ENOENT);
    assert_string_equal(job.fault.code, "DLI.0002");
    assert_true(job.fault.msg[0]);
    assert_int_equal(job.status, 400);
    assert_non_null(strstr(job.text, "error_code"));
    dli_job_clear(&job);
    dli_upload_clear(&u);

    u = upload_of("g", false, "jobs/a.py", NULL); /* not resolved: never sent */
    run_job(t->cloud, &job, -EINVAL);
    assert_int_equal(job.status, 0);
    assert_int_equal(job.attempts, 0);
    dli_job_clear(&job);
    dli_upload_clear(&u);
    assert_int_equal(cloudtest_count(t, "DliUploadPythonFiles"), 1);
}

static void test_register_again(void **state)
{
    struct cloudtest *t = *state;
    struct dli_upload u = upload_of("g", false, url_a, NULL);
    struct dli_job job = {.upload = &u};

    fault(t, "[{\"operation\":\"DliUploadPythonFiles\",\"status\":500}]");
    run_job(t->cloud, &job, 0);
    assert_int_equal(job.attempts, 2);
    assert_string_equal(job.fault.code, "");
    dli_job_clear(&job);
    fault(t, "[{\"operation\":\"DliUploadPythonFiles\",\"status\":401,\"code\":\"APIGW.0301\","
             "\"count\":-1}]");
    run_job(t->cloud, &job, -EACCES);
    assert_int_equal(cloudtest_count(t, "DliUploadPythonFiles"), 1);
    dli_job_clear(&job);
    dli_upload_clear(&u);
}

static void test_async(void **state)
{
    struct cloudtest *t = *state;
    struct dli_upload u = upload_of("g", true, url_a, url_b);
    struct dli_job job = {.upload = &u, .accepted = count_accepted};

    run_job(t->cloud, &job, 0);
    assert_int_equal(job.attempts, 101); /* accepted once */
    assert_int_equal(job.state, DLI_STATE_READY);
    assert_true(job.polls >= 4);
    assert_int_equal(job.answer.n, 2);
    assert_int_equal(job.answer.v[1].state, DLI_STATE_READY);
    assert_int_equal(cloudtest_count(t, "DliGetResource"), job.polls);
    assert_int_equal(cloudtest_count(t, "DliUploadResources"), 1);
    dli_job_clear(&job);
    dli_upload_clear(&u);

    u = upload_of(NULL, true, url_a, NULL); /* the answer has no state at all */
    job.accepted = NULL;
    run_job(t->cloud, &job, 0);
    assert_int_equal(job.state, DLI_STATE_READY);
    assert_true(job.polls >= 2);
    dli_job_clear(&job);
    dli_upload_clear(&u);
}

static void test_async_ends(void **state)
{
    struct cloudtest *t = *state;
    struct dli_upload u = upload_of("g", true, url_a, url_b);
    struct dli_job job = {.upload = &u};

    cloudtest_post(t, "/-/cloud", "{\"config\":{\"dli\":{\"fail\":\"b*\"}}}");
    run_job(t->cloud, &job, -EIO);
    assert_non_null(strstr(job.err.msg, "b.py"));
    assert_int_equal(job.state, DLI_STATE_FAILED);
    dli_job_clear(&job);

    cloudtest_post(t, "/-/cloud", "{\"config\":{\"dli\":{\"polls\":1000000}}}");
    job.wait_ms = 150;
    run_job(t->cloud, &job, -ETIMEDOUT);
    assert_int_equal(job.state, DLI_STATE_UPLOADING);
    assert_non_null(job.text);
    dli_job_clear(&job);

    /* the package vanishes while it is asked for */
    fault(t,
          "[{\"operation\":\"DliGetResource\",\"skip\":1,\"status\":404,\"code\":\"DLI.0023\"}]");
    job.wait_ms = 0;
    run_job(t->cloud, &job, -ENOENT);
    dli_job_clear(&job);
    dli_upload_clear(&u);
}

static void test_job_interrupt(void **state)
{
    struct cloudtest *t = *state;
    struct dli_upload u = upload_of("g", true, url_a, NULL);
    struct dli_job job = {.upload = &u};
    struct interrupter i;

    cloudtest_post(t, "/-/cloud", "{\"config\":{\"dli\":{\"polls\":1000000}}}");
    interrupter_start(&i, t, "DliGetResource", 1);
    assert_int_equal(dli_run(t->cloud, &job, &i.intr), -EINTR);
    interrupter_end(&i);
    dli_job_clear(&job);
    dli_upload_clear(&u);
}

/* The answer to the POST got lost: it is looked up, never sent again. */
static void test_lost(void **state)
{
    static const struct {
        const char *fault;
        int rc;
    } rows[] = {
        {"\"reset\":\"after\"", 0},     {"\"status\":504,\"after\":true", 0},
        {"\"cut_after_bytes\":5", 0},   {"\"reset\":\"before\"", -ETIMEDOUT},
        {"\"status\":504", -ETIMEDOUT},
    };
    struct cloudtest *t = *state;
    char json[256];
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct dli_upload u = upload_of("g", false, url_a, url_b);
        struct dli_job job = {.upload = &u};
        cloudtest_post(t, "/-/cloud", "{\"reset\":true}");
        (void)snprintf(json, sizeof(json), "[{\"operation\":\"DliUploadPythonFiles\",%s}]",
                       rows[i].fault);
        fault(t, json);
        run_job(t->cloud, &job, rows[i].rc);
        assert_int_equal(cloudtest_count(t, "DliUploadPythonFiles"), 1);
        if (rows[i].rc == 0) {
            assert_int_equal(job.state, DLI_STATE_READY);
            assert_int_equal(job.status, 200);
            assert_int_equal(job.answer.n, 2);
            assert_int_equal(job.answer.v[1].state, DLI_STATE_READY);
            assert_string_equal(job.fault.code, "");
            assert_non_null(strstr(job.text, "resource_name"));
        } else {
            assert_non_null(strstr(job.err.msg, "a.py"));
        }
        dli_job_clear(&job);
        dli_upload_clear(&u);
    }
}

/* --- ModelArts --- */

static void run_sync(struct cloud *cloud, struct modelarts_job *job, int want)
{
    int rc = modelarts_run(cloud, job, NULL);
    if (rc != want)
        print_error("%s: %d (http=%d code=%s) %s\n", job->id, rc, job->err.http, job->err.code,
                    job->err.msg);
    assert_int_equal(rc, want);
}

static void note_accepted(struct modelarts_job *job)
{
    assert_true(job->started);
    assert_int_equal(job->polls, 0);
    job->attempts += 100;
}

static void test_sync(void **state)
{
    struct cloudtest *t = *state;
    struct modelarts_job old = {.api = MODELARTS_ANNOTATION, .id = "282"};
    struct modelarts_job new = {.api = MODELARTS_DATASET, .id = "gfghHSokody6AJigS5A"};

    run_sync(t->cloud, &old, 0);
    assert_true(old.started);
    assert_string_equal(old.text, "{\"is_success\":true}");
    assert_int_equal(cloudtest_count(t, "ModelArtsSyncObs"), 1);
    assert_int_equal(cloudtest_count(t, "ModelArtsSyncObsStatus"), 0);
    modelarts_job_clear(&old);
    /* two at once */
    run_sync(t->cloud, &old, -EBUSY);
    assert_string_equal(old.fault.code, "ModelArts.4355");
    assert_false(old.started);
    modelarts_job_clear(&old);

    run_sync(t->cloud, &new, 0);
    assert_int_equal(new.status, 200);
    assert_null(new.text); /* the service answers with nothing */
    modelarts_job_clear(&new);
    run_sync(t->cloud, &new, -EBUSY);
    modelarts_job_clear(&new);
}

static void test_sync_wait(void **state)
{
    struct cloudtest *t = *state;
    for (int i = 0; i < 2; i++) {
        bool v1 = i == 0;
        struct modelarts_job job = {.api = v1 ? MODELARTS_ANNOTATION : MODELARTS_DATASET,
                                    .id = v1 ? "282" : "gfgh",
                                    .wait = true,
                                    .accepted = note_accepted};
        for (int again = 0; again < 3; again++) {
            run_sync(t->cloud, &job, 0);
            assert_int_equal(job.attempts, 101); /* accepted once */
            assert_int_equal(job.answer.state, SYNC_DONE);
            assert_true(job.polls >= 3);
            assert_non_null(strstr(job.text, v1 ? "sync_status" : "COMPLETED"));
            assert_int_equal(job.answer.total, v1 ? -1 : 0);
            modelarts_job_clear(&job);
        }
        /* bodies with the least that is documented, and tasks that end at once */
        cloudtest_post(t, "/-/cloud", "{\"config\":{\"modelarts\":{\"minimal\":true}}}");
        run_sync(t->cloud, &job, 0);
        modelarts_job_clear(&job);
        cloudtest_post(t, "/-/cloud", "{\"config\":{\"modelarts\":{\"polls\":0}}}");
        run_sync(t->cloud, &job, 0);
        modelarts_job_clear(&job);
        cloudtest_post(t, "/-/cloud",
                       "{\"config\":{\"modelarts\":{\"minimal\":false,\"polls\":2}}}");
    }
}

static void test_sync_fails(void **state)
{
    struct cloudtest *t = *state;
    struct modelarts_job old = {.api = MODELARTS_ANNOTATION, .id = "282", .wait = true};
    struct modelarts_job new = {.api = MODELARTS_DATASET, .id = "gfgh", .wait = true};

    cloudtest_post(t, "/-/cloud", "{\"config\":{\"modelarts\":{\"fail\":\"*\"}}}");
    run_sync(t->cloud, &old, -EINVAL); /* the folder has other files */
    assert_true(old.started);
    assert_int_equal(old.answer.state, SYNC_FAILED);
    assert_string_equal(old.fault.code, "ModelArts.4104");
    modelarts_job_clear(&old);
    run_sync(t->cloud, &new, -EIO);
    assert_string_equal(new.fault.code, "ModelArts.4360");
    assert_true(new.fault.msg[0]);
    modelarts_job_clear(&new);

    cloudtest_post(t, "/-/cloud", "{\"config\":{\"modelarts\":{\"known\":\"none\"}}}");
    run_sync(t->cloud, &new, -ENOENT);
    assert_string_equal(new.fault.code, "ModelArts.4352");
    assert_false(new.started);
    modelarts_job_clear(&new);
    new.wait = false;
    run_sync(t->cloud, &new, -ENOENT);
    modelarts_job_clear(&new);
    new.id = "a/../b";
    run_sync(t->cloud, &new, -EINVAL);
    modelarts_job_clear(&new);
}

/* The service says no with a status that says yes. */
static void test_sync_said_no(void **state)
{
    struct cloudtest *t = *state;
    struct modelarts_job job = {.api = MODELARTS_ANNOTATION, .id = "282"};
    static const struct {
        const char *body;
        int rc;
        const char *code;
    } rows[] = {
        {"{\\\"is_success\\\":false,\\\"error_code\\\":\\\"ModelArts.4101\\\",\\\"error_msg\\\":"
         "\\\"m\\\"}",
         -EINVAL, "ModelArts.4101"},
        {"{\\\"is_success\\\":false,\\\"error_code\\\":\\\"ModelArts.4355\\\"}", -EBUSY,
         "ModelArts.4355"},
        {"{\\\"is_success\\\":false}", -EIO, ""},
        {"{\\\"is_success\\\":\\\"false\\\",\\\"error_code\\\":\\\"X.1\\\"}", -EIO, "X.1"},
    };
    char json[512];
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        (void)snprintf(json, sizeof(json), "[{\"operation\":\"ModelArtsSyncObs\",\"body\":\"%s\"}]",
                       rows[i].body);
        cloudtest_post(t, "/-/cloud", "{\"reset\":true}");
        fault(t, json);
        run_sync(t->cloud, &job, rows[i].rc);
        assert_false(job.started);
        assert_int_equal(job.status, 200);
        assert_int_equal(job.attempts, 1);
        assert_string_equal(job.fault.code, rows[i].code);
        modelarts_job_clear(&job);
    }
}

static void test_sync_lost(void **state)
{
    static const struct {
        const char *fault;
        int rc;
    } rows[] = {
        {"\"reset\":\"after\"", 0},
        {"\"status\":504,\"after\":true", 0},
        {"\"reset\":\"before\"", -ETIMEDOUT},
        {"\"status\":504", -ETIMEDOUT},
    };
    struct cloudtest *t = *state;
    char json[256];
    for (size_t i = 0; i < 2 * sizeof(rows) / sizeof(*rows); i++) {
        bool wait = i % 2;
        struct modelarts_job job = {
            .api = MODELARTS_DATASET, .id = "gfgh", .wait = wait, .accepted = note_accepted};
        cloudtest_post(t, "/-/cloud", "{\"reset\":true}");
        (void)snprintf(json, sizeof(json), "[{\"operation\":\"ModelArtsSyncDataset\",%s}]",
                       rows[i / 2].fault);
        fault(t, json);
        job.accepted = NULL;
        run_sync(t->cloud, &job, rows[i / 2].rc);
        assert_int_equal(cloudtest_count(t, "ModelArtsSyncDataset"), 1);
        assert_int_equal(job.started, rows[i / 2].rc == 0);
        if (wait && job.started)
            assert_int_equal(job.answer.state, SYNC_DONE);
        modelarts_job_clear(&job);
    }
}

/* Whoever may not ask for the state may still start; keys that are refused are not tried again. */
static void test_sync_base(void **state)
{
    struct cloudtest *t = *state;
    struct modelarts_job job = {.api = MODELARTS_DATASET, .id = "gfgh", .wait = true};

    fault(t, "[{\"operation\":\"ModelArtsSyncDatasetStatus\",\"status\":403,"
             "\"code\":\"ModelArts.4336\"}]");
    run_sync(t->cloud, &job, 0);
    modelarts_job_clear(&job);
    fault(t, "[{\"operation\":\"*\",\"status\":401,\"code\":\"APIGW.0301\",\"count\":-1}]");
    run_sync(t->cloud, &job, -EACCES);
    assert_string_equal(job.fault.code, "APIGW.0301");
    assert_int_equal(cloudtest_count(t, "ModelArtsSyncDatasetStatus"), 1);
    assert_int_equal(cloudtest_count(t, "ModelArtsSyncDataset"), 0);
    modelarts_job_clear(&job);
}

static void test_sync_interrupt(void **state)
{
    struct cloudtest *t = *state;
    struct modelarts_job job = {.api = MODELARTS_DATASET, .id = "gfgh", .wait = true};
    struct interrupter i;

    cloudtest_post(t, "/-/cloud", "{\"config\":{\"modelarts\":{\"polls\":1000000}}}");
    interrupter_start(&i, t, "ModelArtsSyncDatasetStatus", 2); /* the first is before the start */
    assert_int_equal(modelarts_run(t->cloud, &job, &i.intr), -EINTR);
    interrupter_end(&i);
    assert_true(job.started);
    modelarts_job_clear(&job);
    job.wait_ms = 150;
    cloudtest_post(t, "/-/cloud", "{\"reset\":true}");
    run_sync(t->cloud, &job, -ETIMEDOUT);
    assert_int_equal(job.answer.state, SYNC_RUNNING);
    modelarts_job_clear(&job);
}

/* --- on the wire --- */

struct wire {
    char head[4096];
    char body[1024];
    const char *answer;
    int post_status;
};

static void answer(void *arg, struct web_conn *conn, const struct web_request *r)
{
    struct wire *w = arg;
    if (strcmp(r->method, "POST") == 0) {
        (void)snprintf(w->head, sizeof(w->head), "%s", r->head);
        (void)snprintf(w->body, sizeof(w->body), "%.*s", (int)r->n_body, (const char *)r->body);
        web_reply_text(conn, w->post_status, "Content-Type: application/json\r\n",
                       "{\"group_name\":\"gatk\",\"status\":\"READY\"}");
        return;
    }
    web_reply_text(conn, 200, "Content-Type: application/json\r\n", w->answer);
}

static struct cloud *wire_client(struct cloudtest *t, struct web *web)
{
    char endpoint[64];
    struct cloud *cloud;
    (void)snprintf(endpoint, sizeof(endpoint), "http://127.0.0.1:%u", web_port(web));
    struct cloud_config config = {
        .project_id = CLOUDTEST_PROJECT, .endpoint = {endpoint, endpoint, endpoint}, .poll_ms = 10};
    assert_int_equal(cloud_new(&config, t->engine, t->cred, t->log, &cloud, NULL), 0);
    return cloud;
}

static void test_wire(void **state)
{
    struct cloudtest *t = *state;
    struct wire w = {.post_status = 200};
    struct web *web = web_new(answer, &w);
    assert_non_null(web);
    struct cloud *cloud = wire_client(t, web);
    struct dli_upload u = upload_of("gatk", false, url_a, NULL);
    struct dli_job job = {.upload = &u};

    run_job(cloud, &job, 0);
    assert_string_equal(w.body, "{\"paths\":[\"https://other.example.com/pkg/a.py\"],"
                                "\"group\":\"gatk\"}");
    assert_non_null(strstr(w.head, "POST /v2.0/" CLOUDTEST_PROJECT "/resources/pyfiles HTTP/1.1"));
    assert_non_null(strstr(w.head, "\r\nContent-Type: application/json\r\n"));
    assert_non_null(strstr(w.head, "\r\nX-Project-Id: " CLOUDTEST_PROJECT "\r\n"));
    assert_non_null(strstr(w.head, "\r\nAuthorization: SDK-HMAC-SHA256 Access=AK0, SignedHeaders="
                                   "content-type;host;x-project-id;x-sdk-date, Signature="));
    dli_job_clear(&job);

    struct modelarts_job sync = {.api = MODELARTS_ANNOTATION, .id = "282"};
    run_sync(cloud, &sync, 0);
    assert_string_equal(w.body, "");
    assert_non_null(
        strstr(w.head, "POST /v1/" CLOUDTEST_PROJECT "/data-annotations/282/obs/sync HTTP/1.1"));
    assert_non_null(strstr(w.head, "\r\nContent-Length: 0\r\n"));
    assert_non_null(strstr(w.head, "\r\nX-Language: en-us\r\n"));
    modelarts_job_clear(&sync);
    dli_upload_clear(&u);
    web_free(web);
    cloud_free(cloud);
}

/* A package of an earlier day is no proof that this POST was executed; one being copied is. */
static void test_proof(void **state)
{
    struct cloudtest *t = *state;
    struct wire w = {.post_status = 504,
                     .answer = "{\"resource_name\":\"a.py\",\"status\":\"READY\","
                               "\"update_time\":1608804435312}"};
    struct web *web = web_new(answer, &w);
    assert_non_null(web);
    struct cloud *cloud = wire_client(t, web);
    struct dli_upload u = upload_of("gatk", false, url_a, NULL);
    struct dli_job job = {.upload = &u};

    run_job(cloud, &job, -ETIMEDOUT);
    assert_int_equal(job.status, 504);
    dli_job_clear(&job);
    w.answer = "{\"resource_name\":\"a.py\",\"status\":\"uploading\"}";
    job.wait_ms = 200;
    run_job(cloud, &job, -ETIMEDOUT);
    assert_int_equal(job.status, 200);
    assert_int_equal(job.state, DLI_STATE_UPLOADING);
    dli_job_clear(&job);
    dli_upload_clear(&u);
    web_free(web);
    cloud_free(cloud);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_register),       TEST(test_register_refused),
        TEST(test_register_again), TEST(test_async),
        TEST(test_async_ends),     TEST(test_job_interrupt),
        TEST(test_lost),           TEST(test_sync),
        TEST(test_sync_wait),      TEST(test_sync_fails),
        TEST(test_sync_said_no),   TEST(test_sync_lost),
        TEST(test_sync_base),      TEST(test_sync_interrupt),
        TEST(test_wire),           TEST(test_proof),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
