// SPDX-License-Identifier: Apache-2.0
/* listing - pages of names from the bucket, merged into the inodes of a directory
 *
 * Role        The requests behind dir.h: a whole directory page by page, or the one page that tells
 *             of a single name; and the fetching of attributes ahead. Used by dir.c only.
 */
#ifndef OBSM_FS_LISTING_H
#define OBSM_FS_LISTING_H

#include "fs/inode.h"

/* Lists the directory if nobody does, and waits for the end. */
int listing_wait_locked(struct fs *fs, struct inode *dir, struct intr *intr);

/* Asks for one name; afterwards it has an entry (GONE if there is nothing). */
int listing_one_name_locked(struct fs *fs, struct inode *dir, const char *name, struct intr *intr);

/* Asks the service whether the directory has anything beside its marker: 1, 0, or -errno. */
int listing_has_entries_locked(struct fs *fs, struct inode *dir, struct intr *intr);

/* Starts to fetch the attributes of the children ahead / goes on when one has come. */
void listing_prefetch_start_locked(struct fs *fs, struct inode *dir);
void listing_prefetch_locked(struct fs *fs, struct inode *dir);

/* In dir.c: starts a HEAD for the inode unless one is under way. */
int dir_fetch_attr_locked(struct fs *fs, struct inode *inode, bool ahead);

#endif
