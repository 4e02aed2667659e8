// SPDX-License-Identifier: Apache-2.0
// Staged content on the local disk; see seal.h.
#include "fs/seal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "checkpoint/journal.h"
#include "fs/inode.h"
#include "fs/match.h"
#include "fs/note.h"
#include "fs/publish.h"
#include "fs/worker.h"
#include "net/digest.h"

enum { SEAL_TRIES = 3 };

/* A part to be hashed. */
struct seal_part {
    size_t idx;
    uint64_t gen, offset, size;
    bool hashed;
    unsigned char md5[DIGEST_SIZE_MAX];
};

struct seal_job {
    struct job job;
    struct staged *st;
    enum seal_kind kind;
    uint64_t asked_gen; /* of the content that the word is about */
    uint64_t gen;       /* of what is being hashed */
    struct seal_part *parts;
    size_t n_parts;
    struct waitlist waiters;
};

/* All of it is in the staging file, or a hole that reads as zeros. */
static bool is_staged(const struct staged *st, uint64_t off, uint64_t end)
{
    uint64_t until = end < st->base_len ? end : st->base_len;
    if (clonemap_next(&st->clones, off, end))
        return false;
    return off >= until || imap_covers(&st->have, off, until);
}

/* Which parts are to be hashed. Without memory none: they go out unchecked, as before. */
static void choose_locked(struct fs *fs, struct seal_job *s)
{
    struct staged *st = s->st;
    size_t count = staged_part_count(fs, st, st->size);
    s->gen = st->gen;
    s->n_parts = 0;
    free(s->parts);
    s->parts = NULL;
    if (!st->journal || st->size == 0 || st->writing || staged_plan_locked(fs, st, count) < 0)
        return;
    s->parts = calloc(count, sizeof(*s->parts));
    for (size_t i = 0; s->parts && i < count; i++) {
        const struct part *p = &st->parts[i];
        uint64_t off, full;
        if (plan_part(st->plan, (uint32_t)i + 1, &off, &full) < 0 || off >= st->size)
            break;
        uint64_t size = st->size - off < full ? st->size - off : full;
        if (p->state == PART_STORED || p->hashed == size || !is_staged(st, off, off + size))
            continue;
        s->parts[s->n_parts++] =
            (struct seal_part){.idx = i, .gen = p->gen, .offset = off, .size = size};
    }
}

/* Notes the digests of what has not changed meanwhile. */
static void take_digests_locked(struct fs *fs, struct seal_job *s)
{
    struct staged *st = s->st;
    for (size_t i = 0; i < s->n_parts; i++) {
        const struct seal_part *from = &s->parts[i];
        struct part *p = from->idx < st->n_parts ? &st->parts[from->idx] : NULL;
        if (!from->hashed || !p || p->gen != from->gen || p->offset != from->offset ||
            p->state == PART_STORED)
            continue;
        memcpy(p->md5, from->md5, sizeof(p->md5));
        p->hashed = from->size;
        note_planned_locked(fs, st, from->idx);
    }
}

/* Hashes while the disk already writes, then waits for the disk. */
static int hash_and_sync(struct seal_job *s)
{
    int fd = s->st->fd;
    if (s->n_parts)
        (void)sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE);
    for (size_t i = 0; i < s->n_parts; i++) {
        struct seal_part *p = &s->parts[i];
        p->hashed = match_hash_range(fd, p->offset, p->size, p->md5) == 0; /* else: it was cut */
    }
    return fdatasync(fd) < 0 ? -errno : 0;
}

/* The content that is to be sealed has not been stored meanwhile. */
static bool is_wanted(const struct seal_job *s)
{
    return s->kind != SEAL_NOT && s->st->state != STAGED_DEAD && s->asked_gen > s->st->stored_gen;
}

static void run(struct fs *fs, struct job *job)
{
    struct seal_job *s = (struct seal_job *)job;
    struct staged *st = s->st;
    int rc = 0;

    fs_lock(fs);
    for (int tries = 0; rc == 0 && tries < SEAL_TRIES; tries++) {
        if (is_wanted(s))
            choose_locked(fs, s);
        fs_unlock(fs);
        rc = hash_and_sync(s);
        fs_lock(fs);
        if (!is_wanted(s) || (st->gen == s->gen && !st->writing))
            break;
    }
    if (rc == 0 && is_wanted(s)) {
        if (!st->writing)
            take_digests_locked(fs, s);
        note_sealed_locked(fs, st, SEAL_CLOSE, s->kind == SEAL_HELD, true);
    }
    struct journal *journal = journal_ref(st->journal);
    fs_unlock(fs);

    if (rc == 0 && journal)
        rc = journal_sync(journal);
    journal_close(journal);

    fs_lock(fs);
    st->users--;
    if (rc == 0 && is_wanted(s)) {
        st->acknowledged = true;
        if (s->kind == SEAL_NOW)
            (void)publish_locked(fs, st->inode, NULL);
    }
    staged_reap_locked(fs, st);
    waitlist_finish_locked(fs, &s->waiters, rc);
    fs_unlock(fs);
    free(s->parts);
    free(s);
}

int seal_start_locked(struct fs *fs, struct staged *st, enum seal_kind kind, struct waiter *w)
{
    struct seal_job *s = calloc(1, sizeof(*s));
    if (!s)
        return -ENOMEM;
    s->job.fn = run;
    s->st = st;
    s->kind = kind;
    s->asked_gen = st->gen;
    st->users++;
    waitlist_add_locked(&s->waiters, w);
    worker_submit_locked(fs, &s->job);
    return -EINPROGRESS;
}

void seal_broken_locked(struct fs *fs, struct staged *st, uint64_t off, uint64_t end)
{
    if (off > st->size) /* what was the end grows too */
        off = st->size;
    for (size_t i = 0; i < st->n_parts; i++) {
        struct part *p = &st->parts[i];
        uint64_t from, full;
        if (!p->hashed || plan_part(st->plan, (uint32_t)i + 1, &from, &full) < 0 ||
            from + full <= off || from >= end)
            continue;
        p->hashed = 0;
        if (p->state != PART_STORED)
            note_broken_locked(fs, st, i);
    }
}

void seal_note_again_locked(struct fs *fs, struct staged *st)
{
    for (size_t i = 0; i < st->n_parts; i++) {
        if (st->parts[i].hashed && st->parts[i].state != PART_STORED)
            note_planned_locked(fs, st, i);
    }
}
