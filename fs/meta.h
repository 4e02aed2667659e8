// SPDX-License-Identifier: Apache-2.0
/* meta - attribute changes of stored objects
 *
 * Role        chmod, chown, utimens and setxattr change the inode at once. On a stored object the
 *             changes gather for META_GATHER_MS and go out as one request; before fsync, rename and
 *             whatever else depends on them they are sent at once. On a file that will be stored
 *             anyway they go along.
 * Requests    OBS dialect: PUT ?metadata with REPLACE_NEW. S3 dialect: one copy of the object onto
 *             itself. A directory without a marker gets one.
 * Refused     The cached attributes are dropped and the errno is told once, by the next change or
 *             open of that inode (inode->meta_error) and to whoever waits.
 * Locking     everything under fs->lock.
 */
#ifndef OBSM_FS_META_H
#define OBSM_FS_META_H

#include "fs/inode.h"

enum { META_GATHER_MS = 100 };

/* The inode's attributes were changed. If the object is stored and nothing else will carry them,
 * they are queued, and noted for the next mount (fs/changes.h); if content carries them that is
 * sealed already, its journal says so. -errno: they could not be noted, the caller waits for the
 * bucket instead. */
int meta_changed_locked(struct fs *fs, struct inode *inode);

/* What was noted of the inode is as durable as the mount promises: at durability=stage, synced.
 * Drops the lock. -errno of the disk. */
int meta_durable_locked(struct fs *fs, struct inode *inode);

/* The stored object lacks the present attributes: queue them. */
void meta_mark_locked(struct fs *fs, struct inode *inode);

/* Sends what is queued for this inode now. True if a request is under way: wait in
 * inode->meta_waiters. */
bool meta_flush_now_locked(struct fs *fs, struct inode *inode);

/* Sends and waits (drops the lock meanwhile). 0, -EINTR, or the errno of the refusal. */
int meta_flush_wait_locked(struct fs *fs, struct inode *inode, struct intr *intr);

/* Sends all that are due at `now_ms`; returns when the next one is due, or INT64_MAX. `all`:
 * everything. */
int64_t meta_run_locked(struct fs *fs, int64_t now_ms, bool all);

/* The content of the inode will be stored, and its attributes with it. */
bool meta_carried_locked(const struct inode *inode);

/* After a rename: what could not be sent meanwhile is sent when it is due, or now if somebody waits
 * for it. */
void meta_resume_locked(struct fs *fs);

/* The inode loses its object: nothing is to be sent any more. */
void meta_forget_locked(struct fs *fs, struct inode *inode);

#endif
