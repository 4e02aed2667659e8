// SPDX-License-Identifier: Apache-2.0
/* fs - one mount: what its modules share
 *
 * Role        The core of the driver, free of FUSE types: the inode table, staged files,
 *             publishing, the name space. The FUSE adapters (fs/ops*.c) decode a request, call the
 *             core, and reply.
 *
 * Threads     FUSE workers    call the core; may block in a metadata request (lookup, mkdir,
 *                             rename)
 *             engine threads  run the done() of requests: short, never blocking
 *             workers         what blocks on the disk or the service in the background
 *                             (fs/worker.h)
 *             timer           one thread with all timers of the mount (fs/timer.h)
 *             notifier        tells the kernel what it must not believe any longer (fs/notify.h)
 *
 * Lock order  top is taken first; nobody takes an upper lock while holding a lower one.
 *               fs->lock            inode table, inodes, staged files, handles: everything in fs/
 *               fetch               the read cache (fs/fetch.h)
 *               engine              the submit queue of net/
 *               journal             checkpoint/
 *               intr                a waiter (net/base/intr.h)
 *               log
 *             No lock is held across a network wait, a disk sync, a reply to the kernel or a
 *             call-back. Functions whose name ends in _locked need fs->lock; those that may drop it
 *             on the way say so.
 *
 * Waiting     A `struct waiter` stands in a list of what it waits for. Whoever makes that come true
 *             calls waiters_finish_locked(); the call-backs run in fs_unlock(), after the lock was
 *             dropped, so that no code of ours runs a reply under the lock. Exactly one of
 *             "finished" and "interrupted" wins, since both need the lock to take the waiter from
 *             its list.
 */
#ifndef OBSM_FS_FS_H
#define OBSM_FS_FS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fs/keys.h"
#include "fs/mount.h"
#include "net/base/intr.h"
#include "net/base/lock.h"
#include "net/obs.h"
#include "net/plan.h"

struct changes;
struct cloud;
struct control;
struct engine;
struct errors;
struct fetch;
struct fuse_session;
struct handle;
struct index;
struct inode;
struct job;
struct log;
struct mime;
struct moves;
struct notifier;
struct obs;
struct op;
struct options;
struct results;
struct space;
struct sse_keys;
struct staged;
struct store;
struct store_sibling;
struct tempname_patterns;

/* A metadata request that fails is repeated for so long; a user waits for it. */
enum { FS_META_GIVE_UP_MS = 60000, FS_WORKERS = 3 };

struct waiter;
typedef void waiter_fn(struct waiter *w, int result);

struct waiter {
    waiter_fn *fn;       /* called once, without fs->lock, on any thread */
    struct waitlist *on; /* the list that it stands in, or NULL */
    struct waiter *next, *prev;
    uint64_t target; /* what it waits for, if the list counts (a generation) */
    int result;
};

struct waitlist {
    struct waiter *head, *tail;
};

/* fs/worker.h */
struct job_line {
    struct job *first, **end;
    pthread_cond_t wake;
};

struct worker {
    struct fs *fs;
    struct job_line *line;
    pthread_t thread;
};

struct fs {
    /* constant after fs_new() */
    const struct options *opt;
    struct log *log;
    struct keys keys;
    struct engine *engine;
    struct obs *obs;
    struct cloud *cloud; /* DLI and ModelArts */
    struct fetch *fetch;
    struct mime *mime;
    struct tempname_patterns *hold_patterns;
    struct obs_props defaults; /* what the options say of new files (fs/properties.h) */
    struct plan plan;          /* where parts begin and end; never marked */
    struct sse_keys *sse_keys; /* the customer's keys (fs/encrypt.h), or NULL */
    struct obs_props sse;      /* the default encryption as properties */
    char *prefix;              /* of every key of the mount: "" or "a/b/" */
    struct index *index;       /* attributes of objects, across mounts; NULL: without */
    struct store *store;       /* the state directory: staging files are made in it */
    char boot_id[64];
    int64_t start_s;                /* real time of the mount, seconds */
    struct store_sibling *siblings; /* other state directories with unfinished work (fs/state.h) */
    size_t n_siblings;

    struct lock lock;
    /* below: under lock */
    struct inode *root;
    struct inode *inodes; /* all of them, with a name or without (utlist) */
    size_t n_inodes;
    struct inode **inos;       /* buckets of inodes by st_ino, see fs/inode.c */
    struct waitlist ready;     /* finished; their call-backs are due at the next fs_unlock() */
    struct notifier *notifier; /* fs/notify.h */
    struct op *ops;            /* operations that may be waiting (utlist) */
    bool leaving;              /* they end */
    struct handle *handles;    /* every open one (utlist) */
    struct staged *staged;     /* every staged file (utlist) */
    struct staged *sending;    /* round-robin of those with parts to send (utlist) */
    bool claimed;              /* a publication waits for what others copied (fs/clone.h) */
    unsigned aborting;         /* uploads being aborted in the background */
    struct abort_call *aborts;
    unsigned transfers;    /* bulk transfers under way, at most opt->parallel */
    struct inode *changed; /* attributes gathered, not sent yet (utlist) */
    unsigned changes_sending;
    struct moves *moves;     /* the ledger of directory renames, or NULL */
    struct changes *changes; /* their ledger, or NULL */
    unsigned reviving;       /* kept uploads that a command has queued */
    uint64_t plain_ids;      /* ids of staging files without a journal */
    struct fuse_session *session;
    struct errors *errors;   /* the last failures */
    struct results *results; /* the last answers to uploads (fs/control_result.h) */
    struct control *control; /* the control tree */
    struct waitlist idle;    /* wait until nothing is left to be stored */
    struct waitlist closed;  /* wait until somebody closes a file */
    bool stopping;
    int64_t server_s;    /* latest Date of the service */
    struct kept *kept;   /* uploads of dead writers and failed ones (utlist) */
    struct space *space; /* how much of the local disk is taken, and who waits for it */

    struct orphan *orphans; /* keys to be looked through for uploads that nobody knows (utlist) */
    struct recovery *recovery; /* what has to wait for another try, or NULL */
    bool may_expire;           /* the clocks agree: what is kept may expire */
    bool told_unread;          /* the log says that HEAD is refused */
    bool told_unchecked;       /* .. and that listing is, too */

    /* the workers */
    struct worker workers[FS_WORKERS];
    unsigned n_workers;
    bool workers_end;
    struct job_line jobs, syncs;

    /* the timer thread */
    pthread_t timer;
    bool timer_runs;
    pthread_cond_t timer_wake;
    int64_t timer_next_ms; /* when it means to wake up */
};

void fs_lock(struct fs *fs);
/* Drops the lock, then runs the call-backs of all finished waiters. */
void fs_unlock(struct fs *fs);

/* Puts w at the end of the list. */
void waitlist_add_locked(struct waitlist *list, struct waiter *w);
/* Takes w from its list, if it stands in one. */
void waiter_remove_locked(struct waiter *w);
/* Finishes one waiter, or all of a list, with `result`. */
void waiter_finish_locked(struct fs *fs, struct waiter *w, int result);
void waitlist_finish_locked(struct fs *fs, struct waitlist *list, int result);

/* Blocks the calling thread until somebody finishes the list's waiter: drops the lock meanwhile and
 * takes it again. Returns the result, or -EINTR if `intr` (initialised, may be NULL) was
 * interrupted first, or -ETIMEDOUT after `limit_ms` (< 0: none). */
int fs_wait_locked(struct fs *fs, struct waitlist *list, struct intr *intr, int64_t limit_ms);

#endif
