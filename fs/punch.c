// SPDX-License-Identifier: Apache-2.0
// Making room in the state directory; see space.h.
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <utlist.h>

#include "checkpoint/store.h"
#include "fs/errors.h"
#include "fs/inode.h"
#include "fs/kept.h"
#include "fs/note.h"
#include "fs/options.h"
#include "fs/publish.h"
#include "fs/space.h"
#include "fs/worker.h"
#include "net/base/clock.h"
#include "net/base/log.h"

/* How often the timer looks while somebody waits. */
enum { LOOK_MS = 1000 };

/* Its staging file may be punched now: nobody reads or writes it, and its parts will stay. */
static bool is_quiet(const struct staged *st)
{
    return st->state != STAGED_DEAD && !st->writing && !st->users && !st->filling &&
           !st->final_request && !inode_moving_locked(st->inode);
}

static bool is_predicted(const struct fs *fs, const struct staged *st)
{
    char key[OBS_KEY_MAX + 1];
    return st->upload.state == UPLOAD_ACTIVE && inode_key_locked(fs, st->inode, key) == 0 &&
           strcmp(key, st->upload.key) != 0;
}

static bool is_punchable(const struct fs *fs, const struct staged *st, size_t idx)
{
    const struct part *p = &st->parts[idx];
    size_t count = staged_part_count(fs, st, st->size);
    bool open = st->inode->nwriters > 0;
    return p->state == PART_STORED && !p->under_way && !p->punched &&
           (!open || (idx > 0 && idx + 2 < count)) &&
           imap_total_in(&st->room, p->offset, p->offset + p->size) > 0;
}

/* The part that was stored first, of all files whose key is theirs (or predicted, if asked). */
static struct staged *find_oldest(struct fs *fs, bool predicted, size_t *ret_idx)
{
    struct staged *st, *best = NULL;
    uint64_t seq = UINT64_MAX;
    DL_FOREACH (fs->staged, st) {
        if (st->upload.state != UPLOAD_ACTIVE || st->unpunchable || !is_quiet(st) ||
            is_predicted(fs, st) != predicted)
            continue;
        for (size_t i = 0; i < st->n_parts; i++) {
            if (st->parts[i].stored_seq < seq && is_punchable(fs, st, i)) {
                seq = st->parts[i].stored_seq;
                best = st;
                *ret_idx = i;
            }
        }
    }
    return best;
}

struct punch {
    struct job job;
    struct staged *st;
    size_t idx;
    uint64_t off, size;
    uint64_t counted;
};

static void punch_end(struct fs *fs, struct punch *c, int noted, int punched)
{
    struct staged *st = c->st;
    struct part *p = &st->parts[c->idx];

    st->users--;
    st->punching--;
    fs->space->punching -= c->counted;
    p->punching = false;
    if (noted < 0 || punched < 0) {
        st->unpunchable = true;
        log_error(fs->log, "staging", "part %zu of upload %llu cannot be released: %s", c->idx + 1,
                  (unsigned long long)st->id, err_text(noted < 0 ? noted : punched));
    }
    if (noted < 0) { /* as if it had never been begun */
        p->punched = false;
        st->n_punched--;
        (void)imap_add(&st->have, c->off, c->off + c->size);
    } else if (punched == 0) {
        space_release_locked(fs, st, c->off, c->off + c->size);
    }
    waitlist_finish_locked(fs, &st->writable, 0);
    if (st->state == STAGED_DEAD)
        staged_reap_locked(fs, st);
    else
        publish_step_locked(fs, st);
    space_press_locked(fs);
}

static void punch_run(struct fs *fs, struct job *job)
{
    struct punch *c = (struct punch *)job;
    int punched = 0;
    int noted = note_punched(c->st, c->off, c->size);
    if (noted == 0 && fallocate(c->st->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                                (off_t)c->off, (off_t)c->size) < 0)
        punched = -errno;
    fs_lock(fs);
    punch_end(fs, c, noted, punched);
    publish_pump_locked(fs);
    fs_unlock(fs);
    free(c);
}

/* Releases a part: bytes, or 0 if there is no memory for it. */
static uint64_t start_punch(struct fs *fs, struct staged *st, size_t idx)
{
    struct part *p = &st->parts[idx];
    struct punch *c = calloc(1, sizeof(*c));
    if (!c || imap_remove(&st->have, p->offset, p->offset + p->size) < 0) {
        free(c);
        return 0;
    }
    (void)imap_remove(&st->fetched, p->offset, p->offset + p->size);
    *c = (struct punch){.job = {.fn = punch_run},
                        .st = st,
                        .idx = idx,
                        .off = p->offset,
                        .size = p->size,
                        .counted = imap_total_in(&st->room, p->offset, p->offset + p->size)};
    p->punched = p->punching = true;
    st->n_punched++;
    st->punching++;
    st->users++;
    fs->space->punching += c->counted;
    worker_submit_locked(fs, &c->job);
    return c->counted;
}

/* What was fetched is as the bucket has it: it can be fetched again. */
static void drop_fetched(struct fs *fs, struct staged *st)
{
    size_t n;
    if (!imap_total(&st->fetched) || !is_quiet(st) || st->state != STAGED_OPEN || st->inflight ||
        st->sealed)
        return;
    const struct imap_range *v = imap_ranges(&st->fetched, &n);
    for (size_t i = 0; i < n; i++) {
        if (imap_remove(&st->have, v[i].from, v[i].to) < 0)
            continue;
        if (fallocate(st->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)v[i].from,
                      (off_t)(v[i].to - v[i].from)) < 0) {
            (void)imap_add(&st->have, v[i].from, v[i].to);
            continue;
        }
        space_release_locked(fs, st, v[i].from, v[i].to);
    }
    imap_clear(&st->fetched);
}

/* Nothing else is left to punch: the oldest upload under a guessed key gets its own. */
static void unpredict(struct fs *fs, struct staged *st)
{
    char path[256];
    inode_path_locked(st->inode, path, sizeof(path));
    if (!st->expired)
        log_notice(fs->log, "staging",
                   "'%s' is larger than staging_max allows for a file that waits for its rename: "
                   "it is sent under its own name",
                   path);
    st->expired = true;
    if (st->held)
        (void)publish_locked(fs, st->inode, NULL);
    else
        publish_rekey_locked(fs, st);
}

/* The last part, if it is partial, ends where the file ends now. */
static bool cut_tail(struct fs *fs, struct staged *st, uint32_t no, uint64_t off, uint64_t end)
{
    if (end - off < fs->plan.min_part || end != st->size || st->base_len ||
        st->parts[no - 1].state != PART_OPEN || st->cuts >= SPACE_CUTS_MAX || no >= PLAN_PARTS_MAX)
        return false;
    if (st->plan != &st->own_plan && plan_copy(&st->own_plan, &fs->plan) < 0)
        return false;
    st->plan = &st->own_plan;
    if (plan_mark(&st->own_plan, no, end) < 0)
        return false;
    st->cuts++;
    st->n_parts = no; /* there is nothing behind it */
    st->parts[no - 1].size = end - off;
    return true;
}

/* Nobody has written to the file for a while: its parts go out as they are. */
static void seal_idle(struct fs *fs, struct staged *st)
{
    uint64_t end = imap_end(&st->have), off, size;
    uint32_t no;
    bool ready = false;
    if (!is_quiet(st) || st->state != STAGED_OPEN || !st->inode->nwriters)
        return;
    if (end > 0 && staged_dirty(st) && st->inode->parent && !st->interrupted && !st->gave_up &&
        plan_find(st->plan, end - 1, &no, &off, &size) == 0 &&
        staged_plan_locked(fs, st, no) == 0) {
        bool whole = off + size <= end || cut_tail(fs, st, no, off, end);
        for (uint32_t i = 0; i < (whole ? no : no - 1); i++) {
            struct part *p = &st->parts[i];
            if (p->state != PART_OPEN || p->punched ||
                !imap_touches(&st->have, p->offset, p->offset + p->size))
                continue;
            p->state = PART_READY;
            ready = true;
        }
    }
    uint64_t used = (end + SPACE_BLOCK - 1) / SPACE_BLOCK * SPACE_BLOCK;
    if (imap_end(&st->room) > used)
        space_release_locked(fs, st, used, UINT64_MAX);
    if (ready) {
        st->next_ready = 0;
        publish_part_ready_locked(fs, st);
    }
}

/* Lets the oldest one without a promise go. False: there is none. */
static bool drop_kept(struct fs *fs)
{
    struct kept *k, *worst = NULL;
    DL_FOREACH (fs->kept, k) {
        if (!k->data_bytes || state_acknowledged(&k->state))
            continue;
        if (!worst || (worst->state.failed && !k->state.failed) ||
            (worst->state.failed == k->state.failed && k->id < worst->id))
            worst = k;
    }
    if (!worst)
        return false;
    struct err err;
    bool failed = worst->state.failed;
    if (failed)
        err_set(
            &err, -ENOSPC,
            "dropped to stay within staging_max: it had failed with %s and was kept for a retry",
            err_text(worst->state.failed_eno));
    else
        err_set(
            &err, -ENOSPC,
            "it was interrupted, and its local data are dropped to stay within staging_max; its "
            "stored parts are kept");
    log_err(fs->log, failed ? LOG_LEVEL_WARNING : LOG_LEVEL_NOTICE, "staging", &err, "'%s'",
            worst->state.key);
    errors_add(fs->errors, "staging", worst->state.key, &err);
    if (failed)
        kept_drop_locked(fs, worst, true);
    else
        kept_drop_data_locked(fs, worst);
    return true;
}

static void press(struct fs *fs, bool patience_over)
{
    struct staged *st, *tmp;
    size_t idx;
    uint64_t lacking;
    while ((lacking = space_shortage_locked(fs)) > 0 && (st = find_oldest(fs, false, &idx))) {
        if (!start_punch(fs, st, idx))
            return;
    }
    if (!lacking)
        return;
    DL_FOREACH (fs->staged, st)
        drop_fetched(fs, st);
    if (!space_shortage_locked(fs))
        return;
    st = find_oldest(fs, true, &idx);
    if (st && (patience_over || imap_total(&st->room) == fs->space->taken))
        unpredict(fs, st);
    int64_t now = clock_ms();
    DL_FOREACH_SAFE (fs->staged, st, tmp) {
        if (patience_over && st->touched_ms + SPACE_IDLE_MS <= now)
            seal_idle(fs, st);
    }
    while (patience_over && space_shortage_locked(fs) > 0 && drop_kept(fs))
        continue;
}

void space_press_locked(struct fs *fs)
{
    struct space *s = fs->space;
    if (s->pressing || !s->queue.head || fs->stopping)
        return;
    const struct space_wait *first = (const struct space_wait *)s->queue.head;
    s->pressing = true; /* what is done here comes here again */
    press(fs, first->since_ms + SPACE_IDLE_MS <= clock_ms());
    space_serve_locked(fs);
    s->pressing = false;
}

int64_t space_run_locked(struct fs *fs, int64_t now_ms)
{
    space_uploads_locked(fs);
    if (!fs->space->queue.head)
        return INT64_MAX;
    space_press_locked(fs);
    return now_ms + LOOK_MS;
}
