// SPDX-License-Identifier: Apache-2.0
// Segments of the read cache: index of a file, room, eviction; see fetch_int.h.
#include "fs/fetch_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "net/base/clock.h"

/* Reading ahead may push out what was fetched ahead and not read for so long. */
static const int64_t STALE_MS = 5000;

/* How many of the segments just passed are looked at for a buffer that fits. */
enum { REUSE_LOOK = 4 };

size_t fetch_find_locked(const struct fetch_file *file, uint64_t off)
{
    size_t low = 0, high = file->n_segments;

    while (low < high) {
        size_t mid = low + (high - low) / 2;
        const struct fetch_segment *s = file->segments[mid];
        if (s->off + s->len <= off)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static bool unused(const struct fetch_segment *s)
{
    return s->pins == 0 && !s->get;
}

static void free_locked(struct fetch_segment *s)
{
    fetch_link_remove(&s->link);
    fetch_pool_give(&s->fetch->pool, s->p, s->capacity);
    free(s);
}

static void unindex_locked(struct fetch_segment *s)
{
    struct fetch_file *file = s->file;
    size_t i = fetch_find_locked(file, s->off);

    assert(i < file->n_segments && file->segments[i] == s);
    file->n_segments--;
    memmove(&file->segments[i], &file->segments[i + 1],
            (file->n_segments - i) * sizeof(*file->segments));
    s->file = NULL;
}

void fetch_segment_drop_locked(struct fetch_segment *s)
{
    unindex_locked(s);
    if (unused(s))
        free_locked(s);
}

void fetch_drop_idle_locked(struct fetch_file *file, uint64_t off, uint64_t end, size_t len_max)
{
    size_t i = fetch_find_locked(file, off);
    size_t to = i;

    if (i == file->n_segments)
        return;
    for (; i < file->n_segments && file->segments[i]->off < end; i++) {
        struct fetch_segment *s = file->segments[i];
        if (unused(s) && s->len <= len_max)
            free_locked(s);
        else
            file->segments[to++] = s;
    }
    memmove(&file->segments[to], &file->segments[i],
            (file->n_segments - i) * sizeof(*file->segments));
    file->n_segments -= i - to;
}

/* Gives one segment up that nobody uses. False: there is none that may go. */
static bool evict_locked(struct fetch *f, bool ahead)
{
    struct fetch_segment *s;

    if (!fetch_link_empty(&f->passed)) {
        s = FETCH_OF(f->passed.prev, struct fetch_segment, link);
    } else if (!fetch_link_empty(&f->idle)) {
        s = FETCH_OF(f->idle.next, struct fetch_segment, link);
        if (ahead && s->in_order && s->delivered < s->len && clock_ms() - s->idle_ms < STALE_MS)
            return false;
    } else {
        return false;
    }
    f->stats.evicted++;
    fetch_segment_drop_locked(s);
    return true;
}

/* A reader in order goes on in the buffers that it has just left, which are still in the
 * processor's cache, instead of in new ones. */
static void reuse_passed_locked(struct fetch *f, size_t capacity)
{
    struct fetch_link *l = f->passed.next;

    for (int i = 0; i < REUSE_LOOK && l != &f->passed; i++, l = l->next) {
        struct fetch_segment *s = FETCH_OF(l, struct fetch_segment, link);
        if (s->capacity == capacity) {
            f->stats.evicted++;
            fetch_segment_drop_locked(s);
            return;
        }
    }
}

static int room_locked(struct fetch *f, size_t capacity, bool ahead, unsigned char **ret_p)
{
    if (!fetch_pool_has(&f->pool, capacity))
        reuse_passed_locked(f, capacity);
    for (;;) {
        int rc = fetch_pool_take(&f->pool, capacity, ret_p);
        if (rc != -ENOBUFS || !evict_locked(f, ahead))
            return rc;
    }
}

static int index_reserve_locked(struct fetch_file *file)
{
    if (file->n_segments < file->cap_segments)
        return 0;
    size_t cap = file->cap_segments ? file->cap_segments * 2 : 4;
    struct fetch_segment **v = reallocarray(file->segments, cap, sizeof(*v));
    if (!v)
        return -ENOMEM;
    file->segments = v;
    file->cap_segments = cap;
    return 0;
}

int fetch_segment_new_locked(struct fetch_file *file, uint64_t off, size_t len, bool ahead,
                             struct fetch_segment **ret_segment)
{
    struct fetch *f = file->fetch;

    ASSERT_HELD(&f->lock);
    int rc = index_reserve_locked(file);
    if (rc < 0)
        return rc;
    struct fetch_segment *s = calloc(1, sizeof(*s));
    if (!s)
        return -ENOMEM;
    s->capacity = fetch_pool_capacity(len);
    rc = room_locked(f, s->capacity, ahead, &s->p);
    if (rc < 0) {
        free(s);
        return rc;
    }
    s->fetch = f;
    s->file = file;
    s->off = off;
    s->len = len;
    fetch_link_init(&s->link);
    fetch_link_init(&s->waiting);

    /* Only now: making room may have taken segments out of the index. */
    size_t i = fetch_find_locked(file, off);
    memmove(&file->segments[i + 1], &file->segments[i],
            (file->n_segments - i) * sizeof(*file->segments));
    file->segments[i] = s;
    file->n_segments++;
    *ret_segment = s;
    return 0;
}

void fetch_segment_pin_locked(struct fetch_segment *s)
{
    s->pins++;
    fetch_link_remove(&s->link);
}

void fetch_segment_rest_locked(struct fetch_segment *s)
{
    struct fetch *f = s->fetch;

    if (!s->file) {
        free_locked(s);
        return;
    }
    s->idle_ms = clock_ms();
    if (s->in_order && s->delivered >= s->len)
        fetch_link_add(f->passed.next, &s->link);
    else
        fetch_link_add(&f->idle, &s->link);
}

void fetch_segment_unpin_locked(struct fetch_segment *s)
{
    assert(s->pins > 0);
    if (--s->pins > 0 || s->get)
        return;
    if (s->file && s->filled < s->len)
        fetch_segment_drop_locked(s);
    else
        fetch_segment_rest_locked(s);
}
