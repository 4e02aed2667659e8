// SPDX-License-Identifier: Apache-2.0
// The OBS client: errors, clocks, keys and redirects of a service that misbehaves.
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "net/base/clock.h"
#include "net/obs.h"
#include "net/obs_impl.h"
#include "tests/lib/webserver.h"
#include "tests/unit/obs_fixture.h"

static void on_missing(void *arg, struct web_conn *conn, const struct web_request *r)
{
    char text[128];
    if (strcmp(r->method, "HEAD") == 0) {
        web_reply_text(conn, 403,
                       "x-obs-error-code: InvalidObjectState\r\nx-obs-request-id: R7\r\n"
                       "x-obs-error-message: cold\r\n",
                       "");
        return;
    }
    const char *code = strrchr(r->target, '/') + 1;
    (void)snprintf(text, sizeof(text), "<Error><Code>%.*s</Code></Error>", (int)strcspn(code, "?"),
                   code);
    web_reply_text(conn, 404, NULL, text);
}

static void test_missing(void **state)
{
    static const struct {
        enum obs_op op;
        const char *key;
        int eno;
    } rows[] = {{OBS_DELETE, "NoSuchKey", 0},
                {OBS_DELETE, "NoSuchBucket", -ENOENT},
                {OBS_MP_ABORT, "NoSuchUpload", 0},
                {OBS_MP_ABORT, "NoSuchBucket", -ENOENT},
                {OBS_MP_LIST_PARTS, "NoSuchUpload", -ENOENT},
                {OBS_HEAD, "k", -ENODATA}};
    struct obs_fixture f;
    obs_fixture_start(&f, on_missing);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct obs_call call = {.op = rows[i].op, .key = rows[i].key, .upload_id = "U"};
        assert_int_equal(obs_run(f.obs, &call, NULL), rows[i].eno);
        assert_int_equal(call.attempts, 1);
        if (rows[i].op == OBS_HEAD) {
            assert_string_equal(call.err.code, "InvalidObjectState");
            assert_string_equal(call.err.request_id, "R7");
            assert_non_null(strstr(call.err.msg, "cold"));
        }
        obs_call_clear(&call);
    }
    struct obs_stats stats;
    obs_stats(f.obs, &stats);
    assert_int_equal(stats.calls[OBS_DELETE], 2);
    assert_int_equal(stats.failures[OBS_DELETE], 1);
    assert_int_equal(stats.attempts, 6);
    obs_fixture_stop(&f);
}

static void on_head(void *arg, struct web_conn *conn, const struct web_request *r)
{
    web_reply(conn, 200,
              "etag: \"e-3\"\r\nLAST-MODIFIED: Tue, 15 Oct 2024 07:20:09 GMT\r\n"
              "X-OBS-UploadId: UPLOAD\r\nx-obs-meta-name: a%20b%25\r\nContent-Type: text/x\r\n"
              "x-obs-storage-class: WARM\r\nx-obs-server-side-encryption: kms\r\n",
              "xxxxxxxxxx", 10);
}

static void test_head(void **state)
{
    struct obs_fixture f;
    obs_fixture_start(&f, on_head);
    struct obs_call call = {.op = OBS_HEAD, .key = "k"};
    assert_int_equal(obs_run(f.obs, &call, NULL), 0);
    assert_int_equal(call.object.size, 10);
    assert_string_equal(call.object.etag, "e-3");
    assert_string_equal(call.object.upload_id, "UPLOAD");
    assert_true(call.object.encrypted);
    assert_string_equal(obs_props_get(&call.object.props, OBS_PROP_META, "name"), "a b%");
    assert_string_equal(obs_props_get(&call.object.props, OBS_PROP_RAW, "Content-Type"), "text/x");
    assert_string_equal(obs_props_get(&call.object.props, OBS_PROP_HEADER, "storage-class"),
                        "WARM");
    obs_call_clear(&call);
    obs_fixture_stop(&f);
}

/* --- clocks, keys, other hosts --- */

static void skewed(void *arg, struct web_conn *conn, const struct web_request *r)
{
    struct obs_fixture *f = arg;
    char date[64] = "";
    char now[30];
    char fields[128];
    time_t t = 0;
    time_t server = time(NULL) + 3600;
    obs_fixture_note(f, r, "Date");
    clock_http_date(server, now);
    (void)snprintf(fields, sizeof(fields), "Date: %s\r\nLast-Modified: %s\r\n", now, now);
    web_field(r, "Date", date, sizeof(date));
    clock_parse_http_date(date, &t);
    if (llabs((long long)(server - t)) > 900 || strstr(r->target, "/never"))
        web_reply_text(conn, 403, fields,
                       "<Error><Code>RequestTimeTooSkewed</Code><Message>m</Message></Error>");
    else
        web_reply_text(conn, 200, fields, "");
}

static void test_clock_skew(void **state)
{
    static const enum obs_op ops[] = {OBS_SET_META, OBS_HEAD};
    for (int i = 0; i < 2; i++) {
        struct obs_fixture f;
        obs_fixture_start(&f, skewed);
        struct obs_call call = {.op = ops[i], .key = "k"};
        assert_int_equal(obs_run(f.obs, &call, NULL), 0);
        assert_int_equal(call.attempts, 2);
        assert_true(call.server_time > time(NULL) + 3000);
        obs_call_clear(&call);
        call = (struct obs_call){.op = ops[i], .key = "again"}; /* the offset is kept */
        assert_int_equal(obs_run(f.obs, &call, NULL), 0);
        assert_int_equal(call.attempts, 1);
        obs_call_clear(&call);
        call = (struct obs_call){.op = OBS_DELETE, .key = "never"};
        assert_int_equal(obs_run(f.obs, &call, NULL), -EACCES);
        assert_int_equal(call.attempts, 1); /* the clock is right: it is something else */
        obs_call_clear(&call);
        obs_fixture_stop(&f);
    }
}

static void expired(void *arg, struct web_conn *conn, const struct web_request *r)
{
    struct obs_fixture *f = arg;
    obs_fixture_note(f, r, "Authorization");
    if (strstr(r->target, "/always") || (r->no < 8 && strstr(f->seen[r->no], "OBS AK:")))
        web_reply_text(conn, 403, NULL, "<Error><Code>ExpiredToken</Code></Error>");
    else
        web_reply_text(conn, 200, NULL, "");
}

static void test_reauth(void **state)
{
    struct obs_fixture f;
    obs_fixture_start(&f, expired);
    struct obs_call call = {.op = OBS_DELETE, .key = "k"};
    assert_int_equal(obs_run(f.obs, &call, NULL), 0);
    assert_true(call.attempts >= 2);
    assert_int_equal(atomic_load(&f.refreshed), 1);
    assert_non_null(strstr(f.seen[call.attempts], "OBS NEWAK:"));
    obs_call_clear(&call);

    call = (struct obs_call){.op = OBS_DELETE, .key = "always", .give_up_ms = 50};
    assert_int_equal(obs_run(f.obs, &call, NULL), -EACCES);
    obs_call_clear(&call);
    obs_fixture_stop(&f);
}

static void redirecting(void *arg, struct web_conn *conn, const struct web_request *r)
{
    struct obs_fixture *f = arg;
    char host[64] = "";
    char fields[256] = "";
    obs_fixture_note(f, r, "Authorization");
    web_field(r, "Host", host, sizeof(host));
    uint16_t to = (uint16_t)atoi(strchr(host, ':') + 1) == web_port(f->web) ? web_port(f->other)
                                                                            : web_port(f->web);
    bool first = to == web_port(f->other);
    if (strstr(r->target, "/foreign"))
        (void)snprintf(fields, sizeof(fields), "Location: http://bucket.evil.example/\r\n");
    else if (first || strstr(r->target, "/loop"))
        (void)snprintf(fields, sizeof(fields), "Location: http://127.0.0.1:%u%s\r\n", to,
                       r->target);
    if (fields[0])
        web_reply_text(conn, 307, fields, "<Error><Code>TemporaryRedirect</Code></Error>");
    else {
        etag_line(fields, sizeof(fields), r->body, r->n_body);
        web_reply(conn, 200, fields, NULL, 0);
    }
}

static void test_redirect(void **state)
{
    struct obs_fixture f;
    obs_fixture_start(&f, redirecting);
    struct obs_call call = put_call("k");
    assert_int_equal(obs_run(f.obs, &call, NULL), 0);
    assert_int_equal(call.attempts, 2);
    assert_int_equal(web_requests(f.other), 1);
    assert_non_null(strstr(f.seen[1], "OBS AK:"));
    obs_call_clear(&call);

    call = put_call("loop");
    assert_int_equal(obs_run(f.obs, &call, NULL), -EREMCHG);
    assert_int_equal(call.attempts, 1 + HTTP_REDIRECTS_MAX);
    obs_call_clear(&call);

    call = put_call("foreign");
    assert_int_equal(obs_run(f.obs, &call, NULL), -EREMCHG);
    assert_int_equal(call.attempts, 1);
    assert_non_null(strstr(call.err.msg, "evil.example"));
    obs_call_clear(&call);
    obs_fixture_stop(&f);
}

static bool allowed(const char *from, const char *to)
{
    struct url_endpoint a;
    struct url_endpoint b;
    assert_int_equal(url_endpoint_parse(from, &a, NULL), 0);
    assert_int_equal(url_endpoint_parse(to, &b, NULL), 0);
    return obs_redirect_allowed(&a, &b);
}

static void test_redirect_allowed(void **state)
{
    assert_true(allowed("obs.cn-north-4.myhuaweicloud.com", "obs.cn-east-3.myhuaweicloud.com"));
    assert_true(allowed("obs.myhuaweicloud.com", "obs.cn-east-3.myhuaweicloud.com"));
    assert_true(allowed("obs.eu-de.otc.t-systems.com", "obs.eu-nl.otc.t-systems.com"));
    assert_true(allowed("obs.a.example.com.cn", "obs.b.example.com.cn"));
    assert_true(allowed("http://localhost:1", "http://127.0.0.1:2"));
    assert_true(allowed("http://127.0.0.1:1", "http://b.localhost:2"));
    assert_true(allowed("http://10.0.0.1:1", "http://10.0.0.1:2"));
    assert_true(allowed("http://store.lan", "http://store.lan:81"));
    assert_true(allowed("http://obs.a.example.com", "https://obs.b.example.com"));

    assert_false(allowed("obs.a.myhuaweicloud.com", "obs.a.myhuaweicloud.com.evil.example"));
    assert_false(allowed("obs.a.myhuaweicloud.com", "evilmyhuaweicloud.com"));
    assert_false(allowed("obs.a.myhuaweicloud.com", "obs.evilmyhuaweicloud.com"));
    assert_false(allowed("obs.example.com.cn", "obs.evil.com.cn"));
    assert_false(allowed("https://obs.a.example.com", "http://obs.b.example.com"));
    assert_false(allowed("http://10.0.0.1:1", "http://10.0.0.2:1"));
    assert_false(allowed("http://10.0.0.1:1", "http://127.0.0.1:1"));
    assert_false(allowed("http://127.0.0.1:1", "http://obs.a.example.com"));
    assert_false(allowed("http://notlocalhost", "http://localhost"));
    assert_false(allowed("http://a.lan", "http://b.lan"));
}

/* --- what is never sent; interruption --- */

static void mute(void *arg, struct web_conn *conn, const struct web_request *r)
{
    struct obs_fixture *f = arg;
    atomic_fetch_add(&f->refreshed, 1);
    web_stall(conn);
}

static void *interrupter(void *arg)
{
    void **args = arg;
    struct obs_fixture *f = args[0];
    while (atomic_load(&f->refreshed) == 0)
        usleep(1000);
    intr_interrupt(args[1]);
    return NULL;
}

static void test_interrupt(void **state)
{
    struct obs_fixture f;
    struct intr intr;
    pthread_t id;
    obs_fixture_start(&f, mute);
    intr_init(&intr);
    void *args[] = {&f, &intr};
    assert_int_equal(pthread_create(&id, NULL, interrupter, args), 0);
    struct obs_call call = {.op = OBS_DELETE, .key = "k"};
    assert_int_equal(obs_run(f.obs, &call, &intr), -EINTR);
    pthread_join(id, NULL);
    obs_call_clear(&call);
    /* an interrupt that came before counts as well */
    assert_int_equal(obs_run(f.obs, &call, &intr), -EINTR);
    obs_call_clear(&call);
    intr_done(&intr);
    obs_fixture_stop(&f);
}

static void check_url(const char *endpoint, bool path_style, const char *want)
{
    struct obs_config config = {.endpoint = endpoint, .bucket = "bucket", .path_style = path_style};
    struct obs *obs;
    assert_int_equal(obs_new(&config, NULL, NULL, NULL, &obs, NULL), 0);
    char *url = obs_url(obs, "a b/+c");
    assert_string_equal(url, want);
    free(url);
    obs_free(obs);
}

static void test_new(void **state)
{
    struct obs *obs;
    struct err err;
    static const char *const bad_line[] = {"no colon", NULL};
    struct obs_config config = {.endpoint = "obs.example.com/x", .bucket = "bucket"};
    assert_int_equal(obs_new(&config, NULL, NULL, NULL, &obs, &err), -EINVAL);
    assert_true(err.msg[0]);
    config = (struct obs_config){.endpoint = "obs.example.com", .bucket = "Bucket_"};
    assert_int_equal(obs_new(&config, NULL, NULL, NULL, &obs, &err), -EINVAL);
    config = (struct obs_config){
        .endpoint = "obs.example.com", .bucket = "bucket", .extra_headers = bad_line};
    assert_int_equal(obs_new(&config, NULL, NULL, NULL, &obs, &err), -EINVAL);
    check_url("obs.example.com", false, "https://bucket.obs.example.com/a%20b/%2Bc");
    check_url("http://obs.example.com", false, "https://bucket.obs.example.com/a%20b/%2Bc");
    check_url("http://obs.example.com:8080", true,
              "https://obs.example.com:8080/bucket/a%20b/%2Bc");
    check_url("http://127.0.0.1:9", false, "https://127.0.0.1:9/bucket/a%20b/%2Bc");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_missing),    cmocka_unit_test(test_head),
        cmocka_unit_test(test_clock_skew), cmocka_unit_test(test_reauth),
        cmocka_unit_test(test_redirect),   cmocka_unit_test(test_redirect_allowed),
        cmocka_unit_test(test_interrupt),  cmocka_unit_test(test_new),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
