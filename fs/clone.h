// SPDX-License-Identifier: Apache-2.0
/* clone - files whose bytes are taken from other objects by copy_file_range(2)
 *
 * Role        What a range of another stored file needs to be copied by the server, and what
 *             happens when that file changes before.
 * Life        staged_clone_locked() notes the range, pinned to the version by its ETag. Until the
 *             file is published its readers get those bytes from there. Publishing copies: the
 *             whole object by one request, else parts that lie wholly in a range; what is left of a
 *             range is fetched and sent.
 * Source      Another version of it that somebody else stores: ESTALE, never a mixture. When this
 *             mount itself is about to replace or remove it, the ranges are fetched first; when it
 *             is renamed, the copies go on under the new name (fs/fetch.h knows it).
 * Crashes     The journal says that the file has such ranges: it is never recovered, since it was
 *             not closed. With durability=stage such a file is stored at close.
 * Locking     everything under fs->lock.
 */
#ifndef OBSM_FS_CLONE_H
#define OBSM_FS_CLONE_H

#include "fs/inode.h"
#include "fs/transfer.h"

/* May [from, from + *n) of the inode become [off, ..) of another file by a copy on the server? *n is
 * cut at its end. The version belongs to the inode. -EOPNOTSUPP: it is to be read and written. */
int clone_source_locked(struct fs *fs, struct inode *inode, uint64_t from, uint64_t off,
                        uint64_t *n, struct fetch_file **ret_file);

/* The stored version of the inode is about to go: what other files have of it is fetched. True:
 * that is under way, and the publications that wait for it are called again. */
bool clone_claim_locked(struct fs *fs, struct inode *inode);
void clone_resume_locked(struct fs *fs);

/* The same, and waits. -EINTR. */
int clone_settle_locked(struct fs *fs, struct inode *inode, struct intr *intr);

/* The request has failed, but its source has another name or ETag by now: send it again. */
bool clone_moved_locked(const struct staged *st, const struct transfer *t);

/* A fill of a clone has failed with `rc`: 0 if it is to be tried again, else what readers get. */
int clone_failed_locked(struct staged *st, const struct transfer *t, int rc);

/* That the source has gone is no missing file. */
void clone_explain(struct err *err);

#endif
