// SPDX-License-Identifier: Apache-2.0
/* space - how much of the local disk staged files may take, and who waits for it
 *
 * Role        Bounds the staging bytes of the whole mount: staging_max, and always so that a tenth
 *             of the file system stays free. A writer has room for a whole part before the first
 *             byte in it; at the limit it waits, first come first served.
 * Counting    st->room holds the ranges of a staging file that are counted. They go when the file
 *             is closed (beyond its end), punched, or gone. Kept uploads (fs/kept.h) count with
 *             what they take on the disk.
 * Claims      A file that is being written needs its first part and three more to get on: the last
 *             two are never punched, and the next one. So a file gets room only if what it lacks of
 *             that would fit as well: whoever has begun can end, and many half-written files cannot
 *             block each other. Who is within its claim is served before those who have not begun.
 * Pressing    Only while somebody waits (fs/punch.c), in this order: stored parts are punched, the
 *             oldest first, of any file, but never the first or the last two of one that is open
 *             for writing; what was only fetched is dropped; an upload under a predicted key is
 *             sent again under its own; and when somebody has waited for 5 s: parts that nobody
 *             wrote to for so long are sealed as they are, the staging of interrupted uploads goes
 *             (their stored parts stay), and failed ones go, the oldest first.
 * Punched     The journal says so, synced, before it is done. A write that covers a whole punched
 *             part is allowed, any other use of it before Complete is -ENOSPC. If the upload
 *             vanishes from the server, the file cannot be stored any more: -EIO, never an object
 *             with holes.
 * Waiting     The data of writes that wait take at most a quarter of memory_max (the rest is for
 *             reading). Beyond it only the first bytes of a write are kept: it waits like the others
 *             and is then a short one, as write(2) allows; its writer comes again with the rest. What
 *             the kernel writes back of a shared map must not be short, and is kept as a whole: it
 *             sends few of those at a time.
 * Uploads     At most open_uploads multipart uploads are open; a further one waits.
 * Locking     everything under fs->lock.
 */
#ifndef OBSM_FS_SPACE_H
#define OBSM_FS_SPACE_H

#include "fs/staged.h"

/* A file is cut into short parts no more often than this: there are 10,000 part numbers. */
enum { SPACE_IDLE_MS = 5000, SPACE_CUTS_MAX = 64, SPACE_BLOCK = 4096 };

/* Of a write for which there is no memory so much is kept, up to the end of a block. */
enum { SPACE_SHORT_WRITE = SPACE_BLOCK };

/* A write that waits; owned by its request. `w.fn` runs when it is to be tried again. */
struct space_wait {
    struct waiter w;
    struct space_wait *next, *prev; /* space->waits */
    bool listed;
    struct staged *st; /* in the queue for room: of which file, and the range */
    uint64_t off, n;
    int64_t since_ms;
    int eno; /* not 0: it is over, do not try again */
};

struct space {
    uint64_t taken;           /* the sum of all rooms */
    uint64_t kept;            /* by uploads without a writer */
    uint64_t punching;        /* about to be released */
    uint64_t stored_seq;      /* counts stored parts, for their age */
    struct waitlist queue;    /* of struct space_wait, for room */
    struct space_wait *waits; /* every write that waits, for room or anything else */
    uint64_t data;            /* bytes of writes that wait, in memory */
    uint64_t data_peak;       /* the most that it ever was */
    uint64_t short_writes;    /* that were cut for want of memory */
    unsigned uploads_waiting; /* files that wait for another upload's end */
    bool pressing;
};

/* Does staging_max leave room for parts of this size? */
bool space_holds_parts(const struct fs *fs, uint64_t part_size);
int space_new(struct fs *fs, struct err *err);
void space_free(struct fs *fs);

/* Room for all parts that [off, off+n) touches. 0; -EBUSY: wait with space_wait_locked(); -ENOSPC:
 * waiting would not help (it is logged). */
int space_reserve_locked(struct fs *fs, struct staged *st, uint64_t off, uint64_t n);

/* The same for bytes that cannot wait: they count, even beyond the limit. */
void space_force_locked(struct fs *fs, struct staged *st, uint64_t off, uint64_t n);

/* How many of the n bytes at `off` may be kept in memory by a write that begins to wait: n, or fewer
 * unless `whole`. They count until they are given back. */
size_t space_keep_data_locked(struct fs *fs, uint64_t off, size_t n, bool whole);
void space_give_data_locked(struct fs *fs, size_t n);

/* Queues a write for room, or in another list. */
void space_wait_locked(struct fs *fs, struct space_wait *sw, struct staged *st, uint64_t off,
                       uint64_t n);
void space_wait_in_locked(struct fs *fs, struct space_wait *sw, struct waitlist *list);
/* It does not wait any more. */
void space_unwait_locked(struct fs *fs, struct space_wait *sw);
/* Ends every write that waits with `eno`. */
void space_leave_locked(struct fs *fs, int eno);

/* [from, to) does not count any more. */
void space_release_locked(struct fs *fs, struct staged *st, uint64_t from, uint64_t to);
/* Nobody writes to it now: only what lies before its end counts. */
void space_trim_locked(struct fs *fs, struct staged *st);
/* The staged file goes: its waiters try again; its room goes with the file. */
void space_dropped_locked(struct fs *fs, struct staged *st);
void space_forget_locked(struct fs *fs, struct staged *st);
/* Staging of kept uploads became more or less. */
void space_kept_locked(struct fs *fs, uint64_t more, uint64_t less);
/* Gives room to those who wait. */
void space_serve_locked(struct fs *fs);

/* How many bytes the waiting ones lack at most. */
uint64_t space_shortage_locked(struct fs *fs);

/* May the content of [from, to) be changed, as far as punching goes? 0; -EAGAIN: a punch is under
 * way, wait in st->writable; -ENOSPC. */
int space_check_locked(struct fs *fs, struct staged *st, uint64_t from, uint64_t to);
/* May it be read? 0 or -ENOSPC. */
int space_readable_locked(struct fs *fs, struct staged *st, uint64_t from, uint64_t to);
/* May it get another name? A closed file is published first. -ENOSPC: no. */
int space_move_locked(struct fs *fs, struct inode *inode, struct intr *intr);

/* False: there are too many open uploads; the file is called again when one has ended. */
bool space_may_initiate_locked(struct fs *fs, struct staged *st);
void space_uploads_locked(struct fs *fs);

/* fs/punch.c: makes room for those who wait. */
void space_press_locked(struct fs *fs);
/* The same from the timer; when to be called again, or INT64_MAX. */
int64_t space_run_locked(struct fs *fs, int64_t now_ms);

#endif
