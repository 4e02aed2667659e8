// SPDX-License-Identifier: Apache-2.0
/* rename - files and directories under other names
 *
 * Files       What is not stored yet takes its new name and is published under it; a file that was
 *             held for this (fs/hold.h) is published now, and rename returns its result. A stored
 *             object is copied on the server, the copy is checked, then the old one is deleted; the same
 *             ledger as for directories has that.
 * Directories Every object below is copied, the copies are compared with a listing, then the old
 *             ones are deleted, all many at a time. A ledger has it, so that a crash in the middle
 *             leaves one tree in the end (fs/moves.h). More than dir_rename_max objects: -EXDEV, and
 *             mv(1) copies file by file.
 * Flags       RENAME_NOREPLACE is done; RENAME_EXCHANGE and others: -EINVAL.
 */
#ifndef OBSM_FS_RENAME_H
#define OBSM_FS_RENAME_H

#include "fs/inode.h"

int rename_locked(struct fs *fs, struct inode *from, const char *name, struct inode *to,
                  const char *new_name, unsigned flags, struct intr *intr);

/* In rename_object.c: the object of `inode` gets the key of (to, new_name); `replaces`: there is one.
 */
int rename_object_locked(struct fs *fs, struct inode *inode, struct inode *to, const char *new_name,
                         bool replaces, struct intr *intr);

/* The keys that `inode` has, and gets as (to, new_name). */
int rename_keys_locked(struct fs *fs, struct inode *inode, struct inode *to, const char *new_name,
                       char from_key[OBS_KEY_MAX + 1], char to_key[OBS_KEY_MAX + 1]);

/* In rename_dir.c: the directory `inode` becomes (to, new_name); names and target (an empty
 * directory that is replaced, pinned, or NULL) have been checked. */
int rename_dir_locked(struct fs *fs, struct inode *inode, struct inode *to, const char *new_name,
                      struct inode *target, struct intr *intr);

#endif
