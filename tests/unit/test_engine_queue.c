// SPDX-License-Identifier: Apache-2.0
// What waits in the engine: cancelled, kept in its lane, ended with the engine, many at once.
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

#include "net/base/buf.h"
#include "net/base/clock.h"
#include "net/base/intr.h"
#include "net/engine.h"
#include "tests/lib/webserver.h"
#include "tests/unit/engine_probe.h"

static void hold(void *arg, struct web_conn *conn, const struct web_request *r)
{
    struct engine_fixture *f = arg;
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

static void wait_count(struct engine_fixture *f, unsigned n)
{
    while (atomic_load(&f->counter) < n)
        usleep(1000);
}

static void test_cancel(void **state)
{
    struct engine_config config = {.parallel = 1, .backoff_ms = 60000};
    struct engine_fixture f;
    struct probe running;
    struct probe waiting;
    struct probe paused;
    struct probe half;
    engine_fixture_start(&f, hold, &config);

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
    engine_fixture_stop(&f);
}

/* Stalled bulk transfers fill their lane; a metadata request passes. */
static void test_lanes(void **state)
{
    enum { N = 6 };
    struct engine_config config = {.parallel = 2};
    struct engine_fixture f;
    struct probe bulk[N];
    struct probe meta;
    engine_fixture_start(&f, hold, &config);
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
    engine_fixture_stop(&f);
}

static void test_stop(void **state)
{
    enum { N = 20 };
    struct engine_config config = {.parallel = 2, .backoff_ms = 60000};
    struct engine_fixture f;
    struct probe p[N];
    struct probe late;
    static const char *const targets[] = {"/half", "/503", "/half", "/ok"};
    engine_fixture_start(&f, hold, &config);
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
    engine_fixture_stop(&f);
}

static void test_stop_drains(void **state)
{
    struct engine_fixture f;
    struct probe p;
    engine_fixture_start(&f, hold, NULL);
    probe_init(&p, &f, "GET", "/");
    engine_submit(f.engine, &p.call);
    engine_stop(f.engine, 30000);
    assert_int_equal(p.call.err.eno, 0);
    assert_int_equal(p.call.response.status, 200);
    probe_done_with(&p);
    engine_fixture_stop(&f);
}

/* Callbacks submit and cancel while many threads of work run; every done comes once. */
struct storm {
    struct engine_fixture *f;
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
    struct engine_fixture f;
    struct storm s[N];
    engine_fixture_start(&f, answer_by_target, &config);
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
    engine_fixture_stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cancel), cmocka_unit_test(test_lanes),
        cmocka_unit_test(test_stop),   cmocka_unit_test(test_stop_drains),
        cmocka_unit_test(test_storm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
