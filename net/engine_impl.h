// SPDX-License-Identifier: Apache-2.0
/* engine_impl - what the files of the engine share; nobody else includes it
 *
 *   engine.c         life, submission, waiting lines (any thread, under the lock)
 *   engine_thread.c  the loop of one thread: inbox, timers, cancellation, repetitions
 *   engine_curl.c    one attempt on an easy handle; the only users of <curl/curl.h> are these three
 */
#ifndef OBSM_ENGINE_IMPL_H
#define OBSM_ENGINE_IMPL_H

#include <curl/curl.h>

#include "net/base/lock.h"
#include "net/engine.h"

enum { POOL_MAX = 32 }; /* idle easy handles that a thread keeps */

struct call_list {
    struct http_call *first, *last;
    unsigned n;
};

void list_push(struct call_list *list, struct http_call *call);
void list_push_front(struct call_list *list, struct http_call *call);
void list_remove(struct call_list *list, struct http_call *call);

/* One attempt: an easy handle and what its callbacks need. Pooled by the thread. */
struct attempt {
    CURL *easy;
    const struct engine *engine;
    struct curl_slist *headers;
    struct http_call *call;
    struct http_request request;
    char errbuf[CURL_ERROR_SIZE];
    uint64_t body_pos;
    bool complete_head; /* the final status and its fields are known */
    bool to_sink;
    int local_eno; /* why a callback of ours ended it; 0: none did */
    struct err local_err;
    int64_t start_ms;
    int64_t end_ms;   /* hard end, INT64_MAX: none */
    int64_t check_ms; /* when the stall window began */
    uint64_t checked; /* bytes moved until then */
};

struct engine_thread {
    struct engine *engine;
    pthread_t id;
    CURLM *multi;
    /* below: under engine lock */
    struct call_list inbox;
    unsigned load; /* calls with a slot on this thread */
    bool scan;     /* somebody cancelled one of mine */
    /* below: this thread only */
    struct call_list mine;     /* running or paused */
    struct call_list finished; /* done() still to be called */
    bool fresh;                /* it has put something into its own inbox */
    struct attempt *pool[POOL_MAX];
    unsigned n_pool;
    uint64_t random;
};

struct engine {
    /* constant after engine_new() */
    struct log *log;
    char *ca_file;
    int64_t connect_ms, stall_ms, give_up_ms, backoff_ms;
    bool trace;
    unsigned limit[HTTP_LANES];
    unsigned n_threads;
    struct engine_thread *threads;
    /* atomic */
    atomic_uint_fast64_t calls, attempts, retries, bytes_sent, bytes_received, connects;
    /* below: under lock */
    struct lock lock;
    pthread_cond_t idle; /* outstanding reached 0 */
    struct call_list waiting[HTTP_LANES];
    unsigned running[HTTP_LANES];
    size_t outstanding; /* submitted, done() not returned */
    bool stopping;      /* no new calls */
    bool cancel_all;    /* those under way end too */
    bool quit;          /* threads return */
};

/* --- engine.c --- */

/* Takes the call out of its lane's count and starts the next one that waits there, on `thread` if
 * it is the one that asks. */
void engine_slot_release(struct engine *engine, struct http_call *call,
                         struct engine_thread *thread);
/* After a pause: true if the call has a slot on `thread` again, else it stands first in its line
 * and belongs to nobody. */
bool engine_slot_retake(struct engine *engine, struct http_call *call,
                        struct engine_thread *thread);
/* done() of n calls has returned. */
void engine_answered(struct engine *engine, size_t n);

/* --- engine_thread.c --- */
void *engine_thread_main(void *arg);

/* --- engine_curl.c --- */

/* Prepares and starts an attempt. 0; -EAGAIN: prepare asks for time; else call->err is set. */
int attempt_start(struct engine_thread *thread, struct http_call *call);
/* The transfer has ended with `rc`: fills call->err (by evaluate() if an answer came), counts, logs
 * and gives the handle back. */
void attempt_finish(struct engine_thread *thread, struct http_call *call, CURLcode rc);
/* Ends a running attempt without a verdict. */
void attempt_drop(struct engine_thread *thread, struct http_call *call);
/* True if the attempt has stalled or is past its end; call->err is then set. Otherwise *ret_next
 * says when to look again. */
bool attempt_overdue(struct http_call *call, const struct engine *engine, int64_t now,
                     int64_t *ret_next);
void attempt_free(struct attempt *attempt);

#endif
