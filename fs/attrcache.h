// SPDX-License-Identifier: Apache-2.0
/* attrcache - attributes that an earlier HEAD told, for objects that a listing shows unchanged
 *
 * Role        Between the inodes and the persistent index (checkpoint/index.h): a listed object
 *             whose ETag, size and Last-Modified are those of an entry gets its attributes from
 *             there, so that the second `ls -l` or rsync costs listings only, also after a remount.
 * Ours        The answer to a PUT does not tell Last-Modified. What we stored ourselves is remembered with
 *             the answer's Date: it counts as long as the listing shows nothing later.
 * Granularity A HEAD tells Last-Modified in seconds, a listing in milliseconds: seconds are
 *             compared.
 * Locking     everything under fs->lock.
 */
#ifndef OBSM_FS_ATTRCACHE_H
#define OBSM_FS_ATTRCACHE_H

#include "fs/inode.h"

/* Fills in what is known of one inode / of all children of a directory that lack their attributes.
 */
void attrcache_load_locked(struct fs *fs, struct inode *inode);
void attrcache_load_children_locked(struct fs *fs, struct inode *dir);

/* Remembers the attributes of an inode whose version is known. */
void attrcache_store_locked(struct fs *fs, struct inode *inode);

/* The attributes of the stored object were changed: what is remembered is wrong. */
void attrcache_forget_locked(struct fs *fs, struct inode *inode);

/* The same for an object whose attributes were sent without its inode (a recovery does that): what
 * is known of them is asked for again. */
void attrcache_forget_key_locked(struct fs *fs, const char *key);

#endif
