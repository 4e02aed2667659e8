// SPDX-License-Identifier: Apache-2.0
// How a publication ends; see publish.h.
#include "fs/publish_impl.h"

#include <errno.h>
#include <stdlib.h>
#include <utlist.h>

#include "fs/attrcache.h"
#include "fs/changes.h"
#include "fs/encrypt.h"
#include "fs/errors.h"
#include "fs/inode.h"
#include "fs/kept.h"
#include "fs/match.h"
#include "fs/meta.h"
#include "fs/note.h"
#include "fs/options.h"
#include "fs/timer.h"
#include "net/base/clock.h"
#include "net/base/log.h"

enum { RETRY_FIRST_MS = 5000, RETRY_MOST_MS = 300000 };

/* The user was told that the file is safe: it is tried again until it is stored. But an object of
 * somebody else is not written over unasked, and rotten data are not stored: they wait for a
 * command. */
static bool is_retried(const struct staged *st)
{
    return st->acknowledged && !st->rotten && st->failure.eno != -ESTALE;
}

/* Is it an error of who writes? At durability=stage only the local disk can fail a write; the
 * service will be asked again after close. */
static bool is_told(const struct fs *fs, const struct staged *st)
{
    return fs->opt->durability != OPTION_DURABILITY_STAGE || st->rotten ||
           st->failure.eno == -ESTALE;
}

/* .. less and less often. */
static void publish_retry_locked(struct fs *fs, struct staged *st)
{
    st->retry_ms = st->retry_ms == 0              ? RETRY_FIRST_MS
                   : st->retry_ms < RETRY_MOST_MS ? 2 * st->retry_ms
                                                  : st->retry_ms;
    st->retry_due_ms = clock_ms() + st->retry_ms;
    timer_wake_locked(fs, st->retry_due_ms);
}

int64_t publish_run_locked(struct fs *fs, int64_t now_ms)
{
    int64_t next = INT64_MAX;
    struct staged *st, *tmp;
    DL_FOREACH_SAFE (fs->staged, st, tmp) {
        if (!is_retried(st) || !st->gave_up || st->state != STAGED_OPEN)
            continue;
        if (st->retry_due_ms <= now_ms)
            (void)publish_locked(fs, st->inode, NULL);
        else if (st->retry_due_ms < next)
            next = st->retry_due_ms;
    }
    return next;
}

/* Nobody writes to the file any more and it could not be stored: the name shows what the bucket
 * has, the data are kept for a retry. */
void publish_give_up_locked(struct fs *fs, struct inode *inode)
{
    struct staged *st = inode->staged;
    if (!st || !st->gave_up || !staged_dirty(st) || is_retried(st))
        return;
    note_failed_locked(fs, st, &st->failure);
    staged_keep_locked(fs, inode, st->failure.eno);
    inode_lose_content_locked(fs, inode);
}

void publish_failed(struct fs *fs, struct staged *st, const struct err *err)
{
    char path[256];
    inode_path_locked(st->inode, path, sizeof(path));
    log_err(fs->log, LOG_LEVEL_WARNING, "publish", err, "'%s' is not stored", path);
    errors_add(fs->errors, "publish", path, err);

    st->state = STAGED_OPEN;
    st->hold_only = false;
    st->restarts = 0;
    st->gave_up = true;
    st->failure = *err;
    if (is_told(fs, st))
        inode_latch_locked(st->inode, err->eno);
    waitlist_finish_locked(fs, &st->published, err->eno);
    waitlist_finish_locked(fs, &st->writable, 0);
    if (!st->filling)
        waitlist_finish_locked(fs, &st->filled, 0); /* see fill_answer() */
    waitlist_finish_locked(fs, &st->inode->move_waiters, 0);
    (void)meta_flush_now_locked(fs, st->inode); /* attributes that waited for the content's end */
    if (is_retried(st))
        publish_retry_locked(fs, st);
    else if (!st->inode->nwriters)
        publish_give_up_locked(fs, st->inode);
    if (!publish_busy_locked(fs))
        waitlist_finish_locked(fs, &fs->idle, 0);
}

void publish_failed_errno(struct fs *fs, struct staged *st, int eno, const char *why)
{
    struct err err;
    err_set(&err, eno, "%s", why);
    publish_failed(fs, st, &err);
}

/* Hands the waiters their success, or the result of the attributes that are still to be sent. */
static void finish_waiters(struct fs *fs, struct staged *st)
{
    struct inode *inode = st->inode;
    bool later = meta_flush_now_locked(fs, inode);
    st->done_pending = later;
    if (!later)
        note_done_locked(fs, st);

    for (struct waiter *w = st->published.head, *next; w; w = next) {
        next = w->next;
        if (w->target > st->stored_gen)
            continue;
        if (later) {
            waiter_remove_locked(w);
            waitlist_add_locked(&inode->meta_waiters, w);
        } else {
            waiter_finish_locked(fs, w, 0);
        }
    }
}

/* All that is staged can be fetched from now on. */
static void note_clean(struct staged *st)
{
    size_t n;
    const struct imap_range *v = imap_ranges(&st->have, &n);
    for (size_t i = 0; i < n && st->gen == st->stored_gen; i++)
        (void)imap_add(&st->fetched, v[i].from, v[i].to);
}

void publish_succeeded(struct fs *fs, struct staged *st, const struct obs_call *call,
                       const char *etag, unsigned meta_gen, bool encrypted)
{
    struct inode *inode = st->inode;

    if (inode_set_version_locked(inode, etag, st->size, 0) < 0) {
        publish_failed_errno(fs, st, -ENOMEM, "out of memory");
        return;
    }
    inode->state = INODE_STORED;
    inode->stored_s = call->server_time;
    inode->encrypted = encrypted || sse_encrypted(&st->sse);
    encrypt_stored_locked(fs, inode, &st->sse);
    inode->seen_ms = inode->changed_ms = clock_ms();
    st->stored_gen = st->publish_gen;
    st->base_len = st->size;
    st->state = STAGED_OPEN;
    st->hold_only = false;
    st->restarts = 0;
    st->gave_up = false;
    st->acknowledged = false;
    st->retry_ms = 0;
    free(st->parts);
    st->parts = NULL;
    st->n_parts = st->next_ready = 0;
    st->n_punched = st->cuts = 0;
    note_clean(st);
    clonemap_done(&st->clones);
    staged_plan_anew_locked(fs, st);
    match_free(st->match);
    st->match = NULL;
    st->matched = st->adopt_looked = false;
    kept_superseded_locked(fs, inode);
    if (inode->meta_gen != meta_gen)
        meta_mark_locked(fs, inode);
    else
        changes_settle_locked(fs, inode); /* the new object has them */
    attrcache_store_locked(fs, inode);
    finish_waiters(fs, st);
    waitlist_finish_locked(fs, &st->writable, 0);
    if (!st->filling)
        waitlist_finish_locked(fs, &st->filled, 0);
    waitlist_finish_locked(fs, &inode->move_waiters, 0);
    if (st->published.head && staged_dirty(st)) { /* asked again while this was under way */
        st->state = STAGED_PUBLISHING;
        publish_step_locked(fs, st);
        return;
    }
    staged_drop_if_clean_locked(fs, inode);
    if (!publish_busy_locked(fs))
        waitlist_finish_locked(fs, &fs->idle, 0);
}

void publish_attributes_sent_locked(struct fs *fs, struct inode *inode)
{
    struct staged *st = inode->staged;
    if (!st || !st->done_pending)
        return;
    st->done_pending = false;
    if (!staged_dirty(st))
        note_done_locked(fs, st);
    staged_drop_if_clean_locked(fs, inode);
}
