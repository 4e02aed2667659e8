// SPDX-License-Identifier: Apache-2.0
/* changes - attribute changes that were answered and are not in the bucket yet
 *
 * Role        A change of a stored object's attributes is answered at once and sent a moment later
 *             (fs/meta.h). In between it stands in a ledger of the state directory
 *             (checkpoint/ledger.h, file `changes`), so that it outlives the driver: the next mount
 *             shows it and sends it.
 * Records     CHANGED has the whole set of attributes; the last one of a key counts. SENDING comes
 *             before a copy of an object onto itself, which may give it another ETag: by its ctime
 *             the copy is known as ours. SETTLED: the bucket has them, it refused them, or the
 *             object is gone.
 * Durability  An append is one write(2): a change outlives the driver. At durability=stage it is
 *             synced before it is answered and outlives the machine as well; at store fsync(2) does
 *             that, by waiting for the bucket. checkpoint=off: no ledger.
 * Next mount  What is left is put over the attributes that the bucket tells when the inode's are
 *             loaded, and queued as if it had just been made; a job walks to each name that nobody
 *             asks for. It is dropped, with a line in the log, if the object is another one
 *             (its ETag), if it is gone, or if its ctime is later than that of the change.
 * Index       What the attribute index has of the key is forgotten before the change is answered
 *             (fs/attrcache.h), and once more when the ledger is read.
 * Locking     everything under fs->lock, but changes_sync().
 */
#ifndef OBSM_FS_CHANGES_H
#define OBSM_FS_CHANGES_H

#include "fs/inode.h"

enum { CHANGES_RETRY_MS = 30000 };

/* Reads the ledger, if the mount has one. Before the mount serves. */
int changes_open(struct fs *fs, struct err *err);
/* Closes it; a file with nothing in it is removed. NULL ledger allowed. */
void changes_close(struct fs *fs);
/* The mount ends: what is not sent by now stays for the next one. */
void changes_keep_locked(struct fs *fs);

/* Walks to what an earlier mount has left. Needs the workers. */
void changes_start(struct fs *fs);
/* The timer: tries again what could not be reached; when that is due, or INT64_MAX. */
int64_t changes_run_locked(struct fs *fs, int64_t now_ms);

/* The attributes of a stored inode were changed: they are in the ledger when this returns 0.
 * -errno of the disk: then the caller waits for the bucket instead. */
int changes_note_locked(struct fs *fs, struct inode *inode);

/* durability=stage: returns when what was noted is on the disk. Without the lock. */
int changes_sync(struct fs *fs);

/* A copy of the inode's object onto itself is about to be sent. */
void changes_sending_locked(struct fs *fs, struct inode *inode);

/* The bucket has the inode's attributes, or they are given up. */
void changes_settle_locked(struct fs *fs, struct inode *inode);

/* The inode has another name or ETag now (a directory above it was renamed): so has its change. */
void changes_rekey_locked(struct fs *fs, struct inode *inode);

/* A file, or a directory (its key has a slash), was renamed by an earlier mount: what is left for
 * the key, or for keys below it, belongs to `to`, with the ETag that `etag_of` tells of the old key and ETag. -errno. */
typedef const char *changes_etag_fn(const void *arg, const char *key, const char *etag);
int changes_moved(struct fs *fs, const char *from, const char *to, changes_etag_fn *etag_of,
                  const void *arg);

/* The inode's attributes were just taken from `object`; NULL: a directory has no marker. Puts over
 * them what an earlier mount has left. -ENOMEM. */
int changes_apply_locked(struct fs *fs, struct inode *inode, const struct obs_object *object);

#endif
