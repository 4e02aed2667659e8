// SPDX-License-Identifier: Apache-2.0
// The transfer engine against a server that misbehaves.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "net/base/cleanup.h"
#include "net/base/clock.h"
#include "net/base/log.h"
#include "net/engine.h"
#include "tests/lib/webserver.h"
#include "tests/unit/engine_probe.h"

/* --- well-behaved --- */

static void echo(void *arg, struct web_conn *conn, const struct web_request *r)
{
    char value[64];
    assert_null(web_field(r, "Expect", value, sizeof(value)));
    assert_null(web_field(r, "Accept-Encoding", value, sizeof(value)));
    assert_null(web_field(r, "Content-Type", value, sizeof(value)));
    char fields[256];
    (void)snprintf(fields, sizeof(fields),
                   "X-Method: %s\r\nx-TARGET: %s\r\nDate: Tue, 15 Oct 2024 07:20:09 GMT\r\n",
                   r->method, r->target);
    web_reply(conn, 200, fields, r->body, r->n_body);
}

static void test_plain(void **state)
{
    struct engine_fixture f;
    struct probe p;
    engine_fixture_start(&f, echo, NULL);

    static const char *const methods[] = {"GET", "HEAD", "PUT", "POST", "DELETE"};
    for (size_t i = 0; i < 5; i++) {
        probe_init(&p, &f, methods[i], "/a/../b/./c%20d?x&y=1");
        assert_int_equal(probe_run(&p, &f), 0);
        assert_int_equal(p.call.response.status, 200);
        assert_string_equal(http_fields_get(&p.call.response.fields, "X-METHOD"), methods[i]);
        assert_string_equal(http_fields_get(&p.call.response.fields, "x-target"),
                            "/a/../b/./c%20d?x&y=1");
        assert_int_equal(p.call.response.date, 1728976809);
        assert_int_equal(p.call.attempts, 1);
        probe_done_with(&p);
    }

    probe_init(&p, &f, "POST", "/");
    probe_body(&p, "some text");
    assert_int_equal(probe_run(&p, &f), 0);
    assert_string_equal(buf_str(&p.call.response.body), "some text");
    probe_done_with(&p);

    probe_init(&p, &f, "PUT", "/");
    probe_body(&p, "to the sink");
    p.call.sink = probe_sink;
    assert_int_equal(probe_run(&p, &f), 0);
    assert_string_equal(p.got, "to the sink");
    assert_int_equal(p.call.response.sunk, 11);
    probe_done_with(&p);

    assert_int_equal(web_connections(f.web), 1); /* one after the other: one connection */
    struct engine_stats stats;
    engine_stats(f.engine, &stats);
    assert_int_equal(stats.calls, 7);
    assert_int_equal(stats.attempts, 7);
    assert_int_equal(stats.retries, 0);
    assert_int_equal(stats.bytes_sent, 20);
    assert_int_equal(stats.connects, 1);
    engine_fixture_stop(&f);
}

static void test_parallel(void **state)
{
    enum { N = 64, ROUNDS = 4 };
    struct engine_fixture f;
    engine_fixture_start(&f, echo, NULL);
    struct probe *p = calloc(N, sizeof(*p));
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < N; i++) {
            char target[32];
            (void)snprintf(target, sizeof(target), "/%d", i);
            probe_init(&p[i], &f, "PUT", target);
            p[i].call.lane = (enum http_lane)(i % HTTP_LANES);
            probe_body(&p[i], "body");
            engine_submit(f.engine, &p[i].call);
        }
        for (int i = 0; i < N; i++) {
            assert_int_equal(probe_wait(&p[i]), 0);
            assert_string_equal(buf_str(&p[i].call.response.body), "body");
            probe_done_with(&p[i]);
        }
    }
    struct engine_stats stats;
    engine_stats(f.engine, &stats);
    for (int lane = 0; lane < HTTP_LANES; lane++) {
        assert_int_equal(stats.running[lane], 0);
        assert_int_equal(stats.waiting[lane], 0);
    }
    free(p);
    engine_fixture_stop(&f);
}

/* --- repetitions --- */

static void fail_twice(void *arg, struct web_conn *conn, const struct web_request *r)
{
    if (r->no == 1)
        web_reset(conn); /* on a new connection: the library itself repeats on an old one */
    else if (r->no == 2)
        web_reply_text(conn, 503, NULL, "busy");
    else
        web_reply(conn, 200, NULL, r->body, r->n_body);
}

static void test_retry_then_ok(void **state)
{
    struct engine_fixture f;
    struct probe p;
    engine_fixture_start(&f, fail_twice, NULL);
    probe_init(&p, &f, "PUT", "/");
    probe_body(&p, "again and again");
    assert_int_equal(probe_run(&p, &f), 0);
    assert_int_equal(p.call.attempts, 3);
    assert_int_equal(atomic_load(&p.prepared), 3);
    assert_string_equal(buf_str(&p.call.response.body), "again and again");
    assert_int_not_equal(p.call.wire.eno, 0); /* the failure before it */
    struct engine_stats stats;
    engine_stats(f.engine, &stats);
    assert_int_equal(stats.retries, 2);
    probe_done_with(&p);
    engine_fixture_stop(&f);
}

static void test_gives_up(void **state)
{
    struct engine_fixture f;
    struct probe p;
    engine_fixture_start(&f, answer_by_target, NULL);
    probe_init(&p, &f, "GET", "/503");
    p.call.give_up_ms = 100;
    assert_int_not_equal(probe_run(&p, &f), 0);
    assert_true(p.call.attempts > 1);
    assert_int_equal(p.call.err.http, 503);
    probe_done_with(&p);

    /* what cannot be helped is sent once */
    probe_init(&p, &f, "GET", "/404");
    assert_int_equal(probe_run(&p, &f), -ENOENT);
    assert_int_equal(p.call.attempts, 1);
    assert_int_equal(p.call.err.cls, ERR_GONE);
    probe_done_with(&p);
    engine_fixture_stop(&f);
}

static void test_bounded_classes(void **state)
{
    static const struct {
        enum err_class cls;
        unsigned attempts;
    } rows[] = {{ERR_REAUTH, 2}, {ERR_CLOCK_SKEW, 2}, {ERR_REDIRECT, 1 + HTTP_REDIRECTS_MAX}};
    struct engine_fixture f;
    struct probe p;
    engine_fixture_start(&f, answer_by_target, NULL);
    for (size_t i = 0; i < 3; i++) {
        probe_init(&p, &f, "GET", "/403");
        p.force = rows[i].cls;
        assert_int_not_equal(probe_run(&p, &f), 0);
        assert_int_equal(p.call.attempts, rows[i].attempts);
        probe_done_with(&p);
    }
    engine_fixture_stop(&f);
}

static void test_not_ready(void **state)
{
    struct engine_fixture f;
    struct probe p;
    engine_fixture_start(&f, echo, NULL);
    probe_init(&p, &f, "GET", "/");
    p.not_ready = 2;
    assert_int_equal(probe_run(&p, &f), 0);
    assert_int_equal(p.call.attempts, 1);
    assert_int_equal(atomic_load(&p.prepared), 3);
    probe_done_with(&p);

    probe_init(&p, &f, "GET", "/");
    p.not_ready = 1000;
    p.call.give_up_ms = 100;
    assert_int_equal(probe_run(&p, &f), -EACCES);
    assert_int_equal(p.call.attempts, 0);
    probe_done_with(&p);
    engine_fixture_stop(&f);
}

/* --- broken answers --- */

static void broken(void *arg, struct web_conn *conn, const struct web_request *r)
{
    if (strcmp(r->target, "/short") == 0) {
        web_raw_text(conn, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this");
        web_close(conn);
    } else if (strcmp(r->target, "/reset") == 0) {
        web_raw_text(conn, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this");
        web_reset(conn);
    } else if (strcmp(r->target, "/silence") == 0) {
        web_close(conn);
    } else if (strcmp(r->target, "/noise") == 0) {
        web_raw_text(conn, "I do not speak that\r\n\r\n");
        web_close(conn);
    } else if (strcmp(r->target, "/stall") == 0) {
        web_raw_text(conn, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this");
        web_stall(conn);
    } else if (strcmp(r->target, "/mute") == 0) {
        web_stall(conn);
    } else {
        web_reply_text(conn, 200, NULL, "0123456789");
    }
}

static void test_broken_answers(void **state)
{
    static const char *const targets[] = {"/short", "/reset", "/silence", "/noise"};
    struct engine_fixture f;
    struct probe p;
    engine_fixture_start(&f, broken, NULL);
    for (size_t i = 0; i < 4; i++) {
        probe_init(&p, &f, "GET", targets[i]);
        p.call.sink = probe_sink;
        p.call.give_up_ms = 60;
        assert_true(probe_run(&p, &f) < 0);
        assert_true(p.call.attempts >= 1);
        probe_done_with(&p);
    }
    engine_fixture_stop(&f);
}

static void test_stall(void **state)
{
    static const char *const targets[] = {"/stall", "/mute"};
    struct engine_fixture f;
    struct probe p;
    engine_fixture_start(&f, broken, NULL);
    for (size_t i = 0; i < 2; i++) {
        probe_init(&p, &f, "GET", targets[i]);
        p.call.sink = probe_sink;
        p.call.stall_ms = 80;
        p.call.give_up_ms = 20;
        assert_int_equal(probe_run(&p, &f), -ETIMEDOUT);
        assert_int_equal(p.call.err.cls, ERR_RETRY);
        assert_int_equal(p.call.attempts, 1);
        probe_done_with(&p);

        /* a small request ends at its total time, however long it may stall */
        probe_init(&p, &f, "GET", targets[i]);
        p.call.give_up_ms = 80;
        assert_int_equal(probe_run(&p, &f), -ETIMEDOUT);
        probe_done_with(&p);
    }
    engine_fixture_stop(&f);
}

static void test_limits(void **state)
{
    struct engine_fixture f;
    struct probe p;
    engine_fixture_start(&f, broken, NULL);
    probe_init(&p, &f, "GET", "/ten");
    p.call.answer_max = 9;
    assert_int_equal(probe_run(&p, &f), -EIO);
    assert_int_equal(p.call.attempts, 1);
    probe_done_with(&p);

    probe_init(&p, &f, "GET", "/ten");
    p.call.answer_max = 10;
    assert_int_equal(probe_run(&p, &f), 0);
    probe_done_with(&p);
    engine_fixture_stop(&f);
}

static void verbose(void *arg, struct web_conn *conn, const struct web_request *r)
{
    static char big[200 * 1024];
    if (strcmp(r->target, "/body") == 0) {
        memset(big, 'x', sizeof(big));
        web_reply(conn, 404, NULL, big, sizeof(big));
        return;
    }
    web_raw_text(conn, "HTTP/1.1 200 OK\r\n");
    for (int i = 0; i < 2000; i++) {
        char line[128];
        (void)snprintf(line, sizeof(line), "X-%d: %070d\r\n", i, 0);
        web_raw_text(conn, line);
    }
    web_raw_text(conn, "Content-Length: 0\r\n\r\n");
}

static void test_long_answers(void **state)
{
    struct engine_fixture f;
    struct probe p;
    engine_fixture_start(&f, verbose, NULL);
    probe_init(&p, &f, "GET", "/body");
    assert_int_equal(probe_run(&p, &f), -ENOENT);
    assert_true(p.call.response.cut);
    assert_int_equal(p.call.response.body.n, HTTP_ERROR_BODY_MAX);
    probe_done_with(&p);

    probe_init(&p, &f, "GET", "/head");
    assert_int_equal(probe_run(&p, &f), -EIO);
    assert_int_equal(p.call.attempts, 1);
    probe_done_with(&p);
    engine_fixture_stop(&f);
}

static void refuse_early(void *arg, struct web_conn *conn, const struct web_request *r)
{
    web_reply_text(conn, 403, "Connection: close\r\n", "denied");
    web_reset(conn);
}

static void test_callbacks_fail(void **state)
{
    struct engine_fixture f;
    struct probe p;
    engine_fixture_start(&f, broken, NULL);
    probe_init(&p, &f, "GET", "/ten");
    p.call.begin = probe_begin;
    p.begin_eno = -ESTALE;
    assert_int_equal(probe_run(&p, &f), -ESTALE);
    assert_string_equal(p.call.err.msg, "refused by begin");
    probe_done_with(&p);

    probe_init(&p, &f, "GET", "/ten");
    p.call.sink = probe_sink;
    p.sink_eno = -ENOSPC;
    assert_int_equal(probe_run(&p, &f), -ENOSPC);
    assert_int_equal(p.call.attempts, 1);
    probe_done_with(&p);

    probe_init(&p, &f, "PUT", "/ten");
    probe_body(&p, "text");
    p.read_eno = -ENXIO;
    assert_int_equal(probe_run(&p, &f), -ENXIO);
    assert_int_equal(p.call.attempts, 1);
    probe_done_with(&p);
    engine_fixture_stop(&f);

    engine_fixture_start(&f, refuse_early, NULL);
    probe_init(&p, &f, "PUT", "/");
    probe_body(&p, "text");
    p.call.give_up_ms = 50;
    assert_int_equal(probe_run(&p, &f), -EACCES);
    probe_done_with(&p);
    engine_fixture_stop(&f);
}

static void test_no_server(void **state)
{
    struct engine_fixture f;
    struct probe p;
    engine_fixture_start(&f, echo, NULL);
    probe_init(&p, &f, "GET", "/");
    web_free(f.web);
    f.web = NULL;
    p.call.give_up_ms = 50;
    assert_true(probe_run(&p, &f) < 0);
    assert_int_equal(p.call.err.http, 0);
    assert_int_equal(p.call.err.cls, ERR_RETRY);
    probe_done_with(&p);
    engine_fixture_stop(&f);
}

/* --- secrets --- */

static void test_no_secret_in_log(void **state)
{
    char path[] = "/tmp/obsm-test-log-XXXXXX";
    CLEANUP_CLOSE int fd = mkstemp(path);
    assert_true(fd >= 0);
    struct log *log = log_new(LOG_LEVEL_DEBUG);
    assert_int_equal(log_to_file(log, path), 0);

    struct engine_config config = {.log = log, .trace = true, .backoff_ms = 5};
    struct engine_fixture f;
    struct probe p;
    engine_fixture_start(&f, fail_twice, &config);
    f.log = log;
    probe_init(&p, &f, "PUT",
               "/k?AccessKeyId=AK&Expires=1&Signature=very-secret-1&x-obs-security-token="
               "very-secret-2&X-Amz-Signature=very-secret-3&partNumber=7");
    probe_body(&p, "text");
    assert_int_equal(probe_run(&p, &f), 0);
    probe_done_with(&p);
    engine_fixture_stop(&f);

    static char text[256 * 1024];
    ssize_t n = pread(fd, text, sizeof(text) - 1, 0);
    unlink(path);
    assert_true(n > 0);
    text[n] = 0;
    assert_non_null(strstr(text, "Authorization: [hidden]"));
    assert_non_null(strstr(text, "partNumber=7"));
    assert_non_null(strstr(text, "attempt 3"));
    assert_null(strstr(text, "very-secret"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain),
        cmocka_unit_test(test_parallel),
        cmocka_unit_test(test_retry_then_ok),
        cmocka_unit_test(test_gives_up),
        cmocka_unit_test(test_bounded_classes),
        cmocka_unit_test(test_not_ready),
        cmocka_unit_test(test_broken_answers),
        cmocka_unit_test(test_stall),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_long_answers),
        cmocka_unit_test(test_callbacks_fail),
        cmocka_unit_test(test_no_server),
        cmocka_unit_test(test_no_secret_in_log),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
