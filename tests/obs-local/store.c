// SPDX-License-Identifier: Apache-2.0
/* Buckets and objects, see store.h */
#include "tests/obs-local/store.h"

#include <ctype.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "net/base/cleanup.h"
#include "net/base/clock.h"

int64_t store_now_us(const struct store *s)
{
    struct timespec t = clock_real();
    return (t.tv_sec + atomic_load(&s->clock_s)) * 1000000LL + t.tv_nsec / 1000;
}

int store_open(const struct store_config *config, struct store **ret, struct err *err)
{
    struct store *s = mem_alloc(sizeof(*s));
    lock_init(&s->lock);
    s->config = *config;
    s->buckets = index_new();
    s->uploads = index_new();
    s->journal = -1;
    s->dir = -1;
    atomic_init(&s->clock_s, config->clock_offset_s);
    atomic_init(&s->next_blob, 1);
    atomic_init(&s->serial, (uint64_t)store_now_us(s));
    int rc = 0;
    if (mkdir(config->dir, 0700) != 0 && errno != EEXIST) {
        rc = err_set(err, -errno, "cannot make the folder '%s': %s", config->dir, err_text(errno));
        goto out;
    }
    s->dir = open(config->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (s->dir < 0) {
        rc = err_set(err, -errno, "cannot open the folder '%s': %s", config->dir, err_text(errno));
        goto out;
    }
    if (flock(s->dir, LOCK_EX | LOCK_NB) != 0) {
        rc = err_set(err, -EBUSY, "the folder '%s' is in use by another obs-local", config->dir);
        goto out;
    }
    rc = journal_load(s, err);
out:
    if (rc == 0)
        *ret = s;
    else
        store_close(s);
    return rc;
}

void store_close(struct store *s)
{
    if (!s)
        return;
    struct store_config keep = s->config;
    s->config.null_store = true; /* nothing is unlinked from now on */
    for (struct index_node *n = index_seek(s->uploads, "", 0, false); n; n = index_next(n))
        upload_free(index_value(n));
    for (struct index_node *n = index_seek(s->buckets, "", 0, false); n; n = index_next(n))
        bucket_free(index_value(n));
    s->config = keep;
    index_free(s->uploads);
    index_free(s->buckets);
    if (s->journal >= 0)
        close(s->journal);
    if (s->dir >= 0)
        close(s->dir);
    lock_done(&s->lock);
    free(s);
}

void blob_path(uint64_t id, char out[32])
{
    snprintf(out, 32, "blobs/%02x/%012llx", (unsigned)(id & 0xff), (unsigned long long)id);
}

struct blob *blob_new(struct store *s, uint64_t id)
{
    struct blob *b = mem_alloc(sizeof(*b));
    atomic_init(&b->refs, 1);
    b->id = id;
    b->store = s;
    return b;
}

static struct blob *blob_ref(struct blob *b)
{
    atomic_fetch_add(&b->refs, 1);
    return b;
}

void blob_unref(struct blob *b)
{
    if (!b || atomic_fetch_sub(&b->refs, 1) != 1)
        return;
    if (b->id && !b->store->config.null_store) {
        char path[32];
        blob_path(b->id, path);
        unlinkat(b->store->dir, path, 0);
    }
    free(b);
}

int blob_open(const struct blob *b)
{
    char path[32];
    blob_path(b->id, path);
    int fd = openat(b->store->dir, path, O_RDONLY | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

int blob_begin(struct store *s, struct blob_writer *w)
{
    *w = (struct blob_writer){.fd = -1};
    if (s->config.null_store) {
        w->blob = blob_new(s, 0);
        return 0;
    }
    uint64_t id = atomic_fetch_add(&s->next_blob, 1);
    char path[32];
    blob_path(id, path);
    w->fd = openat(s->dir, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (w->fd < 0)
        return -errno;
    w->blob = blob_new(s, id);
    return 0;
}

int blob_write(struct blob_writer *w, const void *p, size_t n)
{
    const char *at = p;
    w->size += n;
    while (w->fd >= 0 && n > 0) {
        ssize_t got = write(w->fd, at, n);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -errno;
        at += got;
        n -= (size_t)got;
    }
    return 0;
}

void blob_finish(struct blob_writer *w, struct segs *segs)
{
    *segs = (struct segs){0};
    if (w->size > 0) {
        segs->v = mem_alloc(sizeof(*segs->v));
        segs->v[0] = (struct seg){blob_ref(w->blob), 0, w->size};
        segs->n = 1;
    }
    blob_abort(w);
}

void blob_abort(struct blob_writer *w)
{
    if (w->fd >= 0)
        close(w->fd);
    blob_unref(w->blob);
    *w = (struct blob_writer){.fd = -1};
}

void segs_done(struct segs *s)
{
    for (size_t i = 0; i < s->n; i++)
        blob_unref(s->v[i].blob);
    free(s->v);
    *s = (struct segs){0};
}

void segs_add(struct segs *to, const struct segs *from, uint64_t off, uint64_t len)
{
    for (size_t i = 0; i < from->n && len > 0; i++) {
        const struct seg *g = &from->v[i];
        if (off >= g->len) {
            off -= g->len;
            continue;
        }
        uint64_t take = g->len - off < len ? g->len - off : len;
        if ((to->n & (to->n - 1)) == 0)
            to->v = mem_grow(to->v, (to->n ? to->n * 2 : 1) * sizeof(*to->v));
        to->v[to->n++] = (struct seg){blob_ref(g->blob), g->off + off, take};
        off = 0;
        len -= take;
    }
}

void segs_reader_init(struct segs_reader *r, const struct segs *segs)
{
    *r = (struct segs_reader){.segs = segs, .fd = -1};
}

void segs_reader_done(struct segs_reader *r)
{
    if (r->fd >= 0)
        close(r->fd);
    r->fd = -1;
}

/* Moves to the segment that has byte `off`. False: past the end. */
static bool segs_reader_move(struct segs_reader *r, uint64_t off)
{
    if (off < r->start) {
        segs_reader_done(r);
        r->at = 0;
        r->start = 0;
    }
    while (r->at < r->segs->n && off - r->start >= r->segs->v[r->at].len) {
        segs_reader_done(r);
        r->start += r->segs->v[r->at].len;
        r->at++;
    }
    return r->at < r->segs->n;
}

ssize_t segs_read(struct segs_reader *r, uint64_t off, void *p, size_t n)
{
    if (!segs_reader_move(r, off))
        return 0;
    const struct seg *g = &r->segs->v[r->at];
    uint64_t in = off - r->start;
    if (n > g->len - in)
        n = (size_t)(g->len - in);
    if (g->blob->id == 0) {
        memset(p, 0, n);
        return (ssize_t)n;
    }
    if (r->fd < 0)
        r->fd = blob_open(g->blob);
    if (r->fd < 0)
        return r->fd;
    ssize_t got = pread(r->fd, p, n, (off_t)(g->off + in));
    return got < 0 ? -errno : got == 0 ? -EIO : got;
}

/* OBS API: creating a bucket, naming rules. */
bool store_bucket_valid(const char *name)
{
    size_t n = strlen(name);
    if (n < 3 || n > 63 || !isalnum((unsigned char)name[0]) || !isalnum((unsigned char)name[n - 1]))
        return false;
    unsigned dots = 0, digits = 0;
    for (size_t i = 0; i < n; i++) {
        char c = name[i];
        if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '-' && c != '.')
            return false;
        if (c == '.' && (name[i + 1] == '.' || name[i + 1] == '-' || name[i - 1] == '-'))
            return false;
        dots += c == '.';
        digits += c >= '0' && c <= '9';
    }
    return !(dots == 3 && digits + dots == n);
}

struct bucket *store_bucket_locked(struct store *s, const char *name)
{
    ASSERT_HELD(&s->lock);
    return index_get(s->buckets, name, strlen(name));
}

struct bucket *bucket_new_locked(struct store *s, const char *name)
{
    struct bucket *b = mem_alloc(sizeof(*b));
    b->name = mem_dup(name);
    b->objects = index_new();
    b->uploads = index_new();
    index_put(s->buckets, name, strlen(name), b);
    return b;
}

void bucket_free(struct bucket *b)
{
    for (struct index_node *n = index_seek(b->objects, "", 0, false); n; n = index_next(n))
        object_unref(index_value(n));
    index_free(b->objects);
    index_free(b->uploads);
    pairs_done(&b->props);
    free(b->name);
    free(b);
}

int store_bucket_create(struct store *s, const char *name, const struct pairs *props)
{
    int rc = 0;
    lock_take(&s->lock);
    if (store_bucket_locked(s, name)) {
        rc = -EEXIST;
    } else {
        struct bucket *b = bucket_new_locked(s, name);
        b->created_ms = store_now_us(s) / 1000;
        if (props)
            pairs_copy(&b->props, props);
        journal_bucket_locked(s, b);
    }
    lock_drop(&s->lock);
    return rc;
}

int store_bucket_delete(struct store *s, const char *name)
{
    int rc = 0;
    lock_take(&s->lock);
    struct bucket *b = store_bucket_locked(s, name);
    if (!b) {
        rc = -ENOENT;
    } else if (index_count(b->objects) || index_count(b->uploads)) {
        rc = -ENOTEMPTY;
    } else {
        index_remove(s->buckets, name, strlen(name));
        journal_bucket_gone_locked(s, name);
        bucket_free(b);
    }
    lock_drop(&s->lock);
    return rc;
}

bool store_bucket_exists(struct store *s, const char *name)
{
    lock_take(&s->lock);
    bool yes = store_bucket_locked(s, name) != NULL;
    lock_drop(&s->lock);
    return yes;
}

int store_bucket_props(struct store *s, const char *name, struct pairs *ret)
{
    lock_take(&s->lock);
    struct bucket *b = store_bucket_locked(s, name);
    if (b)
        pairs_copy(ret, &b->props);
    lock_drop(&s->lock);
    return b ? 0 : -ENOENT;
}

int store_bucket_set(struct store *s, const char *name, const char *prop, const char *value)
{
    lock_take(&s->lock);
    struct bucket *b = store_bucket_locked(s, name);
    if (b) {
        pairs_set(&b->props, prop, value);
        journal_bucket_locked(s, b);
    }
    lock_drop(&s->lock);
    return b ? 0 : -ENOENT;
}

int store_bucket_usage(struct store *s, const char *name, uint64_t *ret_bytes, uint64_t *ret_n)
{
    uint64_t bytes = 0;
    lock_take(&s->lock);
    struct bucket *b = store_bucket_locked(s, name);
    if (b) {
        for (struct index_node *n = index_seek(b->objects, "", 0, false); n; n = index_next(n))
            bytes += ((struct object *)index_value(n))->size;
        *ret_n = index_count(b->objects);
    }
    lock_drop(&s->lock);
    *ret_bytes = bytes;
    return b ? 0 : -ENOENT;
}

struct object *object_new(void)
{
    struct object *o = mem_alloc(sizeof(*o));
    atomic_init(&o->refs, 1);
    return o;
}

struct object *object_ref(struct object *o)
{
    atomic_fetch_add(&o->refs, 1);
    return o;
}

void object_unref(struct object *o)
{
    if (!o || atomic_fetch_sub(&o->refs, 1) != 1)
        return;
    pairs_done(&o->props);
    segs_done(&o->segs);
    free(o);
}

int store_get(struct store *s, const char *bucket, const char *key, struct object **ret)
{
    struct object *o = NULL;
    lock_take(&s->lock);
    struct bucket *b = store_bucket_locked(s, bucket);
    if (b)
        o = index_get(b->objects, key, strlen(key));
    if (o)
        *ret = object_ref(o);
    lock_drop(&s->lock);
    return o ? 0 : -ENOENT;
}

/* Puts it, unless the one that is there is of a later initiate. Returns what is to be unref'd. */
static struct object *put_locked(struct store *s, struct bucket *b, const char *key,
                                 struct object *o, const char *ended_upload, bool *ret_lost)
{
    struct object *old = index_get(b->objects, key, strlen(key));
    bool lost = old && old->since_us > o->since_us && !s->config.complete_last;
    if (ret_lost)
        *ret_lost = lost;
    if (lost) {
        if (ended_upload)
            journal_upload_gone_locked(s, ended_upload);
        return o;
    }
    index_put(b->objects, key, strlen(key), o);
    journal_object_locked(s, b->name, key, o, ended_upload);
    return old;
}

int store_put(struct store *s, const char *bucket, const char *key, struct object *o,
              bool *ret_lost)
{
    struct object *drop = o;
    lock_take(&s->lock);
    struct bucket *b = store_bucket_locked(s, bucket);
    if (b) {
        int64_t now = store_now_us(s);
        if (!o->since_us)
            o->since_us = now;
        if (!o->mtime_ms)
            o->mtime_ms = now / 1000;
        drop = put_locked(s, b, key, o, NULL, ret_lost);
    }
    lock_drop(&s->lock);
    object_unref(drop);
    return b ? 0 : -ENOENT;
}

int store_replace(struct store *s, const char *bucket, const char *key, struct object *old,
                  struct object *o)
{
    int rc = -EAGAIN;
    lock_take(&s->lock);
    struct bucket *b = store_bucket_locked(s, bucket);
    if (b && index_get(b->objects, key, strlen(key)) == old) {
        index_put(b->objects, key, strlen(key), o);
        journal_object_locked(s, b->name, key, o, NULL);
        rc = 0;
    }
    lock_drop(&s->lock);
    object_unref(rc == 0 ? old : o);
    return rc;
}

int store_delete(struct store *s, const char *bucket, const char *key)
{
    struct object *old = NULL;
    lock_take(&s->lock);
    struct bucket *b = store_bucket_locked(s, bucket);
    if (b)
        old = index_remove(b->objects, key, strlen(key));
    if (old)
        journal_object_gone_locked(s, bucket, key);
    lock_drop(&s->lock);
    object_unref(old);
    return b ? 0 : -ENOENT;
}

static void part_done(struct part *p)
{
    segs_done(&p->segs);
}

void upload_free(struct upload *u)
{
    if (!u)
        return;
    for (size_t i = 0; i < u->n_parts; i++)
        part_done(&u->parts[i]);
    free(u->parts);
    pairs_done(&u->props);
    free(u->bucket);
    free(u->key);
    free(u->initiator);
    free(u);
}

/* "key NUL id": listed by key, then by id, which begins with the time. */
static char *upload_name(const struct upload *u, size_t *ret_n)
{
    size_t key_n = strlen(u->key), id_n = strlen(u->id);
    char *name = mem_alloc(key_n + 1 + id_n + 1);
    memcpy(name, u->key, key_n);
    memcpy(name + key_n + 1, u->id, id_n);
    *ret_n = key_n + 1 + id_n;
    return name;
}

void upload_insert_locked(struct store *s, struct bucket *b, struct upload *u)
{
    size_t n;
    CLEANUP_FREE char *name = upload_name(u, &n);
    index_put(b->uploads, name, n, u);
    index_put(s->uploads, u->id, strlen(u->id), u);
}

struct upload *upload_remove_locked(struct store *s, const char *id)
{
    struct upload *u = index_remove(s->uploads, id, strlen(id));
    if (!u)
        return NULL;
    struct bucket *b = store_bucket_locked(s, u->bucket);
    size_t n;
    CLEANUP_FREE char *name = upload_name(u, &n);
    if (b)
        index_remove(b->uploads, name, n);
    return u;
}

int upload_create(struct store *s, struct upload *u)
{
    lock_take(&s->lock);
    struct bucket *b = store_bucket_locked(s, u->bucket);
    if (b) {
        u->since_us = store_now_us(s);
        uint64_t serial = atomic_fetch_add(&s->serial, 1);
        snprintf(u->id, sizeof(u->id), "%016llX%016llX", (unsigned long long)u->since_us,
                 (unsigned long long)(serial * 0x9e3779b97f4a7c15ULL));
        upload_insert_locked(s, b, u);
        journal_upload_locked(s, u);
    }
    lock_drop(&s->lock);
    return b ? 0 : -ENOENT;
}

struct upload *upload_find_locked(struct store *s, const char *bucket, const char *key,
                                  const char *id)
{
    ASSERT_HELD(&s->lock);
    struct upload *u = index_get(s->uploads, id, strlen(id));
    return u && strcmp(u->bucket, bucket) == 0 && strcmp(u->key, key) == 0 ? u : NULL;
}

void upload_set_part(struct upload *u, struct part *p)
{
    size_t at = u->n_parts;
    while (at > 0 && u->parts[at - 1].number >= p->number)
        at--;
    if (at < u->n_parts && u->parts[at].number == p->number) {
        part_done(&u->parts[at]);
    } else {
        u->parts = mem_grow(u->parts, (u->n_parts + 1) * sizeof(*u->parts));
        memmove(&u->parts[at + 1], &u->parts[at], (u->n_parts - at) * sizeof(*u->parts));
        u->n_parts++;
    }
    u->parts[at] = *p;
}

int upload_put_part(struct store *s, const char *bucket, const char *key, const char *id,
                    struct part *p)
{
    lock_take(&s->lock);
    struct upload *u = upload_find_locked(s, bucket, key, id);
    if (u) {
        p->mtime_ms = store_now_us(s) / 1000;
        upload_set_part(u, p);
        journal_part_locked(s, u, p);
    }
    lock_drop(&s->lock);
    return u ? 0 : -ENOENT;
}

int upload_abort(struct store *s, const char *bucket, const char *key, const char *id)
{
    lock_take(&s->lock);
    struct upload *u = upload_find_locked(s, bucket, key, id);
    if (u) {
        upload_remove_locked(s, id);
        journal_upload_gone_locked(s, id);
    }
    lock_drop(&s->lock);
    upload_free(u);
    return u ? 0 : -ENOENT;
}

int upload_complete_locked(struct store *s, struct upload *u, struct object *o, bool *ret_lost)
{
    ASSERT_HELD(&s->lock);
    struct bucket *b = store_bucket_locked(s, u->bucket);
    if (!b)
        return -ENOENT;
    o->since_us = u->since_us;
    o->mtime_ms = store_now_us(s) / 1000;
    struct object *drop = put_locked(s, b, u->key, o, u->id, ret_lost);
    upload_remove_locked(s, u->id);
    upload_free(u);
    object_unref(drop);
    return 0;
}
