// SPDX-License-Identifier: Apache-2.0
/* store - the state directory of one mount
 *
 * Role        Where journals and staging files are, who may use them, and how much room there is.
 *
 * On disk     ROOT/MOUNT_ID/            0700, owned by us
 *               lock                    pid of the driver that holds it, as text
 *               mount                   "endpoint=..", "bucket=..", "prefix=..", a line each
 *               next_id                 first id that was never given out
 *               clock                   server's and our time when last seen together
 *               ID.journal  ID.data     an unfinished upload and its staging file, 0600
 *               changes                 attribute changes that are not sent yet (ledger.h)
 *               moves                   directory renames that are not finished (ledger.h)
 *               changes.N  moves.N      the same of another state directory, taken over and not
 *                                       read yet
 *               index.db                the attribute index (index.h)
 *             ROOT is `state_dir`, else /var/lib/obsmount for root, else
 *             $XDG_STATE_HOME/obsmount (only if absolute), else ~/.local/state/obsmount.
 *             MOUNT_ID is 32 hex digits: two 64-bit FNV-1a digests of endpoint, bucket and
 *             prefix. It is a name, not a proof: the file `mount` is compared as well.
 *
 * Lock        An OFD lock on `lock`: it lives as long as the open file, also across the fork into
 *             the background, and dies with the last process that has it. The parent of such a
 *             fork leaves by _exit() without store_close(). Read-only mounts take none.
 *
 * Removal     The staging file goes first, then the journal: a journal alone says what happened, a
 *             staging file alone says nothing and is dropped.
 *
 * Threads     store_new_id() any thread; the rest before the mount serves or from one thread.
 *
 * Errors      -EBUSY another driver has the lock (the message has its pid); -EPERM the directory
 *             belongs to somebody else; -EEXIST another mount has the same id.
 */
#ifndef OBSM_CHECKPOINT_STORE_H
#define OBSM_CHECKPOINT_STORE_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "checkpoint/io.h"
#include "net/base/err.h"

enum { STORE_MOUNT_ID_LEN = 32 };

struct store;

struct store_params {
    const char *state_dir; /* ROOT, NULL: by the rule above */
    const char *endpoint;
    const char *bucket;
    const char *prefix; /* "" for the whole bucket */
    bool read_only;     /* no lock, nothing is created but the directory */
};

/* ROOT by the rule above, into out. -ENOENT if neither XDG_STATE_HOME nor a home is known. */
int store_root(const char *state_dir, char out[PATH_MAX], struct err *e);

/* MOUNT_ID. */
void store_mount_id(const char *endpoint, const char *bucket, const char *prefix,
                    char out[STORE_MOUNT_ID_LEN + 1]);

/* Makes, checks and locks the directory, and removes half-written files of a compaction. */
int store_open(const struct store_params *params, struct store **ret, struct err *e);
void store_close(struct store *st);

/* The pid in `lock` becomes ours: after the fork into the background. */
int store_lock_pid(struct store *st);

const char *store_path(const struct store *st);
const char *store_id(const struct store *st);

/* A number never used before in this directory. */
int store_new_id(struct store *st, uint64_t *ret_id);

/* Paths of the files of one upload. */
void store_journal_path(const struct store *st, uint64_t id, char out[PATH_MAX]);
void store_data_path(const struct store *st, uint64_t id, char out[PATH_MAX]);

/* Opens the staging file read-write, 0600; with `create` it must not exist. The caller closes. */
int store_data_open(const struct store *st, uint64_t id, bool create);

/* Removes both files; a missing one is fine. Not synced: a file that comes back after a power cut
 * has its DONE or ABANDONED record and is removed again. */
int store_remove(const struct store *st, uint64_t id);

struct store_entry {
    uint64_t id;
    bool has_journal;
    bool has_data;
    uint64_t journal_bytes;
    uint64_t data_size;  /* length of the staging file */
    uint64_t data_bytes; /* that it takes on the disk */
};

/* All uploads in the directory, by id. The caller frees *ret. */
int store_list(const struct store *st, struct store_entry **ret, size_t *ret_n, struct err *e);

/* Another state directory under the same ROOT. */
struct store_sibling {
    char id[STORE_MOUNT_ID_LEN + 1];
    char endpoint[256];
    char bucket[64];
    char prefix[1025];
    uint32_t n_unfinished; /* journals in it */
    bool ledgers;          /* changes of attributes or renames may be unfinished, too */
    uint64_t data_bytes;   /* of their staging */
    int32_t locked_by;     /* pid of a running driver, 0 if none, -1 if it is not known which */
};

/* The siblings of the same bucket that have unfinished work. The caller frees *ret. */
int store_siblings(const struct store *st, struct store_sibling **ret, size_t *ret_n);

/* What store_adopt() has done. */
struct store_adopted {
    uint32_t n_uploads;
    uint32_t n_ledgers; /* `changes` and `moves` */
    bool ledgers_stay;  /* they may name keys outside of our prefix */
    char prefix[1025];  /* the sibling's */
};

/* Takes over all uploads of the sibling `id` under new ids, and its ledgers NAME as NAME.N, which
 * their owners then read (store_taken()). -ENOENT no such directory, -EINVAL not an id or another
 * bucket's, -EBUSY a driver runs on it. Ends as if never begun, or can be repeated, when the power
 * goes in the middle. */
int store_adopt(struct store *st, const char *id, struct store_adopted *ret, struct err *e);

/* The numbers N of the files NAME.N, ascending. The caller frees *ret. */
int store_taken(const struct store *st, const char *name, uint64_t **ret, size_t *ret_n);

/* True if the directory is on a file system in memory: staging there does not outlive a reboot. */
bool store_on_tmpfs(const struct store *st);

/* Bytes free for us and size of the file system. */
int store_space(const struct store *st, uint64_t *ret_free, uint64_t *ret_total);

/* How many more bytes staging may take: up to `staging_max` in all if it is not 0, and always so
 * that a tenth of the file system stays free. Pure. */
uint64_t store_staging_room(uint64_t free_bytes, uint64_t total_bytes, uint64_t used,
                            uint64_t staging_max);

/* Server time and our time as they stood together when last saved. -ENOENT if never. */
int store_clock_load(const struct store *st, int64_t *ret_server_s, int64_t *ret_real_s);
int store_clock_save(const struct store *st, int64_t server_s, int64_t real_s);

/* The kernel's boot id, "" if it cannot be read. */
void store_boot_id(char out[64]);

#endif
