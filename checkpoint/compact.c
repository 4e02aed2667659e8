// SPDX-License-Identifier: Apache-2.0
// Rewriting a journal that has grown; see journal.h.
#include "checkpoint/journal_impl.h"

#include "net/base/cleanup.h"

#include <errno.h>
#include <fcntl.h>

// After so many rounds of catching up appends are made to wait.
enum { ROUNDS_FREE = 3 };

struct rewrite {
    struct journal *j;
    char path[PATH_MAX];
    char fresh_path[PATH_MAX];
    int fd;
    uint64_t end;          // bytes written to the new file
    struct record_pos pos; // of the next record
};

struct encoder {
    struct buf *b;
    struct record_pos *pos;
    uint64_t base; // offset in the file of the buffer's first byte
};

/* The new file counts only after it was synced as a whole: each record of it may vouch for all that
 * stands before it. */
static int encode_one(void *arg, const struct record *r)
{
    struct encoder *en = arg;
    en->pos->durable = en->base + en->b->n;
    int rc = record_encode(en->b, r, en->pos);
    if (rc == 0)
        en->pos->seq++;
    return rc;
}

static const struct record witness = {.type = RECORD_SYNCED, .optional = true};

// Header and state of the new file, in memory; from here on appends are remembered.
static int take_snapshot(struct rewrite *rw, struct buf *b)
{
    struct journal *j = rw->j;
    uint8_t header[RECORD_HEADER_SIZE];
    record_header_encode(header, rw->pos.salt);
    int rc = buf_add(b, header, sizeof(header));
    struct encoder en = {b, &rw->pos, 0};

    lock_take(&j->lock);
    if (rc == 0)
        rc = j->eno;
    if (rc == 0)
        rc = j->compacting ? -EBUSY : state_snapshot(&j->state, encode_one, &en);
    if (rc == 0)
        rc = encode_one(&en, &witness);
    if (rc == 0) {
        j->compacting = true;
        buf_reset(&j->since);
        j->since_seq = 0;
    }
    lock_drop(&j->lock);
    return rc;
}

static int write_synced(struct rewrite *rw, const struct buf *b)
{
    const struct io *io = rw->j->io;
    int rc = io_write_all(io, rw->fd, b->p, b->n, rw->end);
    if (rc == 0)
        rc = io->ops->datasync(io, rw->fd);
    if (rc == 0)
        rw->end += b->n;
    return rc;
}

// What was appended to the old file in the meantime, with positions of the new one.
static int write_since(struct rewrite *rw, const struct buf *since)
{
    CLEANUP_BUF struct buf b = BUF_INIT(JOURNAL_SIZE_MAX);
    struct encoder en = {&b, &rw->pos, rw->end};
    size_t at = 0;
    for (uint32_t seq = 0; at < since->n; seq++) {
        struct record r;
        ssize_t len = record_decode((const uint8_t *)since->p + at, since->n - at,
                                    &(struct record_pos){.seq = seq}, &r);
        int rc = len < 0 ? (int)len : encode_one(&en, &r);
        if (rc < 0)
            return rc;
        at += (size_t)len;
    }
    int rc = encode_one(&en, &witness);
    return rc < 0 ? rc : write_synced(rw, &b);
}

/* Renames the new file over the old one if nothing was appended that it lacks: 1; if something was,
 * 0 and it is handed over in *ret_since. */
static int switch_locked(struct rewrite *rw, struct buf *ret_since)
{
    struct journal *j = rw->j;
    ASSERT_HELD(&j->lock);
    while (j->syncing)
        lock_wait(&j->lock, &j->cond, NULL);
    if (j->eno || j->since.eno)
        return j->eno ? j->eno : j->since.eno;
    if (j->since.n > 0) {
        *ret_since = j->since;
        j->since = BUF_INIT(JOURNAL_SIZE_MAX);
        j->since_seq = 0;
        return 0;
    }

    int rc = j->io->ops->rename(j->io, rw->fresh_path, rw->path);
    if (rc < 0)
        return rc;
    int old = j->fd;
    j->fd = rw->fd;
    rw->fd = old; // closed by our caller
    j->salt = rw->pos.salt;
    j->seq = rw->pos.seq;
    j->end = rw->end;
    j->needed = rw->end;
    j->durable = 0; // until the new name is durable
    j->epoch++;
    j->syncing = true;
    return 1;
}

static int catch_up_and_switch(struct rewrite *rw)
{
    struct journal *j = rw->j;
    for (int round = 0;; round++) {
        CLEANUP_BUF struct buf since = BUF_INIT(JOURNAL_SIZE_MAX);
        lock_take(&j->lock);
        j->hold = round >= ROUNDS_FREE;
        int rc = switch_locked(rw, &since);
        lock_drop(&j->lock);
        if (rc == 0)
            rc = write_since(rw, &since);
        if (rc != 0)
            return rc;
    }
}

static void finish(struct rewrite *rw, int rc, bool switched)
{
    struct journal *j = rw->j;
    lock_take(&j->lock);
    if (switched) {
        j->syncing = false;
        j->settled = j->epoch;
        j->durable = rw->end;
        j->fresh_name = false;
        if (rc < 0 && !j->eno)
            j->eno = rc; // either file may be the one after a power cut
    }
    j->compacting = false;
    j->hold = false;
    buf_reset(&j->since);
    uint64_t next = 4 * (switched ? rw->end : j->end);
    j->next_compact = next > JOURNAL_COMPACT_MIN ? next : JOURNAL_COMPACT_MIN;
    pthread_cond_broadcast(&j->cond);
    lock_drop(&j->lock);
}

static int rewrite(struct rewrite *rw, const struct buf *snapshot)
{
    struct journal *j = rw->j;
    const struct io *io = j->io;
    int rc = io->ops->open(io, rw->fresh_path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    if (rc < 0) {
        finish(rw, rc, false);
        return rc;
    }
    rw->fd = rc;

    rc = write_synced(rw, snapshot);
    if (rc == 0)
        rc = catch_up_and_switch(rw);
    bool switched = rc == 1;
    if (switched)
        rc = io->ops->sync_dir(io, j->dir);
    else
        (void)io->ops->unlink(io, rw->fresh_path);
    finish(rw, rc, switched);
    io->ops->close(io, rw->fd);
    return rc;
}

int journal_compact(struct journal *j)
{
    struct rewrite rw = {.j = j, .fd = -1};
    int rc = journal_path(j->dir, j->id, "", rw.path);
    if (rc == 0)
        rc = journal_path(j->dir, j->id, ".new", rw.fresh_path);
    if (rc == 0)
        rc = journal_salt(&rw.pos.salt);
    if (rc < 0)
        return rc;

    CLEANUP_BUF struct buf b = BUF_INIT(JOURNAL_SIZE_MAX);
    rc = take_snapshot(&rw, &b);
    return rc < 0 ? rc : rewrite(&rw, &b);
}

bool journal_wants_compact(struct journal *j)
{
    lock_take(&j->lock);
    bool wants = !j->eno && !j->compacting && j->end > j->next_compact;
    lock_drop(&j->lock);
    return wants;
}
