// SPDX-License-Identifier: Apache-2.0
/* notify - what the kernel must not believe any longer
 *
 * Role        Tells the kernel that a name or an inode's attributes are not what it has cached:
 *             content was given up, a change was refused.
 * Threads     One of its own. The kernel takes the directory's lock for a name, and an operation
 *             that holds it may be waiting for us: so no other work waits behind a notification.
 * Locking     notify_*_locked() under fs->lock; the kernel is told without it.
 */
#ifndef OBSM_FS_NOTIFY_H
#define OBSM_FS_NOTIFY_H

#include "fs/fs.h"

struct fuse_session;
struct notifier;

/* Starts the thread. -errno. */
int notify_start(struct fs *fs, struct fuse_session *se);
/* Tells no more; waits for the thread. */
void notify_stop(struct fs *fs);

/* `name` in `dir` is to be looked up again. */
void notify_entry_locked(struct fs *fs, const struct inode *dir, const char *name);
/* The inode's attributes are to be asked for again. */
void notify_attr_locked(struct fs *fs, const struct inode *inode);

#endif
