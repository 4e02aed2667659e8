// SPDX-License-Identifier: Apache-2.0
// The read cache of a mount: files, streams, whole-object helpers; see fetch.h.
#include "fs/fetch_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "net/base/clock.h"

enum { CHUNK_MIN = 256 << 10, ACTIVE_MS = 5000, ACTIVE_COUNT_MS = 200 };

static void config_defaults(struct fetch_config *c)
{
    if (!c->memory_max)
        c->memory_max = 96 << 20;
    if (c->memory_max < FETCH_MEMORY_MIN)
        c->memory_max = FETCH_MEMORY_MIN;
    if (!c->parallel)
        c->parallel = 8;
    if (!c->chunk_max)
        c->chunk_max = 8 << 20;
    /* A read may pin one segment at each of its ends and still needs room between them. */
    if (c->chunk_max > c->memory_max / 8)
        c->chunk_max = c->memory_max / 8;
    if (c->chunk_max < CHUNK_MIN)
        c->chunk_max = CHUNK_MIN;
    if (!c->first_size)
        c->first_size = 1 << 20;
    if (c->first_size > c->chunk_max)
        c->first_size = c->chunk_max;
    if (!c->give_up_ms)
        c->give_up_ms = 60000;
}

int fetch_new(const struct fetch_config *config, struct fetch **ret_fetch)
{
    if (!config->source.submit || !config->source.cancel)
        return -EINVAL;
    struct fetch *f = calloc(1, sizeof(*f));
    if (!f)
        return -ENOMEM;
    f->config = *config;
    config_defaults(&f->config);
    lock_init(&f->lock);
    lock_cond_init(&f->quiet);
    fetch_pool_init(&f->pool, f->config.memory_max);
    fetch_link_init(&f->passed);
    fetch_link_init(&f->idle);
    fetch_link_init(&f->queue);
    fetch_link_init(&f->ready);
    fetch_link_init(&f->streams);
    f->active = 1;
    *ret_fetch = f;
    return 0;
}

void fetch_free(struct fetch *f)
{
    if (!f)
        return;
    lock_take(&f->lock);
    while (f->gets_alive || f->draining)
        lock_wait(&f->lock, &f->quiet, NULL);
    lock_drop(&f->lock);
    fetch_pool_done(&f->pool);
    pthread_cond_destroy(&f->quiet);
    lock_done(&f->lock);
    free(f);
}

void fetch_stats(struct fetch *f, struct fetch_stats *ret_stats)
{
    lock_take(&f->lock);
    *ret_stats = f->stats;
    ret_stats->memory = f->pool.used + f->pool.spare;
    ret_stats->memory_peak = f->pool.peak;
    ret_stats->under_way = f->under_way;
    lock_drop(&f->lock);
}

static struct fetch_name *name_new(const char *key, const char *etag, const char *read_key)
{
    size_t n = strlen(key) + 1;
    struct fetch_name *name = calloc(1, sizeof(*name) + n);

    if (!name)
        return NULL;
    name->refs = 1;
    memcpy(name->key, key, n);
    /* Longer than any ETag of the service: taken as unknown rather than cut. */
    if (strlen(etag) < sizeof(name->etag))
        strcpy(name->etag, etag);
    name->read_key_known = read_key != NULL;
    if (read_key && strlen(read_key) < sizeof(name->read_key))
        strcpy(name->read_key, read_key);
    return name;
}

void fetch_name_unref_locked(struct fetch_name *name)
{
    if (--name->refs == 0)
        free(name);
}

int fetch_file_new(struct fetch *f, const char *key, const char *etag, uint64_t size,
                   const char *read_key, struct fetch_file **ret_file)
{
    struct fetch_file *file = calloc(1, sizeof(*file));
    struct fetch_name *name = name_new(key, etag, read_key);

    if (!file || !name) {
        free(file);
        free(name);
        return -ENOMEM;
    }
    file->fetch = f;
    file->size = size;
    file->refs = 1;
    file->name = name;
    fetch_link_init(&file->streams);
    *ret_file = file;
    return 0;
}

struct fetch_file *fetch_file_ref(struct fetch_file *file)
{
    lock_take(&file->fetch->lock);
    file->refs++;
    lock_drop(&file->fetch->lock);
    return file;
}

/* Nobody in the queue can go on by this: idle segments did not stand in its way, and GETs that are
 * cancelled give their room back when they end. */
void fetch_file_unref_locked(struct fetch_file *file)
{
    ASSERT_HELD(&file->fetch->lock);
    if (--file->refs > 0)
        return;
    while (file->n_segments) {
        struct fetch_segment *s = file->segments[file->n_segments - 1];
        fetch_get_cancel_locked(s);
        fetch_segment_drop_locked(s);
    }
    fetch_name_unref_locked(file->name);
    free(file->segments);
    free(file);
}

void fetch_file_unref(struct fetch_file *file)
{
    if (!file)
        return;
    struct fetch *f = file->fetch;

    lock_take(&f->lock);
    fetch_file_unref_locked(file);
    lock_drop(&f->lock);
}

int fetch_file_rekey(struct fetch_file *file, const char *key, const char *etag,
                     const char *read_key)
{
    struct fetch_name *name = name_new(key, etag, read_key);

    if (!name)
        return -ENOMEM;
    lock_take(&file->fetch->lock);
    struct fetch_name *old = file->name;
    file->name = name;
    fetch_name_unref_locked(old);
    lock_drop(&file->fetch->lock);
    return 0;
}

int fetch_file_name(struct fetch_file *file, char **ret_key, char **ret_etag)
{
    lock_take(&file->fetch->lock);
    char *key = strdup(file->name->key);
    char *etag = strdup(file->name->etag);
    lock_drop(&file->fetch->lock);
    if (!key || !etag) {
        free(key);
        free(etag);
        return -ENOMEM;
    }
    *ret_key = key;
    *ret_etag = etag;
    return 0;
}

uint64_t fetch_file_size(const struct fetch_file *file)
{
    return file->size;
}

int fetch_file_put(struct fetch_file *file, const void *p, size_t n)
{
    struct fetch *f = file->fetch;
    struct fetch_segment *s;
    int rc;

    if (n != file->size)
        return -EINVAL;
    if (n == 0)
        return 0;
    if (n > f->config.chunk_max)
        return -ENOBUFS;
    lock_take(&f->lock);
    rc = file->n_segments ? -ENOBUFS : fetch_segment_new_locked(file, 0, n, true, &s);
    if (rc == 0) {
        memcpy(s->p, p, n);
        s->filled = n;
        fetch_segment_rest_locked(s);
    }
    lock_drop(&f->lock);
    return rc < 0 ? -ENOBUFS : 0;
}

void fetch_file_drop(struct fetch_file *file)
{
    struct fetch *f = file->fetch;

    lock_take(&f->lock);
    fetch_drop_idle_locked(file, 0, UINT64_MAX, SIZE_MAX);
    lock_drop(&f->lock);
}

int fetch_stream_new(struct fetch_file *file, struct fetch_stream **ret_stream)
{
    struct fetch_stream *stream = calloc(1, sizeof(*stream));

    if (!stream)
        return -ENOMEM;
    stream->file = file;
    stream->refs = 1;
    window_init(&stream->window);
    lock_take(&file->fetch->lock);
    file->refs++;
    fetch_link_add(&file->streams, &stream->in_file);
    fetch_link_add(&file->fetch->streams, &stream->in_fetch);
    lock_drop(&file->fetch->lock);
    *ret_stream = stream;
    return 0;
}

/* Nobody goes on reading the file: what is on its way is cancelled, what came is as old as any. */
static void abandon_ahead_locked(struct fetch_file *file)
{
    for (size_t i = file->n_segments; i-- > 0;) {
        struct fetch_segment *s = file->segments[i];
        s->in_order = false;
        if (s->get && s->pins == 0) {
            fetch_get_cancel_locked(s);
            fetch_segment_drop_locked(s);
        }
    }
}

void fetch_stream_unref_locked(struct fetch_stream *stream)
{
    if (--stream->refs > 0)
        return;
    fetch_file_unref_locked(stream->file);
    free(stream);
}

void fetch_stream_free(struct fetch_stream *stream)
{
    if (!stream)
        return;
    struct fetch_file *file = stream->file;
    struct fetch *f = file->fetch;

    lock_take(&f->lock);
    stream->closed = true;
    fetch_link_remove(&stream->in_file);
    fetch_link_remove(&stream->in_fetch);
    if (fetch_link_empty(&file->streams))
        abandon_ahead_locked(file);
    fetch_stream_unref_locked(stream);
    lock_drop(&f->lock);
}

void fetch_limits_locked(struct fetch_stream *stream, struct window_limits *ret_limits)
{
    struct fetch *f = stream->file->fetch;
    const struct fetch_config *c = &f->config;
    int64_t now = stream->used_ms;

    ASSERT_HELD(&f->lock);
    if (now - f->active_ms >= ACTIVE_COUNT_MS) {
        f->active_ms = now;
        f->active = 0;
        for (struct fetch_link *l = f->streams.next; l != &f->streams; l = l->next)
            f->active += now - FETCH_OF(l, struct fetch_stream, in_fetch)->used_ms < ACTIVE_MS;
    }
    *ret_limits = (struct window_limits){
        .size = stream->file->size,
        .share = fetch_ahead_max(f) / (f->active ? f->active : 1),
        .first = c->first_size,
        .chunk_min = CHUNK_MIN,
        .chunk_max = c->chunk_max,
        .parallel = c->parallel,
    };
}

static void copy_done(struct fetch_read *read, void *arg)
{
    intr_finish(arg);
}

static int copy_piece(struct fetch_read *read, struct intr *intr)
{
    intr_rearm(intr);
    int rc = fetch_read_start(read);
    if (rc != 0)
        return rc < 0 ? rc : 0;
    if (intr_wait(intr, -1, false) == -EINTR) {
        if (fetch_read_cancel(read))
            return -EINTR;
        (void)intr_wait(intr, -1, true);
    }
    return read->eno;
}

static ssize_t copy_all(struct fetch_file *file, struct fetch_stream *stream, uint64_t off, char *p,
                        size_t n, struct intr *intr, struct err *err)
{
    size_t copied = 0;

    while (copied < n) {
        struct fetch_read read;
        size_t piece = n - copied < FETCH_READ_MAX ? n - copied : FETCH_READ_MAX;
        fetch_read_init(&read, file, stream, off + copied, piece, copy_done, intr);
        int rc = copy_piece(&read, intr);
        if (rc < 0 && err)
            *err = read.err;
        for (int i = 0; rc == 0 && i < read.n_iov; i++) {
            memcpy(p + copied, read.iov[i].iov_base, read.iov[i].iov_len);
            copied += read.iov[i].iov_len;
        }
        bool last = rc < 0 || read.n < piece;
        fetch_read_release(&read);
        if (rc < 0)
            return rc;
        if (last)
            break;
    }
    return (ssize_t)copied;
}

ssize_t fetch_copy(struct fetch_file *file, uint64_t off, void *p, size_t n, struct intr *intr,
                   struct err *err)
{
    struct fetch_stream *stream = NULL;
    struct intr own;

    if (n > FETCH_READ_MAX && fetch_stream_new(file, &stream) < 0)
        return err_set(err, -ENOMEM, "out of memory");
    if (!intr)
        intr_init(&own);
    ssize_t rc = copy_all(file, stream, off, p, n, intr ? intr : &own, err);
    if (!intr)
        intr_done(&own);
    fetch_stream_free(stream);
    return rc;
}
