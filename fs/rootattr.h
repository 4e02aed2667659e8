// SPDX-License-Identifier: Apache-2.0
/* rootattr - the attributes of the mount's root
 *
 * Role        The root of a mount with a prefix is a directory like others, with its marker in the
 *             bucket. A bucket itself has no object that could carry attributes: chmod, chown,
 *             utimens and xattrs of it are kept in the state directory (file `root`), for this
 *             machine.
 * On disk     An attribute set (checkpoint/record.h) of the properties that a marker would have.
 */
#ifndef OBSM_FS_ROOTATTR_H
#define OBSM_FS_ROOTATTR_H

#include "fs/inode.h"

/* True if the root's attributes are kept locally. */
bool rootattr_is_local(const struct fs *fs);

/* Reads the file, if there is one, into the root. */
void rootattr_load(struct fs *fs);

/* The root's attributes have changed. -errno. */
int rootattr_save_locked(struct fs *fs);

#endif
