// SPDX-License-Identifier: Apache-2.0
// GETs of the read cache: sending, filling, ending, reading ahead; see fetch_int.h.
#include "fs/fetch_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "net/base/clock.h"
#include "net/base/log.h"

enum { HTTP_NOT_FOUND = 404, HTTP_PRECONDITION_FAILED = 412 };

/* A read that somebody waits for does not stand behind GETs ahead: where those fill all slots, it
 * goes as urgent. So many at a time, for metadata requests use the same slots. */
enum { URGENT_MAX = 16 };

void fetch_todo_init(struct fetch_todo *todo)
{
    todo->send = NULL;
    todo->send_end = &todo->send;
    fetch_link_init(&todo->done);
    todo->drain = false;
}

static void get_free_locked(struct fetch_get *g)
{
    struct fetch *f = g->fetch;

    fetch_name_unref_locked(g->name);
    free(g);
    if (--f->gets_alive == 0)
        pthread_cond_broadcast(&f->quiet);
}

static void send_all(struct fetch *f, struct fetch_todo *todo)
{
    const struct fetch_source *source = &f->config.source;

    for (struct fetch_get *g = todo->send; g; g = g->next)
        source->submit(source->arg, &g->call);

    lock_take(&f->lock);
    struct fetch_get *next;
    for (struct fetch_get *g = todo->send; g; g = next) {
        next = g->next;
        g->sent = true;
        if (g->ended)
            get_free_locked(g);
        else if (g->cancel)
            source->cancel(source->arg, &g->call);
    }
    lock_drop(&f->lock);
}

static void answer(struct fetch_read *r)
{
    r->done(r, r->arg);
}

/* One thread at a time, in a loop: an answer gives room back, which may end the next read in the
 * queue, and so on; done by calls within calls this could go as deep as the queue is long. */
static void drain(struct fetch *f)
{
    lock_take(&f->lock);
    if (f->draining) {
        lock_drop(&f->lock);
        return;
    }
    f->draining = true;
    while (!fetch_link_empty(&f->ready)) {
        struct fetch_read *r = FETCH_OF(f->ready.next, struct fetch_read, link);
        fetch_link_remove(&r->link);
        lock_drop(&f->lock);
        answer(r);
        lock_take(&f->lock);
    }
    f->draining = false;
    pthread_cond_broadcast(&f->quiet);
    lock_drop(&f->lock);
}

void fetch_todo_run(struct fetch *f, struct fetch_todo *todo)
{
    bool again = todo->drain;

    if (todo->send)
        send_all(f, todo);
    while (!fetch_link_empty(&todo->done)) {
        struct fetch_read *r = FETCH_OF(todo->done.next, struct fetch_read, link);
        fetch_link_remove(&r->link);
        answer(r);
    }
    if (again)
        drain(f);
}

/* Bytes of a GET, on an engine thread. Nobody else writes `filled` or the bytes above it. A
 * repeated attempt begins anew: what is already there may be in use and is left alone. */
static int get_sink(void *arg, uint64_t off, const void *p, size_t n)
{
    struct fetch_get *g = arg;
    struct fetch_segment *s = g->segment;
    struct fetch *f = g->fetch;
    struct fetch_todo todo;

    if (off < s->off || off - s->off > s->filled || n > s->len - (off - s->off))
        return -EIO;
    size_t at = (size_t)(off - s->off);
    size_t known = s->filled - at < n ? s->filled - at : n;
    memcpy(s->p + at + known, (const char *)p + known, n - known);

    fetch_todo_init(&todo);
    lock_take(&f->lock);
    s->filled += n - known;
    f->stats.bytes_fetched += n;
    bool orphan = !s->file;
    fetch_wake_locked(s, &todo);
    lock_drop(&f->lock);
    fetch_todo_run(f, &todo);
    return orphan ? -ECANCELED : 0;
}

/* Is the answer the whole range of the right version? */
static int verdict(const struct fetch_get *g, struct err *err)
{
    const struct obs_call *call = &g->call;
    const struct fetch_segment *s = g->segment;

    *err = call->err;
    if (call->status == HTTP_NOT_FOUND || call->status == HTTP_PRECONDITION_FAILED)
        return err->eno = -ESTALE;
    if (err->eno < 0)
        return err->eno;
    if (s->file && call->object.size && call->object.size != s->file->size)
        return err_set(err, -ESTALE, "the object's size has changed");
    if (s->filled < s->len)
        return err_set(err, -EIO, "the answer is %zu bytes short", s->len - s->filled);
    return 0;
}

static void get_done(struct obs_call *call);

int fetch_get_start_locked(struct fetch_segment *s, bool ahead, struct fetch_todo *todo)
{
    struct fetch *f = s->fetch;
    struct fetch_get *g = calloc(1, sizeof(*g));

    ASSERT_HELD(&f->lock);
    if (!g)
        return -ENOMEM;
    g->fetch = f;
    g->segment = s;
    g->ahead = ahead;
    g->name = s->file->name;
    g->name->refs++;
    g->call = (struct obs_call){
        .op = OBS_GET,
        .key = g->name->key,
        .read_key = g->name->read_key_known ? g->name->read_key : NULL,
        .if_match = g->name->etag[0] ? g->name->etag : NULL,
        .offset = s->off,
        .length = s->len,
        .sink = get_sink,
        .sink_arg = g,
        .urgent = !ahead && f->under_way >= f->config.parallel && f->urgent < URGENT_MAX,
        .give_up_ms = f->config.give_up_ms,
        .done = get_done,
        .arg = g,
    };
    s->get = g;
    f->gets_alive++;
    f->under_way++;
    f->urgent += g->call.urgent;
    f->stats.gets++;
    f->stats.gets_ahead += ahead;
    if (ahead)
        f->ahead_bytes += s->capacity;
    *todo->send_end = g;
    todo->send_end = &g->next;
    return 0;
}

void fetch_get_cancel_locked(struct fetch_segment *s)
{
    struct fetch_get *g = s->get;

    if (!g || g->cancel)
        return;
    g->cancel = true;
    if (g->sent)
        g->fetch->config.source.cancel(g->fetch->config.source.arg, &g->call);
}

static void failed_locked(struct fetch_segment *s, const struct err *err, struct fetch_todo *todo)
{
    if (s->file)
        log_err(s->fetch->config.log, LOG_LEVEL_DEBUG, "fetch", err,
                "read '%s' (offset=%llu length=%zu)", s->file->name->key,
                (unsigned long long)s->off, s->len);
    s->pins++; /* stays until its readers have let go */
    fetch_fail_locked(s, err, todo);
    if (s->file)
        fetch_segment_drop_locked(s);
    fetch_segment_unpin_locked(s);
}

static void get_done(struct obs_call *call)
{
    struct fetch_get *g = call->arg;
    struct fetch_segment *s = g->segment;
    struct fetch *f = g->fetch;
    struct fetch_todo todo;
    struct err err;

    fetch_todo_init(&todo);
    lock_take(&f->lock);
    int rc = verdict(g, &err);
    g->ended = true;
    f->under_way--;
    f->urgent -= call->urgent;
    if (f->config.source.clear)
        f->config.source.clear(f->config.source.arg, call);
    if (g->ahead)
        f->ahead_bytes -= s->capacity;
    s->get = NULL;

    struct fetch_file *file = s->file;
    bool renamed = rc == -ESTALE && file && file->name != g->name;
    if (renamed && fetch_get_start_locked(s, g->ahead, &todo) == 0)
        rc = 0;
    else if (rc < 0)
        failed_locked(s, &err, &todo);
    else if (s->pins == 0)
        fetch_segment_rest_locked(s);

    fetch_queue_locked(f, &todo);
    if (file)
        for (struct fetch_link *l = file->streams.next; l != &file->streams; l = l->next)
            fetch_ahead_locked(FETCH_OF(l, struct fetch_stream, in_file), &todo);
    if (g->sent)
        get_free_locked(g);
    lock_drop(&f->lock);
    fetch_todo_run(f, &todo);
}

/* Cuts [off, off + n) down to its first part that no segment covers. False: all is covered. */
static bool first_hole_locked(const struct fetch_file *file, uint64_t *off, uint64_t *n)
{
    uint64_t at = *off, end = *off + *n;

    for (size_t i = fetch_find_locked(file, at); i < file->n_segments; i++) {
        const struct fetch_segment *s = file->segments[i];
        if (s->off > at) {
            end = s->off < end ? s->off : end;
            break;
        }
        at = s->off + s->len;
    }
    if (at >= end)
        return false;
    *off = at;
    *n = end - at;
    return true;
}

void fetch_ahead_locked(struct fetch_stream *stream, struct fetch_todo *todo)
{
    struct fetch_file *file = stream->file;
    struct fetch *f = file->fetch;
    struct window_limits limits;
    uint64_t off, n;

    if (stream->closed || f->under_way >= f->config.parallel || !fetch_link_empty(&f->queue))
        return;
    fetch_limits_locked(stream, &limits);
    while (f->under_way < f->config.parallel && window_next(&stream->window, &limits, &off, &n)) {
        uint64_t end = off + n;
        if (!first_hole_locked(file, &off, &n)) {
            window_reached(&stream->window, end);
            continue;
        }
        struct fetch_segment *s;
        if (f->ahead_bytes + fetch_pool_capacity(n) > fetch_ahead_max(f) ||
            fetch_segment_new_locked(file, off, n, true, &s) < 0)
            return;
        s->in_order = true;
        if (fetch_get_start_locked(s, true, todo) < 0) {
            fetch_segment_drop_locked(s);
            return;
        }
        window_reached(&stream->window, off + n);
    }
}
