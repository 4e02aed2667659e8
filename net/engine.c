// SPDX-License-Identifier: Apache-2.0
// Life of the engine, submission and waiting lines; see engine.h.
#include "net/engine.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "net/base/clock.h"
#include "net/engine_impl.h"

enum {
    THREADS_DEFAULT = 2,
    THREADS_MAX = 64,
    PARALLEL_DEFAULT = 8,
    PARALLEL_MAX = 10000,
    META_DEFAULT = 64,
    CONNECT_MS = 10 * 1000,
    STALL_MS = 30 * 1000,
    GIVE_UP_MS = 10 * 60 * 1000,
};

void list_push(struct call_list *list, struct http_call *call)
{
    call->priv.prev = list->last;
    call->priv.next = NULL;
    *(list->last ? &list->last->priv.next : &list->first) = call;
    list->last = call;
    list->n++;
}

void list_push_front(struct call_list *list, struct http_call *call)
{
    call->priv.prev = NULL;
    call->priv.next = list->first;
    *(list->first ? &list->first->priv.prev : &list->last) = call;
    list->first = call;
    list->n++;
}

void list_remove(struct call_list *list, struct http_call *call)
{
    *(call->priv.prev ? &call->priv.prev->priv.next : &list->first) = call->priv.next;
    *(call->priv.next ? &call->priv.next->priv.prev : &list->last) = call->priv.prev;
    call->priv.prev = call->priv.next = NULL;
    list->n--;
}

/* The thread with the least to do; the first of equals, so that single requests meet a connection
 * that is still open. */
static struct engine_thread *least_loaded(struct engine *engine)
{
    struct engine_thread *best = &engine->threads[0];
    for (unsigned i = 1; i < engine->n_threads; i++) {
        if (engine->threads[i].load < best->load)
            best = &engine->threads[i];
    }
    return best;
}

static void slot_take_locked(struct engine *engine, struct http_call *call,
                             struct engine_thread *thread)
{
    ASSERT_HELD(&engine->lock);
    call->priv.thread = thread;
    call->priv.has_slot = true;
    thread->load++;
    engine->running[call->lane]++;
}

/* Into the inbox of a thread, with a slot; or without one, only to be answered. */
static void hand_over_locked(struct engine *engine, struct http_call *call,
                             struct engine_thread *thread, bool slot)
{
    if (slot)
        slot_take_locked(engine, call, thread);
    call->priv.thread = thread;
    list_push(&thread->inbox, call);
}

void engine_submit(struct engine *engine, struct http_call *call)
{
    struct engine_thread *wake = NULL;

    lock_take(&engine->lock);
    engine->outstanding++;
    if (engine->stopping) {
        atomic_store(&call->priv.cancelled, true);
        wake = &engine->threads[0];
        hand_over_locked(engine, call, wake, false);
    } else if (engine->running[call->lane] < engine->limit[call->lane]) {
        wake = least_loaded(engine);
        hand_over_locked(engine, call, wake, true);
    } else {
        list_push(&engine->waiting[call->lane], call);
    }
    lock_drop(&engine->lock);

    atomic_fetch_add(&engine->calls, 1);
    if (wake)
        curl_multi_wakeup(wake->multi);
}

void engine_cancel(struct engine *engine, struct http_call *call)
{
    lock_take(&engine->lock);
    atomic_store(&call->priv.cancelled, true);
    struct engine_thread *thread = call->priv.thread;
    if (!thread) {
        thread = &engine->threads[0];
        list_remove(&engine->waiting[call->lane], call);
        hand_over_locked(engine, call, thread, false);
    }
    thread->scan = true;
    lock_drop(&engine->lock);
    curl_multi_wakeup(thread->multi);
}

void engine_slot_release(struct engine *engine, struct http_call *call,
                         struct engine_thread *thread)
{
    lock_take(&engine->lock);
    if (call->priv.has_slot) {
        call->priv.has_slot = false;
        thread->load--;
        engine->running[call->lane]--;
        struct http_call *next = engine->waiting[call->lane].first;
        if (next && engine->running[call->lane] < engine->limit[call->lane]) {
            list_remove(&engine->waiting[call->lane], next);
            hand_over_locked(engine, next, thread, true);
            thread->fresh = true;
        }
    }
    lock_drop(&engine->lock);
}

bool engine_slot_retake(struct engine *engine, struct http_call *call, struct engine_thread *thread)
{
    lock_take(&engine->lock);
    bool got = call->priv.has_slot;
    if (!got && engine->running[call->lane] < engine->limit[call->lane]) {
        slot_take_locked(engine, call, thread);
        got = true;
    } else if (!got) {
        list_remove(&thread->mine, call);
        call->priv.thread = NULL;
        list_push_front(&engine->waiting[call->lane], call);
    }
    lock_drop(&engine->lock);
    return got;
}

void engine_answered(struct engine *engine, size_t n)
{
    lock_take(&engine->lock);
    engine->outstanding -= n;
    if (engine->outstanding == 0)
        pthread_cond_broadcast(&engine->idle);
    lock_drop(&engine->lock);
}

static void wake_all(struct engine *engine)
{
    for (unsigned i = 0; i < engine->n_threads; i++)
        curl_multi_wakeup(engine->threads[i].multi);
}

static void cancel_everything_locked(struct engine *engine)
{
    ASSERT_HELD(&engine->lock);
    engine->cancel_all = true;
    for (int lane = 0; lane < HTTP_LANES; lane++) {
        struct http_call *call;
        while ((call = engine->waiting[lane].first)) {
            list_remove(&engine->waiting[lane], call);
            atomic_store(&call->priv.cancelled, true);
            hand_over_locked(engine, call, &engine->threads[0], false);
        }
    }
}

void engine_stop(struct engine *engine, int64_t drain_ms)
{
    struct timespec deadline = clock_deadline(clock_ms() + drain_ms);

    lock_take(&engine->lock);
    engine->stopping = true;
    while (drain_ms > 0 && engine->outstanding &&
           lock_wait(&engine->lock, &engine->idle, &deadline) == 0)
        ;
    cancel_everything_locked(engine);
    lock_drop(&engine->lock);
    wake_all(engine);

    lock_take(&engine->lock);
    while (engine->outstanding)
        lock_wait(&engine->lock, &engine->idle, NULL);
    lock_drop(&engine->lock);
}

static void thread_done(struct engine_thread *thread)
{
    while (thread->n_pool)
        attempt_free(thread->pool[--thread->n_pool]);
    if (thread->multi)
        curl_multi_cleanup(thread->multi);
}

/* The first n threads run. */
static void destroy(struct engine *engine, unsigned n)
{
    lock_take(&engine->lock);
    engine->quit = true;
    lock_drop(&engine->lock);
    wake_all(engine);
    for (unsigned i = 0; i < n; i++)
        pthread_join(engine->threads[i].id, NULL);
    for (unsigned i = 0; i < engine->n_threads; i++)
        thread_done(&engine->threads[i]);
    pthread_cond_destroy(&engine->idle);
    lock_done(&engine->lock);
    free(engine->threads);
    free(engine->ca_file);
    free(engine);
    curl_global_cleanup();
}

void engine_free(struct engine *engine)
{
    if (!engine)
        return;
    engine_stop(engine, 0);
    destroy(engine, engine->n_threads);
}

static unsigned or_default(unsigned value, unsigned standard, unsigned max)
{
    if (value == 0)
        return standard;
    return value < max ? value : max;
}

static int64_t ms_or_default(int64_t value, int64_t standard)
{
    return value > 0 ? value : standard;
}

static void set_limits(struct engine *engine, const struct engine_config *config)
{
    unsigned parallel = or_default(config->parallel, PARALLEL_DEFAULT, PARALLEL_MAX);
    unsigned meta = or_default(config->max_meta, META_DEFAULT, PARALLEL_MAX);
    engine->limit[HTTP_URGENT] = meta;
    engine->limit[HTTP_META] = meta;
    engine->limit[HTTP_READ] = parallel;
    engine->limit[HTTP_WRITE] = parallel;
    engine->connect_ms = ms_or_default(config->connect_ms, CONNECT_MS);
    engine->stall_ms = ms_or_default(config->stall_ms, STALL_MS);
    engine->give_up_ms = ms_or_default(config->give_up_ms, GIVE_UP_MS);
    engine->backoff_ms = config->backoff_ms;
    engine->trace = config->trace;
    engine->log = config->log;
}

static int make_multis(struct engine *engine)
{
    long most = 2L * engine->limit[HTTP_READ] + 2L * engine->limit[HTTP_META];
    for (unsigned i = 0; i < engine->n_threads; i++) {
        struct engine_thread *thread = &engine->threads[i];
        thread->engine = engine;
        thread->random = (uint64_t)clock_ns() * 2 + i * 7919 + 1;
        thread->multi = curl_multi_init();
        if (!thread->multi)
            return -ENOMEM;
        curl_multi_setopt(thread->multi, CURLMOPT_PIPELINING, (long)CURLPIPE_NOTHING);
        curl_multi_setopt(thread->multi, CURLMOPT_MAXCONNECTS, most);
    }
    return 0;
}

/* Signals are for the threads that wait for them, never for these. */
static int start_threads(struct engine *engine, unsigned *ret_started)
{
    sigset_t all;
    sigset_t before;
    int rc = 0;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (rc == 0 && *ret_started < engine->n_threads) {
        struct engine_thread *thread = &engine->threads[*ret_started];
        rc = -pthread_create(&thread->id, NULL, engine_thread_main, thread);
        *ret_started += rc == 0;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return rc;
}

int engine_new(const struct engine_config *config, struct engine **ret_engine, struct err *err)
{
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return err_set(err, -EIO, "libcurl cannot be initialised");
    struct engine *engine = calloc(1, sizeof(*engine));
    if (!engine) {
        curl_global_cleanup();
        return err_set(err, -ENOMEM, "out of memory");
    }

    lock_init(&engine->lock);
    lock_cond_init(&engine->idle);
    set_limits(engine, config);
    unsigned n = or_default(config->threads, THREADS_DEFAULT, THREADS_MAX);
    unsigned started = 0;
    int rc = -ENOMEM;
    engine->threads = calloc(n, sizeof(*engine->threads));
    if (engine->threads)
        engine->n_threads = n;
    if (config->ca_file)
        engine->ca_file = strdup(config->ca_file);
    if (!engine->threads || (config->ca_file && !engine->ca_file))
        goto fail;
    rc = make_multis(engine);
    if (rc < 0)
        goto fail;
    rc = start_threads(engine, &started);
    if (rc < 0)
        goto fail;
    *ret_engine = engine;
    return 0;

fail:
    destroy(engine, started);
    return err_set(err, rc, "the transfer engine cannot start");
}

void engine_stats(struct engine *engine, struct engine_stats *ret_stats)
{
    *ret_stats = (struct engine_stats){
        .calls = atomic_load(&engine->calls),
        .attempts = atomic_load(&engine->attempts),
        .retries = atomic_load(&engine->retries),
        .bytes_sent = atomic_load(&engine->bytes_sent),
        .bytes_received = atomic_load(&engine->bytes_received),
        .connects = atomic_load(&engine->connects),
    };
    lock_take(&engine->lock);
    for (int lane = 0; lane < HTTP_LANES; lane++) {
        ret_stats->running[lane] = engine->running[lane];
        ret_stats->waiting[lane] = engine->waiting[lane].n;
    }
    lock_drop(&engine->lock);
}
