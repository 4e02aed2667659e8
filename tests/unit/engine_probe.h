// SPDX-License-Identifier: Apache-2.0
/* engine_probe - an engine, a server to try it on, and calls with all that a test may want to see
 *
 * Role        Shared by the programs that test the engine. Every failure is a failed assertion.
 * Ownership   A test keeps fixture and probes on its stack; probe_done_with() after the call's end,
 *             engine_fixture_stop() last.
 */
#ifndef OBSM_TEST_ENGINE_PROBE_H
#define OBSM_TEST_ENGINE_PROBE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "net/base/err.h"
#include "net/base/intr.h"
#include "net/base/log.h"
#include "net/engine.h"
#include "tests/lib/webserver.h"

struct engine_fixture {
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

/* `config` NULL: short waits before a repeat, else the engine's defaults. */
void engine_fixture_start(struct engine_fixture *f, web_handler_fn *handler,
                          const struct engine_config *config);
/* Also frees the log, if the test left one in `f`. */
void engine_fixture_stop(struct engine_fixture *f);

/* A call that is not submitted yet; `target` is a path with its query. */
void probe_init(struct probe *p, struct engine_fixture *f, const char *method, const char *target);
void probe_body(struct probe *p, const char *text);
/* Waits for the end of a submitted call: its errno, 0 or negative. */
int probe_wait(struct probe *p);
/* Submits and waits. */
int probe_run(struct probe *p, struct engine_fixture *f);
void probe_done_with(struct probe *p);

/* For a call's `begin` and `sink`: they fail as the probe says; what came is in p->got. */
int probe_begin(struct http_call *call);
int probe_sink(struct http_call *call, const void *bytes, size_t n);

/* Answers with the status that the path names: "/503". */
void answer_by_target(void *arg, struct web_conn *conn, const struct web_request *r);

#endif
