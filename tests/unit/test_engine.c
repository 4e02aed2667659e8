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
#include "net/base/intr.h"
#include "net/base/log.h"
#include "net/engine.h"
#include "net/error.h"
#include "tests/lib/webserver.h"

struct fixture {
    struct web *web;
    struct engine *engine;
    struct log *log;
    atomic_uint counter;
    atomic_bool release;
};

/* A call with all that a test may want to see. */
struct probe {
    struct http_call call;
    struct intr wait;
    char url[256];
    const char *method;
    const char *body;
    atomic_uint prepared, done;
    unsigned not_ready; /* so many times prepare says -EAGAIN */
    int begin_eno, sink_eno, read_eno;
    char got[256];
    size_t n_got;
    enum err_class force; /* class that evaluate gives to a failure, if not ERR_FATAL */
};

static int probe_prepare(struct http_call *call, struct http_request *req)
{
    struct probe *p = call->arg;
    atomic_fetch_add(&p->prepared, 1);
    if (p->not_ready) {
        p->not_ready--;
        return -EAGAIN;
    }
    req->method = p->method;
    p->n_got = 0;
    buf_adds(&req->url, p->url);
    int rc = http_fields_add(&req->fields, "Authorization", "OBS AK:very-secret-signature");
    if (rc == 0)
        rc = http_fields_add(&req->fields, "x-obs-security-token", "very-secret-token");
    return rc < 0 ? err_set(&call->err, rc, "header") : 0;
}

static int probe_begin(struct http_call *call)
{
    struct probe *p = call->arg;
    return p->begin_eno ? err_set(&call->err, p->begin_eno, "refused by begin") : 0;
}

static int probe_sink(struct http_call *call, const void *bytes, size_t n)
{
    struct probe *p = call->arg;
    if (p->sink_eno)
        return p->sink_eno;
    for (size_t i = 0; i < n && p->n_got < sizeof(p->got) - 1; i++)
        p->got[p->n_got++] = ((const char *)bytes)[i];
    p->got[p->n_got] = 0;
    return 0;
}

static ssize_t probe_read(void *arg, uint64_t off, void *out, size_t n)
{
    struct probe *p = arg;
    if (p->read_eno)
        return p->read_eno;
    memcpy(out, p->body + off, n);
    return (ssize_t)n;
}

static void probe_evaluate(struct http_call *call)
{
    struct probe *p = call->arg;
    struct error_answer answer = {.op = -1, .status = call->response.status};
    error_from_answer(&answer, &call->err);
    if (call->err.eno && p->force != ERR_FATAL)
        call->err.cls = p->force;
}

static void probe_done(struct http_call *call)
{
    struct probe *p = call->arg;
    atomic_fetch_add(&p->done, 1);
    intr_finish(&p->wait);
}

static void probe_init(struct probe *p, struct fixture *f, const char *method, const char *target)
{
    memset(p, 0, sizeof(*p));
    intr_init(&p->wait);
    p->method = method;
    (void)snprintf(p->url, sizeof(p->url), "http://127.0.0.1:%u%s", web_port(f->web), target);
    p->call = (struct http_call){
        .label = "probe",
        .lane = HTTP_META,
        .prepare = probe_prepare,
        .evaluate = probe_evaluate,
        .done = probe_done,
        .arg = p,
        .give_up_ms = 20000,
    };
}

static void probe_body(struct probe *p, const char *text)
{
    p->body = text;
    p->call.body =
        (struct http_body){.present = true, .size = strlen(text), .read = probe_read, .arg = p};
}

static int probe_wait(struct probe *p)
{
    assert_int_equal(intr_wait(&p->wait, clock_ms() + 60000, false), 0);
    assert_int_equal(atomic_load(&p->done), 1);
    return p->call.err.eno;
}

static void probe_done_with(struct probe *p)
{
    http_call_clear(&p->call);
    intr_done(&p->wait);
}

static int probe_run(struct probe *p, struct fixture *f)
{
    engine_submit(f->engine, &p->call);
    return probe_wait(p);
}

static void start(struct fixture *f, web_handler_fn *handler, const struct engine_config *config)
{
    struct engine_config defaults = {.backoff_ms = 5};
    memset(f, 0, sizeof(*f));
    f->web = web_new(handler, f);
    assert_non_null(f->web);
    assert_int_equal(engine_new(config ? config : &defaults, &f->engine, NULL), 0);
}

static void stop(struct fixture *f)
{
    engine_free(f->engine);
    web_free(f->web);
    log_free(f->log);
}

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
    struct fixture f;
    struct probe p;
    start(&f, echo, NULL);

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
    stop(&f);
}

static void test_parallel(void **state)
{
    enum { N = 64, ROUNDS = 4 };
    struct fixture f;
    start(&f, echo, NULL);
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
    stop(&f);
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
    struct fixture f;
    struct probe p;
    start(&f, fail_twice, NULL);
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
    stop(&f);
}

static void always(void *arg, struct web_conn *conn, const struct web_request *r)
{
    web_reply_text(conn, atoi(r->target + 1), NULL, "no");
}

static void test_gives_up(void **state)
{
    struct fixture f;
    struct probe p;
    start(&f, always, NULL);
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
    stop(&f);
}

static void test_bounded_classes(void **state)
{
    static const struct {
        enum err_class cls;
        unsigned attempts;
    } rows[] = {{ERR_REAUTH, 2}, {ERR_CLOCK_SKEW, 2}, {ERR_REDIRECT, 1 + HTTP_REDIRECTS_MAX}};
    struct fixture f;
    struct probe p;
    start(&f, always, NULL);
    for (size_t i = 0; i < 3; i++) {
        probe_init(&p, &f, "GET", "/403");
        p.force = rows[i].cls;
        assert_int_not_equal(probe_run(&p, &f), 0);
        assert_int_equal(p.call.attempts, rows[i].attempts);
        probe_done_with(&p);
    }
    stop(&f);
}

static void test_not_ready(void **state)
{
    struct fixture f;
    struct probe p;
    start(&f, echo, NULL);
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
    stop(&f);
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
    struct fixture f;
    struct probe p;
    start(&f, broken, NULL);
    for (size_t i = 0; i < 4; i++) {
        probe_init(&p, &f, "GET", targets[i]);
        p.call.sink = probe_sink;
        p.call.give_up_ms = 60;
        assert_true(probe_run(&p, &f) < 0);
        assert_true(p.call.attempts >= 1);
        probe_done_with(&p);
    }
    stop(&f);
}

static void test_stall(void **state)
{
    static const char *const targets[] = {"/stall", "/mute"};
    struct fixture f;
    struct probe p;
    start(&f, broken, NULL);
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
    stop(&f);
}

static void test_limits(void **state)
{
    struct fixture f;
    struct probe p;
    start(&f, broken, NULL);
    probe_init(&p, &f, "GET", "/ten");
    p.call.answer_max = 9;
    assert_int_equal(probe_run(&p, &f), -EIO);
    assert_int_equal(p.call.attempts, 1);
    probe_done_with(&p);

    probe_init(&p, &f, "GET", "/ten");
    p.call.answer_max = 10;
    assert_int_equal(probe_run(&p, &f), 0);
    probe_done_with(&p);
    stop(&f);
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
    struct fixture f;
    struct probe p;
    start(&f, verbose, NULL);
    probe_init(&p, &f, "GET", "/body");
    assert_int_equal(probe_run(&p, &f), -ENOENT);
    assert_true(p.call.response.cut);
    assert_int_equal(p.call.response.body.n, HTTP_ERROR_BODY_MAX);
    probe_done_with(&p);

    probe_init(&p, &f, "GET", "/head");
    assert_int_equal(probe_run(&p, &f), -EIO);
    assert_int_equal(p.call.attempts, 1);
    probe_done_with(&p);
    stop(&f);
}

static void refuse_early(void *arg, struct web_conn *conn, const struct web_request *r)
{
    web_reply_text(conn, 403, "Connection: close\r\n", "denied");
    web_reset(conn);
}

static void test_callbacks_fail(void **state)
{
    struct fixture f;
    struct probe p;
    start(&f, broken, NULL);
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
    stop(&f);

    start(&f, refuse_early, NULL);
    probe_init(&p, &f, "PUT", "/");
    probe_body(&p, "text");
    p.call.give_up_ms = 50;
    assert_int_equal(probe_run(&p, &f), -EACCES);
    probe_done_with(&p);
    stop(&f);
}

static void test_no_server(void **state)
{
    struct fixture f;
    struct probe p;
    start(&f, echo, NULL);
    probe_init(&p, &f, "GET", "/");
    web_free(f.web);
    f.web = NULL;
    p.call.give_up_ms = 50;
    assert_true(probe_run(&p, &f) < 0);
    assert_int_equal(p.call.err.http, 0);
    assert_int_equal(p.call.err.cls, ERR_RETRY);
    probe_done_with(&p);
    stop(&f);
}

/* --- cancellation, lanes, shutdown --- */

static void hold(void *arg, struct web_conn *conn, const struct web_request *r)
{
    struct fixture *f = arg;
    if (strcmp(r->target, "/503") == 0) {
        web_reply_text(conn, 503, NULL, "");
    } else if (strcmp(r->target, "/hold") == 0) {
        atomic_fetch_add(&f->counter, 1);
        while (!atomic_load(&f->release))
            usleep(1000);
        web_reply_text(conn, 200, NULL, "held");
    } else if (strcmp(r->target, "/half") == 0) {
        web_raw_text(conn, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this");
        atomic_fetch_add(&f->counter, 1);
        web_stall(conn);
    } else {
        web_reply_text(conn, 200, NULL, "ok");
    }
}

static void wait_count(struct fixture *f, unsigned n)
{
    while (atomic_load(&f->counter) < n)
        usleep(1000);
}

static void test_cancel(void **state)
{
    struct engine_config config = {.parallel = 1, .backoff_ms = 60000};
    struct fixture f;
    struct probe running;
    struct probe waiting;
    struct probe paused;
    struct probe half;
    start(&f, hold, &config);

    /* in flight, and behind it in the line of a lane with one slot */
    probe_init(&running, &f, "GET", "/hold");
    probe_init(&waiting, &f, "GET", "/hold");
    running.call.lane = waiting.call.lane = HTTP_READ;
    engine_submit(f.engine, &running.call);
    wait_count(&f, 1);
    engine_submit(f.engine, &waiting.call);
    struct engine_stats stats;
    engine_stats(f.engine, &stats);
    assert_int_equal(stats.waiting[HTTP_READ], 1);
    engine_cancel(f.engine, &waiting.call);
    assert_int_equal(probe_wait(&waiting), -ECANCELED);
    assert_int_equal(waiting.call.attempts, 0);
    engine_cancel(f.engine, &running.call);
    assert_int_equal(probe_wait(&running), -ECANCELED);
    assert_int_equal(running.call.attempts, 1);

    /* in the middle of a body */
    probe_init(&half, &f, "GET", "/half");
    half.call.sink = probe_sink;
    engine_submit(f.engine, &half.call);
    wait_count(&f, 2);
    engine_cancel(f.engine, &half.call);
    assert_int_equal(probe_wait(&half), -ECANCELED);

    /* between two attempts */
    probe_init(&paused, &f, "GET", "/503");
    paused.call.give_up_ms = 3600 * 1000;
    engine_submit(f.engine, &paused.call);
    do {
        usleep(1000);
        engine_stats(f.engine, &stats);
    } while (stats.retries == 0);
    engine_cancel(f.engine, &paused.call);
    assert_int_equal(probe_wait(&paused), -ECANCELED);
    assert_int_equal(paused.call.wire.http, 503);

    engine_stats(f.engine, &stats);
    assert_int_equal(stats.running[HTTP_READ], 0);
    probe_done_with(&running);
    probe_done_with(&waiting);
    probe_done_with(&paused);
    probe_done_with(&half);
    atomic_store(&f.release, true);
    stop(&f);
}

/* Stalled bulk transfers fill their lane; a metadata request passes. */
static void test_lanes(void **state)
{
    enum { N = 6 };
    struct engine_config config = {.parallel = 2};
    struct fixture f;
    struct probe bulk[N];
    struct probe meta;
    start(&f, hold, &config);
    for (int i = 0; i < N; i++) {
        probe_init(&bulk[i], &f, "PUT", "/hold");
        bulk[i].call.lane = HTTP_WRITE;
        probe_body(&bulk[i], "x");
        engine_submit(f.engine, &bulk[i].call);
    }
    wait_count(&f, 2);
    struct engine_stats stats;
    engine_stats(f.engine, &stats);
    assert_int_equal(stats.running[HTTP_WRITE], 2);
    assert_int_equal(stats.waiting[HTTP_WRITE], N - 2);

    probe_init(&meta, &f, "GET", "/quick");
    meta.call.lane = HTTP_URGENT;
    assert_int_equal(probe_run(&meta, &f), 0);
    assert_int_equal(atomic_load(&f.counter), 2);
    probe_done_with(&meta);

    atomic_store(&f.release, true);
    for (int i = 0; i < N; i++) {
        assert_int_equal(probe_wait(&bulk[i]), 0);
        probe_done_with(&bulk[i]);
    }
    stop(&f);
}

static void test_stop(void **state)
{
    enum { N = 20 };
    struct engine_config config = {.parallel = 2, .backoff_ms = 60000};
    struct fixture f;
    struct probe p[N];
    struct probe late;
    static const char *const targets[] = {"/half", "/503", "/half", "/ok"};
    start(&f, hold, &config);
    for (int i = 0; i < N; i++) {
        probe_init(&p[i], &f, "GET", targets[i % 4]);
        p[i].call.lane = HTTP_READ;
        p[i].call.sink = probe_sink;
        engine_submit(f.engine, &p[i].call);
    }
    engine_stop(f.engine, 30);
    unsigned cancelled = 0;
    for (int i = 0; i < N; i++) {
        assert_int_equal(atomic_load(&p[i].done), 1);
        cancelled += p[i].call.err.eno == -ECANCELED;
        probe_done_with(&p[i]);
    }
    assert_true(cancelled >= N / 2); /* all the "/half" at least */

    probe_init(&late, &f, "GET", "/ok");
    assert_int_equal(probe_run(&late, &f), -ECANCELED);
    assert_int_equal(late.call.attempts, 0);
    probe_done_with(&late);
    stop(&f);
}

static void test_stop_drains(void **state)
{
    struct fixture f;
    struct probe p;
    start(&f, echo, NULL);
    probe_init(&p, &f, "GET", "/");
    engine_submit(f.engine, &p.call);
    engine_stop(f.engine, 30000);
    assert_int_equal(p.call.err.eno, 0);
    assert_int_equal(p.call.response.status, 200);
    probe_done_with(&p);
    stop(&f);
}

/* Callbacks submit and cancel while many threads of work run; every done comes once. */
struct storm {
    struct fixture *f;
    struct probe probe;
    unsigned left;
};

static void storm_done(struct http_call *call)
{
    struct storm *s = call->arg;
    if (--s->left == 0) {
        atomic_fetch_add(&s->probe.done, 1);
        intr_finish(&s->probe.wait);
        return;
    }
    http_call_clear(call);
    engine_submit(s->f->engine, call);
}

static int storm_prepare(struct http_call *call, struct http_request *req)
{
    struct storm *s = call->arg;
    req->method = "GET";
    return buf_adds(&req->url, s->probe.url);
}

static void test_storm(void **state)
{
    enum { N = 40 };
    struct engine_config config = {.threads = 3, .parallel = 3, .max_meta = 5, .backoff_ms = 2};
    struct fixture f;
    struct storm s[N];
    start(&f, always, &config);
    for (int i = 0; i < N; i++) {
        s[i].f = &f;
        s[i].left = 20;
        probe_init(&s[i].probe, &f, "GET", i % 5 ? "/200" : "/503");
        s[i].probe.call.prepare = storm_prepare;
        s[i].probe.call.evaluate = NULL;
        s[i].probe.call.done = storm_done;
        s[i].probe.call.arg = &s[i];
        s[i].probe.call.give_up_ms = i % 5 ? 30000 : 3;
        s[i].probe.call.lane = (enum http_lane)(i % HTTP_LANES);
        engine_submit(f.engine, &s[i].probe.call);
    }
    for (int i = 0; i < N; i++) {
        assert_int_equal(intr_wait(&s[i].probe.wait, clock_ms() + 60000, false), 0);
        assert_true(i % 5 ? s[i].probe.call.err.eno == 0 : s[i].probe.call.err.eno < 0);
        probe_done_with(&s[i].probe);
    }
    stop(&f);
}

/* --- secrets, small functions --- */

static void test_no_secret_in_log(void **state)
{
    char path[] = "/tmp/obsm-test-log-XXXXXX";
    CLEANUP_CLOSE int fd = mkstemp(path);
    assert_true(fd >= 0);
    struct log *log = log_new(LOG_LEVEL_DEBUG);
    assert_int_equal(log_to_file(log, path), 0);

    struct engine_config config = {.log = log, .trace = true, .backoff_ms = 5};
    struct fixture f;
    struct probe p;
    start(&f, fail_twice, &config);
    f.log = log;
    probe_init(&p, &f, "PUT",
               "/k?AccessKeyId=AK&Expires=1&Signature=very-secret-1&x-obs-security-token="
               "very-secret-2&X-Amz-Signature=very-secret-3&partNumber=7");
    probe_body(&p, "text");
    assert_int_equal(probe_run(&p, &f), 0);
    probe_done_with(&p);
    stop(&f);

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

static void check_redact(const char *in, const char *out)
{
    CLEANUP_BUF struct buf b = BUF_INIT(4096);
    http_redact(in, strlen(in), &b);
    assert_string_equal(buf_str(&b), out);
}

static void test_redact(void **state)
{
    check_redact("Authorization: OBS A:b", "Authorization: [hidden]");
    check_redact("x-amz-security-token: t", "x-amz-security-token: [hidden]");
    check_redact("X-Auth-Token:t", "X-Auth-Token: [hidden]");
    check_redact("x-obs-server-side-encryption-customer-key: k",
                 "x-obs-server-side-encryption-customer-key: [hidden]");
    check_redact("ETag: \"x\"", "ETag: \"x\"");
    check_redact("GET /a?acl&Signature=s%3D&x=1 HTTP/1.1",
                 "GET /a?acl&Signature=[hidden]&x=1 HTTP/1.1");
    check_redact("Location: http://h/k?X-Amz-Credential=c", /* also inside a field */
                 "Location: http://h/k?X-Amz-Credential=[hidden]");
    check_redact("", "");
    check_redact("?&=&Signature", "?&=&Signature");
}

static void test_fields(void **state)
{
    struct http_fields f = {0};
    assert_int_equal(http_fields_add(&f, "A", "1"), 0);
    assert_int_equal(http_fields_add(&f, "B", "1\r\nC: 2"), -EINVAL);
    assert_int_equal(http_fields_add(&f, "B\n", "1"), -EINVAL);
    assert_int_equal(http_fields_add(&f, "", "1"), -EINVAL);
    assert_int_equal(http_fields_add_line(&f, "Xy:  z \r\n", 9), 0);
    assert_string_equal(http_fields_get(&f, "xY"), "z");
    assert_int_equal(http_fields_add_line(&f, "no colon", 8), 0);
    assert_int_equal(http_fields_add_line(&f, "empty:", 6), 0);
    assert_string_equal(http_fields_get(&f, "empty"), "");
    assert_null(http_fields_get(&f, "no"));
    assert_int_equal(f.n, 3);
    char big[1024];
    memset(big, 'v', sizeof(big));
    big[sizeof(big) - 1] = 0;
    int rc = 0;
    for (int i = 0; i < 100 && rc == 0; i++)
        rc = http_fields_add(&f, "big", big);
    assert_int_equal(rc, -EMSGSIZE);
    http_fields_clear(&f);
}

static void test_content_range(void **state)
{
    uint64_t a, b, n;
    assert_int_equal(http_content_range("bytes 0-0/1", &a, &b, &n), 0);
    assert_int_equal(http_content_range("bytes 5-9/18446744073709551615", &a, &b, &n), 0);
    assert_int_equal(a, 5);
    assert_int_equal(b, 9);
    assert_true(n == UINT64_MAX);
    static const char *const bad[] = {"",
                                      "bytes",
                                      "bytes 1-0/9",
                                      "bytes 0-9/9",
                                      "bytes */9",
                                      "bytes 0-1/*",
                                      "bytes -1/2",
                                      "bytes 0-1/2 x",
                                      "octets 0-1/2",
                                      "bytes 0-1",
                                      "bytes +0-1/2",
                                      "bytes 0-1/18446744073709551616"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(http_content_range(bad[i], &a, &b, &n), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fields),
        cmocka_unit_test(test_redact),
        cmocka_unit_test(test_content_range),
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
        cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_lanes),
        cmocka_unit_test(test_stop),
        cmocka_unit_test(test_stop_drains),
        cmocka_unit_test(test_storm),
        cmocka_unit_test(test_no_secret_in_log),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
