// SPDX-License-Identifier: Apache-2.0
/* staged - the local bytes of a file that is being changed
 *
 * Role        A staging file in the state directory, the ranges of it that are present, and the
 *             parts of a multipart upload that already went out while the application still writes.
 *
 * Content     Byte x of the file is, in this order: from the staging file if `have` covers x; from
 *             another object if `clones` covers x (fs/clone.h); from the stored object
 *             (inode->etag) if x < base_len; else zero. The staging file is
 *             sparse and reads zero where nothing was written.
 *
 * States      OPEN         takes writes; full parts that the writer has left are sent already
 *             PUBLISHING   frozen: remaining parts, Complete (or one PUT) are under way; a write
 *                          waits
 *             DEAD         nobody wants the content any more; freed when the last transfer has
 *                          ended
 *
 * Generation  `gen` counts changes of the content, `stored_gen` is the generation that the bucket
 *             has. gen != stored_gen: there is something to publish. A part carries the generation
 *             at which its bytes last changed; a transfer that started before is not counted, the
 *             part goes out again.
 *
 * Writing     1. staged_write_begin_locked() marks the range as present and counts the writer in
 *             2. the bytes go to the staging file, without the lock
 *             3. staged_write_end_locked() bumps the generation of the parts touched and seals
 *                full parts
 *             Nothing is published while a writer is between 1 and 3. Filling a range from the
 *             stored object excludes writers of that range (and they it).
 *
 * Locking     everything under fs->lock, except pread/pwrite on `fd`.
 */
#ifndef OBSM_FS_STAGED_H
#define OBSM_FS_STAGED_H

#include "fs/clonemap.h"
#include "fs/fs.h"
#include "fs/imap.h"
#include "net/obs.h"
#include "net/plan.h"

enum staged_state { STAGED_OPEN, STAGED_PUBLISHING, STAGED_DEAD };

enum part_state {
    PART_OPEN,    /* not sealed, or its bytes changed since it was sent */
    PART_READY,   /* to be sent */
    PART_SENDING, /* under way */
    PART_STORED,  /* the service has it: md5/etag are set */
};

struct part {
    enum part_state state;
    bool under_way;      /* a transfer of it, perhaps with older bytes, has not been answered */
    bool differs;        /* from what a kept upload has in its place */
    bool copied;         /* by the server, from the stored object */
    bool punched;        /* its staging was released: only the server has it */
    bool punching;       /* that is being done */
    uint64_t stored_seq; /* STORED: its age among all parts of the mount */
    uint64_t offset;
    uint64_t size;
    uint64_t gen; /* of its bytes */
    unsigned char md5[16];
    uint64_t hashed; /* bytes from `offset` that md5 is of, before it is STORED; 0: not hashed */
    char etag[OBS_ETAG_MAX];
    bool has_crc64; /* STORED: crc64 is known */
    uint64_t crc64;
};

enum upload_state {
    UPLOAD_NONE,
    UPLOAD_INITIATING,
    UPLOAD_ACTIVE,
    UPLOAD_COMPLETING,
};

struct transfer;
struct match;

struct upload {
    enum upload_state state;
    char *key; /* under which it was initiated */
    char id[OBS_UPLOAD_ID_MAX];
    int64_t asked_s;     /* the server's time when Initiate was sent, or 0 */
    int64_t initiated_s; /* the server's time of it, or 0 */
    bool outdated;       /* a newer object stands under the key: Complete would lose against it */
    bool encrypted;      /* ETags are opaque */
    bool adopted;        /* from the server alone: its attributes are not known (fs/adopt.h) */
    bool durable;        /* its INITIATED record is on the disk */
    bool looked;         /* nothing newer stood under the key when all parts were stored */
    int64_t begun_ms;    /* clock_ms() at Initiate */
    unsigned meta_gen;   /* of the attributes that were sent at Initiate */
};

enum { STAGED_NONCE_MAX = 33 };

struct staged {
    struct inode *inode;
    uint64_t id;             /* of its files in the state directory */
    struct journal *journal; /* NULL: nothing changed yet, or checkpoint=off */
    bool had_journal;        /* the id was used */
    bool based;              /* the journal says that it changes a stored object */
    bool journal_failed;
    bool sealed;  /* the journal says that the writer is done */
    bool keep;    /* its files stay when it goes (fs/kept.h) */
    bool gave_up; /* the last publication failed: `failure` says why */
    struct err failure;
    bool acknowledged;              /* durability=stage: the user was told that it is safe */
    bool rotten;                    /* its staging is not what was written: it is not sent again */
    int64_t retry_ms, retry_due_ms; /* after a failure of an acknowledged one */
    enum staged_state state;
    int fd;
    uint64_t size;
    uint64_t base_len;
    struct imap have;
    struct imap read;       /* holes of it that the kernel has read: they may be in a map */
    bool all_read;          /* not known: perhaps all */
    struct clonemap clones; /* taken by copy_file_range, never fetched */
    bool cloned;            /* the journal says so: only the running driver can store the file */
    uint64_t gen;
    uint64_t stored_gen;
    unsigned writing; /* writers between begin and end */
    unsigned users;   /* threads that use it across calls that may drop it */

    struct upload upload;
    char nonce[STAGED_NONCE_MAX]; /* of the last upload, in the object's metadata; "" if none */
    struct obs_props sse;    /* encryption that the upload, or the single PUT, was begun with */
    const struct plan *plan; /* where its parts begin: the mount's, or own_plan */
    struct plan own_plan;    /* of an upload that was begun earlier, or by the property part_size */
    struct part *parts;      /* in order, without gaps, as far as they were needed */
    size_t n_parts;
    size_t next_ready;          /* hint: no READY part before this index */
    unsigned inflight;          /* transfers under way for this file */
    struct transfer *transfers; /* the same as a list, to cancel them */

    uint64_t publish_gen; /* PUBLISHING: the generation that is being stored */
    bool hold_only; /* PUBLISHING only as far as all parts stored; Complete waits for the rename */
    bool final_request;        /* PUT or Complete is under way */
    bool done_pending;         /* stored, but attributes are still to be sent: the journal stays */
    struct match *match;       /* parts of a kept upload that may be used again */
    bool matched;              /* kept uploads of its key were looked at */
    bool adopt_looked;         /* and those that only the server knows */
    unsigned put_meta_gen;     /* of the attributes that went out with a single PUT */
    unsigned restarts;         /* of a vanished upload, in this publication */
    struct waitlist published; /* waiters with target = generation */
    struct waitlist
        writable; /* changes waiting for the end of a publication, a fill, other writes */

    /* filling from the stored object: one range at a time */
    bool filling;
    uint64_t fill_from, fill_to;
    struct waitlist filled;

    /* room on the local disk (fs/space.h) */
    struct imap room;    /* ranges that count */
    struct imap fetched; /* ranges that are as in the stored object */
    unsigned n_punched;  /* parts */
    unsigned punching;   /* of them: being punched */
    unsigned cuts;       /* parts that were sealed short */
    bool unpunchable;    /* it has failed once */
    bool awaits_upload;  /* until another upload has ended */
    int64_t touched_ms;  /* when it was last written */

    /* a temp name that is held for its rename (fs/hold.h) */
    bool held;
    bool expired; /* held for too long: it goes under its own name */
    int64_t hold_due_ms;
    bool paused;          /* by a command: nothing is sent, its writer waits */
    unsigned interrupted; /* signal that killed its writer: not published unasked; 0: none */

    /* for the list of uploads */
    int64_t start_ms;      /* when its content began to change */
    int64_t send_start_ms; /* of the first bytes sent, 0: none yet */
    uint64_t sent_bytes;   /* since then, by requests that were answered well */

    struct staged *next, *prev;           /* fs->staged */
    struct staged *send_next, *send_prev; /* fs->sending */
    bool in_sending;
};

/* The inode's staged file, made when there is none: empty for a LOCAL inode or with `truncate`,
 * else on top of the stored object (nothing is fetched). -ENOSPC, -EMFILE, .. from the disk. */
int staged_get_locked(struct fs *fs, struct inode *inode, bool truncate, struct staged **ret);

/* Where its parts begin and end from now on: as the mount says, or as its property part_size does.
 * Only while it has no upload. */
void staged_plan_anew_locked(struct fs *fs, struct staged *st);

/* Lets the inode's staged file go: cancels what is under way, aborts its upload, frees it as soon
 * as the last transfer has ended. Waiters get `result`. */
void staged_drop_locked(struct fs *fs, struct inode *inode, int result);

/* A transfer of a dead staged file has ended. */
void staged_reap_locked(struct fs *fs, struct staged *st);

/* Drops it if it is clean and nobody writes to the inode any more. */
void staged_drop_if_clean_locked(struct fs *fs, struct inode *inode);

/* Lets it go from memory with its files and its upload kept (fs/kept.h): interrupted or given up.
 */
void staged_keep_locked(struct fs *fs, struct inode *inode, int result);

bool staged_dirty(const struct staged *st);

/* Steps 1 and 3 of a write, see above. begin: 0; -EAGAIN when the writer has to wait in
 * st->writable (or st->filled if it is being filled); -EBUSY when it has to wait for room
 * (fs/space.h). `failed`: the bytes did not reach the disk; the range is not counted as present. */
int staged_write_begin_locked(struct fs *fs, struct staged *st, uint64_t off, uint64_t n);
void staged_write_end_locked(struct fs *fs, struct staged *st, uint64_t off, uint64_t n,
                             bool failed);

/* Changes the length; cutting drops bytes, growing adds zeros. -EAGAIN as above. */
int staged_truncate_locked(struct fs *fs, struct staged *st, uint64_t size);

/* Makes [off, off+n) read as zero (fallocate punch/zero). Does a file operation on the sparse file
 * only. */
int staged_zero_locked(struct fs *fs, struct staged *st, uint64_t off, uint64_t n);

/* Makes [off, off+n) the bytes of `file` at `source`; nothing is fetched. -EAGAIN as above;
 * -EOPNOTSUPP: the bytes have to be written instead. */
int staged_clone_locked(struct fs *fs, struct staged *st, uint64_t off, uint64_t n,
                        struct fetch_file *file, uint64_t source);

/* The first byte at or behind `off` that is data (`hole`: that is in a hole, or the end), as
 * SEEK_DATA and SEEK_HOLE of lseek(2) say it; st->size if there is none. `mapped`: somebody may have
 * changed pages through a map that the kernel has not written yet. It does not tell that, but it can
 * only be where it had read before, or in a page with data. In staged_seek.c. */
uint64_t staged_seek_locked(const struct staged *st, uint64_t off, bool hole, bool mapped);

/* The kernel reads these bytes. */
void staged_read_locked(struct staged *st, uint64_t off, uint64_t n);

/* Makes [off, off+n) present, fetching from the stored object what is missing. Returns 0 when
 * nothing is missing; -EINPROGRESS when a fetch was started or is under way: wait in st->filled and
 * ask again. */
int staged_fill_locked(struct fs *fs, struct staged *st, uint64_t off, uint64_t n);

/* Makes sure that parts exist up to index `count`-1. -ENOMEM, -EFBIG. */
int staged_plan_locked(struct fs *fs, struct staged *st, size_t count);

/* How many parts a content of `size` bytes has. */
size_t staged_part_count(const struct fs *fs, const struct staged *st, uint64_t size);

#endif
