// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/engine_probe.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "net/base/clock.h"
#include "net/error.h"

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

int probe_begin(struct http_call *call)
{
    struct probe *p = call->arg;
    return p->begin_eno ? err_set(&call->err, p->begin_eno, "refused by begin") : 0;
}

int probe_sink(struct http_call *call, const void *bytes, size_t n)
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

void probe_init(struct probe *p, struct engine_fixture *f, const char *method, const char *target)
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

void probe_body(struct probe *p, const char *text)
{
    p->body = text;
    p->call.body =
        (struct http_body){.present = true, .size = strlen(text), .read = probe_read, .arg = p};
}

int probe_wait(struct probe *p)
{
    assert_int_equal(intr_wait(&p->wait, clock_ms() + 60000, false), 0);
    assert_int_equal(atomic_load(&p->done), 1);
    return p->call.err.eno;
}

void probe_done_with(struct probe *p)
{
    http_call_clear(&p->call);
    intr_done(&p->wait);
}

int probe_run(struct probe *p, struct engine_fixture *f)
{
    engine_submit(f->engine, &p->call);
    return probe_wait(p);
}

void engine_fixture_start(struct engine_fixture *f, web_handler_fn *handler,
                          const struct engine_config *config)
{
    struct engine_config defaults = {.backoff_ms = 5};
    memset(f, 0, sizeof(*f));
    f->web = web_new(handler, f);
    assert_non_null(f->web);
    assert_int_equal(engine_new(config ? config : &defaults, &f->engine, NULL), 0);
}

void engine_fixture_stop(struct engine_fixture *f)
{
    engine_free(f->engine);
    web_free(f->web);
    log_free(f->log);
}

void answer_by_target(void *arg, struct web_conn *conn, const struct web_request *r)
{
    web_reply_text(conn, atoi(r->target + 1), NULL, "no");
}
