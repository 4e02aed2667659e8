// SPDX-License-Identifier: Apache-2.0
// Room in the state directory; see space.h. Making room is in punch.c.
#include "fs/space.h"

#include <errno.h>
#include <stdlib.h>
#include <utlist.h>

#include "checkpoint/store.h"
#include "fs/errors.h"
#include "fs/file.h"
#include "fs/inode.h"
#include "fs/options.h"
#include "fs/publish.h"
#include "fs/timer.h"
#include "net/base/clock.h"
#include "net/base/log.h"

/* Parts that a file needs beside its first one to get on. */
enum { CLAIM_PARTS = 3 };

bool space_holds_parts(const struct fs *fs, uint64_t part_size)
{
    return !fs->opt->staging_max || fs->opt->staging_max / (CLAIM_PARTS + 1) >= part_size;
}

int space_new(struct fs *fs, struct err *err)
{
    if (!space_holds_parts(fs, fs->plan.part_size))
        return err_set(err, -EINVAL, "staging_max must hold four parts: at least %llu bytes",
                       (unsigned long long)(CLAIM_PARTS + 1) * fs->plan.part_size);
    fs->space = calloc(1, sizeof(*fs->space));
    return fs->space ? 0 : err_set(err, -ENOMEM, "out of memory");
}

void space_free(struct fs *fs)
{
    free(fs->space);
    fs->space = NULL;
}

/* Room that is counted, but not on the disk yet. */
static uint64_t unwritten(const struct fs *fs)
{
    uint64_t sum = 0;
    const struct staged *st;
    DL_FOREACH (fs->staged, st) {
        size_t n;
        const struct imap_range *v = imap_ranges(&st->room, &n);
        for (size_t i = 0; i < n; i++)
            sum += v[i].to - v[i].from - imap_total_in(&st->have, v[i].from, v[i].to);
    }
    return sum;
}

static uint64_t available(const struct fs *fs)
{
    uint64_t free_bytes, total;
    if (store_space(fs->store, &free_bytes, &total) < 0) {
        free_bytes = UINT64_MAX / 2;
        total = 0;
    }
    uint64_t pending = unwritten(fs);
    free_bytes = free_bytes > pending ? free_bytes - pending : 0;
    return store_staging_room(free_bytes, total, fs->space->taken + fs->space->kept,
                              fs->opt->staging_max);
}

/* What will not go by itself: promised to the user, and the service does not take it. */
static uint64_t stuck(const struct fs *fs)
{
    uint64_t sum = 0;
    const struct staged *st;
    DL_FOREACH (fs->staged, st) {
        if (st->acknowledged && st->gave_up)
            sum += imap_total(&st->room);
    }
    return sum;
}

struct demand {
    uint64_t more; /* bytes asked for: whole parts */
    uint64_t held;
    uint64_t claim;
};

/* Goes through the parts that [off, off+n) touches and that have no room; `take`: they get it. */
static int walk(struct fs *fs, struct staged *st, uint64_t off, uint64_t n, bool take,
                struct demand *d)
{
    uint64_t end = off + n, first, part, size;
    *d = (struct demand){.held = imap_total(&st->room)};
    int rc = plan_part(st->plan, 1, &part, &first);
    if (rc < 0)
        return rc;
    for (uint64_t at = off; at < end; at = part + size) {
        rc = plan_find(st->plan, at, NULL, &part, &size);
        if (rc < 0)
            return rc;
        uint64_t till = end < part + size ? end : part + size;
        d->claim = first + CLAIM_PARTS * size;
        if (imap_covers(&st->room, at, till))
            continue;
        uint64_t lacks = size - imap_total_in(&st->room, part, part + size);
        d->more += lacks;
        if (!take)
            continue;
        rc = imap_add(&st->room, part, part + size);
        if (rc < 0)
            return rc;
        fs->space->taken += lacks;
    }
    return 0;
}

static bool within_claim(const struct demand *d)
{
    return d->held > 0 && d->held + d->more <= d->claim;
}

/* What must be available for this demand: all that the file still lacks of its claim. Where there
 * will never be as much, as much as there can be. */
static uint64_t need(const struct demand *d, uint64_t most)
{
    uint64_t lacks = d->claim > d->held ? d->claim - d->held : 0;
    if (lacks < d->more)
        lacks = d->more;
    uint64_t rest = most > d->held ? most - d->held : 0;
    if (lacks > rest && rest >= d->more)
        lacks = rest;
    return lacks;
}

/* The most that all files together can have. */
static uint64_t most_of(const struct fs *fs, uint64_t avail)
{
    return avail + fs->space->taken + fs->space->kept - stuck(fs);
}

static bool hopeless(const struct demand *d, uint64_t most)
{
    uint64_t stays = d->claim > d->more ? d->claim - d->more : 0; /* cannot be punched */
    return (d->held < stays ? d->held : stays) + d->more > most;
}

static int refuse(struct fs *fs, struct staged *st, const char *why)
{
    struct err err;
    char path[256];
    inode_path_locked(st->inode, path, sizeof(path));
    err_set(&err, -ENOSPC, "%s", why);
    log_err(fs->log, LOG_LEVEL_WARNING, "staging", &err, "'%s'", path);
    errors_add(fs->errors, "staging", path, &err);
    return -ENOSPC;
}

static int no_room(struct fs *fs, struct staged *st)
{
    return refuse(fs, st,
                  "staging_max (or the disk, of which a tenth stays free) is too small for "
                  "the parts of this file");
}

int space_reserve_locked(struct fs *fs, struct staged *st, uint64_t off, uint64_t n)
{
    struct demand d;
    int rc = walk(fs, st, off, n, false, &d);
    if (rc < 0 || d.more == 0)
        return rc;
    if (fs->space->queue.head && !within_claim(&d))
        return -EBUSY;
    uint64_t avail = available(fs), most = most_of(fs, avail);
    if (need(&d, most) <= avail)
        return walk(fs, st, off, n, true, &d);
    return hopeless(&d, most) ? no_room(fs, st) : -EBUSY;
}

void space_force_locked(struct fs *fs, struct staged *st, uint64_t off, uint64_t n)
{
    uint64_t before = imap_total(&st->room);
    (void)imap_add(&st->room, off, off + n);
    fs->space->taken += imap_total(&st->room) - before;
}

size_t space_keep_data_locked(struct fs *fs, uint64_t off, size_t n, bool whole)
{
    struct space *s = fs->space;
    size_t most = (size_t)(SPACE_SHORT_WRITE - off % SPACE_SHORT_WRITE);
    if (!whole && n > most && s->data + n > fs->opt->memory_max / 4) {
        s->short_writes++;
        n = most;
    }
    s->data += n;
    if (s->data > s->data_peak)
        s->data_peak = s->data;
    return n;
}

void space_give_data_locked(struct fs *fs, size_t n)
{
    fs->space->data -= n;
}

static void list_wait(struct fs *fs, struct space_wait *sw)
{
    if (!sw->listed)
        DL_APPEND(fs->space->waits, sw);
    sw->listed = true;
}

void space_wait_in_locked(struct fs *fs, struct space_wait *sw, struct waitlist *list)
{
    list_wait(fs, sw);
    sw->st = NULL;
    waitlist_add_locked(list, &sw->w);
}

void space_wait_locked(struct fs *fs, struct space_wait *sw, struct staged *st, uint64_t off,
                       uint64_t n)
{
    list_wait(fs, sw);
    sw->st = st;
    sw->off = off;
    sw->n = n;
    sw->since_ms = clock_ms();
    waitlist_add_locked(&fs->space->queue, &sw->w);
    timer_wake_locked(fs, clock_ms() + 1000);
    space_press_locked(fs);
}

void space_unwait_locked(struct fs *fs, struct space_wait *sw)
{
    if (sw->listed)
        DL_DELETE(fs->space->waits, sw);
    sw->listed = false;
    sw->st = NULL;
    bool queued = sw->w.on == &fs->space->queue;
    waiter_remove_locked(&sw->w);
    if (queued)
        space_serve_locked(fs); /* those behind it may fit */
}

void space_leave_locked(struct fs *fs, int eno)
{
    struct space_wait *sw;
    DL_FOREACH (fs->space->waits, sw) {
        if (!sw->w.on)
            continue;
        sw->eno = eno;
        waiter_finish_locked(fs, &sw->w, eno);
    }
}

void space_serve_locked(struct fs *fs)
{
    struct space *s = fs->space;
    bool blocked = false;
    if (!s->queue.head)
        return;
    uint64_t avail = available(fs), most = most_of(fs, avail);
    for (struct waiter *w = s->queue.head, *next; w; w = next) {
        struct space_wait *sw = (struct space_wait *)w;
        struct demand d;
        next = w->next;
        int rc = walk(fs, sw->st, sw->off, sw->n, false, &d);
        if (rc == 0 && blocked && !within_claim(&d))
            continue;
        if (rc == 0 && need(&d, most) <= avail) {
            rc = walk(fs, sw->st, sw->off, sw->n, true, &d);
            avail -= d.more < avail ? d.more : avail;
        } else if (rc == 0 && hopeless(&d, most)) {
            rc = no_room(fs, sw->st);
        } else if (rc == 0) {
            blocked = true;
            continue;
        }
        sw->eno = rc;
        waiter_finish_locked(fs, w, rc);
    }
}

uint64_t space_shortage_locked(struct fs *fs)
{
    struct space *s = fs->space;
    uint64_t lacking = 0;
    if (!s->queue.head)
        return 0;
    uint64_t avail = available(fs), most = most_of(fs, avail);
    for (struct waiter *w = s->queue.head; w; w = w->next) {
        struct space_wait *sw = (struct space_wait *)w;
        struct demand d;
        if (walk(fs, sw->st, sw->off, sw->n, false, &d) < 0)
            continue;
        uint64_t n = need(&d, most);
        if (n > avail && n - avail > lacking)
            lacking = n - avail;
    }
    return lacking > s->punching ? lacking - s->punching : 0;
}

void space_release_locked(struct fs *fs, struct staged *st, uint64_t from, uint64_t to)
{
    uint64_t before = imap_total(&st->room);
    (void)imap_remove(&st->room, from, to);
    uint64_t less = before - imap_total(&st->room);
    fs->space->taken -= less;
    if (less)
        space_serve_locked(fs);
}

void space_trim_locked(struct fs *fs, struct staged *st)
{
    uint64_t end = (st->size + SPACE_BLOCK - 1) / SPACE_BLOCK * SPACE_BLOCK;
    if (imap_end(&st->room) > end)
        space_release_locked(fs, st, end, UINT64_MAX);
}

void space_dropped_locked(struct fs *fs, struct staged *st)
{
    for (struct waiter *w = fs->space->queue.head, *next; w; w = next) {
        next = w->next;
        if (((struct space_wait *)w)->st == st)
            waiter_finish_locked(fs, w, 0);
    }
    if (st->awaits_upload)
        fs->space->uploads_waiting--;
    st->awaits_upload = false;
}

void space_forget_locked(struct fs *fs, struct staged *st)
{
    space_dropped_locked(fs, st);
    fs->space->taken -= imap_total(&st->room);
    imap_done(&st->room);
    imap_done(&st->fetched);
    space_serve_locked(fs);
    if (fs->space
            ->uploads_waiting) /* its upload has ended; not from here: the caller goes through lists */
        timer_wake_locked(fs, clock_ms());
}

void space_kept_locked(struct fs *fs, uint64_t more, uint64_t less)
{
    fs->space->kept += more;
    fs->space->kept -= less < fs->space->kept ? less : fs->space->kept;
    if (less)
        space_serve_locked(fs);
}

/* The end of a part by the plan, where the file may end before. */
static uint64_t full_end(const struct staged *st, size_t idx)
{
    uint64_t off, size;
    if (plan_part(st->plan, (uint32_t)idx + 1, &off, &size) < 0)
        return st->parts[idx].offset + st->parts[idx].size;
    return off + size;
}

int space_check_locked(struct fs *fs, struct staged *st, uint64_t from, uint64_t to)
{
    for (size_t i = 0; st->n_punched && i < st->n_parts; i++) {
        const struct part *p = &st->parts[i];
        if (!p->punched || from >= full_end(st, i) || to <= p->offset)
            continue;
        if (p->punching)
            return -EAGAIN;
        if (from > p->offset || to < p->offset + p->size)
            return refuse(fs, st,
                          "this part was stored and its local data released to stay within "
                          "staging_max: until the file is closed it can only be replaced as a "
                          "whole");
    }
    return 0;
}

int space_readable_locked(struct fs *fs, struct staged *st, uint64_t from, uint64_t to)
{
    for (size_t i = 0; st->n_punched && i < st->n_parts; i++) {
        const struct part *p = &st->parts[i];
        if (p->punched && from < p->offset + p->size && to > p->offset)
            return refuse(fs, st,
                          "this part was stored and its local data released to stay within "
                          "staging_max: it can be read when the file was closed");
    }
    return 0;
}

int space_move_locked(struct fs *fs, struct inode *inode, struct intr *intr)
{
    struct staged *st = inode->staged;
    if (!inode->is_dir) {
        if (!st || !st->n_punched)
            return 0;
        if (inode->nwriters)
            return refuse(fs, st,
                          "parts of this open file were released to stay within staging_max: "
                          "it can be renamed when it was closed");
        return file_publish_wait_locked(fs, inode, intr, fs->opt->rename_wait);
    }
    DL_FOREACH (fs->staged, st) {
        if (st->n_punched && st->state != STAGED_DEAD && inode_below_locked(st->inode, inode))
            return refuse(fs, st,
                          "parts of this unfinished file were released to stay within "
                          "staging_max: its directory can be renamed when it is stored");
    }
    return 0;
}

bool space_may_initiate_locked(struct fs *fs, struct staged *st)
{
    unsigned n = 0;
    const struct staged *other;
    DL_FOREACH (fs->staged, other)
        n += other->upload.state != UPLOAD_NONE;
    if (n < (unsigned)fs->opt->open_uploads)
        return true;
    if (!st->awaits_upload)
        fs->space->uploads_waiting++;
    st->awaits_upload = true;
    return false;
}

static struct staged *first_awaiting(const struct fs *fs)
{
    struct staged *st = fs->staged;
    while (st && (!st->awaits_upload || st->state == STAGED_DEAD))
        st = st->next;
    return st;
}

void space_uploads_locked(struct fs *fs)
{
    struct staged *st;
    while (fs->space->uploads_waiting && (st = first_awaiting(fs))) {
        st->awaits_upload = false;
        fs->space->uploads_waiting--;
        if (!space_may_initiate_locked(fs, st))
            return;
        /* It may have nothing to send any more: then it is the next one's turn. */
        publish_part_ready_locked(fs, st);
        publish_step_locked(fs, st);
    }
}
