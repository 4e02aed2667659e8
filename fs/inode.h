// SPDX-License-Identifier: Apache-2.0
/* inode - the names that are known, and what is known of them
 *
 * Role        One struct per known name: what a listing, a HEAD or our own work said of it, and the
 *             state that the kernel refers to. It is name cache and inode table in one.
 *
 * States      GONE    the name is known not to exist (negative cache, or removed by us a moment
 *                     ago)
 *             STORED  an object (or directory) of the bucket
 *             LOCAL   created here, nothing stored under this name yet
 *
 * Versions    The kernel's pages belong to an inode. So another version of an object (its ETag
 *             changed, and not by us) is another inode: the old one loses its name (parent NULL)
 *             and lives on for those who have it open; the name gets a new one. Without kernel
 *             references it is changed in place.
 *
 * Invariants  1. parent != NULL  <=>  reachable by name (the root: is_root).
 *             2. a GONE inode has no references (nlookup, nopen and pins are 0).
 *             3. an inode is freed when it has no references, no staged file, no children, and
 *                either no name or somebody sweeps the cache.
 *             4. no two inodes that have a name or are open show the same st_ino.
 *
 * Numbers     st_ino is made of the path that a name is found under first, so that it is the same in
 *             every mount. A renamed file keeps it; what then gets the old path gets another one, or
 *             programs would take the two for one file (`cp`: "are the same file").
 *
 * Locking     everything under fs->lock.
 */
#ifndef OBSM_FS_INODE_H
#define OBSM_FS_INODE_H

#include <sys/stat.h>
#include <uthash.h>

#include "fs/attr.h"
#include "fs/fs.h"
#include "fs/xattr_codec.h"
#include "net/obs.h"
#include "net/sse.h"

struct change;
struct fetch_file;
struct listing;

enum inode_state { INODE_GONE, INODE_STORED, INODE_LOCAL };

/* A failure that must be reported once to each handle that was open when it happened. */
struct latched_error {
    int eno;
    uint32_t seq; /* 0: nothing ever happened */
};

struct inode {
    struct inode *parent;
    char *name;
    struct inode *all_next, *all_prev; /* fs->inodes */
    UT_hash_handle hh;                 /* in parent->children */
    enum inode_state state;
    bool is_root;
    bool is_dir;

    /* references */
    uint64_t nlookup;  /* the kernel's */
    unsigned nopen;    /* handles */
    unsigned nwriters; /* handles that may write */
    unsigned pins;     /* operations under way */

    /* identity */
    uint64_t st_ino;
    struct inode *ino_next; /* in the same bucket of fs->inos */
    uint64_t generation;

    /* what the bucket has */
    char *etag; /* "" for a directory; NULL if nothing is stored */
    uint64_t stored_size;
    int64_t remote_ms;           /* Last-Modified; 0: not known (we stored it ourselves) */
    int64_t stored_s;            /* then: the server's time when it was stored or changed, or 0 */
    bool encrypted;              /* its ETag is opaque */
    bool key_missing;            /* it is encrypted with a customer's key that is not here */
    char read_key[SSE_MD5_TEXT]; /* MD5 of the customer's key that it is encrypted with, or "" */
    int64_t seen_ms;             /* clock_ms() when state, etag and size were last confirmed */
    int64_t changed_ms; /* clock_ms() of our own last change; an older listing does not count */

    /* attributes; a directory without a marker object is `implicit` */
    bool attr_known;
    bool attr_fetching;
    int64_t attr_ms; /* clock_ms() when the service told them */
    bool implicit;
    struct waitlist attr_waiters;
    struct posix_attr attr;
    struct xattr_set xattrs;
    bool xattrs_stored; /* the object has the metadata of xattrs, perhaps an empty set */
    struct obs_props
        other; /* properties of the object that are not ours: content type, foreign metadata */
    struct obs_props settings; /* what the user said that no HEAD tells, see fs/properties.h */
    bool settings_stored;      /* the object has the metadata of settings, perhaps an empty set */
    struct obs_props access;   /* rights as the service told them, see fs/access.h */
    char *link_target;         /* of a symlink, once read */

    /* gathered attribute changes, see fs/meta.h */
    bool meta_dirty;
    bool meta_sending;
    unsigned meta_gen; /* counts changes, to see one that came while a request was under way */
    int64_t meta_due_ms;
    int meta_error; /* of the last refused change; told once by the next setattr or open */
    struct waitlist meta_waiters;
    struct change *change;                     /* that the ledger has, see fs/changes.h */
    struct inode *changed_next, *changed_prev; /* fs->changed */

    /* content */
    struct staged *staged;    /* local bytes of a file that is being changed, or NULL */
    struct fetch_file *fetch; /* the stored version's read cache, made on demand */
    bool kernel_has_pages;    /* something of this version was read: the kernel may have it still */
    struct latched_error error;
    unsigned moving; /* a rename works on it: nothing is published meanwhile */
    struct waitlist move_waiters;
    bool leaving_keys; /* a directory that is renamed: it is copied, the old objects go now */
    int64_t moved_ms;  /* clock_ms() when a rename of this directory ended */
    bool covers;       /* LOCAL: it replaced an object that is still stored under its name */
    bool removed; /* from here: who still has it open (a fifo's open is not ours to see) may ask */
    bool excl_0600; /* created O_EXCL with mode 0600, as mkstemp does */
    bool times_set; /* utimens was called: its times are not those of writing */

    /* directories */
    struct inode *children;  /* uthash by name, in the order of the last listing */
    int64_t list_start_ms;   /* start of the last complete listing, 0: none */
    int64_t list_end_ms;     /* when its last page came: valid for meta_ttl from here */
    unsigned list_pages;     /* how many pages it took */
    struct listing *listing; /* under way */
    unsigned listers;        /* wait for a listing, or are about to look at what it brought */
    struct waitlist list_waiters;
    unsigned lookups; /* single lookups since lookups_ms */
    int64_t lookups_ms;
    unsigned stats;         /* attribute look-ups since the last listing, see fs/dir.h */
    unsigned fetched_ahead; /* HEADs since then that nobody had asked for */
    struct inode
        *prefetch_at; /* next child whose attributes are fetched ahead; NULL: none running */
    unsigned prefetching;
};

int inode_table_init(struct fs *fs);
void inode_table_done(struct fs *fs);

/* The child of that name in any state, or NULL. */
struct inode *inode_child_locked(struct inode *dir, const char *name);

/* Adds a child (the name must be free) in `state`. NULL: out of memory. */
struct inode *inode_add_locked(struct fs *fs, struct inode *dir, const char *name,
                               enum inode_state state);

/* Takes the inode out of its directory; it is freed as soon as nobody refers to it. */
void inode_detach_locked(struct fs *fs, struct inode *inode);

/* Detaches what stands under `name` and puts a GONE entry there, changed now. */
void inode_tombstone_locked(struct fs *fs, struct inode *dir, const char *name);

/* Puts a detached or attached inode under (dir, name), replacing (detaching) what was there. */
int inode_move_locked(struct fs *fs, struct inode *inode, struct inode *dir, const char *name);

/* Frees the inode if nothing refers to it (and it has no name); call after dropping any reference.
 */
void inode_release_locked(struct fs *fs, struct inode *inode);

void inode_pin_locked(struct inode *inode);
void inode_unpin_locked(struct fs *fs, struct inode *inode);

/* The kernel forgets `n` look-ups. Takes the lock. */
void inode_forget(struct fs *fs, struct inode *inode, uint64_t n);

/* Frees cached names below `dir` that nobody refers to (all levels). */
void inode_shrink_locked(struct fs *fs, struct inode *dir);

/* The object key of the inode (a directory: with a trailing slash; the root: the mount's prefix).
 * -ESTALE if it has no name any more, -ENAMETOOLONG over 1024 bytes. */
int inode_key_locked(const struct fs *fs, const struct inode *inode, char out[OBS_KEY_MAX + 1]);

/* The key that (dir, name) has or would have; `as_dir`: with a trailing slash. */
int inode_child_key_locked(const struct fs *fs, const struct inode *dir, const char *name,
                           bool as_dir, char out[OBS_KEY_MAX + 1]);

/* True if `inode` is `dir` or stands below it. */
bool inode_below_locked(const struct inode *inode, const struct inode *dir);

/* The path inside the mount for messages, "/a/b" or "?" if it has no name. */
void inode_path_locked(const struct inode *inode, char *out, size_t n);

/* Content size as the mount shows it. */
uint64_t inode_size_locked(const struct inode *inode);

/* Staged content was given up: what the kernel has cached of it is not what the bucket has. The
 * inode loses its name; the next look asks the service. */
void inode_lose_content_locked(struct fs *fs, struct inode *inode);

/* Fills a struct stat. The attributes must be known. */
void inode_stat_locked(const struct fs *fs, const struct inode *inode, struct stat *st);

/* True while a rename works on the inode or on a directory above it. */
bool inode_moving_locked(const struct inode *inode);

/* Did its key change since `start_ms`, by a rename of the directory or one above it, or is it about
 * to, so that the old objects go? What was asked under the old key says nothing then. */
bool inode_rekeyed_locked(const struct inode *inode, int64_t start_ms);

/* Waits until no rename is about to change its key. -EINTR. */
int inode_await_key_locked(struct fs *fs, struct inode *inode, struct intr *intr);

/* Is there anything below the directory, at any depth, that the bucket does not have yet? Then it stays, whatever
 * a listing says. */
bool inode_has_unstored_locked(const struct inode *dir);

/* Does no path lead to it any more? */
bool inode_is_lost_locked(const struct inode *inode);

/* Sets the stored version: etag is copied, the read cache of an older version is let go. */
int inode_set_version_locked(struct inode *inode, const char *etag, uint64_t size,
                             int64_t remote_ms);

/* Sets attributes, xattrs and other properties from those of an object. -ENOMEM. */
int inode_set_object_locked(struct fs *fs, struct inode *inode, const struct obs_object *object);

/* The directory has no marker object: default attributes. */
int inode_set_implicit_locked(struct fs *fs, struct inode *inode);

/* Attributes of something that is made now: mode with its type, owner, all times now. */
void inode_set_new_locked(struct inode *inode, mode_t mode, uid_t uid, gid_t gid, dev_t rdev);

/* The properties to be sent with the object: attributes and xattrs; `all`: also content type,
 * foreign metadata and what else has to be sent again when the object is written anew. -ENOSPC when
 * together they pass 8 KB, -ENOMEM. */
int inode_props_locked(struct fs *fs, const struct inode *inode, const char *key, bool all,
                       struct obs_props *out);

/* Latches a failure for the handles that are open now. */
void inode_latch_locked(struct inode *inode, int eno);

#endif
