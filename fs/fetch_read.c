// SPDX-License-Identifier: Apache-2.0
// Reads of the read cache: plan, wait, answer, cancel; see fetch_int.h.
#include "fs/fetch_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "net/base/clock.h"

enum read_state {
    READ_NEW,
    READ_STOPPED, /* cancelled before it was started */
    READ_QUEUED,  /* waits for room; no pins */
    READ_WAITING, /* waits for bytes of its pins */
    READ_ENDED,
    READ_RELEASED, /* holds nothing */
};

/* Cached pieces up to this size that lie between two gaps are fetched again with the gaps: one
 * request instead of many. */
enum { GLUE_MAX = 64 << 10 };

void fetch_read_init(struct fetch_read *read, struct fetch_file *file, struct fetch_stream *stream,
                     uint64_t off, size_t n, fetch_done_fn *done, void *arg)
{
    memset(read, 0, sizeof(*read));
    read->file = file;
    read->stream = stream;
    read->off = off;
    read->asked = n;
    read->done = done;
    read->arg = arg;
    read->state = READ_NEW;
    read->pins = read->pins_own;
    read->iov = read->iov_own;
    fetch_link_init(&read->link);

    lock_take(&file->fetch->lock);
    file->refs++;
    if (stream)
        stream->refs++;
    lock_drop(&file->fetch->lock);
}

static void unpin_all_locked(struct fetch_read *r)
{
    for (unsigned i = 0; i < r->n_pins; i++) {
        struct fetch_pin *pin = &r->pins[i];
        if (pin->waiting)
            fetch_link_remove(&pin->link);
        fetch_segment_unpin_locked(pin->segment);
    }
    r->n_pins = 0;
    r->n_waiting = 0;
}

static void pins_free(struct fetch_read *r)
{
    if (r->pins != r->pins_own)
        free(r->pins);
    if (r->iov != r->iov_own)
        free(r->iov);
    r->pins = r->pins_own;
    r->iov = r->iov_own;
    r->n_iov = 0;
}

static int pins_reserve(struct fetch_read *r, unsigned n)
{
    pins_free(r);
    if (n <= FETCH_PINS)
        return 0;
    struct fetch_pin *pins = calloc(n, sizeof(*pins));
    struct iovec *iov = calloc(n, sizeof(*iov));
    if (!pins || !iov) {
        free(pins);
        free(iov);
        return -ENOMEM;
    }
    r->pins = pins;
    r->iov = iov;
    return 0;
}

/* Counts the segments that the range touches and the gaps between them. */
static void survey_locked(const struct fetch_file *file, uint64_t off, uint64_t end,
                          unsigned *ret_segments, unsigned *ret_gaps)
{
    unsigned segments = 0, gaps = 0;
    size_t i = fetch_find_locked(file, off);

    for (; off < end && i < file->n_segments && file->segments[i]->off < end; i++) {
        const struct fetch_segment *s = file->segments[i];
        segments++;
        gaps += s->off > off;
        off = s->off + s->len;
    }
    *ret_segments = segments;
    *ret_gaps = gaps + (off < end);
}

static uint64_t page_down(uint64_t off)
{
    return off - off % FETCH_PAGE;
}

/* A new segment for the gap [at, to) before segment i; longer if the stream reads in order and the
 * gap is at the end of the read. */
static int gap_locked(struct fetch_read *r, uint64_t at, uint64_t to, size_t i, bool queued,
                      struct fetch_segment **ret_segment)
{
    struct fetch_file *file = r->file;
    uint64_t limit = i < file->n_segments ? file->segments[i]->off : file->size;
    uint64_t from = page_down(at);
    uint64_t until = page_down(to + FETCH_PAGE - 1);

    if (i > 0) {
        const struct fetch_segment *before = file->segments[i - 1];
        from = before->off + before->len > from ? before->off + before->len : from;
    }
    until = until < limit ? until : limit;

    if (r->stream && !queued && to == r->off + r->n) {
        struct window *w = &r->stream->window;
        struct window_limits limits;
        fetch_limits_locked(r->stream, &limits);
        uint64_t more = at + window_demand(w, &limits, at, to - at);
        more = more < limit ? more : limit;
        if (more > until &&
            fetch_segment_new_locked(file, from, more - from, true, ret_segment) == 0) {
            (*ret_segment)->in_order = true;
            window_reached(w, more);
            return 0;
        }
    }
    return fetch_segment_new_locked(file, from, until - from, false, ret_segment);
}

/* Pins a segment for every byte of the read, new ones for the gaps. On failure the pins made so far
 * stand in r. */
static int cover_locked(struct fetch_read *r, unsigned room, bool queued)
{
    struct fetch_file *file = r->file;
    uint64_t end = r->off + r->n;

    for (uint64_t at = r->off; at < end;) {
        size_t i = fetch_find_locked(file, at);
        struct fetch_segment *s = i < file->n_segments ? file->segments[i] : NULL;
        if (!s || s->off > at) {
            int rc = gap_locked(r, at, s && s->off < end ? s->off : end, i, queued, &s);
            if (rc < 0)
                return rc;
        }
        uint64_t until = s->off + s->len < end ? s->off + s->len : end;
        assert(r->n_pins < room);
        r->pins[r->n_pins] =
            (struct fetch_pin){.segment = s, .read = r, .need = (size_t)(until - s->off)};
        r->iov[r->n_pins] = (struct iovec){s->p + (at - s->off), (size_t)(until - at)};
        r->n_pins++;
        fetch_segment_pin_locked(s);
        at = until;
    }
    return 0;
}

/* Sends GETs for new segments. */
static int start_locked(struct fetch_read *r, struct fetch_todo *todo)
{
    for (unsigned i = 0; i < r->n_pins; i++) {
        struct fetch_segment *s = r->pins[i].segment;
        if (s->get || s->filled == s->len)
            continue;
        int rc = fetch_get_start_locked(s, false, todo);
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* Enters the pin among those that wait for the segment; nearly always it is the last one. */
static void wait_locked(struct fetch_pin *pin)
{
    struct fetch_link *head = &pin->segment->waiting;
    struct fetch_link *at = head;

    while (at->prev != head && FETCH_OF(at->prev, struct fetch_pin, link)->need > pin->need)
        at = at->prev;
    fetch_link_add(at, &pin->link);
    pin->waiting = true;
    pin->read->n_waiting++;
}

/* 1: all bytes are there. 0: the read waits for some. -ENOBUFS: no room, nothing is held. */
static int plan_locked(struct fetch_read *r, bool queued, struct fetch_todo *todo)
{
    struct fetch *f = r->file->fetch;
    uint64_t end = r->off + r->n;
    struct window_limits limits;
    unsigned segments, gaps;

    survey_locked(r->file, r->off, end, &segments, &gaps);
    if (gaps > 1) {
        fetch_drop_idle_locked(r->file, r->off, end, GLUE_MAX);
        survey_locked(r->file, r->off, end, &segments, &gaps);
    }
    if (gaps && !queued && !fetch_link_empty(&f->queue))
        return -ENOBUFS;
    if (gaps && !queued && r->stream) {
        fetch_limits_locked(r->stream, &limits);
        window_starved(&r->stream->window, &limits);
    }
    int rc = pins_reserve(r, segments + gaps);
    if (rc == 0)
        rc = cover_locked(r, segments + gaps > FETCH_PINS ? segments + gaps : FETCH_PINS, queued);
    if (rc == 0)
        rc = start_locked(r, todo);
    if (rc < 0) {
        unpin_all_locked(r);
        return rc;
    }
    r->n_iov = (int)r->n_pins;
    for (unsigned i = 0; i < r->n_pins; i++)
        if (r->pins[i].segment->filled < r->pins[i].need)
            wait_locked(&r->pins[i]);
    if (r->n_waiting == 0)
        return 1;
    if (!gaps && !queued && r->stream) {
        fetch_limits_locked(r->stream, &limits);
        window_starved(&r->stream->window, &limits);
    }
    return 0;
}

/* The read is over; eno < 0: without a result. */
static void end_locked(struct fetch_read *r, int eno)
{
    struct fetch *f = r->file->fetch;

    r->state = READ_ENDED;
    r->eno = eno;
    if (eno < 0) {
        unpin_all_locked(r);
        r->n = 0;
        r->n_iov = 0;
        f->stats.failed += eno != -EINTR;
        if (!r->err.eno)
            err_set(&r->err, eno, "%s", err_text(eno));
    }
}

static int settle_locked(struct fetch_read *r, int rc)
{
    if (rc == 0)
        r->state = READ_WAITING;
    else
        end_locked(r, rc < 0 ? rc : 0);
    return rc;
}

int fetch_read_start(struct fetch_read *read)
{
    struct fetch_file *file = read->file;
    struct fetch *f = file->fetch;
    struct fetch_todo todo;

    fetch_todo_init(&todo);
    lock_take(&f->lock);
    if (read->state != READ_NEW || read->asked > FETCH_READ_MAX) {
        int rc = read->state == READ_STOPPED ? -EINTR : -EINVAL;
        read->state = READ_ENDED;
        lock_drop(&f->lock);
        return err_set(&read->err, read->eno = rc, "%s", err_text(rc));
    }
    uint64_t left = read->off < file->size ? file->size - read->off : 0;
    read->n = read->asked < left ? read->asked : (size_t)left;
    f->stats.reads++;
    f->stats.bytes_asked += read->n;
    if (read->stream && read->n) {
        read->stream->used_ms = clock_ms();
        window_note(&read->stream->window, read->off, read->n);
    }

    int rc = plan_locked(read, false, &todo);
    if (rc == -ENOBUFS) {
        f->stats.memory_waits++;
        read->state = READ_QUEUED;
        fetch_link_add(&f->queue, &read->link);
        rc = 0;
    } else {
        f->stats.hits += rc == 1;
        rc = settle_locked(read, rc);
    }
    f->stats.waits += rc == 0;
    if (read->stream && read->n)
        fetch_ahead_locked(read->stream, &todo);
    lock_drop(&f->lock);
    fetch_todo_run(f, &todo);
    return rc;
}

void fetch_wake_locked(struct fetch_segment *s, struct fetch_todo *todo)
{
    while (!fetch_link_empty(&s->waiting)) {
        struct fetch_pin *pin = FETCH_OF(s->waiting.next, struct fetch_pin, link);
        if (pin->need > s->filled)
            return;
        fetch_link_remove(&pin->link);
        pin->waiting = false;
        if (--pin->read->n_waiting > 0)
            continue;
        end_locked(pin->read, 0);
        fetch_link_add(&todo->done, &pin->read->link);
    }
}

void fetch_fail_locked(struct fetch_segment *s, const struct err *err, struct fetch_todo *todo)
{
    while (!fetch_link_empty(&s->waiting)) {
        struct fetch_read *r = FETCH_OF(s->waiting.next, struct fetch_pin, link)->read;
        r->err = *err;
        end_locked(r, err->eno);
        fetch_link_add(&todo->done, &r->link);
    }
}

void fetch_queue_locked(struct fetch *f, struct fetch_todo *todo)
{
    while (!fetch_link_empty(&f->queue)) {
        struct fetch_read *r = FETCH_OF(f->queue.next, struct fetch_read, link);
        int rc = plan_locked(r, true, todo);
        if (rc == -ENOBUFS)
            return;
        fetch_link_remove(&r->link);
        if (settle_locked(r, rc) != 0) {
            fetch_link_add(&f->ready, &r->link);
            todo->drain = true;
        }
    }
}

bool fetch_read_cancel(struct fetch_read *read)
{
    struct fetch *f = read->file->fetch;
    struct fetch_todo todo;
    bool ours = false;

    fetch_todo_init(&todo);
    lock_take(&f->lock);
    if (read->state == READ_NEW) {
        read->state = READ_STOPPED;
    } else if (read->state == READ_QUEUED || read->state == READ_WAITING) {
        fetch_link_remove(&read->link);
        end_locked(read, -EINTR);
        f->stats.cancelled++;
        ours = true;
        fetch_queue_locked(f, &todo);
    }
    lock_drop(&f->lock);
    fetch_todo_run(f, &todo);
    return ours;
}

void fetch_read_release(struct fetch_read *read)
{
    struct fetch_todo todo;

    if (read->state == READ_RELEASED) /* the file may have gone */
        return;
    struct fetch *f = read->file->fetch;
    fetch_todo_init(&todo);
    lock_take(&f->lock);
    assert(read->state != READ_QUEUED && read->state != READ_WAITING);
    for (int i = 0; i < read->n_iov; i++)
        read->pins[i].segment->delivered += read->iov[i].iov_len;
    if (read->n_pins) {
        unpin_all_locked(read);
        fetch_queue_locked(f, &todo);
    }
    if (read->stream)
        fetch_stream_unref_locked(read->stream);
    fetch_file_unref_locked(read->file);
    read->state = READ_RELEASED;
    pins_free(read);
    lock_drop(&f->lock);
    fetch_todo_run(f, &todo);
}
