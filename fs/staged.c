// SPDX-License-Identifier: Apache-2.0
// Local bytes of files that are being changed; see staged.h.
#include "fs/staged.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <utlist.h>

#include "fs/crashpoint.h"
#include "fs/inode.h"
#include "fs/kept.h"
#include "fs/match.h"
#include "fs/note.h"
#include "fs/options.h"
#include "fs/properties.h"
#include "fs/publish.h"
#include "fs/seal.h"
#include "fs/space.h"
#include "fs/transfer.h"
#include "net/base/clock.h"
#include "net/base/log.h"

void staged_plan_anew_locked(struct fs *fs, struct staged *st)
{
    const char *text = properties_value_locked(fs, st->inode, "part_size");
    uint64_t size = 0;
    struct plan plan = {0};
    struct err err = {0};
    st->plan = &fs->plan;
    if (!text || option_parse_size(text, &size) < 0)
        return;
    int rc = plan_init(&plan, obs_dialect_of(fs->obs), size, fs->plan.reach, &err);
    if (rc == 0 && !space_holds_parts(fs, size))
        rc = err_set(&err, -EINVAL, "staging_max must hold four parts");
    if (rc < 0) {
        log_err(fs->log, LOG_LEVEL_WARNING, "upload", &err, "part_size=%s is not used", text);
        plan_done(&plan);
        return;
    }
    plan_done(&st->own_plan);
    st->own_plan = plan;
    st->plan = &st->own_plan;
}

int staged_get_locked(struct fs *fs, struct inode *inode, bool truncate, struct staged **ret)
{
    if (inode->staged) {
        *ret = inode->staged;
        return truncate ? staged_truncate_locked(fs, inode->staged, 0) : 0;
    }

    struct staged *st = calloc(1, sizeof(*st));
    if (!st)
        return -ENOMEM;
    int rc = note_staging(fs, st);
    if (rc < 0) {
        free(st);
        return rc;
    }
    st->inode = inode;
    staged_plan_anew_locked(fs, st);
    bool based = inode->state == INODE_STORED && !truncate;
    st->size = based ? inode->stored_size : 0;
    if (ftruncate(st->fd, (off_t)st->size) < 0) { /* a hole as long as the file */
        rc = -errno;
        note_close_locked(fs, st);
        free(st);
        return rc;
    }
    st->base_len = st->size;
    st->gen = 1;
    st->stored_gen = based ? 1 : 0;
    imap_init(&st->have);
    imap_init(&st->read);
    inode->staged = st;
    inode_pin_locked(inode);
    DL_APPEND(fs->staged, st);
    *ret = st;
    return 0;
}

static void forget_upload(struct fs *fs, struct staged *st)
{
    if (st->upload.state == UPLOAD_ACTIVE && !st->keep)
        transfer_abort_staged_locked(fs, st, st->upload.key, st->upload.id);
    free(st->upload.key);
    st->upload = (struct upload){0};
}

void staged_reap_locked(struct fs *fs, struct staged *st)
{
    if (st->state != STAGED_DEAD || st->inflight || st->writing || st->users)
        return;

    /* Only now: parts that were under way when the upload is aborted might survive it. */
    forget_upload(fs, st);
    CRASH_POINT("staged.forgotten");
    struct inode *inode = st->inode;
    DL_DELETE(fs->staged, st);
    bool keep = st->keep;
    note_close_locked(fs, st);
    space_forget_locked(fs, st);
    CRASH_POINT("staged.closed");
    if (keep)
        kept_add_locked(fs, st->id);
    plan_done(&st->own_plan);
    imap_done(&st->have);
    imap_done(&st->read);
    clonemap_done(&st->clones);
    match_free(st->match);
    free(st->parts);
    obs_props_clear(&st->sse);
    free(st);
    waitlist_finish_locked(fs, &inode->move_waiters, 0);
    inode_unpin_locked(fs, inode);
    if (!publish_busy_locked(fs))
        waitlist_finish_locked(fs, &fs->idle, 0);
}

void staged_drop_locked(struct fs *fs, struct inode *inode, int result)
{
    struct staged *st = inode->staged;
    if (!st)
        return;

    inode->staged = NULL;
    st->state = STAGED_DEAD;
    if (!st->keep)
        note_abandoned_locked(fs, st, "dropped");
    if (st->in_sending) {
        DL_DELETE2(fs->sending, st, send_prev, send_next);
        st->in_sending = false;
    }
    waitlist_finish_locked(fs, &st->published, result);
    waitlist_finish_locked(fs, &st->writable, result);
    waitlist_finish_locked(fs, &st->filled, result);
    space_dropped_locked(fs, st);
    transfer_cancel_all_locked(fs, st);
    staged_reap_locked(fs, st);
}

void staged_keep_locked(struct fs *fs, struct inode *inode, int result)
{
    inode->staged->keep = inode->staged->journal != NULL && !inode->staged->cloned;
    staged_drop_locked(fs, inode, result);
}

bool staged_dirty(const struct staged *st)
{
    return st->gen != st->stored_gen;
}

void staged_drop_if_clean_locked(struct fs *fs, struct inode *inode)
{
    struct staged *st = inode->staged;
    if (st && st->state == STAGED_OPEN && !staged_dirty(st) && !st->done_pending &&
        !inode->nwriters && !st->writing && !st->inflight && inode->parent)
        staged_drop_locked(fs, inode, 0);
}

static bool overlaps_fill(const struct staged *st, uint64_t off, uint64_t n)
{
    return st->filling && off < st->fill_to && off + n > st->fill_from;
}

/* [off, end) is about to change: the journal says so first. */
static int begin_change(struct fs *fs, struct staged *st, uint64_t off, uint64_t end)
{
    if (st->done_pending) {
        /* What was stored has its object; its journal must not be taken for that of the new content, which
         * brings the attributes along. */
        st->done_pending = false;
        note_done_locked(fs, st);
    }
    int rc = note_change_locked(fs, st);
    if (rc == 0 && st->sealed)
        note_reopened_locked(fs, st);
    if (rc == 0)
        seal_broken_locked(fs, st, off, end);
    st->gave_up = false;
    return rc;
}

int staged_write_begin_locked(struct fs *fs, struct staged *st, uint64_t off, uint64_t n)
{
    if (st->state != STAGED_OPEN || st->paused || overlaps_fill(st, off, n))
        return -EAGAIN;

    uint64_t from = off < st->size || off + n <= st->size ? off : st->size;
    int rc = space_check_locked(fs, st, from, off + n);
    if (rc == 0)
        rc = space_reserve_locked(fs, st, off, n);
    /* Present from now on: a fill that starts meanwhile leaves the range alone. */
    if (rc == 0)
        rc = begin_change(fs, st, off, off + n);
    if (rc == 0)
        rc = imap_remove(&st->fetched, off, off + n);
    if (rc == 0)
        rc = imap_add(&st->have, off, off + n);
    if (rc < 0)
        return rc;
    st->writing++;
    return 0;
}

/* The bytes of [off, end) changed: parts that were sent with other bytes go out again. */
static void touch_parts(struct fs *fs, struct staged *st, uint64_t off, uint64_t end)
{
    for (size_t i = 0; i < st->n_parts; i++) {
        struct part *p = &st->parts[i];
        if (p->offset + p->size <= off)
            continue;
        if (p->offset >= end)
            break;
        p->gen = st->gen;
        if (p->punched) { /* replaced as a whole, or cut off */
            p->punched = false;
            st->n_punched--;
        }
        if (p->state == PART_STORED)
            note_rewritten_locked(fs, st, i);
        if (p->state == PART_SENDING || p->state == PART_STORED)
            p->state = PART_OPEN;
    }
}

size_t staged_part_count(const struct fs *fs, const struct staged *st, uint64_t size)
{
    uint32_t count = 0;
    return plan_count(st ? st->plan : &fs->plan, size, &count) < 0 ? PLAN_PARTS_MAX + 1u : count;
}

int staged_plan_locked(struct fs *fs, struct staged *st, size_t count)
{
    if (count > PLAN_PARTS_MAX)
        return -EFBIG;
    if (count <= st->n_parts)
        return 0;

    struct part *parts = realloc(st->parts, count * sizeof(*parts));
    if (!parts)
        return -ENOMEM;
    st->parts = parts;
    for (size_t i = st->n_parts; i < count; i++) {
        parts[i] = (struct part){.state = PART_OPEN, .gen = st->gen};
        int rc = plan_part(st->plan, (uint32_t)i + 1, &parts[i].offset, &parts[i].size);
        if (rc < 0)
            return rc;
    }
    st->n_parts = count;
    return 0;
}

/* Seals the full parts that a writer at [off, end) has left behind. */
static void seal_parts(struct fs *fs, struct staged *st, uint64_t off, uint64_t end)
{
    uint32_t first, last;
    if (plan_find(st->plan, off, &first, NULL, NULL) < 0 ||
        plan_find(st->plan, end - 1, &last, NULL, NULL) < 0 || last < 2)
        return;
    if (staged_plan_locked(fs, st, last) < 0)
        return; /* tried again, and reported, when it is published */

    bool sealed = false;
    for (uint32_t no = first > 1 ? first - 1 : 1; no < last; no++) {
        struct part *p = &st->parts[no - 1];
        if (p->state == PART_OPEN && imap_covers(&st->have, p->offset, p->offset + p->size)) {
            p->state = PART_READY;
            if (no - 1 < st->next_ready)
                st->next_ready = no - 1;
            sealed = true;
        }
    }
    if (sealed)
        publish_part_ready_locked(fs, st);
}

void staged_write_end_locked(struct fs *fs, struct staged *st, uint64_t off, uint64_t n,
                             bool failed)
{
    st->writing--;
    if (failed) {
        (void)imap_remove(&st->have, off, off + n); /* else it reads as the zeros of the file */
    } else {
        st->gen++;
        st->touched_ms = clock_ms();
        touch_parts(fs, st, off, off + n);
        if (off + n > st->size)
            st->size = off + n;
        if (st->state == STAGED_OPEN && !st->interrupted && st->inode->parent)
            seal_parts(fs, st, off, off + n);
    }
    if (st->state == STAGED_DEAD) {
        staged_reap_locked(fs, st);
    } else if (!st->writing) {
        waitlist_finish_locked(fs, &st->writable,
                               0); /* truncate and fallocate, which wait for it */
        publish_step_locked(fs, st);
        space_press_locked(fs); /* nobody could punch while it was written */
    }
}

int staged_truncate_locked(struct fs *fs, struct staged *st, uint64_t size)
{
    if (st->state != STAGED_OPEN || st->filling || st->writing)
        return -EAGAIN;
    if (staged_part_count(fs, st, size) > PLAN_PARTS_MAX)
        return -EFBIG;

    uint64_t from = size < st->size ? size : st->size;
    int rc = size == st->size ? 0 : space_check_locked(fs, st, from, UINT64_MAX);
    if (rc == 0)
        rc = begin_change(fs, st, from, UINT64_MAX);
    if (rc < 0)
        return rc;
    if (ftruncate(st->fd, (off_t)size) < 0)
        return -errno;
    if (size < st->size) {
        imap_truncate(&st->have, size);
        imap_truncate(&st->fetched, size);
        space_release_locked(fs, st, (size + SPACE_BLOCK - 1) / SPACE_BLOCK * SPACE_BLOCK,
                             UINT64_MAX);
        if (st->base_len > size)
            st->base_len = size;
        (void)clonemap_remove(&st->clones, size, UINT64_MAX); /* makes no hole */
    }
    if (size != st->size || size == 0) {
        st->gen++;
        touch_parts(fs, st, size < st->size ? size : st->size, UINT64_MAX);
        st->size = size;
    }
    return 0;
}

int staged_zero_locked(struct fs *fs, struct staged *st, uint64_t off, uint64_t n)
{
    if (st->state != STAGED_OPEN || st->filling || st->writing)
        return -EAGAIN;

    int rc = space_check_locked(fs, st, off, off + n);
    if (rc == 0)
        rc = begin_change(fs, st, off, off + n);
    if (rc == 0)
        rc = imap_remove(&st->fetched, off, off + n);
    if (rc == 0)
        rc = imap_add(&st->have, off, off + n);
    if (rc < 0)
        return rc;
    if (fallocate(st->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)off, (off_t)n) < 0)
        return -errno;
    st->gen++;
    touch_parts(fs, st, off, off + n);
    return 0;
}

int staged_clone_locked(struct fs *fs, struct staged *st, uint64_t off, uint64_t n,
                        struct fetch_file *file, uint64_t source)
{
    uint64_t end = off + n;
    if (st->state != STAGED_OPEN || st->paused || st->filling || st->writing)
        return -EAGAIN;
    /* What was promised to outlive a crash must not depend on somebody else's object. */
    if (imap_touches(&st->have, off, end) || (st->acknowledged && staged_dirty(st)))
        return -EOPNOTSUPP;

    int rc = space_check_locked(fs, st, off < st->size ? off : st->size, end);
    if (rc == 0)
        rc = begin_change(fs, st, off, end);
    if (rc == 0)
        rc = note_cloned_locked(fs, st);
    if (rc == 0 && end > st->size && ftruncate(st->fd, (off_t)end) < 0)
        rc = -errno;
    if (rc == 0)
        rc = clonemap_add(&st->clones, off, end, file, source);
    if (rc == -EFBIG)
        return -EOPNOTSUPP;
    if (rc < 0)
        return rc;
    st->gen++;
    st->touched_ms = clock_ms();
    touch_parts(fs, st, off, end);
    if (end > st->size)
        st->size = end;
    return 0;
}

/* The first bytes of [off, end) that are not local, and whose they are: of a clone, or of the
 * stored object. */
static bool next_missing(const struct staged *st, uint64_t off, uint64_t end, uint64_t *ret_from,
                         uint64_t *ret_to, const struct clone **ret_clone)
{
    uint64_t a, b;
    while (imap_next_gap(&st->have, off, end, &a, &b)) {
        const struct clone *c = clonemap_next(&st->clones, a, b);
        uint64_t other = c ? c->from : b;
        *ret_from = a;
        if (c && c->from <= a) {
            *ret_clone = c;
            *ret_to = c->to < b ? c->to : b;
            return true;
        }
        if (a < st->base_len) {
            *ret_clone = NULL;
            *ret_to = other < st->base_len ? other : st->base_len;
            return true;
        }
        off = other;
    }
    return false;
}

int staged_fill_locked(struct fs *fs, struct staged *st, uint64_t off, uint64_t n)
{
    const struct clone *clone;
    uint64_t from, to;
    int rc = space_readable_locked(fs, st, off, off + n);
    if (rc < 0)
        return rc;
    if (!next_missing(st, off, off + n, &from, &to, &clone))
        return 0;
    if (clone && clone->lost)
        return clone->lost;
    if (st->filling || st->inode->meta_sending) /* which may change the ETag, and comes back here */
        return -EINPROGRESS;

    rc = transfer_fill_locked(fs, st, from, to, clone);
    if (rc < 0)
        return rc;
    space_force_locked(fs, st, from, to - from);
    st->filling = true;
    st->fill_from = from;
    st->fill_to = to;
    return -EINPROGRESS;
}
