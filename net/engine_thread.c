// SPDX-License-Identifier: Apache-2.0
// The loop of one engine thread; see engine.h for the states of a call.
#include <errno.h>
#include <stdint.h>

#include "net/base/clock.h"
#include "net/base/log.h"
#include "net/engine_impl.h"
#include "net/error.h"

enum {
    POLL_MAX_MS = 60 * 1000,
    NOT_READY_MS = 50, /* until prepare is asked again */
};

/* xorshift64*: spreads repetitions, nothing depends on its quality */
static uint64_t next_random(struct engine_thread *thread)
{
    uint64_t x = thread->random;
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    thread->random = x;
    return x * 0x2545F4914F6CDD1Dull;
}

/* The call (in no list) is decided; its slot goes to the next. */
static void finish(struct engine_thread *thread, struct http_call *call)
{
    engine_slot_release(thread->engine, call, thread);
    list_push(&thread->finished, call);
}

static void finish_mine(struct engine_thread *thread, struct http_call *call)
{
    list_remove(&thread->mine, call);
    finish(thread, call);
}

static void cancel(struct engine_thread *thread, struct http_call *call)
{
    if (call->priv.attempt)
        attempt_drop(thread, call);
    struct err wire = call->err;
    if (wire.eno)
        call->wire = wire;
    err_set(&call->err, -ECANCELED, "the request was cancelled");
    finish_mine(thread, call);
}

/* ms until the next attempt; 0: at once; -1: the failure stands. */
static int64_t pause_before_next(struct engine_thread *thread, struct http_call *call, int64_t now)
{
    switch (call->err.cls) {
    case ERR_REDIRECT:
        return ++call->priv.redirects <= HTTP_REDIRECTS_MAX ? 0 : -1;
    case ERR_REAUTH:
        return ++call->priv.reauths <= 1 ? 0 : -1;
    case ERR_CLOCK_SKEW:
        return ++call->priv.skews <= 1 ? 0 : -1;
    case ERR_REKEY:
        return 0; /* whoever set it has another key: they come to an end */
    default:
        break;
    }
    if (!error_may_repeat(call->err.cls))
        return -1;

    int64_t ms = error_backoff_ms(++call->priv.repeats, call->err.cls, next_random(thread),
                                  call->retry_after_ms);
    if (thread->engine->backoff_ms > 0 && ms > thread->engine->backoff_ms)
        ms = thread->engine->backoff_ms;
    call->retry_after_ms = 0;
    return now + ms < call->priv.give_up_at ? ms : -1;
}

static void pause_call(struct engine_thread *thread, struct http_call *call, int64_t ms)
{
    call->priv.wake_ms = clock_ms() + ms;
    call->priv.immediate = ms == 0;
    if (ms)
        engine_slot_release(thread->engine, call, thread);
}

/* An attempt has failed or succeeded: call->err. */
static void judge(struct engine_thread *thread, struct http_call *call)
{
    struct engine *engine = thread->engine;
    if (call->err.eno == 0) {
        finish_mine(thread, call);
        return;
    }
    if (atomic_load(&call->priv.cancelled)) {
        cancel(thread, call);
        return;
    }

    call->wire = call->err;
    int64_t ms = pause_before_next(thread, call, clock_ms());
    if (ms < 0) {
        finish_mine(thread, call);
        return;
    }
    atomic_fetch_add(&engine->retries, 1);
    if (log_on(engine->log, LOG_LEVEL_DEBUG))
        log_err(engine->log, LOG_LEVEL_DEBUG, "net", &call->err,
                "%s: attempt %u failed, retrying in %lld ms", call->label, call->attempts,
                (long long)ms);
    pause_call(thread, call, ms);
}

/* The call is in `mine` and has a slot. */
static void start(struct engine_thread *thread, struct http_call *call)
{
    if (atomic_load(&call->priv.cancelled)) {
        cancel(thread, call);
        return;
    }
    int64_t now = clock_ms();
    if (!call->priv.started) {
        int64_t give_up = call->give_up_ms > 0 ? call->give_up_ms : thread->engine->give_up_ms;
        int64_t delay = call->delay_ms > 0 ? call->delay_ms : 0;
        call->priv.started = true;
        call->priv.give_up_at = now + delay + give_up;
        if (delay) {
            pause_call(thread, call, delay);
            return;
        }
    }

    int rc = attempt_start(thread, call);
    if (rc == -EAGAIN && now + NOT_READY_MS < call->priv.give_up_at) {
        pause_call(thread, call, NOT_READY_MS);
    } else if (rc == -EAGAIN) {
        if (!call->err.eno)
            err_set(&call->err, -EACCES, "no credentials have come in time");
        finish_mine(thread, call);
    } else if (rc < 0) {
        finish_mine(thread, call);
    }
}

/* Starts what others have put into the inbox. Returns true if the thread is to end. */
static bool take_inbox(struct engine_thread *thread, bool *ret_scan, bool *ret_all)
{
    struct engine *engine = thread->engine;
    struct call_list fresh;

    thread->fresh = false;
    lock_take(&engine->lock);
    fresh = thread->inbox;
    thread->inbox = (struct call_list){0};
    *ret_scan = thread->scan;
    thread->scan = false;
    *ret_all = engine->cancel_all;
    bool quit = engine->quit;
    lock_drop(&engine->lock);

    struct http_call *call;
    while ((call = fresh.first)) {
        list_remove(&fresh, call);
        list_push(&thread->mine, call);
        start(thread, call);
    }
    return quit;
}

static void cancel_marked(struct engine_thread *thread, bool all)
{
    struct http_call *next;
    for (struct http_call *call = thread->mine.first; call; call = next) {
        next = call->priv.next;
        if (all || atomic_load(&call->priv.cancelled))
            cancel(thread, call);
    }
}

static void run_timers(struct engine_thread *thread)
{
    int64_t now = clock_ms();
    struct http_call *next;
    for (struct http_call *call = thread->mine.first; call; call = next) {
        next = call->priv.next;
        if (call->priv.wake_ms > now)
            continue;
        if (!call->priv.attempt) {
            if (engine_slot_retake(thread->engine, call, thread))
                start(thread, call);
        } else if (attempt_overdue(call, thread->engine, now, &call->priv.wake_ms)) {
            attempt_drop(thread, call);
            /* That time is up says less than why it was needed. */
            if (now >= call->priv.give_up_at && call->wire.eno)
                call->err = call->wire;
            judge(thread, call);
        }
    }
}

static void run_transfers(struct engine_thread *thread)
{
    int running;
    int left;
    CURLMsg *msg;

    curl_multi_perform(thread->multi, &running);
    while ((msg = curl_multi_info_read(thread->multi, &left))) {
        if (msg->msg != CURLMSG_DONE)
            continue;
        struct attempt *attempt = NULL;
        CURLcode rc = msg->data.result;
        curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, (char **)&attempt);
        struct http_call *call = attempt->call;
        attempt_finish(thread, call, rc);
        judge(thread, call);
    }
}

static bool advance(struct engine_thread *thread)
{
    bool scan;
    bool all;
    bool quit = take_inbox(thread, &scan, &all);
    if (scan || all)
        cancel_marked(thread, all);
    run_timers(thread);
    run_transfers(thread);
    return quit;
}

static void deliver(struct engine_thread *thread)
{
    struct http_call *call;
    size_t n = 0;

    while ((call = thread->finished.first)) {
        list_remove(&thread->finished, call);
        call->done(call); /* may free the call */
        n++;
    }
    if (n)
        engine_answered(thread->engine, n);
}

static int poll_ms(const struct engine_thread *thread)
{
    int64_t now = clock_ms();
    int64_t ms = thread->fresh ? 0 : POLL_MAX_MS;
    for (struct http_call *call = thread->mine.first; call; call = call->priv.next) {
        int64_t left = call->priv.wake_ms - now;
        if (left < ms)
            ms = left > 0 ? left : 0;
    }
    return (int)ms;
}

void *engine_thread_main(void *arg)
{
    struct engine_thread *thread = arg;
    for (;;) {
        bool quit = advance(thread);
        /* What was given the slots that are free now is on its way before done() is called, which
         * may write to a disk. */
        if (thread->finished.n)
            quit = advance(thread);
        deliver(thread);
        if (quit && !thread->mine.n)
            return NULL;
        curl_multi_poll(thread->multi, NULL, 0, poll_ms(thread), NULL);
    }
}
