// SPDX-License-Identifier: Apache-2.0
/* engine - the threads that carry all HTTP requests
 *
 * Role        Takes a `struct http_call` (net/http.h) from any thread, gives it a connection,
 *             repeats it as its class allows, and calls `done`. It has no notion of a service.
 * Threads     N engine threads; each owns its multi handle, its pool of easy handles, its
 *             connections and its timers. A call belongs to one thread from the moment it gets a
 *             slot; others only put it into the thread's inbox and wake the thread.
 *             Engine threads take no signals.
 * Slots       Each lane (enum http_lane) has a limit of calls under way and a waiting line. A call
 *             that pauses before a repetition gives its slot back. Lanes never wait for each other:
 *             bulk transfers that stall cannot keep a metadata request from starting.
 * States      WAITING (for a slot) -> inbox -> RUNNING (attempt) -> PAUSED (timer) -> RUNNING ..
 *             -> done. A pause is a timer, never a sleeping thread.
 * Deadlines   connecting: connect_ms. An attempt that moves fewer than 1 KiB in stall_ms has
 *             failed. A call with neither a body nor a sink also has to end within give_up_ms in
 *             all. Repetitions stop at give_up_ms after the first attempt.
 * Locking     One lock guards the waiting lines, the inboxes and the counts. It is never held while
 *             a callback runs or the network is touched. Callbacks may submit and cancel.
 * TLS         Peer and host name are always verified, TLS 1.2 or later; there is no switch.
 * Proxies     The usual environment variables, except for loopback and link-local addresses.
 * Logs        Debug level only; header fields and URLs go through http_redact().
 */
#ifndef OBSM_NET_ENGINE_H
#define OBSM_NET_ENGINE_H

#include "net/http.h"

struct engine;
struct log;

struct engine_config {
    unsigned threads;    /* 0: 2 */
    unsigned parallel;   /* bulk transfers under way, in each direction; 0: 8 */
    unsigned max_meta;   /* small requests under way, urgent and others each; 0: 64 */
    const char *ca_file; /* PEM; NULL: the system's */
    int64_t connect_ms;  /* 0: 10 s */
    int64_t stall_ms;    /* 0: 30 s */
    int64_t give_up_ms;  /* 0: 10 minutes */
    int64_t backoff_ms;  /* 0: the table's pauses (net/error.h); else no pause is longer */
    struct log *log;     /* may be NULL; outlives the engine */
    bool trace;          /* log every header line (redacted) */
};

/* Starts the threads. Strings are copied. -ENOMEM, -EAGAIN (threads), -EIO (libcurl). */
int engine_new(const struct engine_config *config, struct engine **ret_engine, struct err *err);

/* Ends all work: new calls are answered with -ECANCELED, those under way may finish for up to
 * drain_ms, then they are cancelled as well. Returns when every `done` has returned. Any thread but
 * an engine thread. */
void engine_stop(struct engine *engine, int64_t drain_ms);

/* engine_stop(engine, 0) if it was not stopped, then joins the threads. NULL is allowed. */
void engine_free(struct engine *engine);

/* Never blocks, never calls back from within. */
void engine_submit(struct engine *engine, struct http_call *call);

/* Ends a submitted call whose `done` has not begun: it comes soon with -ECANCELED, unless the
 * answer was faster. The caller makes sure that the call still exists. */
void engine_cancel(struct engine *engine, struct http_call *call);

struct engine_stats {
    uint64_t calls, attempts, retries;
    uint64_t bytes_sent, bytes_received; /* bodies */
    uint64_t connects;                   /* new connections */
    unsigned running[HTTP_LANES];        /* hold a slot now */
    unsigned waiting[HTTP_LANES];        /* for a slot */
};
void engine_stats(struct engine *engine, struct engine_stats *ret_stats);

#endif
