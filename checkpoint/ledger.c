// SPDX-License-Identifier: Apache-2.0
// A file of records with one lock; see ledger.h.
#include "checkpoint/ledger.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "net/base/cleanup.h"
#include "net/base/lock.h"

struct ledger {
    /* constant after open */
    const struct io *io;
    char *dir;
    char path[PATH_MAX];

    struct lock lock;
    pthread_cond_t cond; /* a sync has ended */

    /* below: under lock */
    int fd; /* used without the lock by the thread that set `syncing` */
    struct record_pos pos;
    uint64_t end;
    uint64_t synced; /* so much of the file is on the disk */
    bool fresh_name; /* the directory was not synced since the file came there */
    bool syncing;
    int eno; /* latched */
};

int ledger_replay(const uint8_t *p, size_t n, ledger_each_fn *fn, void *arg,
                  struct ledger_report *ret_report, struct record_pos *ret_pos, size_t *ret_end)
{
    struct record_pos pos = {0};
    size_t at = RECORD_HEADER_SIZE;
    *ret_report = (struct ledger_report){.lost = n};
    int rc = record_header_decode(p, n, &pos.salt);
    if (rc < 0)
        return rc == -ENODATA ? 0 : rc;
    while (at < n) {
        struct record r;
        ssize_t len = record_decode(p + at, n - at, &pos, &r);
        if (len == -EPROTONOSUPPORT)
            return (int)len;
        if (len < 0)
            break;
        if (r.type != 0)
            rc = fn(arg, &r);
        if (rc < 0)
            return rc;
        at += (size_t)len;
        pos.seq++;
    }
    ret_report->n_records = pos.seq;
    ret_report->lost = n - at;
    if (ret_pos)
        *ret_pos = pos;
    if (ret_end)
        *ret_end = at;
    return 0;
}

/* A header and the records, as a new file has them. */
static int encode_file(const struct record *recs, size_t n, struct buf *out, struct record_pos *pos)
{
    uint8_t header[RECORD_HEADER_SIZE];
    *pos = (struct record_pos){0};
    if (getrandom(&pos->salt, sizeof(pos->salt), 0) != (ssize_t)sizeof(pos->salt))
        return -EIO;
    record_header_encode(header, pos->salt);
    int rc = buf_add(out, header, sizeof(header));
    for (size_t i = 0; rc == 0 && i < n; i++) {
        rc = record_encode(out, &recs[i], pos);
        pos->seq++;
    }
    return rc;
}

static int replace_locked(struct ledger *l, const struct record *recs, size_t n)
{
    CLEANUP_BUF struct buf b = BUF_INIT(LEDGER_SIZE_MAX);
    char fresh[PATH_MAX + 8];
    struct record_pos pos;
    while (l->syncing)
        lock_wait(&l->lock, &l->cond, NULL);
    if (l->eno)
        return l->eno;
    (void)snprintf(fresh, sizeof(fresh), "%s.new", l->path);
    int rc = encode_file(recs, n, &b, &pos);
    if (rc < 0)
        return rc;
    int fd = l->io->ops->open(l->io, fresh, O_RDWR | O_CREAT | O_TRUNC, 0600);
    if (fd < 0)
        return fd;
    rc = io_write_all(l->io, fd, b.p, b.n, 0);
    if (rc == 0)
        rc = l->io->ops->rename(l->io, fresh, l->path);
    if (rc < 0) {
        l->io->ops->close(l->io, fd);
        (void)l->io->ops->unlink(l->io, fresh);
        return rc;
    }
    if (l->fd >= 0)
        l->io->ops->close(l->io, l->fd);
    l->fd = fd;
    l->pos = pos;
    l->end = b.n;
    l->synced = 0;
    l->fresh_name = true;
    return 0;
}

int ledger_replace(struct ledger *l, const struct record *recs, size_t n)
{
    lock_take(&l->lock);
    int rc = replace_locked(l, recs, n);
    lock_drop(&l->lock);
    return rc;
}

/* Reads what is there; 1: the file is new or has nothing in it. */
static int read_old(struct ledger *l, ledger_each_fn *fn, void *arg, struct ledger_report *report)
{
    CLEANUP_FREE uint8_t *p = NULL;
    size_t n = 0, end = 0;
    int fd = l->io->ops->open(l->io, l->path, O_RDWR, 0600);
    if (fd == -ENOENT)
        return 1;
    if (fd < 0)
        return fd;
    l->fd = fd;
    int rc = io_slurp(l->io, fd, LEDGER_SIZE_MAX, &p, &n);
    if (rc == 0)
        rc = ledger_replay(p, n, fn, arg, report, &l->pos, &end);
    if (rc < 0 || end == 0)
        return rc < 0 ? rc : 1;
    l->end = end;
    if (report->lost) {
        rc = l->io->ops->truncate(l->io, fd, end);
        if (rc == 0)
            rc = l->io->ops->datasync(l->io, fd);
    }
    return rc;
}

int ledger_open(const struct io *io, const char *dir, const char *name, ledger_each_fn *fn,
                void *arg, struct ledger_report *ret_report, struct ledger **ret, struct err *e)
{
    struct ledger_report report = {0};
    struct ledger *l = calloc(1, sizeof(*l));
    if (l)
        l->dir = strdup(dir);
    if (!l || !l->dir) {
        free(l);
        return err_set(e, -ENOMEM, "out of memory");
    }
    l->io = io;
    l->fd = -1;
    lock_init(&l->lock);
    lock_cond_init(&l->cond);
    int n = snprintf(l->path, sizeof(l->path), "%s/%s", dir, name);
    int rc = n < 0 || n >= (int)sizeof(l->path) ? -ENAMETOOLONG : read_old(l, fn, arg, &report);
    if (rc == 1)
        rc = ledger_replace(l, NULL, 0);
    if (ret_report)
        *ret_report = report;
    if (rc < 0) {
        (void)err_set(e, rc, "'%s/%s': %s", dir, name, err_text(rc));
        ledger_close(l, false);
        return rc;
    }
    *ret = l;
    return 0;
}

void ledger_close(struct ledger *l, bool remove)
{
    if (!l)
        return;
    if (remove)
        (void)l->io->ops->unlink(l->io, l->path);
    if (l->fd >= 0)
        l->io->ops->close(l->io, l->fd);
    pthread_cond_destroy(&l->cond);
    lock_done(&l->lock);
    free(l->dir);
    free(l);
}

static int append_locked(struct ledger *l, const struct record *recs, size_t n)
{
    CLEANUP_BUF struct buf b = BUF_INIT(LEDGER_SIZE_MAX);
    struct record_pos pos = l->pos;
    int rc = l->eno;
    for (size_t i = 0; rc == 0 && i < n; i++) {
        pos.durable = l->synced;
        rc = record_encode(&b, &recs[i], &pos);
        pos.seq++;
    }
    if (rc < 0)
        return rc;
    rc = io_write_all(l->io, l->fd, b.p, b.n, l->end);
    if (rc < 0) {
        (void)l->io->ops->truncate(l->io, l->fd, l->end);
        return rc;
    }
    l->pos = pos;
    l->end += b.n;
    return 0;
}

int ledger_append(struct ledger *l, const struct record *recs, size_t n)
{
    lock_take(&l->lock);
    int rc = append_locked(l, recs, n);
    lock_drop(&l->lock);
    return rc;
}

/* One thread syncs for all that wait. */
static int sync_locked(struct ledger *l)
{
    uint64_t end = l->end;
    bool fresh = l->fresh_name;
    int fd = l->fd;
    l->syncing = true;
    lock_drop(&l->lock);
    int rc = l->io->ops->datasync(l->io, fd);
    if (rc == 0 && fresh)
        rc = l->io->ops->sync_dir(l->io, l->dir);
    lock_take(&l->lock);
    l->syncing = false;
    if (rc == 0) {
        l->synced = end;
        l->fresh_name = false;
    } else {
        l->eno = rc;
    }
    pthread_cond_broadcast(&l->cond);
    return l->eno;
}

int ledger_sync(struct ledger *l)
{
    int rc = 0;
    lock_take(&l->lock);
    uint64_t target = l->end;
    const uint64_t salt = l->pos.salt;
    /* A file that was replaced meanwhile has what still matters of the old one. */
    while (rc == 0 && (l->synced < (salt == l->pos.salt ? target : l->end) || l->eno)) {
        if (l->eno)
            rc = l->eno;
        else if (l->syncing)
            lock_wait(&l->lock, &l->cond, NULL);
        else
            rc = sync_locked(l);
    }
    lock_drop(&l->lock);
    return rc;
}

uint64_t ledger_bytes(struct ledger *l)
{
    lock_take(&l->lock);
    uint64_t n = l->end;
    lock_drop(&l->lock);
    return n;
}
