// SPDX-License-Identifier: Apache-2.0
/* dirlist - what a directory contained when it was opened
 *
 * Role        The snapshot behind readdir: names in the order of the listing, with an inode number
 *             and, as far as it is known without a request, a type. Positions are indices, "." is 0
 *             and ".." is 1, so that they stay valid while entries come and go.
 * Ownership   One per opendir; no lock is needed, the kernel reads a directory handle one request
 *             at a time.
 */
#ifndef OBSM_FS_DIRLIST_H
#define OBSM_FS_DIRLIST_H

#include "fs/inode.h"

struct dirlist;

struct dirlist_entry {
    const char *name;
    uint64_t ino;
    mode_t type;   /* S_IFMT bits; 0: unknown */
    bool is_child; /* not "." or ".." */
};

/* The directory must be listed. -ENOMEM. */
int dirlist_new_locked(const struct inode *dir, struct dirlist **ret);
/* Takes the snapshot anew. */
int dirlist_renew_locked(const struct inode *dir, struct dirlist *list);
void dirlist_free(struct dirlist *list);

/* The entry at a position; false behind the last one. */
bool dirlist_get(struct dirlist *list, size_t pos, struct dirlist_entry *ret);

/* True once something was read from it. */
bool dirlist_used(const struct dirlist *list);

#endif
