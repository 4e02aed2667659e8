// SPDX-License-Identifier: Apache-2.0
/* control_path - the files that a command names, and that they are stored
 *
 * Role        From a path as a user writes it (relative to the mount, or absolute and inside it) to
 *             an inode; and the barrier: what a command names is stored before the command.
 * Locking     fs->lock; functions that wait drop it on the way.
 */
#ifndef OBSM_FS_CONTROL_PATH_H
#define OBSM_FS_CONTROL_PATH_H

#include "fs/inode.h"
#include "net/base/err.h"

/* The path relative to the mount, without "." and doubled slashes ("": the mount itself); `out` has
 * OBS_KEY_MAX + 1 bytes. -EINVAL: absolute and not inside the mount, or with ".."; -ENAMETOOLONG.
 */
int control_path_clean(const struct fs *fs, const char *text, char *out, struct err *err);

/* Walks to a clean path, asking the bucket where needed. *ret is pinned. -ENOENT, -ENOTDIR, -EINTR,
 * or the errno of a request. */
int control_path_walk_locked(struct fs *fs, const char *path, struct intr *intr, struct inode **ret,
                             struct err *err);

/* True if a writer of it has not closed it, and is not about to: the kernel tells of the last close
 * in two steps, a flush and some time later the release. */
bool control_is_open_locked(const struct fs *fs, const struct inode *inode);

/* Makes sure that the content of a pinned file is stored; a close() that is under way is waited for.
 * -EBUSY: somebody has it open for writing; -EIO: it cannot be stored, *err says why; -EINTR; -ENOENT: it is gone. */
int control_barrier_locked(struct fs *fs, struct inode *inode, struct intr *intr, struct err *err);

#endif
